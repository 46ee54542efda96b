//! The audit log of operators: written to the log, and listed on request.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::telemetry::AUDIT;

/// Number of entries kept in memory. The log has them all.
const KEPT: usize = 200;

/// An action of an operator.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The time.
    pub at: Timestamp,
    /// The kind of action: `fault_ordered`, `fault_ended`, `faults_cleared`, `refused`, `log_level_changed`.
    pub action: &'static str,
    /// The name that the operator gave.
    pub by: Option<String>,
    /// The address of the operator.
    pub peer: Option<SocketAddr>,
    /// The object of the action.
    pub detail: Value,
}

/// The last things that were done.
#[derive(Debug, Default)]
pub struct Audit(Mutex<VecDeque<Entry>>);

impl Audit {
    /// Notes it and logs it, whatever the level.
    pub fn note(&self, entry: Entry) {
        tracing::warn!(
            target: AUDIT,
            action = entry.action,
            by = entry.by,
            peer = entry.peer.map(tracing::field::display),
            detail = %entry.detail,
            "an operator acted"
        );
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// The last first.
    pub fn list(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }
}
