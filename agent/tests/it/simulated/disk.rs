//! A ledger in memory whose disk can be full.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use lookout_ledger::*;
use lookout_model::probe_history::{ProbeHour, ProbeMinute};
use lookout_model::*;

use super::World;

/// Ledger whose disk can be full.
pub(crate) struct Disk {
    pub(super) memory: MemoryLedger,
    pub(super) world: Arc<World>,
}

#[async_trait]
impl Ledger for Disk {
    async fn states(&self) -> Result<Vec<StateRecord>, LedgerError> {
        self.memory.states().await
    }

    async fn commit_tick(&self, tick: Tick<'_>) -> Result<(), LedgerError> {
        if self.world.ledger_fails.load(Ordering::SeqCst) {
            return Err(LedgerError::Query { doing: "storing", source: sqlx::Error::WorkerCrashed });
        }
        self.memory.commit_tick(tick).await
    }

    async fn prune(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.memory.prune(now).await
    }

    async fn close(&self) {}
}

#[async_trait]
impl CountStore for Disk {
    async fn counts(&self, slo_id: &str, since: Timestamp) -> Result<CountSeries, LedgerError> {
        self.memory.counts(slo_id, since).await
    }
}

#[async_trait]
impl IncidentStore for Disk {
    async fn open_incidents(&self) -> Result<Vec<IncidentRecord>, LedgerError> {
        self.memory.open_incidents().await
    }

    async fn incidents(&self, before: Option<&str>, limit: u32) -> Result<Vec<IncidentRecord>, LedgerError> {
        self.memory.incidents(before, limit).await
    }

    async fn latest_transitions(&self, since: Timestamp) -> Result<Vec<TransitionRecord>, LedgerError> {
        self.memory.latest_transitions(since).await
    }

    async fn followed(&self, since: Timestamp) -> Result<Vec<Followed>, LedgerError> {
        self.memory.followed(since).await
    }
}

