//! Instants of wall time.

use core::ops::{Add, AddAssign, Sub};
use core::str::FromStr;
use core::time::Duration;

use lookout_engine::{Grid, Slot};
use serde::{Deserialize, Serialize};

/// Instant of wall time, in whole milliseconds since the Unix epoch.
///
/// JSON shows it as that number. Its arithmetic saturates: an instant beyond the calendar is the latest or the
/// earliest, and never wraps around.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);
    /// The earliest instant.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant.
    pub const MAX: Self = Self(i64::MAX);

    /// The shortest time that two instants can be apart.
    pub const TICK: Duration = Duration::from_millis(1);

    /// Creates an instant from milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Returns the milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Creates an instant from seconds since the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns the whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns the seconds since the Unix epoch with their fraction, as gauges show them.
    #[must_use]
    pub fn as_seconds_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Returns the instant a duration later. Parts below a millisecond are left out.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(duration)))
    }

    /// Returns the instant a duration earlier. Parts below a millisecond are left out.
    #[must_use]
    pub const fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(whole_millis(duration)))
    }

    /// Returns the instant that many milliseconds later; earlier if the number is negative.
    #[must_use]
    pub const fn plus_millis(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Returns the time that passed since an earlier instant; zero if that is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        let milliseconds = self.millis_since(earlier);
        if milliseconds < 0 { Duration::ZERO } else { Duration::from_millis(milliseconds.unsigned_abs()) }
    }

    /// Returns the milliseconds since another instant; negative if that is later.
    #[must_use]
    pub const fn millis_since(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }

    /// Returns the seconds since another instant with their fraction; negative if that is later.
    #[must_use]
    pub fn seconds_since(self, other: Self) -> f64 {
        self.millis_since(other) as f64 / 1000.0
    }

    /// Returns the last multiple of a unit, counted from the Unix epoch, that is not later.
    #[must_use]
    pub const fn floor(self, unit: Duration) -> Self {
        let unit = if unit.as_millis() == 0 { 1 } else { whole_millis(unit) };
        Self(self.0.div_euclid(unit).saturating_mul(unit))
    }

    /// Returns the first multiple of a unit, counted from the Unix epoch, that is not earlier.
    #[must_use]
    pub const fn ceil(self, unit: Duration) -> Self {
        let unit_millis = if unit.as_millis() == 0 { 1 } else { whole_millis(unit) };
        Self(self.0.saturating_add(unit_millis - 1)).floor(unit)
    }

    /// Returns the instant halfway between this one and another.
    #[must_use]
    pub const fn midpoint(self, other: Self) -> Self {
        Self(self.0.midpoint(other.0))
    }
}

const fn whole_millis(duration: Duration) -> i64 {
    let milliseconds = duration.as_millis();
    if milliseconds > i64::MAX as u128 { i64::MAX } else { milliseconds as i64 }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        self.saturating_sub(duration)
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(at: jiff::Timestamp) -> Self {
        Self(at.as_millisecond())
    }
}

/// Fails for an instant beyond the calendars, which end with the year 9999.
impl TryFrom<Timestamp> for jiff::Timestamp {
    type Error = jiff::Error;

    fn try_from(at: Timestamp) -> Result<Self, jiff::Error> {
        Self::from_millisecond(at.0)
    }
}

/// Reads RFC 3339: `2026-03-01T10:00:00Z`. Parts below a millisecond are left out.
impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<jiff::Timestamp>().map(Self::from)
    }
}

/// The slots of a grid as instants. The engine numbers slots and knows no wall time.
pub trait GridTime {
    /// Returns the slot that contains an instant.
    fn slot_at(self, at: Timestamp) -> Slot;

    /// Returns the first instant of a slot.
    fn start_of(self, slot: Slot) -> Timestamp;

    /// Returns the instant at which a slot is over.
    fn end_of(self, slot: Slot) -> Timestamp;
}

impl GridTime for Grid {
    fn slot_at(self, at: Timestamp) -> Slot {
        self.slot_at_ms(at.as_millis())
    }

    fn start_of(self, slot: Slot) -> Timestamp {
        Timestamp::from_millis(self.start_ms(slot))
    }

