//! The part of a ledger that the web reads, in memory, with failures on request.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use lookout_ledger::*;
use lookout_model::probe_history::{ProbeHour, ProbeMinute};
use lookout_model::*;

/// Ledger in memory.
#[derive(Debug, Default)]
pub(crate) struct FakeLedger {
    pub(crate) incidents: Mutex<Vec<IncidentRecord>>,
    pub(crate) deploys: Mutex<Vec<DeployRecord>>,
    pub(crate) decisions: Mutex<Vec<DecisionRecord>>,
    pub(crate) counts: Mutex<CountSeries>,
    pub(crate) dead_letters: Mutex<Vec<DeadLetter>>,
    /// Corrections are kept as a real one keeps them.
    pub(crate) books: MemoryLedger,
    pub(crate) fails: AtomicBool,
}

impl FakeLedger {
    fn works(&self) -> Result<(), LedgerError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(LedgerError::Query { doing: "asking the disk", source: sqlx::Error::PoolClosed });
        }
        Ok(())
    }
}

#[async_trait]
impl Ledger for FakeLedger {
    async fn commit_tick(&self, tick: Tick<'_>) -> Result<(), LedgerError> {
        self.works()?;
        self.books.commit_tick(tick).await
    }

    async fn states(&self) -> Result<Vec<StateRecord>, LedgerError> {
        self.works().map(|()| Vec::new())
    }

    async fn prune(&self, _: Timestamp) -> Result<(), LedgerError> {
        self.works()
    }

    async fn close(&self) {}
}

#[async_trait]
impl CountStore for FakeLedger {
    async fn counts(&self, _: &str, _: Timestamp) -> Result<CountSeries, LedgerError> {
        self.works()?;
        Ok(self.counts.lock().unwrap().clone())
    }
}

#[async_trait]
impl IncidentStore for FakeLedger {
    async fn open_incidents(&self) -> Result<Vec<IncidentRecord>, LedgerError> {
        self.works()?;
        let incidents = self.incidents.lock().unwrap();
        Ok(incidents.iter().filter(|incident| incident.resolved_at.is_none()).cloned().collect())
    }

    async fn incidents(&self, before: Option<&str>, limit: u32) -> Result<Vec<IncidentRecord>, LedgerError> {
        self.works()?;
        let incidents = self.incidents.lock().unwrap();
        let rest = incidents.iter().skip_while(|one| before.is_some_and(|id| one.id != id));
        Ok(rest.skip(before.iter().len()).take(limit as usize).cloned().collect())
    }

    async fn latest_transitions(&self, since: Timestamp) -> Result<Vec<TransitionRecord>, LedgerError> {
        self.works()?;
        self.books.latest_transitions(since).await
    }

    async fn followed(&self, since: Timestamp) -> Result<Vec<Followed>, LedgerError> {
        self.works()?;
        self.books.followed(since).await
    }
}

#[async_trait]
impl DeliveryStore for FakeLedger {
    async fn due_deliveries(&self, _: &str, _: Timestamp, _: u32) -> Result<Vec<Delivery>, LedgerError> {
        self.works()?;
        Ok(Vec::new())
    }

    async fn waiting(&self, _: &str) -> Result<(Option<Timestamp>, u64), LedgerError> {
        self.works()?;
        Ok((None, 0))
    }

    async fn begin_attempt(&self, _: i64, _: Timestamp) -> Result<(), LedgerError> {
        self.works()
    }

    async fn end_attempt(&self, _: i64, _: Timestamp, _: &DeliveryResult) -> Result<(), LedgerError> {
        self.works()
    }

    async fn conversation(&self, destination: &str, thread: &str) -> Result<Vec<Notice>, LedgerError> {
        self.works()?;
        self.books.conversation(destination, thread).await
    }

    async fn newest_conversation(
        &self,
        destination: &str,
        service: &str,
        since: Timestamp,
    ) -> Result<Option<String>, LedgerError> {
        self.works()?;
        self.books.newest_conversation(destination, service, since).await
    }

    async fn deliveries_of(&self, incident: &str) -> Result<Vec<DeliveryState>, LedgerError> {
        self.works()?;
        self.books.deliveries_of(incident).await
    }

