//! The last call of every job.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lookout_model::Timestamp;
use lookout_runtime::clock::Clock;
use tokio::time::Instant;

/// Time by which a stored call may lie in the future: clocks are corrected by this much.
const CLOCK_ERROR: Duration = Duration::from_secs(60);

/// The last calls of jobs, by the names of their targets. Clones share them.
#[derive(Clone)]
pub struct Heartbeats {
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
}

/// Instants of the steady clock: a wall clock that is set makes no call younger or older.
#[derive(Debug, Default)]
struct Known {
    call: Option<Call>,
    watched_since: Option<Instant>,
}

/// A call, by its age at an instant.
#[derive(Debug, Clone, Copy)]
struct Call {
    at: Instant,
    age: Duration,
}

impl Call {
    fn age(self) -> Duration {
        self.at.elapsed().saturating_add(self.age)
    }
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

    /// Restores the last calls of before. A call in the future was noted by a clock that was wrong, and proves nothing.
    pub fn restore(&self, calls: impl IntoIterator<Item = (String, Timestamp)>) {
        let (now, at) = (self.clock.now(), Instant::now());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, called) in calls {
            if called.since(now) > CLOCK_ERROR {
                tracing::warn!(probe.target = name, "a stored call lies in the future and does not count");
                continue;
            }
            let call = Call { at, age: now.since(called) };
            let entry = known.entry(name).or_default();
            if entry.call.is_none_or(|before| call.age() < before.age()) {
                entry.call = Some(call);
            }
        }
    }

    /// Notes a call that happens now. Returns its time.
    pub fn note(&self, name: &str) -> Timestamp {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(name.to_owned()).or_default().call =
            Some(Call { at: Instant::now(), age: Duration::ZERO });
        self.clock.now()
    }

    /// Returns the ages of a heartbeat. The first question begins to watch it.
    pub(super) fn age(&self, name: &str) -> Age {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(name.to_owned()).or_default();
        let since = *entry.watched_since.get_or_insert_with(Instant::now);
        Age { call: entry.call.map(Call::age), watched: since.elapsed() }
    }
}
