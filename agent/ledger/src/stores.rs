//! The contract of a ledger: a trait for each kind of record, so that a reader takes what it needs.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lookout_model::probe_history::{ProbeHour, ProbeMinute};
use lookout_model::{
    CorrectionRecord, CountRow, DecisionRecord, Delivery, DeliveryResult, DeployRecord, Followed,
    IncidentRecord, Notice, ObjectiveRecord, PauseRecord, Revocation, SilenceRecord, StateRecord, Timestamp,
    TransitionRecord,
};

use super::{CountSeries, DeadLetter, DeliveryState, Discard, Health, LedgerError, Tick};

/// Counts of good and bad events.
#[async_trait]
pub trait CountStore: Send + Sync + 'static {
    /// Returns the counts of an SLO that began at or after `since`.
    async fn counts(&self, slo_id: &str, since: Timestamp) -> Result<CountSeries, LedgerError>;
}

/// Incidents and their transitions; [`Ledger::commit_tick`] stores them.
#[async_trait]
pub trait IncidentStore: Send + Sync + 'static {
    /// Returns the incidents that are not resolved.
    async fn open_incidents(&self) -> Result<Vec<IncidentRecord>, LedgerError>;

    /// Returns incidents, newest first, at most `limit`. With `before`, only those that follow the incident with that id;
    /// none when it is unknown.
    async fn incidents(&self, before: Option<&str>, limit: u32) -> Result<Vec<IncidentRecord>, LedgerError>;

    /// Returns the last change of every incident that is open or was resolved at or after `since`, with the last
    /// acknowledgement and with all destinations that were told of the incident.
    async fn latest_transitions(&self, since: Timestamp) -> Result<Vec<TransitionRecord>, LedgerError>;

    /// Returns every incident that is open or was resolved at or after `since`, as people attend to it.
    async fn followed(&self, since: Timestamp) -> Result<Vec<Followed>, LedgerError>;
}

