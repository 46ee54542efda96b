//! Burn rate: the speed at which the budget is spent, relative to an even spend.
//!
//! Two burn rates answer two questions, and differ only where a window is not wholly observed:
//!
//! - [`Measured::burn_rate`] counts unseen time as clean, at the observed traffic. It is the burn that is proven, and
//!   decides about firing: three failures in the first ten seconds after a gap are no outage of an hour.
//! - [`Measured::observed_burn_rate`] is that of the observed time alone. It decides about letting go, because unseen
//!   time does not prove a recovery, and about the present.
//!
//! Thresholds are compared as integers: `bad/total > factor × budget` becomes a comparison of products, so that no
//! rounding fires at exactly the factor.

use crate::counts::Counts;
use crate::objective::{BurnFactor, Objective};
use crate::window::Window;

/// The counts of a window, and the part of it that was observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// The window.
    pub window: Window,
    /// The exact sum of its slots. [`History`] tells where a long window begins.
    ///
    /// [`History`]: crate::History
    pub counts: Counts,
    /// Observed seconds of the window. Gaps and the time before the first observation are unseen.
    pub observed_seconds: u64,
}

impl Measured {
    /// The observed share of the window, from 0 to 1.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        let seconds = self.window.as_seconds().max(1);
        self.observed_seconds.min(seconds) as f64 / seconds as f64
    }

    /// The burn rate when unseen time is clean; `None` without events.
    #[must_use]
    pub fn burn_rate(&self, objective: Objective) -> Option<f64> {
        self.bad_share().map(|bad| bad / objective.budget_ratio())
    }

    /// The burn rate over the observed time; `None` without events.
    #[must_use]
    pub fn observed_burn_rate(&self, objective: Objective) -> Option<f64> {
        self.counts.bad_ratio().map(|bad| bad / objective.budget_ratio())
    }

    /// The share of bad events when unseen time is clean; `None` without events.
    pub(crate) fn bad_share(&self) -> Option<f64> {
        let ratio = self.counts.bad_ratio();
        // the usual window is wholly observed
        if self.observed_seconds >= self.window.as_seconds() {
            return ratio;
        }
        ratio.map(|bad| bad * self.coverage())
    }

    /// Returns whether the burn rate is above the factor when unseen time is clean. The comparison is exact.
    #[must_use]
    pub fn exceeds(&self, objective: Objective, factor: BurnFactor) -> bool {
        let seconds = self.window.as_seconds().max(1);
        let observed = self.observed_seconds.min(seconds);
        // far from the threshold floats decide: they are off by a few parts in 10¹⁶
        let threshold = factor.micro() as f64 * f64::from(objective.budget_ppb());
        let (bad, allowed) = (
            self.counts.bad as f64 * observed as f64 * 1e15,
            self.counts.total() as f64 * seconds as f64 * threshold,
        );
        if (bad - allowed).abs() > allowed * 1e-9 {
            return bad > allowed;
        }
        // bad/total × observed/window > factor/10⁶ × budget/10⁹, without a division
        let left = product(self.counts.bad, observed).saturating_mul(1_000_000_000_000_000);
        let threshold = product(factor.micro(), u64::from(objective.budget_ppb()));
        left > product(self.counts.total(), seconds).saturating_mul(threshold)
    }

    /// Returns whether the burn rate over the observed time is above the factor. The comparison is exact.
    #[must_use]
    pub fn observed_exceeds(&self, objective: Objective, factor: BurnFactor) -> bool {
        Self { observed_seconds: u64::MAX, ..*self }.exceeds(objective, factor)
    }
}

/// Returns whether a bad ratio of one exceeds the factor.
pub(crate) fn threshold_below_one(objective: Objective, factor: BurnFactor) -> bool {
    product(factor.micro(), u64::from(objective.budget_ppb())) < 1_000_000_000_000_000
}

/// The product of two numbers of 64 bits, which always fits.
fn product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn measured(good: u64, bad: u64) -> Measured {
        Measured { window: Window::hours(1), counts: Counts { good, bad }, observed_seconds: 3600 }
    }

    #[test]
    fn exactly_the_factor_does_not_fire() {
        let objective = Objective::try_from_percent(99.9).unwrap();
        let factor = BurnFactor::try_new(14.4).unwrap();
        assert!(!measured(98_560, 1_440).exceeds(objective, factor));
        assert!(measured(98_559, 1_441).exceeds(objective, factor));
        assert!(!measured(0, 0).exceeds(objective, factor));
    }

    proptest! {
        #[test]
        fn floats_decide_only_what_integers_would(
            bad in any::<u64>(),
            good in any::<u64>(),
            digits in (0_u32..64, 0_u32..64),
            at_threshold in any::<bool>(),
            nudge in -2_i64..3,
            percent in 0.0..99.999_999_f64,
            factor in 0.000_001_f64..1e6,
            covered in 1_u64..7200,
        ) {
            let objective = Objective::try_from_percent(percent).unwrap();
            let factor = BurnFactor::try_new(factor).unwrap();
            let (good, mut bad) = (good >> digits.0, bad >> digits.1);
            if at_threshold {
                let ratio = (factor.value() * objective.budget_ratio() * 3600.0 / covered.min(3600) as f64).min(0.999);
                bad = ((good as f64 * ratio / (1.0 - ratio)) as u64).saturating_add_signed(nudge);
            }
            let counts = Counts { good: good.min(u64::MAX / 2), bad: bad.min(u64::MAX / 2) };
            let measured = Measured { window: Window::hours(1), counts, observed_seconds: covered };
            let threshold = product(factor.micro(), u64::from(objective.budget_ppb()));
            let left = product(counts.bad, covered.min(3600)).checked_mul(1_000_000_000_000_000);
            let right = product(counts.total(), 3600).checked_mul(threshold);
            prop_assume!(left.is_some() && right.is_some());
            prop_assert_eq!(measured.exceeds(objective, factor), left > right);
        }
    }

    #[test]
    fn a_young_history_is_not_an_outage_of_the_month() {
        let objective = Objective::try_from_percent(99.9).unwrap();
        let factor = BurnFactor::try_new(14.4).unwrap();
        let young = |observed_seconds| Measured {
            window: Window::hours(1),
            counts: Counts { good: 0, bad: 6 },
            observed_seconds,
        };
        assert!(!young(51).exceeds(objective, factor));
        assert!(young(52).exceeds(objective, factor), "a total outage from birth fires at 51.84 s");
    }

    #[test]
    fn counts_at_the_edge_of_the_type_do_not_overflow() {
        let objective = Objective::try_from_percent(0.0).unwrap();
        let factor = BurnFactor::try_new(1e8).unwrap();
        let huge = Measured {
            window: Window::days(3650),
            counts: Counts { good: u64::MAX, bad: u64::MAX },
            observed_seconds: u64::MAX,
        };
        assert!(!huge.exceeds(objective, factor));
        assert!(huge.burn_rate(objective).unwrap().is_finite());
    }
}
