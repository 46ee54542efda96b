//! What the ledger keeps, in the words of the design.

use lookout_engine::{Cause, Change, Severity, Window};
use serde::{Deserialize, Serialize};

use super::Corrected;

/// Counts of one slot of one SLO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRow {
    /// `Slo::id`.
    pub slo_id: String,
    /// Start of the slot, seconds since the epoch.
    pub start_s: i64,
    /// Width of the slot in seconds.
    pub width_s: u32,
    /// Good events to add.
    pub good: u64,
    /// Bad events to add.
    pub bad: u64,
}

/// From when on an objective was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectiveRecord {
    /// The first instant, milliseconds since the epoch.
    pub from_ms: i64,
    /// The share of events that had to be good, in parts per billion.
    pub good_ppb: u32,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRecord {
    /// Derived from SLO, cause and start: see [`incident_id`].
    pub id: String,
    /// `Slo::id`.
    pub slo_id: String,
    /// The service.
    pub service: String,
    /// The SLO's name.
    pub slo: String,
    /// `burn` or `data_missing`.
    pub cause: String,
    /// `page` or `ticket`, now (or when it was resolved).
    pub severity: String,
    /// The highest it ever was.
    pub peak: String,
    /// When it opened.
    pub opened_at_ms: i64,
    /// When it was resolved.
    pub resolved_at_ms: Option<i64>,
}

impl IncidentRecord {
    /// The cause as the engine knows it.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        Cause::from_name(&self.cause)
    }

    /// The severity as the engine knows it.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        Severity::from_name(&self.severity)
    }

    /// The peak as the engine knows it.
    #[must_use]
    pub fn peak(&self) -> Option<Severity> {
        Severity::from_name(&self.peak)
    }
}

/// The id of an incident: the same SLO, cause and start are the same incident, in every process.
#[must_use]
pub fn incident_id(slo_id: &str, cause: Cause, opened_at_ms: i64) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for part in [slo_id, cause.as_str(), &opened_at_ms.to_string()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("inc-{hex}")
}

/// One change of an incident, with everything that is told about it.
#[derive(Debug, Clone, PartialEq)]
pub struct TransitionRecord {
    /// The incident after the change.
    pub incident: IncidentRecord,
    /// What happened.
    pub change: Change,
    /// When, at the end of a slot.
    pub at_ms: i64,
    /// What is told.
    pub notice: Notice,
    /// Names of the destinations it goes to.
    pub destinations: Vec<String>,
}

/// What is told about a transition: self-contained, so that it reads the same after a restart or a change of specs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// `opened`, `escalated`, `eased`, `resolved`.
    pub change: String,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
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

/// What was measured when a transition happened. Every number is finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Objective in percent.
    pub objective_percent: f64,
    /// Length of the budget period in seconds; of a calendar period, of the one that goes on.
    pub period_s: u64,
    /// Which period of the calendar it is; `None` when it rolls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<CalendarEvidence>,
    /// The objectives that the budget of the period is judged by, oldest first; empty unless there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<VersionEvidence>,
    /// The data state.
    pub data_state: String,
    /// Share of the period's budget that is left; negative when overspent.
    pub budget_left_ratio: f64,
    /// Seconds until the budget is gone at the present burn; `None` when nothing burns.
    pub seconds_to_exhaustion: Option<f64>,
    /// Bad events of the period.
    pub bad: u64,
    /// All events of the period.
    pub total: u64,
    /// Every tier, in the order of the policy.
    pub tiers: Vec<TierEvidence>,
    /// What of the period does not count.
    #[serde(default)]
    pub corrected: Corrected,
    /// Every condition, in the order of the policy. Notices stored before there were any have none.
    #[serde(default)]
    pub conditions: Vec<ConditionEvidence>,
    /// Every component of a composite, in its order; none of any other SLO.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentEvidence>,
}

/// What one condition saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConditionEvidence {
    /// `page` or `ticket`.
    pub severity: String,
    /// `budget-left`, `budget-drop`, `exhaustion` or `no-data`.
    pub kind: String,
    /// The condition as specs write it.
    pub condition: String,
    /// The window it sums over, in seconds, unless that is the period or none.
    pub window_s: Option<u64>,
    /// What was measured: a share of the budget, or seconds; `None` when there was nothing to compare.
    pub measured: Option<f64>,
    /// Fires beyond it, in the same unit.
    pub threshold: f64,
    /// Lets go beyond it, in the same unit.
    pub release: f64,
    /// Its threshold is passed, or it fires and is not released.
    pub exceeded: bool,
    /// Whether it fires.
    pub firing: bool,
    /// Why the guard holds it, though its threshold is passed.
    pub held: Option<String>,
}

