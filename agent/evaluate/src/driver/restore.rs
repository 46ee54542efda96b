//! The state after a restart: counts, corrections and incidents are read back from the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lookout_collect::probe::Pauses;
use lookout_config::{Config, Slo, Stream};
use lookout_engine::{Evaluator, Grid, Open, Recorded, Resolved, SavedState, Slot};
use lookout_ledger::{CountSpan, Ledger, LedgerError, Resolution};
use lookout_model::{GridTime, ImplausibleCounts, IncidentRecord, Timestamp, TransitionRecord};

use super::{Counted, Driver, EARLY, LastFailure, Reconfiguration, Watched, reach, set_calendar};
use crate::delivery_watch::DeliveryWatch;
use crate::exclusion::{Exclusion, Exclusions};
use crate::implausible::Shown;
use crate::ledger_watch::LedgerWatch;
use crate::{notice, objectives};

/// Most resolved incidents that are read back for a reopening.
const REMEMBERED: u32 = 1000;

/// A failure to restore the state.
#[derive(Debug, thiserror::Error)]
#[error("restoring {what} from the ledger")]
pub struct RestoreError {
    /// Part of the state that was read.
    pub(super) what: String,
    /// Error of the ledger.
    #[source]
    pub(super) source: LedgerError,
}

/// An evaluator with the counts of the ledger.
pub(super) struct RestoredCounts {
    pub(super) evaluator: Evaluator,
    /// There are later counts too. They were counted while the clock was ahead, and are left out: with them data would
    /// never be missing.
    clock_was_ahead: bool,
    /// The last counts of the ledger that cannot be true.
    pub(super) implausible: Option<ImplausibleCounts>,
}

