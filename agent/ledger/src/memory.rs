//! A ledger that lives and dies with the process: for simulated time, where no real I/O may happen, and for `watch`
//! without a file. It keeps every promise of the contract except durability.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lookout_engine::Counts;

use super::chain::{self, Chain, Verifier};
use super::retention::{COUNT_CEILING, Cutoffs, MINUTES_PER_QUARTER, OBJECTIVES_KEPT};
use super::{Ledger, LedgerError, StoredCounts};
use lookout_model::correction::IN_FORCE_FOR_MS;
use lookout_model::{
    CorrectionRecord, CountRow, DecisionRecord, Delivery, DeliveryResult, DeployRecord, IncidentRecord,
    MOST_IN_FORCE, MOST_KEPT, ObjectiveRecord, Revocation, TransitionRecord,
};

/// A ledger in memory.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    /// By SLO, then by start and width.
    slots: BTreeMap<String, BTreeMap<(i64, u32), Counts>>,
    /// By SLO, then by number.
    minutes: BTreeMap<String, BTreeMap<i64, Counts>>,
    /// By SLO, then by number.
    quarters: BTreeMap<String, BTreeMap<i64, Counts>>,
    /// The start of the first slot, by SLO.
    first_s: BTreeMap<String, i64>,
    /// By SLO, then by first instant.
    objectives: BTreeMap<String, BTreeMap<i64, u32>>,
    incidents: BTreeMap<String, IncidentRecord>,
    /// In the order they were stored.
    transitions: Vec<TransitionRecord>,
    /// By id, which grows.
    deliveries: BTreeMap<i64, Waiting>,
    last_delivery: i64,
    deploys: Vec<DeployRecord>,
    decisions: Vec<DecisionRecord>,
    /// In the order they were written.
    corrections: Vec<CorrectionRecord>,
    corrections_version: i64,
}

#[derive(Debug)]
struct Waiting {
    delivery: Delivery,
    incident_id: String,
    attempting: bool,
    due_at_ms: i64,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// With what the destination called the message.
    Delivered(Option<String>),
    Failed,
}