/// What is known of one component of a composite. "Lately" is the shortest of the tiers' long windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentEvidence {
    /// Unique within its SLO.
    pub name: String,
    /// For people.
    pub title: String,
    /// How much it counts; `None` where weights do not.
    pub weight: Option<f64>,
    /// What it promises itself, in percent.
    pub objective_percent: f64,
    /// The state of its data.
    pub data_state: String,
    /// Seconds since the end of the last observed slot; `None` when there is none.
    pub data_age_s: Option<f64>,
    /// Bad events lately.
    pub lately_bad: u64,
    /// All events lately.
    pub lately_total: u64,
    /// Bad events of the period.
    pub bad: u64,
    /// All events of the period.
    pub total: u64,
    /// Share of what the whole spent lately that it is to blame for; `None` when nothing was spent.
    pub lately_burn_share: Option<f64>,
    /// Share of what the whole spent in the period that it is to blame for.
    pub burn_share: Option<f64>,
}

impl ComponentEvidence {
    /// Whether it has been silent for too long, or was never heard of.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self.data_state.as_str(), "stale" | "no_data")
    }
}

impl Evidence {
    /// The period for people: `30d`, or `month in Europe/Zurich, until 1 December`.
    #[must_use]
    pub fn period_words(&self) -> String {
        let length = || Window::seconds(self.period_s).to_string();
        self.calendar.as_ref().map_or_else(length, |calendar| calendar.period.clone())
    }
}

/// A period of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarEvidence {
    /// For people: `month in Europe/Zurich, until 1 December`.
    pub period: String,
    /// Whose budget it is: `month's`.
    pub of: String,
    /// Its first instant, milliseconds since the epoch.
    pub from_ms: i64,
    /// The first instant of the next one.
    pub to_ms: i64,
}

/// What was counted in the period under one objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionEvidence {
    /// The first instant in the period at which it was in force, milliseconds since the epoch.
    pub from_ms: i64,
    /// Objective in percent.
    pub objective_percent: f64,
    /// Bad events of the period by it.
    pub bad: u64,
    /// All events of the period by it.
    pub total: u64,
}

/// What one tier saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TierEvidence {
    /// `page` or `ticket`.
    pub severity: String,
    /// Long window in seconds.
    pub long_s: u64,
    /// Short window in seconds.
    pub short_s: u64,
    /// Fires above this burn rate.
    pub factor: f64,
    /// Burn rate over the long window; `None` without events.
    pub long_burn: Option<f64>,
    /// Burn rate over the short window; `None` without events.
    pub short_burn: Option<f64>,
    /// Bad events of the long window.
    pub long_bad: u64,
    /// All events of the long window.
    pub long_total: u64,
    /// Whether it fires.
    pub firing: bool,
    /// It burns fast enough, but the guard against low traffic holds it.
    pub held_by_guard: bool,
    /// What the guard misses: `1 of 3 bad events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// The lower burn rate that releases it once it fires, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_factor: Option<f64>,
}

/// One transition on its way to one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Row id.
    pub id: i64,
    /// Where to.
    pub destination: String,
    /// What is told.
    pub notice: Notice,
    /// Attempts that were begun before.
    pub attempts: u32,
    /// An earlier attempt may have arrived all the same: it was cut short, or no answer came.
    pub unsure: bool,
    /// What the destination called the first message of this incident, when it said so.
    pub thread: Option<String>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryResult {
    /// It arrived. A receiver may have named the message.
    Delivered {
        /// What the receiver called it.
        thread: Option<String>,
    },
    /// It did not, and is tried again.
    Retry {
        /// When.
        at_ms: i64,
        /// Why, free of secrets.
        error: String,
    },
    /// Nobody knows whether it did; it is tried again.
    Unsure {
        /// When.
        at_ms: i64,
        /// Why, free of secrets.
        error: String,
    },
    /// It did not, and trying again would not help.
    Failed {
        /// Why, free of secrets.
        error: String,
    },
}

/// A marked change of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployRecord {
    /// Unique.
    pub id: String,
    /// Same key, same deploy.
    pub idempotency_key: String,
    /// The service.
    pub service: String,
    /// `production`, `staging`, …
    pub environment: String,
    /// What is deployed.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// Who or what deploys.
    pub actor: String,
    /// `feature`, `fix`, `security`, `rollback`, `config`.
    pub class: String,
    /// When it started.
    pub started_at_ms: i64,
}

/// An answer of the gate, as a link of the audit chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// Unique; what `gate explain` takes.
    pub id: String,
    /// Place in the chain, from one; given by the ledger.
    pub sequence: i64,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// Whose deploy was asked about.
    pub service: String,
    /// The answer as it was given, JSON.
    pub answer: String,
    /// Hash of the predecessor, hex; given by the ledger.
    pub previous_hash: String,
    /// SHA-256 over predecessor, sequence, id, time, service and answer, hex; given by the ledger.
    pub hash: String,
}