impl Driver {
    /// Restores evaluators with their counts and open incidents from the ledger.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub async fn restore(
        config: Arc<Config>,
        ledger: Arc<dyn Ledger>,
        last_failure: LastFailure,
        now: Timestamp,
    ) -> Result<Self, RestoreError> {
        let numbers: Vec<usize> = (0..config.streams().len()).collect();
        let reconfiguration = Reconfiguration { config, numbers, last_failure };
        let closed = reconfiguration.config.grid.slot_at(now).plus(-1);
        Self::restore_except(&BTreeSet::new(), (closed, closed), reconfiguration, ledger, now).await
    }

    /// Restores all but the SLOs with the given ids, which are left blank. Slots up to `closed` are over; counts up to
    /// `last` are read.
    pub(super) async fn restore_except(
        kept: &BTreeSet<String>,
        (closed, last): (Slot, Slot),
        Reconfiguration { config, numbers, last_failure }: Reconfiguration,
        ledger: Arc<dyn Ledger>,
        now: Timestamp,
    ) -> Result<Self, RestoreError> {
        let blank = |slo: &Slo| {
            let mut evaluator = Evaluator::new(slo.policy.clone(), closed);
            set_calendar(slo, &mut evaluator, closed);
            evaluator
        };
        let exclusions = Exclusions::read(&config, &*ledger, reach(config.slos.iter().map(blank), now), now)
            .await
            .map_err(|source| RestoreError { what: "corrections".to_owned(), source })?;
        let states = ledger
            .states()
            .await
            .map_err(|source| RestoreError { what: "the states of alerts".to_owned(), source })?;
        let states: BTreeMap<String, SavedState> =
            states.into_iter().map(|record| (record.slo_id, record.state)).collect();
        let mut watched = Vec::with_capacity(config.slos.len());
        for (index, slo) in config.slos.iter().enumerate() {
            let excluded = exclusions.of(index);
            let what = || format!("the counts of {}", slo.id());
            let mut evaluator = blank(slo);
            if kept.contains(&slo.id()) {
                watched.push(Watched {
                    evaluator,
                    open: BTreeMap::new(),
                    resolved: BTreeMap::new(),
                    excluded,
                    stored: None,
                    implausible: None,
                });
                continue;
            }
            objectives::load(slo, &*ledger, &mut evaluator, now)
                .await
                .map_err(|source| RestoreError { what: what(), source })?;
            let restored = Self::restore_counts(slo, &*ledger, evaluator, last, &excluded)
                .await
                .map_err(|source| RestoreError { what: what(), source })?;
            let (mut evaluator, implausible) = (restored.evaluator, restored.implausible);
            if restored.clock_was_ahead {
                tracing::warn!(
                    slo.id = slo.id(),
                    "the ledger has counts of the future: the clock was set back"
                );
                evaluator.clock_stepped(closed);
            }
            let stored = states.get(&slo.id()).cloned();
            if let Some(state) = &stored {
                evaluator.restore_state(state);
            }
            let (open, resolved) = (BTreeMap::new(), BTreeMap::new());
            watched.push(Watched { evaluator, open, resolved, excluded, stored, implausible });
        }
        let counted =
            |stream: Stream<'_>| Counted { slo: stream.slo, component: stream.component, id: stream.id };
        let streams = numbers.into_iter().zip(config.streams().into_iter().map(counted)).collect();
        let mut driver = Self {
            config,
            ledger,
            last_failure,
            watched,
            streams,
            waiting: BTreeMap::new(),
            bad_slots: BTreeMap::new(),
            ledger_is_down: false,
            ledger_faults: 0,
            ledger_watch: LedgerWatch::default(),
            delivery_watch: DeliveryWatch::default(),
            refused: BTreeMap::new(),
            exclusions,
            pauses: Pauses::default(),
            to_rebuild: BTreeSet::new(),
        };
        driver
            .restore_incidents(kept, now)
            .await
            .map_err(|source| RestoreError { what: "open incidents".to_owned(), source })?;
        Ok(driver)
    }

    /// Adds the counts of the ledger up to `last` to an evaluator without counts, except those that corrections exclude
    /// and those that cannot be true.
    pub(super) async fn restore_counts(
        slo: &Slo,
        ledger: &dyn Ledger,
        mut evaluator: Evaluator,
        last: Slot,
        excluded: &Exclusion,
    ) -> Result<RestoredCounts, LedgerError> {
        let (grid, closed) = (slo.policy.grid, evaluator.closed());
        let (mut clock_was_ahead, mut implausible) = (false, None);
        let mut first_s: Option<i64> = None;
        let since = Timestamp::from_seconds(evaluator.reaches_back_to());
        for Stream { component, id, .. } in slo.streams() {
            let stored = ledger.counts(&id, since).await?;
            first_s = [first_s, stored.first_s()].into_iter().flatten().min();
            for &CountSpan { start_s, resolution, counts } in stored.spans() {
                let start = Timestamp::from_seconds(start_s);
                if grid.slot_at(start) > last {
                    clock_was_ahead |= grid.slot_at(start) > last.plus(EARLY);
                    continue;
                }
                let (recorded, seconds) = match resolution {
                    Resolution::QuarterHour => {
                        let quarter = start_s.div_euclid(900);
                        let counts = excluded.counted_quarter(quarter, counts);
                        (evaluator.restore_component_quarter(component, Slot(quarter), counts), 900)
                    }
                    Resolution::Minute => {
                        let (minute, counts) = (Grid::MINUTE.slot_at(start), excluded.counted(start, counts));
                        (evaluator.restore_component_minute(component, minute, counts), 60)
                    }
                    Resolution::Slot(width) => {
                        let counts = excluded.counted(start, counts);
                        (evaluator.record_component(component, grid.slot_at(start), counts), width)
                    }
                };
                if recorded == Recorded::Implausible {
                    let shown = Shown { slo, component, from: start, seconds };
                    implausible = Some(shown.counts(counts, true));
                }
            }
        }
        if let Some(first_s) = first_s {
            evaluator.set_first_observation(first_s);
        }
        excluded.exclude_from(&mut evaluator, closed);
        Ok(RestoredCounts { evaluator, clock_was_ahead, implausible })
    }

    /// Resumes open incidents, and resolves those of SLOs that are no longer configured.
    async fn restore_incidents(
        &mut self,
        kept: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let mut orphans = Vec::new();
        for record in self.ledger.open_incidents().await? {
            if kept.contains(&record.slo_id) {
                continue;
            }
            if self.resume_own(&record, now).await? {
                continue;
            }
            let slo = self.config.slos.iter().position(|slo| slo.id() == record.slo_id);
            let known = slo.and_then(|index| Some((self.watched.get_mut(index)?, index)));
            match known {
                Some((watched, _)) => {
                    let cause = record.cause;
                    watched.evaluator.resume(cause, open_in(self.config.grid, &record));
                    tracing::info!(incident.id = %record.id, "an open incident goes on after a restart");
                    watched.open.insert(cause, record);
                }
                None => orphans.push(record),
            }
        }
        self.remember_resolved().await?;
        if orphans.is_empty() {
            return Ok(());
        }
        let latest = self.ledger.latest_transitions(now).await?;
        let resolved: Vec<TransitionRecord> = orphans
            .into_iter()
            .filter_map(|orphan| {
                let last = latest.iter().find(|transition| transition.incident.id == orphan.id)?;
                tracing::warn!(incident.id = %orphan.id, slo.id = %orphan.slo_id, "incident of an SLO that is no longer configured is resolved");
                Some(notice::abandoned(last, now))
            })
            .collect();
        self.ledger.commit(&[], &resolved).await
    }

    /// Remembers the last resolved incident of every SLO and cause, which may be reopened.
    async fn remember_resolved(&mut self) -> Result<(), LedgerError> {
        let grid = self.config.grid;
        for record in self.ledger.incidents(None, REMEMBERED).await? {
            let Some((resolved_at, reopens_until)) = record.resolved_at.zip(record.reopens_until) else {
                continue;
            };
            let slo = self.config.slos.iter().position(|slo| slo.id() == record.slo_id);
            let Some(watched) = slo.and_then(|index| self.watched.get_mut(index)) else { continue };
            let cause = record.cause;
            // the newest come first
            if watched.open.contains_key(&cause) || watched.resolved.contains_key(&cause) {
                continue;
            }
            let ending_at = |at: Timestamp| grid.slot_at(at - Timestamp::TICK);
            let (at, reopens_until) = (ending_at(resolved_at), ending_at(reopens_until));
            let incident = open_in(grid, &record);
            watched.evaluator.remember_resolved(cause, Resolved { incident, at, reopens_until });
            watched.resolved.insert(cause, record);
        }
        Ok(())
    }
}

/// Returns the incident of a record, in slots.
fn open_in(grid: Grid, record: &IncidentRecord) -> Open {
    let detected = grid.slot_at(record.detected_at - Timestamp::TICK);
    let started = record.started_at.map_or(detected, |at| grid.slot_at(at));
    Open { started, detected, severity: record.severity, peak: record.peak }
}
