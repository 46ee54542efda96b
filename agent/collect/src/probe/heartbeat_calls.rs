//! The last call of every job.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lookout_model::Timestamp;
use lookout_runtime::clock::Clock;

/// The last calls of jobs, by the names of their targets. Clones share them.
#[derive(Clone)]
pub struct Heartbeats {
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
}

#[derive(Debug, Default)]
struct Known {
    call: Option<Timestamp>,
    watched_since: Option<Timestamp>,
}

/// Ages of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age {
    /// Time since the last call.
    pub(super) call: Option<Duration>,
    /// Time since this agent watches it.
    pub(super) watched: Duration,
}

impl Heartbeats {
    /// Knows no calls yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Arc::default() }
    }

    /// Restores the last calls of before.
    pub fn restore(&self, calls: impl IntoIterator<Item = (String, Timestamp)>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, at) in calls {
            let entry = known.entry(name).or_default();
            entry.call = entry.call.max(Some(at));
        }
    }

    /// Notes a call that happens now. Returns its time.
    pub fn note(&self, name: &str) -> Timestamp {
        let at = self.clock.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(name.to_owned()).or_default().call = Some(at);
        at
    }

    /// Returns the ages of a heartbeat. The first question begins to watch it.
    pub(super) fn age(&self, name: &str) -> Age {
        let now = self.clock.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(name.to_owned()).or_default();
        let since = *entry.watched_since.get_or_insert(now);
        Age { call: entry.call.map(|call| now.since(call)), watched: now.since(since) }
    }
}