impl MemoryLedger {
    /// Follows the hash chain of the decisions from its first link.
    ///
    /// # Errors
    /// Never; the signature is that of the durable ledger.
    #[expect(clippy::unused_async, reason = "the same call as on the durable ledger")]
    pub async fn verify_chain(&self) -> Result<Chain, LedgerError> {
        let mut verifier = Verifier::default();
        self.books().decisions.iter().for_each(|decision| verifier.take(decision));
        Ok(verifier.finish())
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn add(&mut self, row: &CountRow) {
        let first_s = self.first_s.entry(row.slo_id.clone()).or_insert(row.start_s);
        *first_s = row.start_s.min(*first_s);
        let slots = self.slots.entry(row.slo_id.clone()).or_default();
        let more = Counts { good: row.good.min(COUNT_CEILING), bad: row.bad.min(COUNT_CEILING) };
        add_bounded(slots.entry((row.start_s, row.width_s)).or_default(), more);
    }

    fn record(&mut self, transition: &TransitionRecord) {
        let same = |stored: &TransitionRecord| {
            (&stored.incident.id, stored.change, stored.at_ms)
                == (&transition.incident.id, transition.change, transition.at_ms)
        };
        if self.transitions.iter().any(same) {
            return;
        }
        self.incidents.insert(transition.incident.id.clone(), transition.incident.clone());
        self.transitions.push(transition.clone());
        for destination in transition.destinations.iter().collect::<BTreeSet<_>>() {
            self.last_delivery += 1;
            let delivery = Delivery {
                id: self.last_delivery,
                destination: destination.clone(),
                notice: transition.notice.clone(),
                attempts: 0,
                unsure: false,
                thread: None,
            };
            let incident_id = transition.incident.id.clone();
            let waiting =
                Waiting { delivery, incident_id, attempting: false, due_at_ms: 0, state: State::Waiting };
            self.deliveries.insert(self.last_delivery, waiting);
        }
    }

    fn of_incident<'a>(
        &'a self,
        destination: &'a str,
        incident: &'a str,
    ) -> impl Iterator<Item = &'a Waiting> {
        self.deliveries
            .values()
            .filter(move |entry| entry.delivery.destination == destination && entry.incident_id == incident)
    }

    /// Deliveries that wait for nothing but their time: the first one of each incident.
    fn first_waiting<'a>(&'a self, destination: &'a str) -> impl Iterator<Item = &'a Waiting> {
        self.deliveries.values().filter(move |entry| {
            let earlier =
                |other: &Waiting| other.state == State::Waiting && other.delivery.id < entry.delivery.id;
            entry.state == State::Waiting
                && entry.delivery.destination == destination
                && !self.of_incident(destination, &entry.incident_id).any(earlier)
        })
    }

    fn thread(&self, waiting: &Waiting) -> Option<String> {
        self.of_incident(&waiting.delivery.destination, &waiting.incident_id).find_map(|entry| {
            match &entry.state {
                State::Delivered(thread) => thread.clone(),
                State::Waiting | State::Failed => None,
            }
        })
    }

    fn prune(&mut self, cutoffs: &Cutoffs) {
        for (slo, slots) in &mut self.slots {
            let minutes = self.minutes.entry(slo.clone()).or_default();
            slots.retain(|&(start_s, width_s), counts| {
                let young = start_s.saturating_add(i64::from(width_s)) > cutoffs.slots_before_s;
                if !young {
                    add_bounded(minutes.entry(start_s.div_euclid(60)).or_default(), *counts);
                }
                young
            });
        }
        for (slo, minutes) in &mut self.minutes {
            let young = minutes.split_off(&cutoffs.minutes_before);
            let quarters = self.quarters.entry(slo.clone()).or_default();
            for (minute, counts) in core::mem::replace(minutes, young) {
                add_bounded(quarters.entry(minute.div_euclid(MINUTES_PER_QUARTER)).or_default(), counts);
            }
            *quarters = quarters.split_off(&cutoffs.quarters_before);
        }
        self.incidents.retain(|_, incident| {
            incident.resolved_at_ms.is_none_or(|at_ms| at_ms >= cutoffs.incidents_before_ms)
        });
        let kept = &self.incidents;
        self.transitions.retain(|transition| kept.contains_key(&transition.incident.id));
        self.deliveries.retain(|_, entry| kept.contains_key(&entry.incident_id));
        self.corrections.retain(|correction| {
            let over_ms = correction.revoked.as_ref().map(|revoked| revoked.at_ms).or(correction.to_ms);
            over_ms.is_none_or(|at_ms| at_ms >= cutoffs.incidents_before_ms)
        });
    }
}