    async fn forward(&self, notice: &Notice, destination: &str) -> Result<bool, LedgerError> {
        self.works()?;
        self.books.forward(notice, destination).await
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, LedgerError> {
        self.works()?;
        Ok(self.dead_letters.lock().unwrap().clone())
    }

    async fn newest_dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, LedgerError> {
        let letters = self.dead_letters().await?;
        Ok(letters.into_iter().rev().take(limit as usize).collect())
    }

    async fn dead_letter_counts(&self) -> Result<BTreeMap<String, u64>, LedgerError> {
        let mut counts = BTreeMap::new();
        for letter in self.dead_letters().await? {
            *counts.entry(letter.destination).or_default() += 1;
        }
        Ok(counts)
    }

    async fn expire_dead_letters(&self, now: Timestamp) -> Result<Vec<DeadLetter>, LedgerError> {
        self.works()?;
        self.books.expire_dead_letters(now).await
    }

    async fn expire_all_but(
        &self,
        destinations: &[String],
        now: Timestamp,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        self.works()?;
        self.books.expire_all_but(destinations, now).await
    }

    async fn discard_dead_letters(&self, which: &Discard) -> Result<Vec<DeadLetter>, LedgerError> {
        self.works()?;
        let is_meant = |letter: &DeadLetter| {
            which.destination.as_ref().is_none_or(|name| *name == letter.destination)
                && which.incident.as_ref().is_none_or(|id| *id == letter.incident_id)
        };
        let mut letters = self.dead_letters.lock().unwrap();
        let (given_up, kept) = letters.drain(..).partition(is_meant);
        *letters = kept;
        Ok(given_up)
    }

    async fn latest_of_waiting(&self, destination: &str) -> Result<Vec<TransitionRecord>, LedgerError> {
        self.works()?;
        self.books.latest_of_waiting(destination).await
    }

    async fn has_accepted(&self, destination: &str, since: Timestamp) -> Result<bool, LedgerError> {
        self.works()?;
        self.books.has_accepted(destination, since).await
    }

    async fn retry_dead_letters(&self, destination: Option<&str>, _: Timestamp) -> Result<u64, LedgerError> {
        self.works()?;
        let mut letters = self.dead_letters.lock().unwrap();
        let before = letters.len();
        letters.retain(|letter| destination.is_some_and(|name| letter.destination != name));
        Ok((before - letters.len()) as u64)
    }
}

#[async_trait]
impl DeployStore for FakeLedger {
    async fn record_deploy(&self, deploy: &DeployRecord) -> Result<DeployRecord, LedgerError> {
        self.works()?;
        let mut deploys = self.deploys.lock().unwrap();
        let known = deploys.iter().find(|known| known.idempotency_key == deploy.idempotency_key).cloned();
        if known.is_none() {
            deploys.insert(0, deploy.clone());
        }
        Ok(known.unwrap_or_else(|| deploy.clone()))
    }

    async fn deploys(&self, service: Option<&str>, limit: u32) -> Result<Vec<DeployRecord>, LedgerError> {
        self.works()?;
        let deploys = self.deploys.lock().unwrap();
        let wanted = deploys.iter().filter(|deploy| service.is_none_or(|name| deploy.service == name));
        Ok(wanted.take(limit as usize).cloned().collect())
    }
}

#[async_trait]
impl DecisionStore for FakeLedger {
    async fn record_decision(&self, decision: DecisionRecord) -> Result<DecisionRecord, LedgerError> {
        self.works()?;
        self.decisions.lock().unwrap().push(decision.clone());
        Ok(decision)
    }

    async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, LedgerError> {
        self.works()?;
        Ok(self.decisions.lock().unwrap().iter().find(|decision| decision.id == id).cloned())
    }
}

#[async_trait]
impl CorrectionStore for FakeLedger {
    async fn record_correction(&self, correction: &CorrectionRecord) -> Result<bool, LedgerError> {
        self.works()?;
        self.books.record_correction(correction).await
    }

    async fn revoke_correction(
        &self,
        id: &str,
        by: &Revocation,
    ) -> Result<Option<CorrectionRecord>, LedgerError> {
        self.works()?;
        self.books.revoke_correction(id, by).await
    }

    async fn corrections(
        &self,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<CorrectionRecord>, LedgerError> {
        self.works()?;
        self.books.corrections(before, limit).await
    }

    async fn corrections_in_force(&self, since: Timestamp) -> Result<Vec<CorrectionRecord>, LedgerError> {
        self.works()?;
        self.books.corrections_in_force(since).await
    }

    async fn corrections_version(&self) -> Result<i64, LedgerError> {
        self.works()?;
        self.books.corrections_version().await
    }
}

#[async_trait]
impl SilenceStore for FakeLedger {
    async fn record_silence(&self, silence: &SilenceRecord) -> Result<bool, LedgerError> {
        self.works()?;
        self.books.record_silence(silence).await
    }

    async fn expire_silence(
        &self,
        id: &str,
        actor: &str,
        now: Timestamp,
    ) -> Result<Option<SilenceRecord>, LedgerError> {
        self.works()?;
        self.books.expire_silence(id, actor, now).await
    }

    async fn silences(&self, since: Timestamp) -> Result<Vec<SilenceRecord>, LedgerError> {
        self.works()?;
        self.books.silences(since).await
    }
}

#[async_trait]
impl ObjectiveStore for FakeLedger {
    async fn record_objective(&self, _: &str, _: ObjectiveRecord) -> Result<(), LedgerError> {
        self.works()
    }

    async fn objectives(&self, _: &str) -> Result<Vec<ObjectiveRecord>, LedgerError> {
        self.works()?;
        Ok(Vec::new())
    }
}

#[async_trait]
impl PauseStore for FakeLedger {
    async fn record_pause(&self, pause: &PauseRecord) -> Result<(), LedgerError> {
        self.works()?;
        self.books.record_pause(pause).await
    }

    async fn pauses(&self) -> Result<Vec<PauseRecord>, LedgerError> {
        self.books.pauses().await
    }
}

#[async_trait]
impl ProbeHistoryStore for FakeLedger {
    async fn add_probe_minutes(&self, minutes: &[ProbeMinute]) -> Result<(), LedgerError> {
        self.works()?;
        self.books.add_probe_minutes(minutes).await
    }

    async fn probe_hours(
        &self,
        target: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(i64, ProbeHour)>, LedgerError> {
        self.works()?;
        self.books.probe_hours(target, from, until).await
    }
}

#[async_trait]
impl HeartbeatStore for FakeLedger {
    async fn record_heartbeat(&self, name: &str, at: Timestamp) -> Result<(), LedgerError> {
        self.works()?;
        self.books.record_heartbeat(name, at).await
    }

    async fn heartbeats(&self) -> Result<Vec<(String, Timestamp)>, LedgerError> {
        self.books.heartbeats().await
    }
}
