//! Changes of an incident and everything a message says about one.

use lookout_engine::Change;
use serde::{Deserialize, Serialize};

use crate::{DeployRecord, Evidence, IncidentRecord, Timestamp, word};

/// One change of an incident, with everything that is told about it.
#[derive(Debug, Clone, PartialEq)]
pub struct TransitionRecord {
    /// The incident after the change.
    pub incident: IncidentRecord,
    /// What happened.
    pub change: Change,
    /// When, at the end of a slot.
    pub at: Timestamp,
    /// What is told.
    pub notice: Notice,
    /// Names of the destinations it goes to.
    pub destinations: Vec<String>,
}

/// What is told about a transition: self-contained, so that it reads the same after a restart or a change of specs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The change.
    #[serde(with = "word")]
    pub change: Change,
    /// When.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The incident after the change.
    pub incident: IncidentRecord,
    /// The alert's name; the runbook has it too.
    pub alert: String,
    /// The SLO for people.
    pub slo_title: String,
    /// What a bad event means to a user.
    pub description: String,
    /// The label `env`.
    pub environment: Option<String>,
    /// What was measured.
    pub evidence: Evidence,
    /// What to do.
    pub runbook_url: String,
    /// Where to look.
    pub dashboard_url: String,
    /// The agent's own page about this SLO.
    pub explain_url: String,
    /// The last deploy of the service before the change.
    pub last_deploy: Option<DeployRecord>,
    /// The last failure seen by a probe of the service: text from outside, escape it.
    pub last_failure: Option<String>,
    /// The ledger could not record it: it may be forgotten after a restart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_recorded: bool,
    /// A fault of the agent itself, which is told in the place of a measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_fault: Option<OwnFault>,
}

/// A fault of the agent itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFault {
    /// A few words: `nothing is recorded`.
    pub title: String,
    /// One sentence or two: the cause, and what was done.
    pub text: String,
}
