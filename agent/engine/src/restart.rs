//! Saves the state of an evaluator with a tick, and restores it after a restart.

use crate::alert::AlertState;
use crate::decision::{AlertStates, Decision};
use crate::evaluator::Evaluator;
use crate::outcome_row::OutcomeRow;
use crate::saved_state::{SavedAlert, SavedRow, SavedState};
use crate::slot::Slot;

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
            row: sli.row().map(|row| SavedRow {
                failures: row.present_failures(),
                successes: row.successes(),
                failed: row.failed().map(|(first, last)| (start(first), start(last))),
            }),
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
        if let Some(SavedRow { failures, successes, failed }) = saved.row {
            let failed = failed.map(|(first, last)| (slot(first), slot(last)));
            sli.restore_row(OutcomeRow::restored(failures, successes, failed));
        }
        watch.stepped = watch.stepped.max(saved.stepped.map(slot));
    }
}