    fn end_of(self, slot: Slot) -> Timestamp {
        Timestamp::from_millis(self.end_ms(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            3 => (0..u64::MAX / 2).prop_map(Duration::from_millis),
            1 => (0..u64::MAX).prop_map(Duration::from_nanos),
            1 => Just(Duration::MAX),
            1 => Just(Duration::ZERO),
        ]
    }

    fn instant() -> impl Strategy<Value = Timestamp> {
        let millis = prop_oneof![
            3 => any::<i64>(),
            1 => -1000_i64..1000,
            1 => Just(i64::MIN),
            1 => Just(i64::MAX),
        ];
        millis.prop_map(Timestamp::from_millis)
    }

    #[test]
    fn json_shows_milliseconds() {
        let at = Timestamp::from_millis(1_772_359_200_500);
        assert_eq!(serde_json::to_string(&at).unwrap(), "1772359200500");
        assert_eq!(serde_json::from_str::<Timestamp>("1772359200500").unwrap(), at);
        assert_eq!(serde_json::to_string(&None::<Timestamp>).unwrap(), "null");
        assert!(serde_json::from_str::<Timestamp>("\"2026-03-01\"").is_err());
        assert_eq!("2026-03-01T10:00:00.5Z".parse::<Timestamp>().unwrap(), at);
    }

    #[test]
    fn seconds_are_rounded_down_before_the_epoch_too() {
        for (millis, seconds) in [(-1001, -2), (-1, -1), (0, 0), (999, 0), (1000, 1)] {
            assert_eq!(Timestamp::from_millis(millis).as_seconds(), seconds, "{millis}");
        }
        assert_eq!(Timestamp::from_seconds(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_millis(-1500).as_seconds_f64(), -1.5);
    }

    #[test]
    fn a_span_has_a_sign_only_where_it_is_asked_for() {
        let (one, two) = (Timestamp::from_millis(500), Timestamp::from_millis(2000));
        assert_eq!((two.since(one), one.since(two)), (Duration::from_millis(1500), Duration::ZERO));
        assert_eq!((two.millis_since(one), one.millis_since(two)), (1500, -1500));
        assert_eq!((two.seconds_since(one), one.seconds_since(two)), (1.5, -1.5));
        assert_eq!(Timestamp::MAX.millis_since(Timestamp::MIN), i64::MAX);
    }

    proptest! {
        /// The reference has 128 bits, which no such sum exceeds.
        #[test]
        fn sums_and_differences_saturate(at in instant(), long in duration()) {
            let exact = |sum: i128| sum.clamp(i64::MIN.into(), i64::MAX.into());
            let (start, millis) = (i128::from(at.as_millis()), long.as_millis().min(i64::MAX as u128) as i128);
            prop_assert_eq!(i128::from((at + long).as_millis()), exact(start + millis));
            prop_assert_eq!(i128::from((at - long).as_millis()), exact(start - millis));
            prop_assert!(at - long <= at && at <= at + long);
        }

        #[test]
        fn order_is_that_of_the_milliseconds(one in instant(), two in instant(), long in duration()) {
            prop_assert_eq!(one.cmp(&two), one.as_millis().cmp(&two.as_millis()));
            prop_assert_eq!(one.millis_since(two) > 0, one > two);
            prop_assert_eq!(one.since(two).is_zero(), one <= two);
            if one <= two {
                prop_assert!(one + long <= two + long && one - long <= two - long);
            }
        }

        #[test]
        fn what_passed_leads_back(one in instant(), two in instant()) {
            let (earlier, later) = (one.min(two), one.max(two));
            // a span of more than half the range saturates
            let passed = later.since(earlier);
            if i128::from(later.as_millis()) - i128::from(earlier.as_millis()) <= i128::from(i64::MAX) {
                prop_assert_eq!(earlier + passed, later);
                prop_assert_eq!(later - passed, earlier);
            }
        }

        #[test]
        fn rounding_leads_to_the_next_multiple(millis in -1_000_000_000_i64..1_000_000_000, unit in 1_u64..100_000) {
            let (at, unit) = (Timestamp::from_millis(millis), Duration::from_millis(unit));
            let (down, up) = (at.floor(unit), at.ceil(unit));
            prop_assert!(down <= at && at <= up && up.since(down) <= unit);
            prop_assert_eq!((down.floor(unit), down.ceil(unit), up.floor(unit)), (down, down, up));
            prop_assert_eq!(down == up, at == down);
        }

        #[test]
        fn an_instant_lies_in_its_slot(millis in -1_000_000_000_000_000_i64..1_000_000_000_000_000, width in 1_usize..6) {
            let grid = Grid::try_new([1, 5, 10, 60, 300, 3600][width]).unwrap();
            let at = Timestamp::from_millis(millis);
            let slot = grid.slot_at(at);
            prop_assert!(grid.start_of(slot) <= at && at < grid.end_of(slot));
            prop_assert_eq!(grid.end_of(slot), grid.start_of(slot.plus(1)));
        }
    }
}
