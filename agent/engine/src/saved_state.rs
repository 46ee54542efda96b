//! The state of an evaluator that its counts do not tell, so that a restart goes on where the last tick was.
//!
//! Instants are seconds since the epoch and alerts have their text, because grid and tiers may change between two runs.
//! A tier that has changed starts anew. An incident that no saved alert explains is of an older ledger or of other
//! tiers: all alerts of its severity fire on then, until data end them.

use crate::alert::AlertState;
use crate::decision::{AlertStates, Decision};
use crate::evaluator::Evaluator;
use crate::slot::Slot;

/// State of an evaluator beside its counts and incidents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedState {
    /// Tiers and conditions that fire, wait for their hold time or see a run of failure.
    pub alerts: Vec<SavedAlert>,
    /// Begin of the present run of failure.
    pub failing_since: Option<i64>,
    /// Observed time of the events.
    pub observed: SavedCoverage,
    /// Observed time of the slices, where slices are counted.
    pub rated: SavedCoverage,
    /// Begin of the latest slots with a start of the process behind the data, and the number of starts.
    pub starts: Vec<(i64, u32)>,
    /// Begin of the last slot before the clock was set.
    pub stepped: Option<i64>,
}

/// State of one tier or condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedAlert {
    /// The tier or condition as specs write it.
    pub alert: String,
    /// True if it fires.
    pub firing: bool,
    /// Begin of the slot since which its threshold is passed.
    pub exceeded_since: Option<i64>,
    /// Begin of the run of failure that its short window sees.
    pub run_since: Option<i64>,
}

/// Observed time of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedCoverage {
    /// The longest silence that is no gap, in seconds.
    pub gap_after: i64,
    /// Time without a gap, oldest first.
    pub stretches: Vec<SavedStretch>,
}

/// Time without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedStretch {
    /// Its begin.
    pub from: i64,
    /// Its end; `None` while it goes on.
    pub to: Option<i64>,
    /// Unseen seconds in it.
    pub unseen: i64,
}

impl Evaluator {
    /// Returns the state to save.
    #[must_use]
    pub fn saved_state(&self) -> SavedState {
        self.save(&self.states)
    }

    /// Returns the state to save once a decision is accepted.
    #[must_use]
    pub fn saved_state_after(&self, decision: &Decision) -> SavedState {
        self.save(&decision.next)
    }

    fn save(&self, states: &AlertStates) -> SavedState {
        let start = |slot: Slot| slot.0.saturating_mul(self.width());
        let saved = |alert: String, state: &AlertState, run: Option<Slot>| SavedAlert {
            alert,
            firing: state.firing,
            exceeded_since: state.exceeded_since.map(start),
            run_since: run.map(start),
        };
        let at_rest = |state: &AlertState| *state == AlertState::default();
        let tiers = self.policy.tiers.iter().zip(&states.tiers).zip(&self.runs.tiers);
        let tiers = tiers
            .filter(|((_, state), run)| !at_rest(state) || run.is_some())
            .map(|((tier, state), run)| saved(tier.to_string(), state, *run));
        let conditions = self.policy.conditions.iter().zip(&states.conditions);
        let conditions = conditions
            .filter(|(_, state)| !at_rest(state))
            .map(|(condition, state)| saved(condition.to_string(), state, None));
        let end = start(self.closed().plus(1));
        let sli = &self.sli;
        SavedState {
            alerts: tiers.chain(conditions).collect(),
            failing_since: self.runs.present.map(start),
            observed: sli.events.coverage.save(end),
            rated: sli.slices.as_ref().map(|slices| slices.results().coverage.save(end)).unwrap_or_default(),
            starts: sli
                .starts()
                .map(|starts| starts.iter().map(|(slot, n)| (start(slot), n)).collect())
                .unwrap_or_default(),
            stepped: self.watch.stepped.map(start),
        }
    }

    /// Restores a saved state, after the counts were read back and before incidents are resumed.
    pub fn restore_state(&mut self, saved: &SavedState) {
        let (width, closed) = (self.width(), self.closed());
        // the clock may have been set back meanwhile
        let slot = |seconds: i64| Slot(seconds.div_euclid(width)).min(closed);
        let find = |alert: &str| saved.alerts.iter().find(|saved| saved.alert == alert);
        let state = |saved: &SavedAlert| AlertState {
            exceeded_since: saved.exceeded_since.map(slot),
            firing: saved.firing,
        };
        let Self { policy, sli, states, runs, watch, forecasts: _ } = self;
        runs.present = saved.failing_since.map(slot);
        for ((tier, alert), run) in policy.tiers.iter().zip(&mut states.tiers).zip(&mut runs.tiers) {
            if let Some(saved) = find(&tier.to_string()) {
                (*alert, *run) = (state(saved), saved.run_since.map(slot));
            }
        }
        for (condition, alert) in policy.conditions.iter().zip(&mut states.conditions) {
            if let Some(saved) = find(&condition.to_string()) {
                *alert = state(saved);
            }
        }
        let end = closed.plus(1).0.saturating_mul(width);
        sli.events.coverage.restore(&saved.observed);
        if let Some(slices) = &mut sli.slices {
            slices.results_mut().coverage.restore(&saved.rated);
        }
        for &(seconds, starts) in saved.starts.iter().filter(|(seconds, _)| *seconds < end) {
            sli.record_starts(slot(seconds), starts);
        }
        watch.stepped = watch.stepped.max(saved.stepped.map(slot));
    }
}
