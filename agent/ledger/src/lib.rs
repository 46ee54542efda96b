//! The durable store of counts, incidents, deliveries, deploys and decisions.

mod chain;
mod memory;
mod retention;
mod series;
mod sibling;
mod sqlite;
mod stores;
mod witness;
mod working;
mod write_through;

#[cfg(test)]
mod contract_tests;

use core::time::Duration;

use lookout_model::{CountRow, StateRecord, Timestamp, TransitionRecord, format};
use serde::Serialize;

pub use chain::Chain;
pub use memory::MemoryLedger;
pub use series::{CountSeries, CountSpan, Resolution};
pub use sqlite::{
    BackupError, Faults, LedgerFile, Recovered, Report, Restored, SloTotals, SqliteLedger, backup, recover,
    restore, verify,
};
pub use stores::{
    CorrectionStore, CountStore, DecisionStore, DeliveryStore, DeployStore, HeartbeatStore, IncidentStore,
    Ledger, ObjectiveStore, PauseStore, ProbeHistoryStore, SilenceStore,
};
pub use write_through::{WAITING_ROWS, WriteThroughLedger};

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
    /// The disk has not answered in time. A write may be stored all the same.
    #[error("the disk of the ledger has not answered for {}", format::elapsed(*within))]
    NoAnswer {
        /// The time limit.
        within: Duration,
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

impl LedgerError {
    /// Returns whether no connection was free in time.
    pub(crate) const fn is_without_connection(&self) -> bool {
        matches!(self, Self::Query { source: sqlx::Error::PoolTimedOut, .. })
    }
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

/// Time for which dead letters are kept after their incident is over: a token that expires before a long weekend is
/// replaced after it. While the incident is open they are kept without a limit.
pub const DEAD_LETTER_RETENTION: Duration = Duration::from_secs(7 * 86_400);
/// Largest number of dead letters of incidents that are over; beyond it the oldest expire.
pub const DEAD_LETTERS_KEPT: usize = 20_000;

/// The reason of a message that waited for a destination that has left the configuration.
const NO_DESTINATION: &str = "it is no destination any more";

/// Largest number of silences that are in force at a time.
pub const MAX_SILENCES: usize = 200;

/// The state of a ledger's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// The reason why nothing is recorded at present; incidents and deliveries go on in memory meanwhile.
    pub not_recording: Option<String>,
    /// Number of faults since the start.
    pub faults: u64,
    /// A sentence about the last fault, and about what was done.
    pub last_fault: String,
    /// Number of rows of counts that waited during the last fault and were dropped, because too many waited.
    pub lost_rows: u64,
}

impl Health {
    /// Counts a fault.
    pub(crate) fn begin_fault(&mut self, sentence: String) {
        self.faults += 1;
        self.last_fault = sentence;
    }

    /// Returns the sentences about the last fault and about what is lost; empty without a fault.
    #[must_use]
    pub fn fault_text(&self) -> String {
        match self.lost_rows {
            0 => self.last_fault.clone(),
            lost => format!(
                "{} {} rows of counts are lost: more waited than memory holds.",
                self.last_fault,
                format::count(lost)
            ),
        }
    }
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
    /// The instant of the refusal.
    #[serde(rename = "refused_at_ms")]
    pub refused_at: Timestamp,
    /// The reason, free of secrets.
    pub error: String,
}

/// Dead letters that a person gives up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discard {
    /// Their destination; all when it is `None`.
    pub destination: Option<String>,
    /// Their incident; all when it is `None`.
    pub incident: Option<String>,
    /// The person.
    pub actor: String,
}

impl Discard {
    /// Returns whether a dead letter of a destination and an incident is meant.
    pub(crate) fn means(&self, destination: &str, incident: &str) -> bool {
        self.destination.as_deref().is_none_or(|name| name == destination)
            && self.incident.as_deref().is_none_or(|id| id == incident)
    }

    /// Returns the reason for which a letter is kept no longer, with the one for which it was refused.
    pub(crate) fn reason(&self, refused: &str) -> String {
        format!("given up by {}: {refused}", self.actor)
    }
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