fn add_bounded(counts: &mut Counts, more: Counts) {
    *counts += more;
    counts.good = counts.good.min(COUNT_CEILING);
    counts.bad = counts.bad.min(COUNT_CEILING);
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn commit(&self, counts: &[CountRow], transitions: &[TransitionRecord]) -> Result<(), LedgerError> {
        let mut books = self.books();
        counts.iter().for_each(|row| books.add(row));
        transitions.iter().for_each(|transition| books.record(transition));
        Ok(())
    }

    async fn counts(&self, slo_id: &str, since_ms: i64) -> Result<StoredCounts, LedgerError> {
        let books = self.books();
        let slots = books.slots.get(slo_id).into_iter().flatten();
        let minutes = books.minutes.get(slo_id).into_iter().flatten();
        let quarters = books.quarters.get(slo_id).into_iter().flatten();
        Ok(StoredCounts {
            slots: slots
                .filter(|&(&(start_s, _), _)| start_s.saturating_mul(1000) >= since_ms)
                .map(|(&(start_s, width_s), &counts)| (start_s, width_s, counts))
                .collect(),
            minutes: minutes
                .filter(|&(&minute, _)| minute.saturating_mul(60_000) >= since_ms)
                .map(|(&minute, &counts)| (minute, counts))
                .collect(),
            quarters: quarters
                .filter(|&(&quarter, _)| quarter.saturating_mul(MINUTES_PER_QUARTER * 60_000) >= since_ms)
                .map(|(&quarter, &counts)| (quarter, counts))
                .collect(),
            first_s: books.first_s.get(slo_id).copied(),
        })
    }

    async fn open_incidents(&self) -> Result<Vec<IncidentRecord>, LedgerError> {
        let books = self.books();
        let mut open: Vec<_> =
            books.incidents.values().filter(|incident| incident.resolved_at_ms.is_none()).cloned().collect();
        open.sort_by_key(|incident| incident.opened_at_ms);
        Ok(open)
    }

    async fn incidents(&self, limit: u32) -> Result<Vec<IncidentRecord>, LedgerError> {
        let mut all: Vec<_> = self.books().incidents.values().cloned().collect();
        all.sort_by_key(|incident| core::cmp::Reverse(incident.opened_at_ms));
        all.truncate(limit as usize);
        Ok(all)
    }

    async fn latest_transitions(&self, since_ms: i64) -> Result<Vec<TransitionRecord>, LedgerError> {
        let books = self.books();
        let mut wanted: Vec<_> = books
            .incidents
            .values()
            .filter(|incident| incident.resolved_at_ms.is_none_or(|at_ms| at_ms >= since_ms))
            .collect();
        wanted.sort_by_key(|incident| incident.opened_at_ms);
        let last = |incident: &IncidentRecord| {
            books.transitions.iter().rev().find(|transition| transition.incident.id == incident.id).cloned()
        };
        Ok(wanted.into_iter().filter_map(last).collect())
    }

    async fn due_deliveries(
        &self,
        destination: &str,
        now_ms: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError> {
        let books = self.books();
        let due = books.first_waiting(destination).filter(|entry| entry.due_at_ms <= now_ms);
        Ok(due
            .take(limit as usize)
            .map(|entry| Delivery {
                unsure: entry.delivery.unsure || entry.attempting,
                thread: books.thread(entry),
                ..entry.delivery.clone()
            })
            .collect())
    }

    async fn waiting(&self, destination: &str) -> Result<(Option<i64>, u64), LedgerError> {
        let books = self.books();
        let next = books.first_waiting(destination).map(|entry| entry.due_at_ms).min();
        let waits =
            |entry: &&Waiting| entry.state == State::Waiting && entry.delivery.destination == destination;
        Ok((next, books.deliveries.values().filter(waits).count() as u64))
    }

    async fn begin_attempt(&self, delivery: i64, _now_ms: i64) -> Result<(), LedgerError> {
        if let Some(entry) =
            self.books().deliveries.get_mut(&delivery).filter(|entry| entry.state == State::Waiting)
        {
            entry.delivery.attempts = entry.delivery.attempts.saturating_add(1);
            entry.delivery.unsure |= entry.attempting;
            entry.attempting = true;
        }
        Ok(())
    }

    async fn end_attempt(
        &self,
        delivery: i64,
        _now_ms: i64,
        result: &DeliveryResult,
    ) -> Result<(), LedgerError> {
        if let Some(entry) =
            self.books().deliveries.get_mut(&delivery).filter(|entry| entry.state == State::Waiting)
        {
            entry.attempting = false;
            match result {
                DeliveryResult::Delivered { thread } => entry.state = State::Delivered(thread.clone()),
                DeliveryResult::Retry { at_ms, .. } => entry.due_at_ms = *at_ms,
                DeliveryResult::Unsure { at_ms, .. } => {
                    entry.due_at_ms = *at_ms;
                    entry.delivery.unsure = true;
                }
                DeliveryResult::Failed { .. } => entry.state = State::Failed,
            }
        }
        Ok(())
    }

    async fn record_deploy(&self, deploy: &DeployRecord) -> Result<DeployRecord, LedgerError> {
        let mut books = self.books();
        let known = books.deploys.iter().find(|known| known.idempotency_key == deploy.idempotency_key);
        if let Some(known) = known {
            return Ok(known.clone());
        }
        books.deploys.push(deploy.clone());
        Ok(deploy.clone())
    }

    async fn deploys(&self, service: Option<&str>, limit: u32) -> Result<Vec<DeployRecord>, LedgerError> {
        let books = self.books();
        let wanted = |deploy: &&DeployRecord| service.is_none_or(|service| deploy.service == service);
        let mut found: Vec<_> = books.deploys.iter().rev().filter(wanted).cloned().collect();
        found.sort_by_key(|deploy| core::cmp::Reverse(deploy.started_at_ms));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn record_decision(&self, decision: DecisionRecord) -> Result<DecisionRecord, LedgerError> {
        let mut books = self.books();
        let linked = chain::link(decision, books.decisions.last());
        books.decisions.push(linked.clone());
        Ok(linked)
    }

    async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, LedgerError> {
        Ok(self.books().decisions.iter().find(|decision| decision.id == id).cloned())
    }

    async fn record_correction(&self, correction: &CorrectionRecord) -> Result<bool, LedgerError> {
        let mut books = self.books();
        let since_ms = correction.created_at_ms.saturating_sub(IN_FORCE_FOR_MS);
        let in_force = books.corrections.iter().filter(|known| known.is_in_force(since_ms)).count();
        if in_force >= MOST_IN_FORCE || books.corrections.len() >= MOST_KEPT {
            return Ok(false);
        }
        books.corrections.push(correction.clone());
        books.corrections_version += 1;
        Ok(true)
    }

    async fn revoke_correction(
        &self,
        id: &str,
        revocation: &Revocation,
    ) -> Result<Option<CorrectionRecord>, LedgerError> {
        let mut books = self.books();
        let Some(known) = books.corrections.iter_mut().find(|known| known.id == id) else { return Ok(None) };
        let news = known.revoked.is_none();
        known.revoked.get_or_insert_with(|| revocation.clone());
        let shown = known.clone();
        books.corrections_version += i64::from(news);
        Ok(Some(shown))
    }

    async fn corrections(
        &self,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<CorrectionRecord>, LedgerError> {
        let books = self.books();
        let all = &books.corrections;
        let end = before.map_or(all.len(), |id| all.iter().position(|known| known.id == id).unwrap_or(0));
        Ok(all.iter().take(end).rev().take(limit as usize).cloned().collect())
    }

    async fn corrections_in_force(&self, since_ms: i64) -> Result<Vec<CorrectionRecord>, LedgerError> {
        Ok(self.books().corrections.iter().filter(|known| known.is_in_force(since_ms)).cloned().collect())
    }

    async fn corrections_version(&self) -> Result<i64, LedgerError> {
        Ok(self.books().corrections_version)
    }

    async fn record_objective(&self, slo_id: &str, objective: ObjectiveRecord) -> Result<(), LedgerError> {
        let mut books = self.books();
        let objectives = books.objectives.entry(slo_id.to_owned()).or_default();
        objectives.insert(objective.from_ms, objective.good_ppb);
        while objectives.len() > OBJECTIVES_KEPT as usize {
            objectives.pop_first();
        }
        Ok(())
    }

    async fn objectives(&self, slo_id: &str) -> Result<Vec<ObjectiveRecord>, LedgerError> {
        let books = self.books();
        let stored = books.objectives.get(slo_id).into_iter().flatten();
        Ok(stored.map(|(&from_ms, &good_ppb)| ObjectiveRecord { from_ms, good_ppb }).collect())
    }

    async fn prune(&self, now_ms: i64) -> Result<(), LedgerError> {
        self.books().prune(&Cutoffs::at(now_ms));
        Ok(())
    }

    async fn close(&self) {}
}