#[async_trait]
impl DeliveryStore for Disk {
    async fn due_deliveries(
        &self,
        to: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError> {
        self.memory.due_deliveries(to, now, limit).await
    }

    async fn waiting(&self, destination: &str) -> Result<(Option<Timestamp>, u64), LedgerError> {
        self.memory.waiting(destination).await
    }

    async fn begin_attempt(&self, delivery: i64, now: Timestamp) -> Result<(), LedgerError> {
        self.memory.begin_attempt(delivery, now).await
    }

    async fn end_attempt(&self, id: i64, now: Timestamp, result: &DeliveryResult) -> Result<(), LedgerError> {
        self.memory.end_attempt(id, now, result).await
    }

    async fn conversation(&self, destination: &str, thread: &str) -> Result<Vec<Notice>, LedgerError> {
        self.memory.conversation(destination, thread).await
    }

    async fn newest_conversation(
        &self,
        destination: &str,
        service: &str,
        since: Timestamp,
    ) -> Result<Option<String>, LedgerError> {
        self.memory.newest_conversation(destination, service, since).await
    }

    async fn deliveries_of(&self, incident: &str) -> Result<Vec<DeliveryState>, LedgerError> {
        self.memory.deliveries_of(incident).await
    }

    async fn forward(&self, notice: &Notice, destination: &str) -> Result<bool, LedgerError> {
        self.memory.forward(notice, destination).await
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, LedgerError> {
        self.memory.dead_letters().await
    }

    async fn newest_dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, LedgerError> {
        self.memory.newest_dead_letters(limit).await
    }

    async fn dead_letter_counts(&self) -> Result<BTreeMap<String, u64>, LedgerError> {
        self.memory.dead_letter_counts().await
    }

    async fn expire_dead_letters(&self, now: Timestamp) -> Result<Vec<DeadLetter>, LedgerError> {
        self.memory.expire_dead_letters(now).await
    }

    async fn expire_all_but(
        &self,
        destinations: &[String],
        now: Timestamp,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        self.memory.expire_all_but(destinations, now).await
    }

    async fn discard_dead_letters(&self, which: &Discard) -> Result<Vec<DeadLetter>, LedgerError> {
        self.memory.discard_dead_letters(which).await
    }

    async fn latest_of_waiting(&self, destination: &str) -> Result<Vec<TransitionRecord>, LedgerError> {
        self.memory.latest_of_waiting(destination).await
    }

    async fn has_accepted(&self, destination: &str, since: Timestamp) -> Result<bool, LedgerError> {
        self.memory.has_accepted(destination, since).await
    }

    async fn retry_dead_letters(
        &self,
        destination: Option<&str>,
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        self.memory.retry_dead_letters(destination, now).await
    }
}

#[async_trait]
impl DeployStore for Disk {
    async fn record_deploy(&self, deploy: &DeployRecord) -> Result<DeployRecord, LedgerError> {
        self.memory.record_deploy(deploy).await
    }

    async fn deploys(&self, service: Option<&str>, limit: u32) -> Result<Vec<DeployRecord>, LedgerError> {
        self.memory.deploys(service, limit).await
    }
}

#[async_trait]
impl DecisionStore for Disk {
    async fn record_decision(&self, decision: DecisionRecord) -> Result<DecisionRecord, LedgerError> {
        self.memory.record_decision(decision).await
    }

    async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, LedgerError> {
        self.memory.decision(id).await
    }
}

#[async_trait]
impl CorrectionStore for Disk {
    async fn record_correction(&self, correction: &CorrectionRecord) -> Result<bool, LedgerError> {
        self.memory.record_correction(correction).await
    }

    async fn revoke_correction(
        &self,
        id: &str,
        by: &Revocation,
    ) -> Result<Option<CorrectionRecord>, LedgerError> {
        self.memory.revoke_correction(id, by).await
    }

    async fn corrections(
        &self,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<CorrectionRecord>, LedgerError> {
        self.memory.corrections(before, limit).await
    }

    async fn corrections_in_force(&self, since: Timestamp) -> Result<Vec<CorrectionRecord>, LedgerError> {
        self.memory.corrections_in_force(since).await
    }

    async fn corrections_version(&self) -> Result<i64, LedgerError> {
        self.memory.corrections_version().await
    }
}

#[async_trait]
impl SilenceStore for Disk {
    async fn record_silence(&self, silence: &SilenceRecord) -> Result<bool, LedgerError> {
        self.memory.record_silence(silence).await
    }

    async fn expire_silence(
        &self,
        id: &str,
        actor: &str,
        now: Timestamp,
    ) -> Result<Option<SilenceRecord>, LedgerError> {
        self.memory.expire_silence(id, actor, now).await
    }

    async fn silences(&self, since: Timestamp) -> Result<Vec<SilenceRecord>, LedgerError> {
        self.memory.silences(since).await
    }
}

#[async_trait]
impl ObjectiveStore for Disk {
    async fn record_objective(&self, slo_id: &str, objective: ObjectiveRecord) -> Result<(), LedgerError> {
        self.memory.record_objective(slo_id, objective).await
    }

    async fn objectives(&self, slo_id: &str) -> Result<Vec<ObjectiveRecord>, LedgerError> {
        self.memory.objectives(slo_id).await
    }
}

#[async_trait]
impl PauseStore for Disk {
    async fn record_pause(&self, pause: &PauseRecord) -> Result<(), LedgerError> {
        self.memory.record_pause(pause).await
    }

    async fn pauses(&self) -> Result<Vec<PauseRecord>, LedgerError> {
        self.memory.pauses().await
    }
}

#[async_trait]
impl ProbeHistoryStore for Disk {
    async fn add_probe_minutes(&self, minutes: &[ProbeMinute]) -> Result<(), LedgerError> {
        self.memory.add_probe_minutes(minutes).await
    }

    async fn probe_hours(
        &self,
        target: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(i64, ProbeHour)>, LedgerError> {
        self.memory.probe_hours(target, from, until).await
    }
}

#[async_trait]
impl HeartbeatStore for Disk {
    async fn record_heartbeat(&self, name: &str, at: Timestamp) -> Result<(), LedgerError> {
        self.memory.record_heartbeat(name, at).await
    }

    async fn heartbeats(&self) -> Result<Vec<(String, Timestamp)>, LedgerError> {
        self.memory.heartbeats().await
    }
}
