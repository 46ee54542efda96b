//! Who broke or changed what, when: in the log, and as a list for whoever wonders why.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::telemetry::AUDIT;

/// How many entries are kept. The log has them all.
const KEPT: usize = 200;

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What kind of thing: `fault_ordered`, `fault_ended`, `faults_cleared`, `refused`, `log_level_changed`.
    pub action: &'static str,
    /// Who they said they are.
    pub by: Option<String>,
    /// Where they came from.
    pub peer: Option<SocketAddr>,
    /// What it was about.
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
