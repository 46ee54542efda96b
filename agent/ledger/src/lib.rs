//! The durable store of counts, incidents, deliveries, deploys and decisions.

mod chain;
mod memory;
mod retention;
mod series;
mod sibling;
mod sqlite;
mod witness;
mod working;
mod write_through;

#[cfg(test)]
mod contract;

use core::time::Duration;

use async_trait::async_trait;
use lookout_model::{
    CorrectionRecord, CountRow, DecisionRecord, Delivery, DeliveryResult, DeployRecord, IncidentRecord,
    Notice, ObjectiveRecord, Revocation, StateRecord, Timestamp, TransitionRecord,
};
use serde::Serialize;

pub use chain::Chain;
pub use memory::MemoryLedger;
pub use series::{CountSeries, CountSpan, Resolution};
pub use sqlite::{
    BackupError, Faults, LedgerFile, Recovered, Report, Restored, SloTotals, SqliteLedger, backup, recover,
    restore, verify,
};
pub use write_through::WriteThroughLedger;

/// Failure of a ledger operation.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be opened or made.
    #[error("opening the ledger {path}")]
    Open {
        /// The file.
        path: String,
        /// The error of the database.
        #[source]
        source: sqlx::Error,
    },
    /// The file is not a ledger, or damaged. It is left as it is.
    #[error("the ledger {path} is damaged: {what}; it was left untouched, move it away to start anew")]
    Corrupt {
        /// The file.
        path: String,
        /// A description of the damage.
        what: String,
    },
    /// The file is the database of another program. It is left as it is.
    #[error("{path} is the SQLite file of another program: name another file for the ledger")]
    Foreign {
        /// The file.
        path: String,
    },
    /// The file was written by a newer lookout. It is left as it is.
    #[error(
        "the ledger {path} has schema version {found}, this lookout knows up to {known}; it was left untouched, \
         run the newer lookout, or restore a backup from before it (`lookout ledger restore`)"
    )]
    Newer {
        /// The file.
        path: String,
        /// The version of the file.
        found: i64,
        /// The newest version that this lookout knows.
        known: i64,
    },
    /// The file is no longer the one that was opened.
    #[error("the ledger {path} cannot be used any more: {what}")]
    Lost {
        /// The file.
        path: String,
        /// The difference.
        what: Loss,
    },
    /// Nothing can be recorded at present.
    #[error("the ledger records nothing at present: {reason}")]
    NotRecording {
        /// The cause.
        reason: String,
    },
    /// Another lookout has the file open.
    #[error("the ledger {path} is in use by another lookout")]
    InUse {
        /// The file.
        path: String,
    },
    /// A statement failed.
    #[error("{doing}")]
    Query {
        /// The operation.
        doing: &'static str,
        /// The error of the database.
        #[source]
        source: sqlx::Error,
    },
    /// A record could not be read back.
    #[error("{doing}")]
    Decode {
        /// The operation.
        doing: &'static str,
        /// The error of the reader.
        #[source]
        source: serde_json::Error,
    },
}

/// A difference between a ledger's file and the one that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// No file has its name.
    #[error("it was deleted")]
    Deleted,
    /// Another file has its name.
    #[error("it was replaced by another file")]
    Replaced,
    /// It is shorter than it was.
    #[error("it was truncated")]
    Truncated,
    /// The write-ahead log beside it has gone.
    #[error("its write-ahead log was deleted or replaced")]
    Log,
    /// It lacks ticks that it had.
    #[error("it holds less than was stored: an older copy took its place, or a part was lost")]
    Older,
    /// Another connection does not see what was stored.
    #[error("a tick that was stored is not read back")]
    Unread,
}

/// Time for which dead letters are shown and can be tried again. Yesterday's alert helps nobody who is woken today.
pub const DEAD_LETTER_RETENTION: Duration = Duration::from_secs(86_400);

/// The state of a ledger's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// The reason why nothing is recorded at present; incidents and deliveries go on in memory meanwhile.
    pub not_recording: Option<String>,
    /// Number of faults since the start.
    pub faults: u64,
    /// A sentence about the last fault, and about what was done.
    pub last_fault: String,
}

/// A delivery that a receiver refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// The destination that refused it.
    pub destination: String,
    /// The incident.
    pub incident_id: String,
    /// `Slo::id`.
    pub slo_id: String,
    /// The change that the destination does not know.
    pub change: String,
    /// The instant of the change.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The reason, free of secrets.
    pub error: String,
}

/// Everything that a tick stores in one transaction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tick<'t> {
    /// Counts to add to their slots.
    pub counts: &'t [CountRow],
    /// Changes of incidents.
    pub transitions: &'t [TransitionRecord],
    /// States of evaluators that have changed.
    pub states: &'t [StateRecord],
}

