//! What the budget of an evaluator is judged by: the period that goes on, and the objectives it had.

use crate::budget::Budget;
use crate::burn::Measured;
use crate::counts::Counts;
use crate::evaluator::Evaluator;
use crate::period::{Period, Span};
use crate::slot::Slot;
use crate::versions::{Version, VersionShare, Versions};

impl Evaluator {
    /// The calendar period that goes on, as it was said last.
    #[must_use]
    pub const fn span(&self) -> Option<Span> {
        self.span
    }

    /// Begins a calendar period with a whole budget. To be said before the first slot of it is closed; the same period
    /// again changes nothing.
    pub fn set_period(&mut self, span: Span) {
        if self.policy.period.rolling().is_some() || self.span == Some(span) {
            return;
        }
        if self.span.map(|known| known.from) != Some(span.from) {
            let from = span.start_seconds(self.policy.grid);
            match &mut self.slices {
                Some(slices) => slices.set_period(from),
                None => self.history.set_period(from),
            }
        }
        self.span = Some(span);
    }

    /// Says which objectives there were and from when on each was in force. The first holds for all that was before it;
    /// the last should be that of the policy. To be said before anything is counted.
    pub fn set_objective_versions(&mut self, versions: impl IntoIterator<Item = Version>) {
        let width = i64::from(self.policy.grid.width_seconds());
        let seconds = |version: Version| (version.from.0.saturating_mul(width), version.objective);
        self.versions = Versions::new(versions.into_iter().map(seconds));
        self.cut_at_versions();
    }

    /// Judges by the same objectives and in the same calendar period as another evaluator of the same policy. To be said
    /// before anything is counted.
    pub fn copy_period_and_versions(&mut self, other: &Self) {
        self.versions.clone_from(&other.versions);
        self.cut_at_versions();
        if let Some(span) = other.span {
            self.set_period(span);
        }
    }

    /// Says when the source was observed first, in seconds since the epoch, after everything was read back: the time
    /// since then is covered, also where no counts of it are known any more.
    pub fn set_first_observation(&mut self, seconds: i64) {
        self.history.set_first_observation(seconds);
        if let Some(slices) = &mut self.slices {
            slices.results_mut().set_first_observation(seconds);
        }
    }

    fn cut_at_versions(&mut self) {
        // most objectives never changed
        if !self.versions.is_single() {
            let cuts = self.versions.cuts();
            match &mut self.slices {
                Some(slices) => slices.results_mut().cut_at(cuts),
                None => self.history.cut_at(cuts),
            }
        }
    }

    /// What the period holds that the budget is given for.
    pub(crate) fn measure_period(&self) -> Measured {
        match self.policy.period {
            Period::Rolling(window) => {
                let none = Measured { window, counts: Counts::ZERO, observed_seconds: 0 };
                self.judged().measure(window).unwrap_or(none)
            }
            Period::Calendar { nominal } => {
                let length = self.span.map_or(nominal, |span| span.length(self.policy.grid));
                self.judged().measure_since_start(length)
            }
        }
    }

    /// What of the counts of a window is in the period, too. A calendar period may have begun within the window: then the
    /// window holds all of it.
    pub(crate) fn within_period(&self, window: Counts, period: &Measured) -> Counts {
        match self.policy.period {
            Period::Rolling(_) => window,
            Period::Calendar { .. } => {
                let Counts { good, bad } = period.counts;
                Counts { good: window.good.min(good), bad: window.bad.min(bad) }
            }
        }
    }

    /// The counts of the period by the objective they are judged by; none when that is one for all of them.
    pub(crate) fn shares(&self) -> Vec<VersionShare> {
        if self.versions.is_single() {
            return Vec::new();
        }
        let share = |(from_seconds, counts)| {
            let objective = self.versions.at(from_seconds).unwrap_or(self.policy.objective);
            VersionShare { from_seconds, objective, counts }
        };
        let parts = self.judged().parts(self.policy.period.rolling());
        let shares: Vec<VersionShare> = parts.into_iter().map(share).collect();
        match shares.as_slice() {
            [only] if only.objective == self.policy.objective => Vec::new(),
            _ => shares,
        }
    }

    /// The budget of a period whose counts were judged by these versions, in units of the method.
    pub(crate) fn budget(&self, period: &Measured, versions: &[VersionShare]) -> Budget {
        let budget = match versions {
            [] => Budget::of(period, self.policy.objective),
            several => Budget::of_versions(period, several),
        };
        budget.in_units_of(self.policy.method.unit())
    }

    /// Seconds until the budget is gone at the burn rate, which is one of the current objective.
    pub(crate) fn exhaustion(
        &self,
        at: Slot,
        period: &Measured,
        budget: &Budget,
        burn_rate: f64,
    ) -> Option<f64> {
        let current = self.policy.objective.budget_ratio();
        let burn_rate = if self.versions.is_single() {
            burn_rate
        } else {
            // a budget that was given for the most part by another objective is so many times larger
            let mean = budget.mean_allowance(period, self.policy.method.unit());
            burn_rate / mean.map_or(1.0, |mean| mean / current)
        };
        let seconds = budget.seconds_to_exhaustion(period.window.as_seconds(), burn_rate)?;
        let Some(span) = self.span else { return Some(seconds) };
        // the next period begins with a budget of its own
        let end = at.plus(1).0.saturating_mul(i64::from(self.policy.grid.width_seconds()));
        let left = span.end_seconds(self.policy.grid).saturating_sub(end);
        (seconds == 0.0 || seconds < left as f64).then_some(seconds)
    }
}
