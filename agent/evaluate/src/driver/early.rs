//! Between two ticks: what a slot that is not over has made certain is stored and told at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use lookout_engine::{Change, Projection, Slot};

use super::{Driver, by_slo, pause};
use crate::SloStatus;
use lookout_model::{GridTime, Timestamp, TransitionRecord, incident_id};

/// SLOs with bad events in a slot that is not closed yet, and nobody looked since. The last such slot of each.
pub(super) type BadSlots = BTreeMap<usize, Slot>;

impl Driver {
    /// Returns whether bad events came in since the last detection.
    #[must_use]
    pub fn has_bad_slots(&self) -> bool {
        !self.bad_slots.is_empty()
    }

    /// Looks at what went wrong since the last look. An incident that would open or escalate at the end of the slot
    /// whatever else happens in it does so now, and the SLO's state is returned with its place in the config.
    pub async fn detect_early(&mut self, now: Timestamp) -> Vec<(usize, SloStatus)> {
        let mut certain: Vec<(usize, Projection)> = Vec::new();
        let watched = &self.watched;
        self.bad_slots.retain(|&index, slot| {
            let Some(watched) = watched.get(index) else { return false };
            certain.extend(watched.evaluator.project(*slot).map(|projected| (index, projected)));
            // a slot that comes after one which still settles is looked at when that is closed
            *slot > watched.evaluator.closed().plus(1)
        });
        let mut transitions = Vec::new();
        for (index, Projection { assessment: report, decision }) in &certain {
            for transition in &decision.transitions {
                let told = self.build_transition(*index, report, decision, transition, &transitions).await;
                transitions.extend(told.map(|told| self.at_instant(told, transition.at, now)));
            }
        }
        let decisions = certain.iter().map(|(index, projected)| (*index, &projected.decision));
        let states = self.changed_states(decisions);
        if transitions.is_empty() || !self.store(&transitions, states, now).await {
            return Vec::new();
        }
        let config = Arc::clone(&self.config);
        let told = by_slo(&transitions);
        let mut changed = Vec::with_capacity(certain.len());
        for (index, Projection { assessment: report, decision }) in certain {
            let (Some(slo), Some(watched)) = (config.slos.get(index), self.watched.get_mut(index)) else {
                continue;
            };
            let report = decision.apply(report);
            watched.evaluator.accept(decision);
            watched.keep_open_incidents(slo, &told);
            let status = watched.status(slo, &report);
            let paused = pause::find(&config, &self.pauses, slo, now);
            let refused_by = self.refused.get(&status.id).cloned().unwrap_or_default();
            changed.push((index, SloStatus { at: status.at.min(now), paused, refused_by, ..status }));
        }
        changed
    }

    /// A transition of a slot that is not over happens now, not when the slot ends.
    fn at_instant(&self, told: TransitionRecord, slot: Slot, now: Timestamp) -> TransitionRecord {
        let grid = self.config.grid;
        let at = now.clamp(grid.start_of(slot) + Timestamp::TICK, grid.end_of(slot));
        let mut told = TransitionRecord { at, ..told };
        if told.change == Change::Opened {
            let cause = told.incident.cause;
            told.incident.detected_at = at;
            told.incident.id = incident_id(&told.incident.slo_id, cause, at);
        }
        told.notice.at = at;
        told.notice.incident = told.incident.clone();
        told
    }
}
