//! Counts to states: drives one engine evaluator per SLO, stores what follows, publishes what is known.

mod component;
mod delivery_watch;
mod driver;
mod exclusion;
mod follow_up;
mod implausible;
mod ledger_watch;
mod notice;
mod objectives;
mod own_fault;
#[cfg(test)]
mod period_tests;
mod rehearsal;
mod run;
mod silence;
mod status;

use std::sync::Arc;

use lookout_engine::Status;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use lookout_config::GateMinimum;
use lookout_model::{Evidence, ImplausibleCounts, IncidentRecord, Pause, Timestamp};

pub use driver::{Driver, LastFailure, Reconfiguration, RestoreError};
pub use follow_up::{FollowUpPorts, follow_up};
pub use rehearsal::{drill, end_drills, ended, is_drill, test_notice};
pub use run::{Ports, Reconfigure, run};
pub use silence::silence_of;

/// Snapshot of every SLO at the end of a slot: the read model of the API, the pages, the gate and the exports.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// The end of the slot it describes.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// Seconds between evaluations.
    pub interval_s: u32,
    /// The ledger takes no writes: counts and transitions wait in memory, and are told from there.
    #[serde(default)]
    pub ledger_is_down: bool,
    /// Every SLO, in the order of the config.
    pub slos: Vec<SloStatus>,
}

impl Snapshot {
    /// The time of a snapshot that describes no slot yet.
    pub const NEVER: Timestamp = Timestamp::EPOCH;
}

/// One SLO as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SloStatus {
    /// The end of the slot it describes.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// `<service>-<slo>`.
    pub id: String,
    /// The service.
    pub service: String,
    /// The SLO's name.
    pub slo: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// `probe`, `scrape`, `prometheus` or `composite`.
    pub source: String,
    /// The alert's name.
    pub alert: String,
    /// Measurements, with the data state and every tier.
    pub evidence: Evidence,
    /// Good events over all of the period; `None` without events.
    pub sli_ratio: Option<f64>,
    /// Seconds since the end of the last observed slot; `None` when there is none.
    pub data_age_s: Option<f64>,
    /// Open incidents: at most one per cause.
    pub incidents: Vec<IncidentRecord>,
    /// The last resolved incident of each cause without an open one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<IncidentRecord>,
    /// The last counts that cannot be true, for a day, or as long as the ledger has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implausible: Option<ImplausibleCounts>,
    /// The pause of a target that it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// The destinations that refused messages about it for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_by: Vec<String>,
    /// The evidence that the gate asks for.
    #[serde(skip)]
    pub gate: GateMinimum,
}

impl SloStatus {
    /// The state for people.
    #[must_use]
    pub fn status(&self) -> Status {
        self.evidence.present.as_ref().map_or(Status::NoData, |present| present.status)
    }
}

/// Board that holds the newest snapshot.
#[derive(Debug, Clone)]
pub struct Board(Arc<ArcSwap<Snapshot>>);

impl Board {
    /// A board that shows `first`.
    #[must_use]
    pub fn new(first: Snapshot) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(first)))
    }

    /// The newest snapshot.
    #[must_use]
    pub fn read(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Returns whether a slot was evaluated since the start.
    #[must_use]
    pub fn has_evaluated(&self) -> bool {
        self.0.load().at != Snapshot::NEVER
    }

    /// Replaces the snapshot.
    pub fn publish(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }
}
