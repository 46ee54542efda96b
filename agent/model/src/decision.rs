//! Answers of the gate, as links of the audit chain.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// An answer of the gate, as a link of the audit chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The unique id, which `gate explain` takes.
    pub id: String,
    /// Place in the chain, from one; given by the ledger.
    pub sequence: i64,
    /// The instant of the decision.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The service of the deploy.
    pub service: String,
    /// The answer as it was given, JSON.
    pub answer: String,
    /// Hash of the predecessor, hex; given by the ledger.
    pub previous_hash: String,
    /// SHA-256 over predecessor, sequence, id, time, service and answer, hex; given by the ledger.
    pub hash: String,
}
