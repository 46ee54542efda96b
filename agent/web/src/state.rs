//! The state that every handler reads.

use core::fmt;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lookout_deliver::InstanceState;
use lookout_model::Timestamp;
use serde::Serialize;
use tokio::sync::Notify;

use crate::{ProbeMaker, RefusedConfigs, SharedText};
use lookout_collect::probe::Pauses;
use lookout_config::Config;
use lookout_evaluate::Board;
use lookout_export::Host;
use lookout_ledger::Ledger;
use lookout_runtime::clock::Clock;
use lookout_runtime::random::Random;
use lookout_runtime::recorder::Recorder;

/// State of the handlers; clones share it.
#[derive(Clone)]
pub struct State {
    /// The newest snapshot.
    pub board: Board,
    /// Incidents, deploys, decisions, counts.
    pub ledger: Arc<dyn Ledger>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The config.
    pub config: Arc<Config>,
    /// The configuration that was refused last.
    pub refused: RefusedConfigs,
    /// The recorder of metrics.
    pub recorder: Recorder,
    /// The text of `/metrics` in both formats.
    pub metrics: [SharedText; 2],
    /// Figures of process and machine.
    pub host: Arc<Host>,
    /// The last results of the probes.
    pub probes: ProbeView,
    /// The sources of addresses.
    pub discoveries: DiscoveryView,
    /// The instances of destinations, and what they hold.
    pub receivers: ReceiverView,
    /// The receiver of the calls of jobs.
    pub heartbeats: HeartbeatSink,
    /// The pauses of targets.
    pub pauses: Pauses,
    /// The `probe_*` families of the last probes.
    pub blackbox: BlackboxView,
    /// The maker of probes that a request asks for.
    pub probe_maker: ProbeMaker,
    /// The signal that wakes the outboxes.
    pub wake: Arc<Notify>,
    /// The randomness for ids of decisions and deploys.
    pub random: Arc<Random>,
}

impl State {
    /// Returns every known service: one that an SLO names, or a document describes.
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

/// Last result of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRow {
    /// The name of the target.
    pub target: String,
    /// The probed address, without user, password and query.
    pub url_without_secrets: String,
    /// True if every expectation was met.
    pub ok: bool,
    /// The reason of a failure: text from outside; empty without one.
    pub detail: String,
    /// The duration in milliseconds.
    pub total_ms: u64,
    /// The start.
    pub at: Timestamp,
    /// The results by address, where a probe tries several.
    pub addresses: Vec<AddressRow>,
}

/// Result of one address of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRow {
    /// The address.
    pub address: IpAddr,
    /// The reason of a failure: text from outside; absent when every expectation was met.
    pub failure: Option<String>,
    /// From the connection to the end of the answer.
    pub total: Duration,
}

/// Receiver of the calls of jobs.
#[derive(Clone)]
pub struct HeartbeatSink(Arc<dyn Fn(&str) -> Timestamp + Send + Sync>);

impl HeartbeatSink {
    /// Creates a receiver that calls `note`, which returns the time of the call.
    pub fn new(note: impl Fn(&str) -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(note))
    }

    /// Notes a call that happens now. Returns its time.
    #[must_use]
    pub fn note(&self, name: &str) -> Timestamp {
        (self.0)(name)
    }
}

/// Reader of the `probe_*` families of the last probes.
#[derive(Clone)]
pub struct BlackboxView(Arc<dyn Fn() -> String + Send + Sync>);

impl BlackboxView {
    /// Creates a view that calls `text` each time.
    pub fn new(text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(text))
    }

    /// Returns the families in the text format.
    #[must_use]
    pub fn text(&self) -> String {
        (self.0)()
    }
}

/// Reader of the last probes, target by target in the order of the config.
#[derive(Clone)]
pub struct ProbeView(Arc<dyn Fn() -> Vec<ProbeRow> + Send + Sync>);

impl ProbeView {
    /// Creates a view that calls `rows` each time.
    pub fn new(rows: impl Fn() -> Vec<ProbeRow> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rows))
    }

    /// Returns the last results of the probes.
    #[must_use]
    pub fn rows(&self) -> Vec<ProbeRow> {
        (self.0)()
    }
}

/// Source of the addresses of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiscoveryRow {
    /// The name of the target.
    pub target: String,
    /// The kind of the source: `files`, `dns` or `kubernetes`.
    pub source: &'static str,
    /// The number of addresses in use.
    pub addresses: usize,
    /// The last lookup that found addresses.
    pub succeeded_at: Option<Timestamp>,
    /// The failure of the last lookup; absent while lookups succeed.
    pub failure: Option<DiscoveryFailure>,
}

/// Failure of the lookups of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiscoveryFailure {
    /// The reason of the last failure: text from outside.
    pub text: String,
    /// The first failure after the last success.
    pub since: Timestamp,
}

/// Reader of the sources of addresses, by the names of their targets.
#[derive(Clone)]
pub struct DiscoveryView(Arc<dyn Fn() -> Vec<DiscoveryRow> + Send + Sync>);

impl DiscoveryView {
    /// Creates a view that calls `rows` each time.
    pub fn new(rows: impl Fn() -> Vec<DiscoveryRow> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rows))
    }

    /// Returns the state of every source.
    #[must_use]
    pub fn rows(&self) -> Vec<DiscoveryRow> {
        (self.0)()
    }
}

/// Instances of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiverRow {
    /// The name of the destination.
    pub destination: String,
    /// Its instances, in the order of the config.
    pub instances: Vec<InstanceState>,
}

/// Reader of the instances of destinations that tell what they hold.
#[derive(Clone)]
pub struct ReceiverView(Arc<dyn Fn() -> Vec<ReceiverRow> + Send + Sync>);

impl ReceiverView {
    /// Creates a view that calls `rows` each time.
    pub fn new(rows: impl Fn() -> Vec<ReceiverRow> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rows))
    }

    /// Returns the destinations that have instances.
    #[must_use]
    pub fn rows(&self) -> Vec<ReceiverRow> {
        (self.0)()
    }
}

impl fmt::Debug for ProbeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProbeView")
    }
}
