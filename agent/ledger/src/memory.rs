//! A ledger in memory, for simulated time, where real I/O is not possible, and for `watch` without a file. It keeps
//! every promise of the contract except durability.

mod probe_history;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lookout_engine::Counts;
use lookout_model::Timestamp;

use super::chain::{self, Chain, Link, Verifier};
use super::retention::{
    COUNT_CEILING, Cutoffs, DECISIONS_KEPT, DEPLOYS_KEPT, MINUTES_PER_QUARTER, OBJECTIVES_KEPT,
};
use super::working::{Waiting, WorkingSet};
use super::{
    CorrectionStore, CountSeries, CountSpan, CountStore, DeadLetter, DecisionStore, DeliveryState,
    DeliveryStore, DeployStore, Discard, HeartbeatStore, IncidentStore, Ledger, LedgerError, MAX_SILENCES,
    ObjectiveStore, PauseStore, Resolution, SilenceStore, Tick,
};
use lookout_model::correction::IN_FORCE_FOR;
use lookout_model::{
    CorrectionRecord, CountRow, DecisionRecord, Delivery, DeliveryResult, DeployRecord, Followed,
    IncidentRecord, MAX_IN_FORCE, MAX_KEPT, Notice, ObjectiveRecord, PauseRecord, Revocation, SilenceRecord,
    StateRecord, TransitionRecord,
};
use probe_history::EncodedHours;

/// A ledger in memory.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    /// By SLO, then by start and width.
    slots: BTreeMap<String, BTreeMap<(i64, u32), Counts>>,
    /// By SLO, then by number.
    minutes: BTreeMap<String, BTreeMap<i64, Counts>>,
    /// By SLO, then by number.
    quarters: BTreeMap<String, BTreeMap<i64, Counts>>,
    /// The start of the first slot, by SLO.
    first_s: BTreeMap<String, i64>,
    /// By SLO, then by first instant.
    objectives: BTreeMap<String, BTreeMap<Timestamp, u32>>,
    /// By SLO.
    states: BTreeMap<String, StateRecord>,
    heartbeats: BTreeMap<String, Timestamp>,
    pauses: BTreeMap<String, PauseRecord>,
    probes: EncodedHours,
    working: WorkingSet,
    deploys: Vec<DeployRecord>,
    decisions: Vec<DecisionRecord>,
    /// The last decision that was forgotten.
    anchor: Option<Link>,
    /// In the order they were written.
    corrections: Vec<CorrectionRecord>,
    corrections_version: i64,
    /// In the order they were made.
    silences: Vec<SilenceRecord>,
}

