//! What every handler may look at.

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;

use lookout_model::Timestamp;
use tokio::sync::Notify;

use crate::evaluate::Board;
use crate::export::{Host, Recorder};
use lookout_config::Config;
use lookout_ledger::Ledger;
use lookout_runtime::clock::Clock;
use lookout_runtime::random::Random;

/// What every handler may look at; a clone looks at the same things.
#[derive(Clone)]
pub struct State {
    /// Where the newest snapshot is.
    pub board: Board,
    /// Incidents, deploys, decisions, counts.
    pub ledger: Arc<dyn Ledger>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What the agent runs on.
    pub config: Arc<Config>,
    /// What the agent counts.
    pub recorder: Recorder,
    /// Figures of process and machine.
    pub host: Arc<Host>,
    /// What the probes saw last.
    pub probes: ProbeView,
    /// Wakes the outboxes.
    pub wake: Arc<Notify>,
    /// Ids of decisions and deploys.
    pub random: Arc<Random>,
}

impl State {
    /// Every service that is known: an SLO names it, or a document describes it.
    pub(super) fn services(&self) -> BTreeSet<&str> {
        let named = self.config.slos.iter().map(|slo| slo.service.as_str());
        named.chain(self.config.services.keys().map(String::as_str)).collect()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// What a probe saw last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRow {
    /// Name of the target.
    pub target: String,
    /// What is probed, without user, password and query.
    pub url_without_secrets: String,
    /// Whether everything expected was met.
    pub ok: bool,
    /// Why not: text from outside. Empty when it was.
    pub detail: String,
    /// How long it took, in milliseconds.
    pub total_ms: u64,
    /// When it started.
    pub at: Timestamp,
}

/// Where the last probes are looked up, target by target in the order of the config.
#[derive(Clone)]
pub struct ProbeView(Arc<dyn Fn() -> Vec<ProbeRow> + Send + Sync>);

impl ProbeView {
    /// A view that asks `rows` each time.
    pub fn new(rows: impl Fn() -> Vec<ProbeRow> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rows))
    }

    /// What the probes saw last.
    #[must_use]
    pub fn rows(&self) -> Vec<ProbeRow> {
        (self.0)()
    }
}

impl fmt::Debug for ProbeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProbeView")
    }
}
