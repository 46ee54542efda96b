//! The error budget of a period.

use crate::burn::Measured;
use crate::objective::Objective;

/// How much of a period's error budget is spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Bad events of the period, or bad slices (in sum, to the nearest, where slices are not wholly good or bad).
    pub bad: u64,
    /// All events, or slices, of the period.
    pub total: u64,
    /// Bad events, or slices, the period may have at the observed traffic.
    pub allowed: f64,
    /// Share of the budget that is left: 1 untouched, 0 spent, negative overspent.
    pub left_ratio: f64,
}

impl Budget {
    /// The budget of a period from what was counted in it; untouched without events.
    #[must_use]
    pub fn of(period: &Measured, objective: Objective) -> Self {
        let counts = period.counts;
        let seconds = period.window.as_seconds().max(1) as f64;
        let covered = (period.covered_seconds as f64).clamp(1.0, seconds);
        let allowed = counts.total() as f64 * objective.budget_ratio() * seconds / covered;
        let left_ratio = period.burn_rate(objective).map_or(1.0, |burn| 1.0 - burn);
        Self { bad: counts.bad, total: counts.total(), allowed, left_ratio }
    }

    /// The same budget when so many counts stand for one.
    pub(crate) fn in_units_of(self, unit: u64) -> Self {
        if unit == 1 {
            return self;
        }
        let whole = |n: u64| n / unit + u64::from(n % unit * 2 >= unit && unit > 1);
        Self { bad: whole(self.bad), total: whole(self.total), allowed: self.allowed / unit as f64, ..self }
    }

    /// Seconds until nothing is left when the budget goes on burning at `burn_rate`: zero when it is spent, `None`
    /// when nothing burns.
    #[must_use]
    pub fn seconds_to_exhaustion(&self, period_seconds: u64, burn_rate: f64) -> Option<f64> {
        if self.left_ratio <= 0.0 {
            return Some(0.0);
        }
        let seconds = self.left_ratio * period_seconds as f64 / burn_rate;
        (burn_rate > 0.0 && seconds.is_finite()).then_some(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Counts;
    use crate::window::Window;

    fn month(good: u64, bad: u64) -> Measured {
        Measured {
            window: Window::days(30),
            counts: Counts { good, bad },
            covered_seconds: Window::days(30).as_seconds(),
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
