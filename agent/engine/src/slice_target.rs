//! The share of its events that makes a slice good.

use core::fmt;

use crate::counts::Counts;

/// One whole slice in the units of its counts.
pub(crate) const BILLION: u64 = 1_000_000_000;

/// The share of its events that makes a slice good, in parts per billion, up to the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceTarget {
    good_ppb: u32,
}

/// A target outside `(0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InvalidSliceTarget(
    /// The refused share.
    pub f64,
);

impl fmt::Display for InvalidSliceTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no share of events above 0 and up to 1", self.0)
    }
}

impl core::error::Error for InvalidSliceTarget {}

impl SliceTarget {
    /// Creates a target from a share of one, exact to nine decimals.
    ///
    /// # Errors
    /// If it is outside `(0, 1]`: every slice would be good, or none could be.
    pub fn try_from_ratio(ratio: f64) -> Result<Self, InvalidSliceTarget> {
        let ppb = (ratio * 1e9).round();
        if !(1.0..=1e9).contains(&ppb) {
            return Err(InvalidSliceTarget(ratio));
        }
        Ok(Self { good_ppb: ppb as u32 })
    }

    /// Returns whether enough of these events are good.
    pub(crate) fn is_met(self, events: Counts) -> bool {
        let total = u128::from(events.good) + u128::from(events.bad);
        u128::from(events.good) * u128::from(BILLION) >= total * u128::from(self.good_ppb)
    }

    /// The share of one.
    #[must_use]
    pub fn ratio(self) -> f64 {
        f64::from(self.good_ppb) / 1e9
    }
}
