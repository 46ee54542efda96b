//! All evaluators of an agent, their durable state and the order in which it changes.
//!
//! A tick measures every SLO, decides, stores counts and transitions in one transaction, and only then makes the
//! decisions its own. When the ledger fails, counts wait and the same transitions are decided again at the next tick.

mod early;
mod outage;
mod pause;
mod reconfigure;
mod restore;
mod route;
mod store;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lookout_engine::{
    Assessment, Cause, Change, Counts, Decision, Evaluator, Recorded, SavedState, Slot, Transition,
};

pub use restore::RestoreError;

use self::outage::Outages;
use self::store::announce;
use super::delivery_watch::{DeliveryWatch, Letters};
use super::exclusion::{self, Exclusion, Exclusions};
use super::implausible::Shown;
use super::ledger_watch::{self, LedgerWatch};
use super::notice::{self, Context};
use super::status::{self, SloState};
use super::{SloStatus, Snapshot, rehearsal};
use lookout_collect::probe::Pauses;
use lookout_collect::{Observation, Quarantined};
use lookout_config::{Config, Indicator, Slo};
use lookout_ledger::{DeadLetter, Ledger, LedgerError, WAITING_ROWS};
use lookout_model::{
    Corrected, GridTime, ImplausibleCounts, IncidentRecord, Timestamp, TransitionRecord, incident_id,
};
use lookout_runtime::events::chain;

/// Returns the last failure that a probe of an SLO's service saw, for people.
pub type LastFailure = Arc<dyn Fn(&Slo) -> Option<String> + Send + Sync>;

/// Configuration that replaces another one.
#[derive(Clone)]
pub struct Reconfiguration {
    /// The configuration, with the same interval.
    pub config: Arc<Config>,
    /// Number of each stream, in the order of `Config::streams`.
    pub numbers: Vec<usize>,
    /// Reader of the last failures of its targets.
    pub last_failure: LastFailure,
}

/// Most evaluators that are rebuilt in one tick after a correction of the past. The others wait for the next tick.
const REBUILT_PER_TICK: usize = 32;

/// Slots ahead of a tick whose counts are not of the future: a count may arrive before the tick that closes the slot before
/// it.
const EARLY: i64 = 2;

/// The SLO and component that a stream is counted for.
struct Counted {
    slo: usize,
    component: usize,
    id: String,
}

struct Watched {
    evaluator: Evaluator,
    /// Open incidents as they are stored. Ids and starts come from here, not from the grid.
    open: BTreeMap<Cause, IncidentRecord>,
    /// The last incident that was resolved, which may be reopened.
    resolved: BTreeMap<Cause, IncidentRecord>,
    /// The time that its counts leave out.
    excluded: Arc<Exclusion>,
    /// The state that is stored; `None` while that is not certain.
    stored: Option<SavedState>,
    /// The last counts that cannot be true.
    implausible: Option<ImplausibleCounts>,
}

/// All evaluators, and the ledger their state lives in.
pub struct Driver {
    config: Arc<Config>,
    ledger: Arc<dyn Ledger>,
    last_failure: LastFailure,
    watched: Vec<Watched>,
    /// Streams by their numbers.
    streams: BTreeMap<usize, Counted>,
    waiting: BTreeMap<(i64, usize), Counts>,
    bad_slots: early::BadSlots,
    ledger_is_down: bool,
    /// Faults of the ledger whose states were stored again.
    ledger_faults: u64,
    ledger_watch: LedgerWatch,
    /// The destinations that refused messages for good, by SLO.
    refused: BTreeMap<String, Vec<String>>,
    delivery_watch: DeliveryWatch,
    exclusions: Exclusions,
    pauses: Pauses,
    /// SLOs whose evaluators are rebuilt after a correction.
    to_rebuild: BTreeSet<usize>,
}