impl MemoryLedger {
    /// Follows the hash chain of the decisions from its first link.
    ///
    /// # Errors
    /// Never; the signature is that of the durable ledger.
    #[expect(clippy::unused_async, reason = "the same call as on the durable ledger")]
    pub async fn verify_chain(&self) -> Result<Chain, LedgerError> {
        let tables = self.tables();
        let mut verifier = Verifier::after(tables.anchor.clone());
        tables.decisions.iter().for_each(|decision| verifier.take(decision));
        Ok(verifier.finish())
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn add(&mut self, row: &CountRow) {
        let first_s = self.first_s.entry(row.slo_id.clone()).or_insert(row.start_s);
        *first_s = row.start_s.min(*first_s);
        let slots = self.slots.entry(row.slo_id.clone()).or_default();
        let more = Counts { good: row.good.min(COUNT_CEILING), bad: row.bad.min(COUNT_CEILING) };
        add_bounded(slots.entry((row.start_s, row.width_s)).or_default(), more);
    }

    fn prune(&mut self, cutoffs: &Cutoffs) {
        let keeps = |decision: &DecisionRecord| decision.at >= cutoffs.decisions_before;
        let old = self.decisions.iter().position(keeps).unwrap_or(self.decisions.len());
        let old = old.max(self.decisions.len().saturating_sub(DECISIONS_KEPT as usize));
        if let Some(last) = self.decisions.drain(..old).next_back() {
            self.anchor = Some(Link::from(&last));
        }
        self.deploys.retain(|deploy| deploy.started_at >= cutoffs.decisions_before);
        self.deploys.sort_by_key(|deploy| deploy.started_at);
        let many = self.deploys.len().saturating_sub(DEPLOYS_KEPT as usize);
        self.deploys.drain(..many);
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
        self.working.forget_resolved_before(cutoffs.incidents_before, Waiting::Dropped);
        self.silences.retain(|silence| silence.ends_at >= cutoffs.incidents_before);
        probe_history::prune(&mut self.probes, cutoffs);
        self.corrections.retain(|correction| {
            let over_at = correction.revoked.as_ref().map(|revoked| revoked.at).or(correction.to);
            over_at.is_none_or(|at| at >= cutoffs.incidents_before)
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
    async fn commit_tick(&self, tick: Tick<'_>) -> Result<(), LedgerError> {
        let mut tables = self.tables();
        tick.counts.iter().for_each(|row| tables.add(row));
        tick.transitions.iter().for_each(|transition| tables.working.record(transition));
        for record in tick.states {
            tables.states.insert(record.slo_id.clone(), record.clone());
        }
        Ok(())
    }

    async fn states(&self) -> Result<Vec<StateRecord>, LedgerError> {
        Ok(self.tables().states.values().cloned().collect())
    }

    async fn prune(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.tables().prune(&Cutoffs::at(now));
        Ok(())
    }

    async fn close(&self) {}
}

#[async_trait]
impl CountStore for MemoryLedger {
    async fn counts(&self, slo_id: &str, since: Timestamp) -> Result<CountSeries, LedgerError> {
        let tables = self.tables();
        let slots = tables.slots.get(slo_id).into_iter().flatten();
        let minutes = tables.minutes.get(slo_id).into_iter().flatten();
        let quarters = tables.quarters.get(slo_id).into_iter().flatten();
        let span = |start_s, resolution, counts| CountSpan { start_s, resolution, counts };
        let slots =
            slots.map(|(&(start_s, width_s), &counts)| span(start_s, Resolution::Slot(width_s), counts));
        let minutes =
            minutes.map(|(&minute, &counts)| span(minute.saturating_mul(60), Resolution::Minute, counts));
        let quarters = quarters
            .map(|(&quarter, &counts)| span(quarter.saturating_mul(900), Resolution::QuarterHour, counts));
        let spans = slots.chain(minutes).chain(quarters);
        let spans = spans.filter(|span| Timestamp::from_seconds(span.start_s) >= since).collect();
        Ok(CountSeries::new(spans, tables.first_s.get(slo_id).copied()))
    }
}

#[async_trait]
impl IncidentStore for MemoryLedger {
    async fn open_incidents(&self) -> Result<Vec<IncidentRecord>, LedgerError> {
        Ok(self.tables().working.open_incidents())
    }

    async fn incidents(&self, before: Option<&str>, limit: u32) -> Result<Vec<IncidentRecord>, LedgerError> {
        Ok(self.tables().working.incidents(before, limit))
    }

    async fn latest_transitions(&self, since: Timestamp) -> Result<Vec<TransitionRecord>, LedgerError> {
        Ok(self.tables().working.latest_transitions(since))
    }

    async fn followed(&self, since: Timestamp) -> Result<Vec<Followed>, LedgerError> {
        Ok(self.tables().working.followed(since))
    }
}

#[async_trait]
impl DeliveryStore for MemoryLedger {
    async fn due_deliveries(
        &self,
        destination: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError> {
        Ok(self.tables().working.due(destination, now, limit))
    }

    async fn waiting(&self, destination: &str) -> Result<(Option<Timestamp>, u64), LedgerError> {
        Ok(self.tables().working.waiting(destination))
    }

    async fn begin_attempt(&self, delivery: i64, _now: Timestamp) -> Result<(), LedgerError> {
        self.tables().working.begin_attempt(delivery);
        Ok(())
    }

    async fn end_attempt(
        &self,
        delivery: i64,
        now: Timestamp,
        result: &DeliveryResult,
    ) -> Result<(), LedgerError> {
        let _repeated = self.tables().working.end_attempt(delivery, now, result);
        Ok(())
    }

    async fn conversation(&self, destination: &str, thread: &str) -> Result<Vec<Notice>, LedgerError> {
        Ok(self.tables().working.conversation(destination, thread))
    }

    async fn newest_conversation(
        &self,
        destination: &str,
        service: &str,
        since: Timestamp,
    ) -> Result<Option<String>, LedgerError> {
        Ok(self.tables().working.newest_conversation(destination, service, since))
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.tables().working.dead_letters())
    }

    async fn newest_dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.tables().working.newest_dead_letters(limit))
    }

    async fn dead_letter_counts(&self) -> Result<BTreeMap<String, u64>, LedgerError> {
        Ok(self.tables().working.dead_letter_counts())
    }

    async fn expire_dead_letters(&self, now: Timestamp) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.tables().working.expire(now).1)
    }

