//! Stores a tick: counts, transitions and changed states in one transaction.

use lookout_engine::{Decision, Slot};
use lookout_ledger::Tick;
use lookout_model::{CountRow, GridTime, StateRecord, Timestamp, TransitionRecord};
use lookout_runtime::events::{chain, names};

use super::Driver;

impl Driver {
    /// Returns the states that differ from the stored ones once these decisions are accepted, with the places of their
    /// SLOs.
    pub(super) fn changed_states<'d>(
        &self,
        decided: impl Iterator<Item = (usize, &'d Decision)>,
    ) -> Vec<(usize, StateRecord)> {
        let changed = |(index, decision): (usize, &Decision)| {
            let (slo, watched) = (self.config.slos.get(index)?, self.watched.get(index)?);
            let state = watched.evaluator.saved_state_after(decision);
            let differs = watched.stored.as_ref() != Some(&state);
            differs.then(|| (index, StateRecord { slo_id: slo.id(), state }))
        };
        decided.filter_map(changed).collect()
    }

    /// Returns the counts that wait for the ledger.
    pub(super) fn waiting_rows(&self) -> Vec<CountRow> {
        self.waiting
            .iter()
            .filter_map(|(&(slot, index), counts)| {
                let stream = self.streams.get(&index)?;
                let grid = self.config.slos.get(stream.slo)?.policy.grid;
                Some(CountRow {
                    slo_id: stream.id.clone(),
                    start_s: grid.start_of(Slot(slot)).as_seconds(),
                    width_s: grid.width_seconds(),
                    good: counts.good,
                    bad: counts.bad,
                })
            })
            .collect()
    }

    pub(super) async fn store(
        &mut self,
        transitions: &[TransitionRecord],
        states: Vec<(usize, StateRecord)>,
        at: Timestamp,
    ) -> bool {
        let rows = self.waiting_rows();
        let (places, states): (Vec<usize>, Vec<StateRecord>) = states.into_iter().unzip();
        let tick = Tick { counts: &rows, transitions, states: &states };
        match self.ledger.commit_tick(tick).await {
            Ok(()) => {
                self.waiting.clear();
                for (place, record) in places.into_iter().zip(states) {
                    if let Some(watched) = self.watched.get_mut(place) {
                        watched.stored = Some(record.state);
                    }
                }
                let health = self.ledger.health();
                self.ledger_is_down = health.not_recording.is_some();
                // a new file lacks the states of the one before
                if std::mem::replace(&mut self.ledger_faults, health.faults) != health.faults
                    || self.ledger_is_down
                {
                    self.watched.iter_mut().for_each(|watched| watched.stored = None);
                }
                if self.ledger_is_down {
                    metrics::counter!(names::LEDGER_FAILURES).increment(1);
                } else {
                    metrics::gauge!(names::LEDGER_RECORDED).set(at.as_seconds_f64());
                }
                for transition in transitions {
                    announce(transition);
                }
                true
            }
            Err(error) => {
                metrics::counter!(names::LEDGER_FAILURES).increment(1);
                if !std::mem::replace(&mut self.ledger_is_down, true) {
                    tracing::error!(error = chain(&error), "the ledger takes no counts, they wait in memory");
                }
                false
            }
        }
    }
}

pub(super) fn announce(transition: &TransitionRecord) {
    let incident = &transition.incident;
    metrics::counter!(
        names::TRANSITIONS,
        "service" => incident.service.clone(),
        "slo" => incident.slo.clone(),
        "change" => transition.change.as_str(),
    )
    .increment(1);
    tracing::info!(
        incident.id = %incident.id,
        slo.id = %incident.slo_id,
        incident.cause = incident.cause.as_str(),
        incident.severity = %incident.severity,
        change = %transition.change,
        "incident {}",
        transition.change,
    );
}