impl Driver {
    /// Loads the corrections since the last tick, and rebuilds the evaluators that they change.
    async fn load_corrections(&mut self, closed: Slot) {
        let now = self.config.grid.end_of(closed);
        let reach = || reach(self.watched.iter().map(|watched| &watched.evaluator), now);
        let news = self.exclusions.reload(&self.config, &*self.ledger, reach, now).await;
        match news {
            Ok(None) => {}
            Ok(Some(news)) => {
                self.exclusions = news;
                self.to_rebuild = (0..self.watched.len()).collect();
            }
            // logged once, with the counts that wait
            Err(_) if self.ledger_is_down => {}
            Err(error) => tracing::warn!(error = chain(&error), "corrections stay as they were known"),
        }
        let mut rebuilt = 0;
        while let Some(index) = self.to_rebuild.first().copied().filter(|_| rebuilt < REBUILT_PER_TICK) {
            match self.rebuild(index, closed).await {
                Ok(changed) => rebuilt += usize::from(changed),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "a correction waits for the ledger");
                    return;
                }
            }
            self.to_rebuild.remove(&index);
        }
    }

    /// Rebuilds an evaluator whose counts a correction changes. Open incidents stay open, and follow from the new counts.
    /// Returns whether the counts changed.
    async fn rebuild(&mut self, index: usize, closed: Slot) -> Result<bool, LedgerError> {
        let excluded = self.exclusions.of(index);
        let (Some(slo), Some(watched)) = (self.config.slos.get(index), self.watched.get_mut(index)) else {
            return Ok(false);
        };
        let grid = slo.policy.grid;
        let last = closed.plus(EARLY);
        let from = Timestamp::from_seconds(watched.evaluator.reaches_back_to());
        let changed = exclusion::differ(&watched.excluded, &excluded, from, grid.end_of(last));
        if changed {
            let mut evaluator = Evaluator::new(slo.policy.clone(), closed);
            evaluator.copy_period_and_versions(&watched.evaluator);
            // counts of a period must not come before it
            set_calendar(slo, &mut evaluator, closed);
            let restored = Self::restore_counts(slo, &*self.ledger, evaluator, last, &excluded).await?;
            let mut evaluator = restored.evaluator;
            let known = watched.implausible.take().filter(|known| !known.stored);
            watched.implausible = restored.implausible.or(known);
            for (&(slot, stream), counts) in &self.waiting {
                let Some(place) = self.streams.get(&stream).filter(|place| place.slo == index) else {
                    continue;
                };
                let counted = excluded.counted(grid.start_of(Slot(slot)), *counts);
                evaluator.record_component(place.component, Slot(slot), counted);
            }
            evaluator.continue_from(&watched.evaluator);
            watched.evaluator = evaluator;
            tracing::info!(slo.id = slo.id(), "counts were read back after a correction");
        }
        watched.excluded = excluded;
        Ok(changed)
    }

    /// Notes that the clock was set, or that the machine slept. Nobody watched up to `closed`, and what is open stays open
    /// until its windows are refilled.
    pub fn note_clock_step(&mut self, closed: Slot) {
        for watched in &mut self.watched {
            watched.evaluator.clock_stepped(closed);
        }
    }

    /// Reads the state back from the ledger, as after a restart: the wall clock was set back. What is open stays open
    /// until its windows are refilled.
    pub async fn reload(&mut self, now: Timestamp) {
        let (config, ledger) = (Arc::clone(&self.config), Arc::clone(&self.ledger));
        match Self::restore(config, ledger, Arc::clone(&self.last_failure), now).await {
            Ok(mut reloaded) => {
                reloaded.note_clock_step(reloaded.config.grid.slot_at(now).plus(-1));
                let waiting = std::mem::take(&mut self.waiting);
                let ledger_watch = std::mem::take(&mut self.ledger_watch);
                let delivery_watch = std::mem::take(&mut self.delivery_watch);
                let streams = std::mem::take(&mut self.streams);
                let pauses = self.pauses.clone();
                *self = Self { waiting, ledger_watch, delivery_watch, streams, pauses, ..reloaded };
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "the state is kept as it was before the clock was set")
            }
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Records an observation. Counts that no service can have are neither counted nor stored.
    pub fn record(&mut self, observation: Observation) {
        let Observation { stream, slot, counts, starts, quarantined } = observation;
        let Some(place) = self.streams.get(&stream) else { return };
        let slo = self.config.slos.get(place.slo);
        let (Some(slo), Some(watched)) = (slo, self.watched.get_mut(place.slo)) else { return };
        let grid = watched.evaluator.policy().grid;
        let start = grid.start_of(slot);
        let shown = Shown { slo, component: place.component, from: start, seconds: grid.width_seconds() };
        if let Some(Quarantined { value, reason }) = quarantined {
            watched.implausible = Some(shown.value(value, reason));
            return;
        }
        let counted = watched.excluded.counted(start, counts);
        if watched.evaluator.record_component(place.component, slot, counted) == Recorded::Implausible {
            watched.implausible = Some(shown.counts(counts, false));
            tracing::error!(
                slo.id = place.id,
                events.good = counts.good,
                events.bad = counts.bad,
                "more events than a service can have; they are not counted",
            );
            return;
        }
        if starts > 0 {
            watched.evaluator.record_starts(slot, starts);
        }
        watched.evaluator.record_outcomes(slot, counted);
        if counted.bad > 0 && slot > watched.evaluator.closed() {
            self.bad_slots.insert(place.slo, slot);
        }
        *self.waiting.entry((slot.0, stream)).or_default() += counts;
        if self.waiting.len() > WAITING_ROWS {
            self.waiting.pop_first();
        }
    }

    /// Closes every slot up to `slot` and stores the decisions. Returns the new snapshot, and whether there are deliveries.
    pub async fn tick(&mut self, slot: Slot) -> (Snapshot, bool) {
        let at = self.config.grid.end_of(slot);
        self.bad_slots.retain(|_, bad_slot| *bad_slot > slot);
        self.load_corrections(slot).await;
        let decided = self.assess(slot);
        let mut transitions = Vec::new();
        for (index, (report, decision)) in decided.iter().enumerate() {
            for transition in &decision.transitions {
                let built = self.build_transition(index, report, decision, transition, &transitions).await;
                transitions.extend(built);
            }
        }
        let states = self.changed_states(decided.iter().map(|(_, decision)| decision).enumerate());
        let stored = self.store(&transitions, states, at).await;
        let told_of_itself = self.report_own_faults(at).await;
        let mut slos = Vec::with_capacity(decided.len());
        let config = Arc::clone(&self.config);
        let changed = by_slo(if stored { &transitions } else { &[] });
        for ((slo, watched), (report, decision)) in config.slos.iter().zip(&mut self.watched).zip(decided) {
            let report = if stored {
                let report = decision.apply(report);
                watched.evaluator.accept(decision);
                report
            } else {
                report
            };
            watched.keep_open_incidents(slo, &changed);
            let paused = pause::find(&config, &self.pauses, slo, at);
            let refused_by = self.refused.get(&slo.id()).cloned().unwrap_or_default();
            slos.push(SloStatus { paused, refused_by, ..watched.status(slo, &report) });
        }
        let has_deliveries = told_of_itself || stored && !transitions.is_empty();
        let interval_s = self.config.grid.width_seconds();
        (Snapshot { at, interval_s, ledger_is_down: self.ledger_is_down, slos }, has_deliveries)
    }

    /// Closes every slot up to `slot`. Returns the assessment of every SLO and the decision that follows.
    fn assess(&mut self, slot: Slot) -> Vec<(Assessment, Decision)> {
        let mut assessed = Vec::with_capacity(self.watched.len());
        for (slo, watched) in self.config.slos.iter().zip(&mut self.watched) {
            set_calendar(slo, &mut watched.evaluator, slot);
            watched.excluded.exclude_from(&mut watched.evaluator, slot);
            assessed.push(watched.evaluator.assess(slot));
        }
        let all = || self.config.slos.iter().zip(&self.watched);
        let available =
            all().zip(&assessed).filter(|((slo, _), _)| matches!(slo.indicator, Indicator::Up { .. }));
        let outages = Outages::find(
            available.map(|((slo, watched), report)| (slo, report, watched.evaluator.decide(report))),
        );
        let decide = |((slo, watched), report): ((&Slo, &Watched), Assessment)| {
            let outage = self.silence_of_pause(slo, slot).max(outages.explaining(slo, &report));
            let decision = watched.evaluator.decide_beside(&report, outage);
            (report, decision)
        };
        all().zip(assessed).map(decide).collect()
    }

    /// Returns the record of a transition. `earlier` are those of the same tick, which are not stored yet.
    async fn build_transition(
        &self,
        index: usize,
        report: &Assessment,
        decision: &Decision,
        transition: &Transition,
        earlier: &[TransitionRecord],
    ) -> Option<TransitionRecord> {
        let (slo, watched) = (self.config.slos.get(index)?, self.watched.get(index)?);
        let grid = self.config.grid;
        let at = grid.end_of(transition.at);
        let known = match transition.change {
            Change::Reopened => watched.resolved.get(&transition.cause),
            _ => watched.open.get(&transition.cause),
        };
        let detected_at = known.map_or(at, |record| record.detected_at);
        let incident = IncidentRecord {
            id: incident_id(&slo.id(), transition.cause, detected_at),
            slo_id: slo.id(),
            service: slo.service.clone(),
            slo: slo.name.clone(),
            cause: transition.cause,
            severity: transition.incident.severity,
            peak: transition.incident.peak,
            started_at: match known {
                Some(record) => record.started_at,
                None => Some(grid.start_of(transition.incident.started)),
            },
            detected_at,
            recovered_at: transition.recovered.map(|slot| grid.end_of(slot)),
            reopens_until: transition.reopens_until.map(|slot| grid.end_of(slot)),
            resolved_at: (transition.change == Change::Resolved).then_some(at),
        };
        // a message without the last deploy is better than no message
        let last_deploy = self.ledger.deploys(Some(&slo.service), 1).await.unwrap_or_default().pop();
        let corrected = watched.corrected(slo, transition.at);
        let context = Context { last_deploy, last_failure: (self.last_failure)(slo), corrected };
        let report = decision.apply(report.clone());
        let mut record = notice::record(&self.config, slo, incident, transition, &report, context);
        record.notice.silence = self.silence(slo, &record).await;
        record.destinations = self.routed(slo, &record, earlier).await;
        Some(record)
    }

    /// Resumes an incident about the agent itself. Returns whether it is one.
    async fn resume_own(&mut self, record: &IncidentRecord, now: Timestamp) -> Result<bool, LedgerError> {
        if rehearsal::is_drill(record) {
            return Ok(true);
        }
        let latest = self.ledger.latest_transitions(now).await?;
        let Some(opened) = latest.into_iter().find(|transition| transition.incident.id == record.id) else {
            return Ok(false);
        };
        if record.slo_id == ledger_watch::SLO_ID {
            self.ledger_watch.resume(opened);
            return Ok(true);
        }
        Ok(self.delivery_watch.resume(&opened))
    }

    /// Reads what destinations refused, and lets the oldest of it expire.
    async fn letters(&self, now: Timestamp) -> Result<Letters, LedgerError> {
        let destinations: Vec<String> =
            self.config.destinations.iter().map(|destination| destination.name.clone()).collect();
        let mut dead = self.ledger.dead_letters().await?;
        dead.retain(|letter| destinations.contains(&letter.destination));
        let mut accepting = BTreeSet::new();
        for (destination, since) in self.delivery_watch.unsettled(&dead) {
            if self.ledger.has_accepted(destination, since).await? {
                accepting.insert(destination.to_owned());
            }
        }
        // last: what has expired is told with this tick or never
        let mut expired = self.ledger.expire_dead_letters(now).await?;
        match self.ledger.expire_all_but(&destinations, now).await {
            Ok(letters) => expired.extend(letters),
            Err(error) => tracing::warn!(error = chain(&error), "messages of former destinations are kept"),
        }
        let discarded = self.ledger.take_discarded().await?;
        Ok(Letters { dead, expired, discarded, accepting })
    }

    /// Reports faults of the ledger and of destinations. Returns whether there are deliveries.
    async fn report_own_faults(&mut self, now: Timestamp) -> bool {
        let health = self.ledger.health();
        let mut news = Vec::new();
        news.extend(self.ledger_watch.transition(&self.config, &health, now));
        // a ledger that does not answer says nothing about destinations
        if let Ok(letters) = self.letters(now).await {
            news.extend(self.delivery_watch.transitions(&self.config, &letters, now));
            self.refused = refused_by_slo(&letters.dead);
        }
        if news.is_empty() {
            return false;
        }
        match self.ledger.commit(&[], &news).await {
            Ok(()) => news.iter().for_each(announce),
            Err(error) => tracing::error!(error = chain(&error), "a fault of the agent is told to nobody"),
        }
        true
    }
}

