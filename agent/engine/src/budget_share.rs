//! A share of an error budget.

use core::fmt;

/// A share of a period's error budget, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetShare {
    pub(crate) ppm: u32,
}

/// A share outside `[0, 100]` percent, or not a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InvalidShare(
    /// The refused share in percent.
    pub f64,
);

impl fmt::Display for InvalidShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % is no share of a budget from 0 % to 100 %", self.0)
    }
}

impl core::error::Error for InvalidShare {}

impl BudgetShare {
    /// The whole budget.
    pub const WHOLE: Self = Self { ppm: 1_000_000 };

    /// Creates a share from percent, exact to four decimals.
    ///
    /// # Errors
    /// If it is outside 0 to 100.
    pub fn try_from_percent(percent: f64) -> Result<Self, InvalidShare> {
        let ppm = (percent * 1e4).round();
        if !(0.0..=1e6).contains(&ppm) {
            return Err(InvalidShare(percent));
        }
        Ok(Self { ppm: ppm as u32 })
    }

    /// The share of one.
    #[must_use]
    pub fn ratio(self) -> f64 {
        f64::from(self.ppm) / 1e6
    }
}

impl fmt::Display for BudgetShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.ppm) / 1e4)
    }
}
