//! The wall-aligned grid of all counts.

use core::fmt;

/// One interval of the grid, numbered from the Unix epoch: slot *n* of a grid of width *w* seconds covers
/// `[n·w, (n+1)·w)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub i64);

impl Slot {
    /// Returns the slot `n` places later, or earlier when `n` is negative.
    #[must_use]
    pub const fn plus(self, n: i64) -> Self {
        Self(self.0.saturating_add(n))
    }
}

/// A grid of equally wide slots.
///
/// The width divides a minute or is a multiple of one, so that slots nest into the minutes of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    width_seconds: u32,
}

/// A width that does not nest with minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidWidth(
    /// The refused width in seconds.
    pub u32,
);

impl fmt::Display for InvalidWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a slot of {} s neither divides a minute nor is a multiple of one", self.0)
    }
}

impl core::error::Error for InvalidWidth {}

impl Grid {
    /// A grid of minutes, the resolution of long windows and of the ledger.
    pub const MINUTE: Self = Self { width_seconds: 60 };

    /// Creates a grid of slots `width_seconds` wide.
    ///
    /// # Errors
    /// If the width is zero or does not nest with minutes.
    pub const fn try_new(width_seconds: u32) -> Result<Self, InvalidWidth> {
        if width_seconds == 0 || (!60_u32.is_multiple_of(width_seconds) && !width_seconds.is_multiple_of(60))
        {
            return Err(InvalidWidth(width_seconds));
        }
        Ok(Self { width_seconds })
    }

    /// The width of one slot in seconds.
    #[must_use]
    pub const fn width_seconds(self) -> u32 {
        self.width_seconds
    }

    /// The slot that contains an instant, given in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn slot_at_ms(self, unix_ms: i64) -> Slot {
        Slot(unix_ms.div_euclid(self.width_ms()))
    }

    /// The first instant of a slot, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn start_ms(self, slot: Slot) -> i64 {
        slot.0.saturating_mul(self.width_ms())
    }

    /// The instant at which a slot is over, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn end_ms(self, slot: Slot) -> i64 {
        self.start_ms(slot.plus(1))
    }

    /// Number of slots of a span of seconds, rounded up, at least one.
    #[must_use]
    pub const fn slots_in(self, seconds: u64) -> u64 {
        let width = self.width_seconds as u64;
        let n = seconds.div_ceil(width);
        if n == 0 { 1 } else { n }
    }

    /// Seconds from the end of one slot to that of a later one; zero when it is not later.
    pub(crate) fn seconds_between(self, earlier: Slot, later: Slot) -> u64 {
        let slots = u64::try_from(later.0.saturating_sub(earlier.0)).unwrap_or(0);
        slots.saturating_mul(u64::from(self.width_seconds))
    }

    const fn width_ms(self) -> i64 {
        self.width_seconds as i64 * 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_before_the_epoch_are_aligned_too() {
        let grid = Grid::try_new(10).unwrap();
        assert_eq!(grid.slot_at_ms(-1), Slot(-1));
        assert_eq!(grid.slot_at_ms(9_999), Slot(0));
        assert_eq!(grid.slot_at_ms(10_000), Slot(1));
        assert_eq!(grid.end_ms(Slot(1)), 20_000);
    }

    #[test]
    fn widths_nest_with_minutes() {
        for good in [1, 5, 10, 15, 30, 60, 120, 3600] {
            assert!(Grid::try_new(good).is_ok(), "{good}");
        }
        for bad in [0, 7, 45, 61, 90] {
            assert_eq!(Grid::try_new(bad), Err(InvalidWidth(bad)));
        }
    }
}
