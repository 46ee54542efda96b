//! Good and bad events as integers.

use core::iter::Sum;
use core::ops::{Add, AddAssign};

/// Events of one slot, or of a window of slots.
///
/// Good and bad are kept, not good and total, so that "more good than total" cannot be written.
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

    /// `good` out of `total`; `None` when there would be more good events than events.
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

    /// Whether there was no event.
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
