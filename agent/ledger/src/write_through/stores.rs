//! The records of each kind: incidents and deliveries from memory, all others from the file.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lookout_model::probe_history::{ProbeHour, ProbeMinute};
use lookout_model::{
    CorrectionRecord, DecisionRecord, Delivery, DeliveryResult, DeployRecord, Followed, IncidentRecord,
    Notice, ObjectiveRecord, PauseRecord, Revocation, Timestamp, TransitionRecord,
};

use super::WriteThroughLedger;
use crate::working::WorkingSet;
use crate::{
    CorrectionStore, CountSeries, CountStore, DeadLetter, DecisionStore, DeliveryState, DeliveryStore,
    DeployStore, Discard, HeartbeatStore, IncidentStore, LedgerError, ObjectiveStore, PauseStore,
    ProbeHistoryStore,
};

#[async_trait]
impl CountStore for WriteThroughLedger {
    async fn counts(&self, slo_id: &str, since: Timestamp) -> Result<CountSeries, LedgerError> {
        let file = self.readable()?;
        self.time_limit.read(&file, file.counts(slo_id, since)).await
    }
}

#[async_trait]
impl IncidentStore for WriteThroughLedger {
    async fn open_incidents(&self) -> Result<Vec<IncidentRecord>, LedgerError> {
        Ok(self.working().open_incidents())
    }

    async fn incidents(&self, before: Option<&str>, limit: u32) -> Result<Vec<IncidentRecord>, LedgerError> {
        if let Ok(file) = self.writable() {
            match self.time_limit.read(&file, file.incidents(before, limit)).await {
                Err(LedgerError::NoAnswer { .. }) => {}
                answered => return answered,
            }
        }
        Ok(self.working().incidents(before, limit))
    }

    async fn latest_transitions(&self, since: Timestamp) -> Result<Vec<TransitionRecord>, LedgerError> {
        Ok(self.working().latest_transitions(since))
    }

    async fn followed(&self, since: Timestamp) -> Result<Vec<Followed>, LedgerError> {
        Ok(self.working().followed(since))
    }
}

#[async_trait]
impl DeliveryStore for WriteThroughLedger {
    async fn due_deliveries(
        &self,
        destination: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError> {
        Ok(self.due(destination, now, limit).await)
    }

    async fn waiting(&self, destination: &str) -> Result<(Option<Timestamp>, u64), LedgerError> {
        Ok(self.working().waiting(destination))
    }

    async fn begin_attempt(&self, delivery: i64, now: Timestamp) -> Result<(), LedgerError> {
        self.begin_attempts(&[delivery], now).await
    }

    async fn end_attempt(
        &self,
        delivery: i64,
        now: Timestamp,
        result: &DeliveryResult,
    ) -> Result<(), LedgerError> {
        self.end_attempts(&[delivery], now, result).await
    }

    async fn begin_attempts(&self, deliveries: &[i64], _now: Timestamp) -> Result<(), LedgerError> {
        {
            let mut working = self.working();
            working.hold(deliveries);
            deliveries.iter().for_each(|&delivery| working.begin_attempt(delivery));
        }
        self.store_progress(deliveries).await;
        Ok(())
    }

    async fn end_attempts(
        &self,
        deliveries: &[i64],
        now: Timestamp,
        result: &DeliveryResult,
    ) -> Result<(), LedgerError> {
        let mut changed = deliveries.to_vec();
        {
            let mut working = self.working();
            for &delivery in deliveries {
                changed.extend(working.end_attempt(delivery, now, result));
            }
            working.hold(&changed);
        }
        self.store_progress(&changed).await;
        Ok(())
    }

    async fn conversation(&self, destination: &str, thread: &str) -> Result<Vec<Notice>, LedgerError> {
        // memory forgets incidents that ended a while ago; a file that fails delays no message
        if let Ok(file) = self.writable()
            && let Ok(members) = self.time_limit.read(&file, file.conversation(destination, thread)).await
        {
            return Ok(members);
        }
        Ok(self.working().conversation(destination, thread))
    }

    async fn newest_conversation(
        &self,
        destination: &str,
        service: &str,
        since: Timestamp,
    ) -> Result<Option<String>, LedgerError> {
        Ok(self.working().newest_conversation(destination, service, since))
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.working().dead_letters())
    }

