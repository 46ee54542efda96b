//! Good and bad events as integers.

use core::iter::Sum;
use core::ops::{Add, AddAssign};

/// Events of one slot, or of a window of slots.
///
/// The fields are good and bad, not good and total: a value with more good events than events cannot exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Counts {
    /// Events that met the indicator.
    pub good: u64,
    /// Events that did not.
    pub bad: u64,
}

impl Counts {
    /// No event.
    pub const ZERO: Self = Self { good: 0, bad: 0 };

    /// Creates counts from `good` out of `total`; `None` for more good events than events.
    #[must_use]
    pub const fn of_total(good: u64, total: u64) -> Option<Self> {
        match total.checked_sub(good) {
            Some(bad) => Some(Self { good, bad }),
            None => None,
        }
    }

    /// All events.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.good.saturating_add(self.bad)
    }

    /// Returns whether there is no event.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.total() == 0
    }

    /// Bad over total; `None` without events, never NaN.
    #[must_use]
    pub fn bad_ratio(self) -> Option<f64> {
        if self.is_empty() { None } else { Some(self.bad as f64 / self.total() as f64) }
    }
}

impl Add for Counts {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { good: self.good.saturating_add(other.good), bad: self.bad.saturating_add(other.bad) }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

/// A sum of counts that cannot overflow, so that every addition can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Total {
    pub(crate) good: u128,
    pub(crate) bad: u128,
}

impl From<Counts> for Total {
    fn from(counts: Counts) -> Self {
        Self { good: counts.good.into(), bad: counts.bad.into() }
    }
}

impl Add for Total {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { good: self.good + other.good, bad: self.bad + other.bad }
    }
}

impl Total {
    pub(crate) fn add(&mut self, counts: Counts) {
        self.good += u128::from(counts.good);
        self.bad += u128::from(counts.bad);
    }

    pub(crate) const fn subtract(&mut self, other: Self) {
        self.good = self.good.saturating_sub(other.good);
        self.bad = self.bad.saturating_sub(other.bad);
    }

    pub(crate) const fn has_bad(self) -> bool {
        self.bad > 0
    }

    /// The sum as counts, limited to 64 bits.
    pub(crate) fn counts(self) -> Counts {
        let clamp = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        Counts { good: clamp(self.good), bad: clamp(self.bad) }
    }
}