    async fn expire_all_but(
        &self,
        destinations: &[String],
        now: Timestamp,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.tables().working.expire_all_but(destinations, now).1)
    }

    async fn discard_dead_letters(&self, which: &Discard) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.tables().working.discard(which).1)
    }

    async fn take_discarded(&self) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.tables().working.take_discarded())
    }

    async fn latest_of_waiting(&self, destination: &str) -> Result<Vec<TransitionRecord>, LedgerError> {
        Ok(self.tables().working.latest_of_waiting(destination))
    }

    async fn has_accepted(&self, destination: &str, since: Timestamp) -> Result<bool, LedgerError> {
        Ok(self.tables().working.has_accepted(destination, since))
    }

    async fn deliveries_of(&self, incident: &str) -> Result<Vec<DeliveryState>, LedgerError> {
        Ok(self.tables().working.deliveries_of(incident))
    }

    async fn forward(&self, notice: &Notice, destination: &str) -> Result<bool, LedgerError> {
        Ok(self.tables().working.forward(notice, destination).is_some())
    }

    async fn retry_dead_letters(
        &self,
        destination: Option<&str>,
        _now: Timestamp,
    ) -> Result<u64, LedgerError> {
        Ok(self.tables().working.retry(destination).len() as u64)
    }
}

#[async_trait]
impl DeployStore for MemoryLedger {
    async fn record_deploy(&self, deploy: &DeployRecord) -> Result<DeployRecord, LedgerError> {
        let mut tables = self.tables();
        let known = tables.deploys.iter().find(|known| known.idempotency_key == deploy.idempotency_key);
        if let Some(known) = known {
            return Ok(known.clone());
        }
        tables.deploys.push(deploy.clone());
        Ok(deploy.clone())
    }

    async fn deploys(&self, service: Option<&str>, limit: u32) -> Result<Vec<DeployRecord>, LedgerError> {
        let tables = self.tables();
        let wanted = |deploy: &&DeployRecord| service.is_none_or(|service| deploy.service == service);
        let mut found: Vec<_> = tables.deploys.iter().rev().filter(wanted).cloned().collect();
        found.sort_by_key(|deploy| core::cmp::Reverse(deploy.started_at));
        found.truncate(limit as usize);
        Ok(found)
    }
}

#[async_trait]
impl DecisionStore for MemoryLedger {
    async fn record_decision(&self, decision: DecisionRecord) -> Result<DecisionRecord, LedgerError> {
        let mut tables = self.tables();
        let last = tables.decisions.last().map(Link::from).or_else(|| tables.anchor.clone());
        let linked = chain::link(decision, last.as_ref());
        tables.decisions.push(linked.clone());
        Ok(linked)
    }

    async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, LedgerError> {
        Ok(self.tables().decisions.iter().find(|decision| decision.id == id).cloned())
    }
}

#[async_trait]
impl CorrectionStore for MemoryLedger {
    async fn record_correction(&self, correction: &CorrectionRecord) -> Result<bool, LedgerError> {
        let mut tables = self.tables();
        let since = correction.created_at - IN_FORCE_FOR;
        let in_force = tables.corrections.iter().filter(|known| known.is_in_force(since)).count();
        if in_force >= MAX_IN_FORCE || tables.corrections.len() >= MAX_KEPT {
            return Ok(false);
        }
        tables.corrections.push(correction.clone());
        tables.corrections_version += 1;
        Ok(true)
    }