/// Deliveries of transitions; [`Ledger::commit_tick`] stores the first ones.
#[async_trait]
pub trait DeliveryStore: IncidentStore {
    /// Returns the deliveries of a destination that are due, oldest transition first, at most one per incident: a
    /// later transition waits for the earlier ones.
    async fn due_deliveries(
        &self,
        destination: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError>;

    /// Returns when the next waiting delivery of a destination is due, and how many wait.
    async fn waiting(&self, destination: &str) -> Result<(Option<Timestamp>, u64), LedgerError>;

    /// Records that a delivery is about to be attempted, before anything is sent.
    async fn begin_attempt(&self, delivery: i64, now: Timestamp) -> Result<(), LedgerError>;

    /// Records the result of an attempt.
    async fn end_attempt(
        &self,
        delivery: i64,
        now: Timestamp,
        result: &DeliveryResult,
    ) -> Result<(), LedgerError>;

    /// Records that deliveries of one message are about to be attempted.
    async fn begin_attempts(&self, deliveries: &[i64], now: Timestamp) -> Result<(), LedgerError> {
        for &delivery in deliveries {
            self.begin_attempt(delivery, now).await?;
        }
        Ok(())
    }

    /// Records the result of an attempt for all deliveries of one message.
    async fn end_attempts(
        &self,
        deliveries: &[i64],
        now: Timestamp,
        result: &DeliveryResult,
    ) -> Result<(), LedgerError> {
        for &delivery in deliveries {
            self.end_attempt(delivery, now, result).await?;
        }
        Ok(())
    }

    /// Returns the newest notice of every incident whose message at a destination has this id ([`Delivery::thread`]),
    /// in the order in which they were told. A notice that still waits for this destination is left out: it will be told.
    async fn conversation(&self, destination: &str, thread: &str) -> Result<Vec<Notice>, LedgerError>;

    /// Returns the id of the newest message about an open incident of a service, of those told since an instant.
    async fn newest_conversation(
        &self,
        destination: &str,
        service: &str,
        since: Timestamp,
    ) -> Result<Option<String>, LedgerError>;

    /// Returns the deliveries that were refused for good and have not expired, oldest first.
    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, LedgerError>;

    /// Returns the newest dead letters, the newest first.
    async fn newest_dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, LedgerError>;

    /// Returns the number of dead letters of each destination that has one.
    async fn dead_letter_counts(&self) -> Result<BTreeMap<String, u64>, LedgerError>;

    /// Marks dead letters of incidents that are over as expired: those older than [`crate::DEAD_LETTER_RETENTION`], and the
    /// oldest beyond [`crate::DEAD_LETTERS_KEPT`]. Returns them, each once.
    async fn expire_dead_letters(&self, now: Timestamp) -> Result<Vec<DeadLetter>, LedgerError>;

    /// Marks as expired what waits or was refused for good at destinations that are not in a list: nobody will deliver it. Returns
    /// it, each once.
    async fn expire_all_but(
        &self,
        destinations: &[String],
        now: Timestamp,
    ) -> Result<Vec<DeadLetter>, LedgerError>;

    /// Marks dead letters that a person gives up as expired: nobody tries them again. Returns them.
    async fn discard_dead_letters(&self, which: &Discard) -> Result<Vec<DeadLetter>, LedgerError>;

    /// Returns the dead letters that were given up since the last call and the start.
    async fn take_discarded(&self) -> Result<Vec<DeadLetter>, LedgerError> {
        Ok(Vec::new())
    }

    /// Returns the last change of each incident in memory with a delivery that waits for a destination.
    async fn latest_of_waiting(&self, destination: &str) -> Result<Vec<TransitionRecord>, LedgerError>;

    /// Returns whether a destination accepted a message at or after an instant.
    async fn has_accepted(&self, destination: &str, since: Timestamp) -> Result<bool, LedgerError>;

    /// Returns the deliveries of an incident that is open or was resolved a short while ago, oldest first.
    async fn deliveries_of(&self, incident: &str) -> Result<Vec<DeliveryState>, LedgerError>;

    /// Adds a delivery of a stored transition for another destination, unless it has one. Returns whether it was added.
    async fn forward(&self, notice: &Notice, destination: &str) -> Result<bool, LedgerError>;

    /// Makes dead letters of a destination (of all, when `None`) wait again, and all that waits there due. Returns how many dead
    /// letters there were.
    async fn retry_dead_letters(&self, destination: Option<&str>, now: Timestamp)
    -> Result<u64, LedgerError>;
}

/// Deploys.
#[async_trait]
pub trait DeployStore: Send + Sync + 'static {
    /// Stores a deploy, or returns the stored one with the same idempotency key.
    async fn record_deploy(&self, deploy: &DeployRecord) -> Result<DeployRecord, LedgerError>;

    /// Returns the deploys of a service (of all, when `None`), newest first.
    async fn deploys(&self, service: Option<&str>, limit: u32) -> Result<Vec<DeployRecord>, LedgerError>;
}

/// Decisions of the gate, as a hash chain.
#[async_trait]
pub trait DecisionStore: Send + Sync + 'static {
    /// Appends a decision: fills in its sequence, the hash of its predecessor and its own hash.
    async fn record_decision(&self, decision: DecisionRecord) -> Result<DecisionRecord, LedgerError>;

    /// Returns a decision by its id.
    async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, LedgerError>;
}

/// Corrections of counts.
#[async_trait]
pub trait CorrectionStore: Send + Sync + 'static {
    /// Stores a correction. Returns `false` when there are too many ([`lookout_model::MAX_IN_FORCE`],
    /// [`lookout_model::MAX_KEPT`]).
    async fn record_correction(&self, correction: &CorrectionRecord) -> Result<bool, LedgerError>;

    /// Revokes a correction and returns it; one that is revoked already stays as it is. `None` when there is no such
    /// correction.
    async fn revoke_correction(
        &self,
        id: &str,
        revocation: &Revocation,
    ) -> Result<Option<CorrectionRecord>, LedgerError>;

    /// Returns corrections, revoked ones too, the last written first, at most `limit`. With `before`, only those
    /// written before the correction with that id.
    async fn corrections(
        &self,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<CorrectionRecord>, LedgerError>;

    /// Returns the corrections that are not revoked and not over before `since`, in the order they were written.
    async fn corrections_in_force(&self, since: Timestamp) -> Result<Vec<CorrectionRecord>, LedgerError>;

    /// Returns a number that changes whenever a correction is written or revoked.
    async fn corrections_version(&self) -> Result<i64, LedgerError>;
}