    async fn newest_dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.working().newest_dead_letters(limit))
    }

    async fn dead_letter_counts(&self) -> Result<BTreeMap<String, u64>, LedgerError> {
        Ok(self.working().dead_letter_counts())
    }

    async fn expire_dead_letters(&self, now: Timestamp) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.give_up(|working| working.expire(now)).await)
    }

    async fn expire_all_but(
        &self,
        destinations: &[String],
        now: Timestamp,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        let (ids, mut expired, more_in_file) = {
            let mut working = self.working();
            let (ids, expired) = working.expire_all_but(destinations, now);
            working.hold(&ids);
            (ids, expired, working.others_in_file_only(destinations))
        };
        if !ids.is_empty() {
            self.store_progress(&ids).await;
        }
        if more_in_file && let Ok(file) = self.writable() {
            let destinations = destinations.to_vec();
            let expire = async move { file.expire_all_but(&destinations, now).await };
            expired.extend(self.time_limit.write(expire).await?);
            self.count_in_file_only().await?;
        }
        Ok(expired)
    }

    async fn discard_dead_letters(&self, which: &Discard) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.give_up(|working| working.discard(which)).await)
    }

    async fn take_discarded(&self) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(self.working().take_discarded())
    }

    async fn latest_of_waiting(&self, destination: &str) -> Result<Vec<TransitionRecord>, LedgerError> {
        Ok(self.working().latest_of_waiting(destination))
    }

    async fn has_accepted(&self, destination: &str, since: Timestamp) -> Result<bool, LedgerError> {
        if self.working().has_accepted(destination, since) {
            return Ok(true);
        }
        // memory forgets incidents that ended before the start
        match self.writable() {
            Ok(file) if since < self.began_at => {
                self.time_limit.read(&file, file.has_accepted(destination, since)).await
            }
            _ => Ok(false),
        }
    }

    async fn deliveries_of(&self, incident: &str) -> Result<Vec<DeliveryState>, LedgerError> {
        {
            let working = self.working();
            if working.holds(incident) {
                return Ok(working.deliveries_of(incident));
            }
        }
        match self.readable() {
            Ok(file) => self.time_limit.read(&file, file.deliveries_of(incident)).await,
            Err(_) => Ok(Vec::new()),
        }
    }

    async fn forward(&self, notice: &Notice, destination: &str) -> Result<bool, LedgerError> {
        let added = {
            let mut working = self.working();
            let added = working.forward(notice, destination);
            working.hold(added.as_slice());
            added
        };
        if let Some(id) = added {
            self.store_progress(&[id]).await;
        }
        Ok(added.is_some())
    }

    async fn retry_dead_letters(
        &self,
        destination: Option<&str>,
        _now: Timestamp,
    ) -> Result<u64, LedgerError> {
        let (ids, more_in_file) = {
            let mut working = self.working();
            let ids = working.retry(destination);
            working.hold(&ids);
            (ids, working.in_file_only_all() > 0)
        };
        self.store_progress(&ids).await;
        if more_in_file {
            let file = self.writable()?;
            self.time_limit.write(async move { file.make_due().await }).await?;
        }
        Ok(ids.len() as u64)
    }
}

impl WriteThroughLedger {
    /// Marks deliveries as expired, in memory and in the file. Returns them.
    async fn give_up(
        &self,
        mark: impl FnOnce(&mut WorkingSet) -> (Vec<i64>, Vec<DeadLetter>) + Send,
    ) -> Vec<DeadLetter> {
        let (ids, letters) = {
            let mut working = self.working();
            let (ids, letters) = mark(&mut working);
            working.hold(&ids);
            (ids, letters)
        };
        if !ids.is_empty() {
            self.store_progress(&ids).await;
        }
        letters
    }
}

#[async_trait]
impl DeployStore for WriteThroughLedger {
    async fn record_deploy(&self, deploy: &DeployRecord) -> Result<DeployRecord, LedgerError> {
        let file = self.writable()?;
        let deploy = deploy.clone();
        self.time_limit.write(async move { file.record_deploy(&deploy).await }).await
    }