    async fn revoke_correction(
        &self,
        id: &str,
        revocation: &Revocation,
    ) -> Result<Option<CorrectionRecord>, LedgerError> {
        let mut tables = self.tables();
        let Some(known) = tables.corrections.iter_mut().find(|known| known.id == id) else { return Ok(None) };
        let news = known.revoked.is_none();
        known.revoked.get_or_insert_with(|| revocation.clone());
        let shown = known.clone();
        tables.corrections_version += i64::from(news);
        Ok(Some(shown))
    }

    async fn corrections(
        &self,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<CorrectionRecord>, LedgerError> {
        let tables = self.tables();
        let all = &tables.corrections;
        let end = before.map_or(all.len(), |id| all.iter().position(|known| known.id == id).unwrap_or(0));
        Ok(all.iter().take(end).rev().take(limit as usize).cloned().collect())
    }

    async fn corrections_in_force(&self, since: Timestamp) -> Result<Vec<CorrectionRecord>, LedgerError> {
        Ok(self.tables().corrections.iter().filter(|known| known.is_in_force(since)).cloned().collect())
    }

    async fn corrections_version(&self) -> Result<i64, LedgerError> {
        Ok(self.tables().corrections_version)
    }
}

#[async_trait]
impl SilenceStore for MemoryLedger {
    async fn record_silence(&self, silence: &SilenceRecord) -> Result<bool, LedgerError> {
        let mut tables = self.tables();
        let in_force = tables.silences.iter().filter(|known| !known.is_over(silence.created_at)).count();
        if in_force >= MAX_SILENCES {
            return Ok(false);
        }
        tables.silences.push(silence.clone());
        Ok(true)
    }

    async fn expire_silence(
        &self,
        id: &str,
        actor: &str,
        now: Timestamp,
    ) -> Result<Option<SilenceRecord>, LedgerError> {
        let mut tables = self.tables();
        let Some(known) = tables.silences.iter_mut().find(|known| known.id == id) else { return Ok(None) };
        if !known.is_over(now) {
            (known.ends_at, known.expired_by) = (now, Some(actor.to_owned()));
        }
        Ok(Some(known.clone()))
    }

    async fn silences(&self, since: Timestamp) -> Result<Vec<SilenceRecord>, LedgerError> {
        Ok(self.tables().silences.iter().filter(|known| !known.is_over(since)).cloned().collect())
    }
}

#[async_trait]
impl ObjectiveStore for MemoryLedger {
    async fn record_objective(&self, slo_id: &str, objective: ObjectiveRecord) -> Result<(), LedgerError> {
        let mut tables = self.tables();
        let objectives = tables.objectives.entry(slo_id.to_owned()).or_default();
        objectives.insert(objective.from, objective.good_ppb);
        while objectives.len() > OBJECTIVES_KEPT as usize {
            objectives.pop_first();
        }
        Ok(())
    }

    async fn objectives(&self, slo_id: &str) -> Result<Vec<ObjectiveRecord>, LedgerError> {
        let tables = self.tables();
        let stored = tables.objectives.get(slo_id).into_iter().flatten();
        Ok(stored.map(|(&from, &good_ppb)| ObjectiveRecord { from, good_ppb }).collect())
    }
}

#[async_trait]
impl PauseStore for MemoryLedger {
    async fn record_pause(&self, pause: &PauseRecord) -> Result<(), LedgerError> {
        self.tables().pauses.insert(pause.target.clone(), pause.clone());
        Ok(())
    }

    async fn pauses(&self) -> Result<Vec<PauseRecord>, LedgerError> {
        Ok(self.tables().pauses.values().cloned().collect())
    }
}

#[async_trait]
impl HeartbeatStore for MemoryLedger {
    async fn record_heartbeat(&self, name: &str, at: Timestamp) -> Result<(), LedgerError> {
        let mut tables = self.tables();
        let known = tables.heartbeats.entry(name.to_owned()).or_insert(at);
        *known = at.max(*known);
        Ok(())
    }

    async fn heartbeats(&self) -> Result<Vec<(String, Timestamp)>, LedgerError> {
        Ok(self.tables().heartbeats.clone().into_iter().collect())
    }
}
