//! A ledger that lives and dies with the process: for simulated time, where no real I/O may happen, and for `watch`
//! without a file. It keeps every promise of the contract except durability.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lookout_engine::Counts;

use super::chain::{self, Chain, Verifier};
use super::retention::{COUNT_CEILING, Cutoffs, MINUTES_PER_QUARTER, OBJECTIVES_KEPT};
use super::working::{Waiting, WorkingSet};
use super::{CountSeries, CountSpan, DEAD_LETTERS_FOR_MS, DeadLetter, Ledger, LedgerError, Resolution};
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
    working: WorkingSet,
    deploys: Vec<DeployRecord>,
    decisions: Vec<DecisionRecord>,
    /// In the order they were written.
    corrections: Vec<CorrectionRecord>,
    corrections_version: i64,
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
        self.working.forget_resolved_before(cutoffs.incidents_before_ms, Waiting::Too);
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
        transitions.iter().for_each(|transition| books.working.record(transition));
        Ok(())
    }

    async fn counts(&self, slo_id: &str, since_ms: i64) -> Result<CountSeries, LedgerError> {
        let books = self.books();
        let slots = books.slots.get(slo_id).into_iter().flatten();
        let minutes = books.minutes.get(slo_id).into_iter().flatten();
        let quarters = books.quarters.get(slo_id).into_iter().flatten();
        let span = |start_s, resolution, counts| CountSpan { start_s, resolution, counts };
        let slots =
            slots.map(|(&(start_s, width_s), &counts)| span(start_s, Resolution::Slot(width_s), counts));
        let minutes =
            minutes.map(|(&minute, &counts)| span(minute.saturating_mul(60), Resolution::Minute, counts));
        let quarters = quarters
            .map(|(&quarter, &counts)| span(quarter.saturating_mul(900), Resolution::QuarterHour, counts));
        let spans = slots.chain(minutes).chain(quarters);
        let spans = spans.filter(|span| span.start_s.saturating_mul(1000) >= since_ms).collect();
        Ok(CountSeries::new(spans, books.first_s.get(slo_id).copied()))
    }

    async fn open_incidents(&self) -> Result<Vec<IncidentRecord>, LedgerError> {
        Ok(self.books().working.open_incidents())
    }

    async fn incidents(&self, limit: u32) -> Result<Vec<IncidentRecord>, LedgerError> {
        Ok(self.books().working.incidents(limit))
    }

    async fn latest_transitions(&self, since_ms: i64) -> Result<Vec<TransitionRecord>, LedgerError> {
        Ok(self.books().working.latest_transitions(since_ms))
    }

    async fn due_deliveries(
        &self,
        destination: &str,
        now_ms: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError> {
        Ok(self.books().working.due(destination, now_ms, limit))
    }

    async fn waiting(&self, destination: &str) -> Result<(Option<i64>, u64), LedgerError> {
        Ok(self.books().working.waiting(destination))
    }

    async fn begin_attempt(&self, delivery: i64, _now_ms: i64) -> Result<(), LedgerError> {
        self.books().working.begin_attempt(delivery);
        Ok(())
    }

    async fn end_attempt(
        &self,
        delivery: i64,
        now_ms: i64,
        result: &DeliveryResult,
    ) -> Result<(), LedgerError> {
        self.books().working.end_attempt(delivery, now_ms, result);
        Ok(())
    }

    async fn dead_letters(&self, now_ms: i64) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.books().working.dead_letters(now_ms.saturating_sub(DEAD_LETTERS_FOR_MS)))
    }

    async fn retry_dead_letters(&self, destination: Option<&str>, now_ms: i64) -> Result<u64, LedgerError> {
        let since_ms = now_ms.saturating_sub(DEAD_LETTERS_FOR_MS);
        Ok(self.books().working.retry(destination, since_ms).len() as u64)
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