/// The state of one delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliveryState {
    /// The destination.
    pub destination: String,
    /// The change that it tells.
    pub change: String,
    /// The instant of the change.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// `waiting`, `delivered` or `failed`.
    pub state: &'static str,
    /// Attempts that were begun.
    pub attempts: u32,
    /// The reason of the last failure, free of secrets.
    pub error: Option<String>,
}

/// The durable store.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Adds a tick's counts to their slots, and stores transitions with their deliveries and the states of evaluators, in
    /// one transaction.
    ///
    /// Either all of it is stored or nothing is. A transition that is stored already (same incident, same change, same
    /// time) is not stored again, nor are its deliveries.
    async fn commit_tick(&self, tick: Tick<'_>) -> Result<(), LedgerError>;

    /// Stores counts and transitions as [`Self::commit_tick`] does.
    async fn commit(&self, counts: &[CountRow], transitions: &[TransitionRecord]) -> Result<(), LedgerError> {
        self.commit_tick(Tick { counts, transitions, states: &[] }).await
    }

    /// Returns the saved states of evaluators.
    async fn states(&self) -> Result<Vec<StateRecord>, LedgerError>;

    /// Returns the counts of an SLO that began at or after `since`.
    async fn counts(&self, slo_id: &str, since: Timestamp) -> Result<CountSeries, LedgerError>;

    /// Returns the incidents that are not resolved.
    async fn open_incidents(&self) -> Result<Vec<IncidentRecord>, LedgerError>;

    /// Returns incidents, newest first, at most `limit`.
    async fn incidents(&self, limit: u32) -> Result<Vec<IncidentRecord>, LedgerError>;

    /// Returns the last transition of every incident that is open or was resolved at or after `since`.
    async fn latest_transitions(&self, since: Timestamp) -> Result<Vec<TransitionRecord>, LedgerError>;

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
    /// in the order in which they were told.
    async fn conversation(&self, destination: &str, thread: &str) -> Result<Vec<Notice>, LedgerError> {
        let _ = (destination, thread);
        Ok(Vec::new())
    }

    /// Returns the id of the newest message about an open incident of a service, of those told since an instant.
    async fn newest_conversation(
        &self,
        destination: &str,
        service: &str,
        since: Timestamp,
    ) -> Result<Option<String>, LedgerError> {
        let _ = (destination, service, since);
        Ok(None)
    }

    /// Returns the deliveries that were refused for good within [`DEAD_LETTER_RETENTION`] before `now`, oldest first.
    async fn dead_letters(&self, now: Timestamp) -> Result<Vec<DeadLetter>, LedgerError>;

    /// Returns the deliveries of an incident that is open or was resolved a short while ago, oldest first.
    async fn deliveries_of(&self, incident: &str) -> Result<Vec<DeliveryState>, LedgerError> {
        let _ = incident;
        Ok(Vec::new())
    }

    /// Adds a delivery of a stored transition for another destination, unless it has one. Returns whether it was added.
    async fn forward(&self, notice: &Notice, destination: &str) -> Result<bool, LedgerError> {
        let _ = (notice, destination);
        Ok(false)
    }

    /// Makes dead letters of a destination (of all, when `None`) wait again. Returns how many.
    async fn retry_dead_letters(&self, destination: Option<&str>, now: Timestamp)
    -> Result<u64, LedgerError>;

    /// Stores a deploy, or returns the stored one with the same idempotency key.
    async fn record_deploy(&self, deploy: &DeployRecord) -> Result<DeployRecord, LedgerError>;

    /// Returns the deploys of a service (of all, when `None`), newest first.
    async fn deploys(&self, service: Option<&str>, limit: u32) -> Result<Vec<DeployRecord>, LedgerError>;

    /// Appends a decision: fills in its sequence, the hash of its predecessor and its own hash.
    async fn record_decision(&self, decision: DecisionRecord) -> Result<DecisionRecord, LedgerError>;

    /// Returns a decision by its id.
    async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, LedgerError>;

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

    /// Stores an objective with the instant from which it is in force. It replaces one that began at the same time.
    /// The oldest are removed when there are very many.
    async fn record_objective(&self, slo_id: &str, objective: ObjectiveRecord) -> Result<(), LedgerError>;

    /// Returns the objectives an SLO had, oldest first.
    async fn objectives(&self, slo_id: &str) -> Result<Vec<ObjectiveRecord>, LedgerError>;

    /// Stores the call of a job, unless a later one is known.
    async fn record_heartbeat(&self, name: &str, at: Timestamp) -> Result<(), LedgerError>;

    /// Returns the last call of every job, by name.
    async fn heartbeats(&self) -> Result<Vec<(String, Timestamp)>, LedgerError>;

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
