//! The share of events that must be good, and burn rates as thresholds.
//!
//! Both are scaled integers: a threshold compares exactly and prints as it was written.

use core::fmt;

/// Share of events that must be good, in parts per billion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Objective {
    good_ppb: u32,
}

/// An objective outside `[0, 100)` percent, or not a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InvalidObjective(
    /// The refused objective in percent.
    pub f64,
);

impl fmt::Display for InvalidObjective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an objective of {} % leaves no error budget or is no share", self.0)
    }
}

impl core::error::Error for InvalidObjective {}

const BILLION: u32 = 1_000_000_000;

impl Objective {
    /// Creates an objective from percent, exact to seven decimals.
    ///
    /// # Errors
    /// If the percentage is not in `[0, 100)`: at 100 % there is no budget to burn.
    pub fn try_from_percent(percent: f64) -> Result<Self, InvalidObjective> {
        let ppb = (percent * 1e7).round();
        if !(0.0..f64::from(BILLION)).contains(&ppb) {
            return Err(InvalidObjective(percent));
        }
        Ok(Self { good_ppb: ppb as u32 })
    }

    /// Creates an objective from parts per billion.
    ///
    /// # Errors
    /// If all events would have to be good.
    pub fn try_from_ppb(good_ppb: u32) -> Result<Self, InvalidObjective> {
        if good_ppb >= BILLION {
            return Err(InvalidObjective(f64::from(good_ppb) / 1e7));
        }
        Ok(Self { good_ppb })
    }

    /// The objective in parts per billion.
    #[must_use]
    pub const fn good_ppb(self) -> u32 {
        self.good_ppb
    }

    /// The objective in percent.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.good_ppb) / 1e7
    }

    /// The objective as a share of one.
    #[must_use]
    pub fn ratio(self) -> f64 {
        f64::from(self.good_ppb) / 1e9
    }

    /// The share of events that may be bad, in parts per billion; never zero.
    #[must_use]
    pub const fn budget_ppb(self) -> u32 {
        BILLION - self.good_ppb
    }

    /// The share of events that may be bad.
    #[must_use]
    pub fn budget_ratio(self) -> f64 {
        f64::from(self.budget_ppb()) / 1e9
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent())
    }
}

/// A burn rate as a threshold, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BurnFactor {
    micro: u64,
}

/// A burn factor that is not a positive number below a billion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InvalidFactor(
    /// The refused factor.
    pub f64,
);

impl fmt::Display for InvalidFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a burn factor of {} is not a positive number", self.0)
    }
}

impl core::error::Error for InvalidFactor {}

impl BurnFactor {
    /// An even spend of the budget.
    pub const ONE: Self = Self { micro: 1_000_000 };

    /// Creates a factor, exact to six decimals.
    ///
    /// # Errors
    /// If it is not positive, too large or not a number.
    pub fn try_new(factor: f64) -> Result<Self, InvalidFactor> {
        let micro = (factor * 1e6).round();
        if !(1.0..1e15).contains(&micro) {
            return Err(InvalidFactor(factor));
        }
        Ok(Self { micro: micro as u64 })
    }

    /// Creates a valid factor from millionths; zero becomes the smallest factor.
    pub(crate) const fn from_micro(micro: u64) -> Self {
        Self { micro: if micro == 0 { 1 } else { micro } }
    }

    /// The factor as a number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.micro as f64 / 1e6
    }

    /// The factor in millionths.
    #[must_use]
    pub const fn micro(self) -> u64 {
        self.micro
    }
}

impl fmt::Display for BurnFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_survive_without_float_noise() {
        for text in ["99.9", "99.95", "99.99999", "95", "0"] {
            let objective = Objective::try_from_percent(text.parse().unwrap()).unwrap();
            assert_eq!(objective.to_string(), format!("{text}%"));
        }
        assert_eq!(Objective::try_from_percent(99.9).unwrap().budget_ratio().to_string(), "0.001");
    }

    #[test]
    fn a_budget_of_nothing_is_refused() {
        for percent in [100.0, 100.1, -0.1, 99.999_999_99, f64::NAN, f64::INFINITY] {
            assert!(Objective::try_from_percent(percent).is_err(), "{percent}");
        }
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(BurnFactor::try_new(factor).is_err(), "{factor}");
        }
    }
}