/// Returns the destinations of dead letters by SLO, in the order of their names.
fn refused_by_slo(letters: &[DeadLetter]) -> BTreeMap<String, Vec<String>> {
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for letter in letters {
        let destinations = refused.entry(letter.slo_id.clone()).or_default();
        if let Err(place) = destinations.binary_search(&letter.destination) {
            destinations.insert(place, letter.destination.clone());
        }
    }
    refused
}

/// Returns the instant from which corrections matter to some evaluator.
fn reach<E: Borrow<Evaluator>>(evaluators: impl Iterator<Item = E>, now: Timestamp) -> Timestamp {
    let reach = evaluators.map(|evaluator| evaluator.borrow().reaches_back_to()).min();
    reach.map_or(now, Timestamp::from_seconds).min(now)
}

/// Sets what depends on a calendar or a time zone: the period that a slot begins in, and the same hour a week before.
fn set_calendar(slo: &Slo, evaluator: &mut Evaluator, slot: Slot) {
    if let Some(calendar) = &slo.calendar {
        calendar.set_period(evaluator, slot);
    }
    if slo.policy.compares_traffic() {
        let end = slot.plus(1).0.saturating_mul(slo.policy.grid.width_seconds().into());
        evaluator.set_traffic_distance(slo.week_before_seconds(end));
    }
}