    async fn deploys(&self, service: Option<&str>, limit: u32) -> Result<Vec<DeployRecord>, LedgerError> {
        let file = self.readable()?;
        self.time_limit.read(&file, file.deploys(service, limit)).await
    }
}

#[async_trait]
impl DecisionStore for WriteThroughLedger {
    #[tracing::instrument(name = "ledger", level = "info", skip_all, fields(
        db.operation.name = "record_decision", otel.kind = "client",
    ))]
    async fn record_decision(&self, decision: DecisionRecord) -> Result<DecisionRecord, LedgerError> {
        let file = self.writable()?;
        self.time_limit.write(async move { file.record_decision(decision).await }).await
    }

    async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, LedgerError> {
        let file = self.readable()?;
        self.time_limit.read(&file, file.decision(id)).await
    }
}

#[async_trait]
impl CorrectionStore for WriteThroughLedger {
    async fn record_correction(&self, correction: &CorrectionRecord) -> Result<bool, LedgerError> {
        let file = self.writable()?;
        let correction = correction.clone();
        self.time_limit.write(async move { file.record_correction(&correction).await }).await
    }

    async fn revoke_correction(
        &self,
        id: &str,
        revocation: &Revocation,
    ) -> Result<Option<CorrectionRecord>, LedgerError> {
        let file = self.writable()?;
        let (id, revocation) = (id.to_owned(), revocation.clone());
        self.time_limit.write(async move { file.revoke_correction(&id, &revocation).await }).await
    }

    async fn corrections(
        &self,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<CorrectionRecord>, LedgerError> {
        let file = self.readable()?;
        self.time_limit.read(&file, file.corrections(before, limit)).await
    }

    async fn corrections_in_force(&self, since: Timestamp) -> Result<Vec<CorrectionRecord>, LedgerError> {
        let file = self.readable()?;
        self.time_limit.read(&file, file.corrections_in_force(since)).await
    }

    async fn corrections_version(&self) -> Result<i64, LedgerError> {
        let file = self.readable()?;
        self.time_limit.read(&file, file.corrections_version()).await
    }
}

#[async_trait]
impl ObjectiveStore for WriteThroughLedger {
    async fn record_objective(&self, slo_id: &str, objective: ObjectiveRecord) -> Result<(), LedgerError> {
        let file = self.writable()?;
        let slo_id = slo_id.to_owned();
        self.time_limit.write(async move { file.record_objective(&slo_id, objective).await }).await
    }

    async fn objectives(&self, slo_id: &str) -> Result<Vec<ObjectiveRecord>, LedgerError> {
        let file = self.readable()?;
        self.time_limit.read(&file, file.objectives(slo_id)).await
    }
}

#[async_trait]
impl PauseStore for WriteThroughLedger {
    async fn record_pause(&self, pause: &PauseRecord) -> Result<(), LedgerError> {
        let file = self.writable()?;
        let pause = pause.clone();
        self.time_limit.write(async move { file.record_pause(&pause).await }).await
    }

    async fn pauses(&self) -> Result<Vec<PauseRecord>, LedgerError> {
        let file = self.readable()?;
        self.time_limit.read(&file, file.pauses()).await
    }
}

#[async_trait]
impl ProbeHistoryStore for WriteThroughLedger {
    async fn add_probe_minutes(&self, minutes: &[ProbeMinute]) -> Result<(), LedgerError> {
        let file = self.writable()?;
        let minutes = minutes.to_vec();
        self.time_limit.write(async move { file.add_probe_minutes(&minutes).await }).await
    }

    async fn probe_hours(
        &self,
        target: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(i64, ProbeHour)>, LedgerError> {
        let file = self.readable()?;
        self.time_limit.read(&file, file.probe_hours(target, from, until)).await
    }
}

#[async_trait]
impl HeartbeatStore for WriteThroughLedger {
    async fn record_heartbeat(&self, name: &str, at: Timestamp) -> Result<(), LedgerError> {
        let file = self.writable()?;
        let name = name.to_owned();
        self.time_limit.write(async move { file.record_heartbeat(&name, at).await }).await
    }

    async fn heartbeats(&self) -> Result<Vec<(String, Timestamp)>, LedgerError> {
        let file = self.readable()?;
        self.time_limit.read(&file, file.heartbeats()).await
    }
}