/// Silences.
#[async_trait]
pub trait SilenceStore: Send + Sync + 'static {
    /// Stores a silence. Returns `false` when there are too many ([`MAX_SILENCES`](crate::MAX_SILENCES)).
    async fn record_silence(&self, silence: &SilenceRecord) -> Result<bool, LedgerError>;

    /// Ends a silence and returns it; one that is over stays as it is. `None` when there is no such silence.
    async fn expire_silence(
        &self,
        id: &str,
        actor: &str,
        now: Timestamp,
    ) -> Result<Option<SilenceRecord>, LedgerError>;

    /// Returns the silences that are not over before `since`, in the order they were made.
    async fn silences(&self, since: Timestamp) -> Result<Vec<SilenceRecord>, LedgerError>;
}

/// Objectives that SLOs have and had.
#[async_trait]
pub trait ObjectiveStore: Send + Sync + 'static {
    /// Stores an objective with the instant from which it is in force. It replaces one that began at the same time.
    /// The oldest are removed when there are very many.
    async fn record_objective(&self, slo_id: &str, objective: ObjectiveRecord) -> Result<(), LedgerError>;

    /// Returns the objectives an SLO had, oldest first.
    async fn objectives(&self, slo_id: &str) -> Result<Vec<ObjectiveRecord>, LedgerError>;
}

/// Last calls of jobs.
#[async_trait]
pub trait HeartbeatStore: Send + Sync + 'static {
    /// Stores the call of a job, unless a later one is known.
    async fn record_heartbeat(&self, name: &str, at: Timestamp) -> Result<(), LedgerError>;

    /// Returns the last call of every job, by name.
    async fn heartbeats(&self) -> Result<Vec<(String, Timestamp)>, LedgerError>;
}

/// Pauses of targets that operators asked for.
#[async_trait]
pub trait PauseStore: Send + Sync + 'static {
    /// Stores a pause in the place of an earlier one of the target.
    async fn record_pause(&self, pause: &PauseRecord) -> Result<(), LedgerError>;

    /// Returns the last pause of every target, by name; long ended ones are forgotten.
    async fn pauses(&self) -> Result<Vec<PauseRecord>, LedgerError>;
}

/// History of the probes of targets.
#[async_trait]
pub trait ProbeHistoryStore: Send + Sync + 'static {
    /// Adds the probes of minutes to what is known of them, all of them or none.
    async fn add_probe_minutes(&self, minutes: &[ProbeMinute]) -> Result<(), LedgerError>;

    /// Returns the hours of a target between two instants, each with its number since the epoch, oldest first. An hour in
    /// which nothing happened is left out.
    async fn probe_hours(
        &self,
        target: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(i64, ProbeHour)>, LedgerError>;
}

/// The durable store of everything.
#[async_trait]
pub trait Ledger:
    CountStore
    + DeliveryStore
    + DeployStore
    + DecisionStore
    + CorrectionStore
    + SilenceStore
    + ObjectiveStore
    + HeartbeatStore
    + PauseStore
    + ProbeHistoryStore
{
    /// Adds a tick's counts to their slots, and stores transitions with their deliveries and the states of evaluators, in
    /// one transaction.
    ///
    /// Either all of it is stored or nothing is. A transition that is stored already (same incident, same change, same
    /// time) is not stored again, nor are its deliveries. News about an incident that has changed since, or is over, are
    /// not stored: they would tell a state of before.
    async fn commit_tick(&self, tick: Tick<'_>) -> Result<(), LedgerError>;

    /// Stores counts and transitions as [`Self::commit_tick`] does.
    async fn commit(&self, counts: &[CountRow], transitions: &[TransitionRecord]) -> Result<(), LedgerError> {
        self.commit_tick(Tick { counts, transitions, states: &[] }).await
    }

    /// Returns the saved states of evaluators.
    async fn states(&self) -> Result<Vec<StateRecord>, LedgerError>;

    /// Rolls slots older than the fine windows up to minutes, minutes older than 90 days up to quarters of an hour,
    /// and deletes rows past retention.
    async fn prune(&self, now: Timestamp) -> Result<(), LedgerError>;

    /// Returns the state of the file; a ledger without one is always well.
    fn health(&self) -> Health {
        Health::default()
    }

    /// Looks for damage in the file; [`Ledger::health`] shows the result.
    async fn check(&self) {}

    /// Writes what is buffered and closes.
    async fn close(&self);
}
