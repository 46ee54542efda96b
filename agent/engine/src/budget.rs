//! The error budget of a period.
//!
//! The budget left is what is known to be left: unseen time counts as clean. Its lower bound adds what unseen time may
//! have spent. The unseen events are as many as the observed traffic suggests, and as bad as the upper end of the Wilson
//! score interval for a sample of that size allows. A budget after one good event is therefore whole and certain of
//! nothing.

use crate::burn::Measured;
use crate::confidence;
use crate::counts::Counts;
use crate::objective::Objective;
use crate::versions::VersionShare;

/// The quantile of a one-sided bound at 95 %.
const ONE_SIDED_95: f64 = 1.644_854;

/// The error budget of a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Bad events of the period, or bad slices (in sum, to the nearest, where slices are not wholly good or bad).
    pub bad: u64,
    /// All events, or slices, of the period.
    pub total: u64,
    /// Bad events, or slices, the period may have at the observed traffic.
    pub allowed: f64,
    /// Share of the budget that is left when unseen time is clean: 1 untouched, 0 spent, negative overspent.
    pub left_ratio: f64,
    /// Lower bound of the share left, at [`Budget::CONFIDENCE`]. It equals `left_ratio` when the period was observed.
    pub left_at_least: f64,
}

impl Budget {
    /// The confidence of the lower bound.
    pub const CONFIDENCE: f64 = 0.95;

    /// A budget before any event.
    pub const UNTOUCHED: Self = Self { bad: 0, total: 0, allowed: 0.0, left_ratio: 1.0, left_at_least: 1.0 };

    /// Computes the budget of a period from its counts; untouched without events.
    #[must_use]
    pub fn of(period: &Measured, objective: Objective) -> Self {
        let counts = period.counts;
        let seconds = period.window.as_seconds().max(1) as f64;
        let covered = (period.observed_seconds as f64).clamp(1.0, seconds);
        let allowed = counts.total() as f64 * objective.budget_ratio() * seconds / covered;
        let left_ratio = period.burn_rate(objective).map_or(1.0, |burn| 1.0 - burn);
        Self { bad: counts.bad, total: counts.total(), allowed, left_ratio, left_at_least: left_ratio }
    }

    /// Computes the budget of a period with several objectives: its parts allow bad events together.
    ///
    /// left = 1 − bad ÷ Σ (total × budget), the sum over the parts, scaled to the whole period.
    pub(crate) fn of_versions(period: &Measured, versions: &[VersionShare]) -> Self {
        let seconds = period.window.as_seconds().max(1) as f64;
        let covered = (period.observed_seconds as f64).clamp(1.0, seconds);
        let allowance = |part: &VersionShare| part.counts.total() as f64 * part.objective.budget_ratio();
        let allowed = versions.iter().map(allowance).sum::<f64>() * seconds / covered;
        let Counts { bad, .. } = period.counts;
        let left_ratio = if allowed > 0.0 { 1.0 - bad as f64 / allowed } else { 1.0 };
        Self { bad, total: period.counts.total(), allowed, left_ratio, left_at_least: left_ratio }
    }

    /// The share of events of the whole period that may be bad, over all versions of the objective; `None` without
    /// events. `unit` counts of the period stand for one of the budget.
    pub(crate) fn mean_allowance(&self, period: &Measured, unit: u64) -> Option<f64> {
        let seconds = period.window.as_seconds().max(1) as f64;
        let covered = (period.observed_seconds as f64).clamp(1.0, seconds);
        let expected = period.counts.total() as f64 * seconds / covered;
        (expected > 0.0).then(|| self.allowed * unit as f64 / expected)
    }

    /// Returns the budget with its lower bound, when so many seconds of the period were not observed.
    pub(crate) fn bounded(
        self,
        period: &Measured,
        unseen_seconds: u64,
        objective: Objective,
        unit: u64,
    ) -> Self {
        if unseen_seconds == 0 {
            return self;
        }
        let (seen, unseen) = (period.observed_seconds as f64, unseen_seconds as f64);
        let unseen_share = unseen / period.window.as_seconds().max(1) as f64;
        let mean = self.mean_allowance(period, 1).unwrap_or(objective.budget_ratio());
        let (bad, total) = (period.counts.bad as f64, period.counts.total() as f64);
        let upper = if total > 0.0 && seen > 0.0 {
            // a prediction: the sample and the unseen events vary both
            let sample = total / unit.max(1) as f64 * (unseen / (seen + unseen));
            confidence::upper_bound(bad / total, sample, ONE_SIDED_95)
        } else {
            1.0
        };
        let spent = upper * unseen_share / mean.max(f64::MIN_POSITIVE);
        Self { left_at_least: (self.left_ratio - spent).max(f64::MIN), ..self }
    }

    /// Returns the same budget in units of so many counts.
    pub(crate) fn in_units_of(self, unit: u64) -> Self {
        if unit == 1 {
            return self;
        }
        Self {
            bad: whole(self.bad, unit),
            total: whole(self.total, unit),
            allowed: self.allowed / unit as f64,
            ..self
        }
    }

    /// Seconds until the budget is spent at a burn rate: zero when it is spent already, `None` when nothing burns.
    #[must_use]
    pub fn seconds_to_exhaustion(&self, period_seconds: u64, burn_rate: f64) -> Option<f64> {
        if self.left_ratio <= 0.0 {
            return Some(0.0);
        }
        let seconds = self.left_ratio * period_seconds as f64 / burn_rate;
        (burn_rate > 0.0 && seconds.is_finite()).then_some(seconds)
    }
}

/// Returns the same counts in units of so many.
pub(crate) fn in_units_of(counts: Counts, unit: u64) -> Counts {
    Counts { good: whole(counts.good, unit), bad: whole(counts.bad, unit) }
}

/// Divides and rounds to the nearest.
fn whole(n: u64, unit: u64) -> u64 {
    n / unit + u64::from(n % unit * 2 >= unit && unit > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    fn month(good: u64, bad: u64) -> Measured {
        Measured {
            window: Window::days(30),
            counts: Counts { good, bad },
            observed_seconds: Window::days(30).as_seconds(),
        }
    }

    #[test]
    fn half_spent_burning_twice_lasts_a_quarter_of_the_period() {
        let objective = Objective::try_from_percent(99.9).unwrap();
        let budget = Budget::of(&month(999_500, 500), objective);
        assert!((budget.left_ratio - 0.5).abs() < 1e-9);
        assert!((budget.allowed - 1000.0).abs() < 1e-6);
        let left = budget.seconds_to_exhaustion(30 * 86_400, 2.0).unwrap();
        assert!((left - 7.5 * 86_400.0).abs() < 1.0);
        assert_eq!(budget.seconds_to_exhaustion(30 * 86_400, 0.0), None);
    }

    #[test]
    fn no_traffic_leaves_the_budget_whole_and_overspending_goes_below_zero() {
        let objective = Objective::try_from_percent(99.9).unwrap();
        assert_eq!(Budget::of(&month(0, 0), objective).left_ratio, 1.0);
        assert!(Budget::of(&month(0, 10), objective).left_ratio < -900.0);
        assert_eq!(Budget::of(&month(0, 10), objective).seconds_to_exhaustion(1, 1.0), Some(0.0));
    }
}