/// Transitions by the id of their SLO: in a storm there is one for every SLO.
type BySlo<'t> = BTreeMap<&'t str, Vec<&'t TransitionRecord>>;

fn by_slo(transitions: &[TransitionRecord]) -> BySlo<'_> {
    let mut changed = BySlo::new();
    for transition in transitions {
        changed.entry(&transition.incident.slo_id).or_default().push(transition);
    }
    changed
}

impl Watched {
    /// Returns the time of the period that corrections exclude, at the end of a slot.
    fn corrected(&self, slo: &Slo, at: Slot) -> Corrected {
        let grid = slo.policy.grid;
        let at = grid.end_of(at);
        let from = match self.evaluator.span() {
            Some(span) => grid.start_of(span.from),
            None => at - Duration::from_secs(slo.period().as_seconds()),
        };
        self.excluded.corrected(from, at)
    }

    fn status(&self, slo: &Slo, report: &Assessment) -> SloStatus {
        let over = self.resolved.iter().filter(|(cause, _)| !self.open.contains_key(cause));
        let kept = SloState {
            incidents: self.open.values().cloned().collect(),
            resolved: over.map(|(_, incident)| incident.clone()).collect(),
            corrected: self.corrected(slo, report.at),
            implausible: self.implausible.as_ref(),
        };
        status::of(slo, report, &self.evaluator, kept)
    }

    fn keep_open_incidents(&mut self, slo: &Slo, changed: &BySlo<'_>) {
        if changed.is_empty() {
            return;
        }
        for transition in changed.get(slo.id().as_str()).into_iter().flatten() {
            let cause = transition.incident.cause;
            if transition.change == Change::Resolved {
                self.open.remove(&cause);
                self.resolved.insert(cause, transition.incident.clone());
            } else {
                self.open.insert(cause, transition.incident.clone());
            }
        }
    }
}

#[cfg(test)]
#[path = "correction_tests.rs"]
mod correction_tests;
