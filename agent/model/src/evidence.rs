//! Measurements of one SLO at one instant. Every number is finite.

use lookout_engine::{Cause, Criterion, DataState, Severity, Status, Window};
use serde::{Deserialize, Serialize};

use crate::{Corrected, Timestamp, word};

/// Measurements at a transition. Every number is finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Objective in percent.
    pub objective_percent: f64,
    /// Length of the budget period in seconds; of a calendar period, of the one that goes on.
    pub period_s: u64,
    /// The calendar period; `None` for a rolling one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<CalendarEvidence>,
    /// The objectives in force during the period, oldest first; empty unless there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<VersionEvidence>,
    /// The data state.
    #[serde(with = "word")]
    pub data_state: DataState,
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
    /// The present. Notices stored by 0.1.0 have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<PresentEvidence>,
    /// The part of the period that does not count.
    #[serde(default)]
    pub corrected: Corrected,
    /// Every condition, in the order of the policy. Notices stored before there were any have none.
    #[serde(default)]
    pub conditions: Vec<ConditionEvidence>,
    /// Every component of a composite, in order; empty for every other SLO.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentEvidence>,
}

impl Evidence {
    /// Returns whether there is a budget to spend: an SLO about failures in a row has no objective (0 %).
    #[must_use]
    pub fn has_budget(&self) -> bool {
        self.objective_percent > 0.0
    }

    /// Returns the period for people: `30d`, or `month in Europe/Zurich, until 1 December`.
    #[must_use]
    pub fn period_text(&self) -> String {
        let length = || Window::seconds(self.period_s).to_string();
        self.calendar.as_ref().map_or_else(length, |calendar| calendar.period.clone())
    }
}

/// The present of an SLO: its state for people, its shortest window, and the time that was observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PresentEvidence {
    /// State for people.
    #[serde(with = "word")]
    pub status: Status,
    /// Length of the present window in seconds: the shortest short window of the tiers.
    pub window_s: u64,
    /// Observed seconds of that window.
    pub observed_window_s: u64,
    /// Bad events of that window.
    pub bad: u64,
    /// All events of that window.
    pub total: u64,
    /// Burn rate over the observed time of that window; `None` without events.
    pub burn: Option<f64>,
    /// True if the SLO fails now.
    pub failing: bool,
    /// Start of the first bad slot of the failure.
    #[serde(rename = "since_ms")]
    pub since: Option<Timestamp>,
    /// End of the last slot with a bad event.
    #[serde(rename = "last_bad_ms")]
    pub last_bad_at: Option<Timestamp>,
    /// End of the last slot with a good event.
    #[serde(rename = "last_good_ms")]
    pub last_good_at: Option<Timestamp>,
    /// Observed seconds of the longest window.
    pub observed_s: u64,
    /// Seconds until every firing tier releases if no bad event follows; `None` when that is unknown.
    pub lets_go_after_s: Option<f64>,
}

/// Criterion of a condition, without its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionKind {
    /// Less than a share of the period's budget is left.
    BudgetLeft,
    /// At least a share of the period's budget was spent within a window.
    BudgetDrop,
    /// The budget is gone within a time at the burn of a window.
    Exhaustion,
    /// Nothing was observed for a time.
    NoData,
    /// Data showed no event for a time.
    Idle,
    /// An hour had less than a share of the events of the same hour a week before.
    Traffic,
    /// The process behind the data started several times within a window.
    Restarts,
    /// Probes failed one after the other.
    Down,
}

impl ConditionKind {
    /// Returns the cause of the incident that a condition of this kind feeds.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::BudgetLeft | Self::BudgetDrop | Self::Exhaustion => Cause::Burn,
            Self::NoData => Cause::DataMissing,
            Self::Idle | Self::Traffic => Cause::TrafficMissing,
            Self::Restarts => Cause::CrashLoop,
            Self::Down => Cause::TargetDown,
        }
    }
}

impl From<Criterion> for ConditionKind {
    fn from(criterion: Criterion) -> Self {
        match criterion {
            Criterion::BudgetLeft { .. } => Self::BudgetLeft,
            Criterion::BudgetDrop { .. } => Self::BudgetDrop,
            Criterion::Exhaustion { .. } => Self::Exhaustion,
            Criterion::NoData { .. } => Self::NoData,
            Criterion::Idle { .. } => Self::Idle,
            Criterion::Traffic { .. } => Self::Traffic,
            Criterion::Restarts { .. } => Self::Restarts,
            Criterion::Down { .. } => Self::Down,
        }
    }
}

/// Measurement of one condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConditionEvidence {
    /// Severity of its alert.
    #[serde(with = "word")]
    pub severity: Severity,
    /// The criterion.
    pub kind: ConditionKind,
    /// The condition as specs write it.
    pub condition: String,
    /// The window it sums over, in seconds, unless that is the period or none.
    pub window_s: Option<u64>,
    /// The measured value: a share of the budget or of the traffic, seconds, starts, or failures in a row. `None`
    /// when there is nothing to compare.
    pub measured: Option<f64>,
    /// The threshold of firing, in the same unit.
    pub threshold: f64,
    /// The threshold of release, in the same unit.
    pub release: f64,
    /// True if its threshold is passed, or it fires and is not released.
    pub exceeded: bool,
    /// True if it fires.
    pub firing: bool,
    /// The reason for which the guard holds it, though its threshold is passed.
    pub held: Option<String>,
}

/// State of one component of a composite. "Lately" is the shortest of the tiers' long windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentEvidence {
    /// The name, unique within its SLO.
    pub name: String,
    /// The title.
    pub title: String,
    /// The weight; `None` in a composite without weights.
    pub weight: Option<f64>,
    /// The component's own objective, in percent.
    pub objective_percent: f64,
    /// The state of its data.
    #[serde(with = "word")]
    pub data_state: DataState,
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
    /// Its share of the budget that the composite spent lately; `None` when nothing was spent.
    pub lately_burn_share: Option<f64>,
    /// Its share of the budget that the composite spent in the period.
    pub burn_share: Option<f64>,
}

impl ComponentEvidence {
    /// Returns whether it has sent nothing for too long, or nothing ever.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self.data_state, DataState::Stale | DataState::NoData)
    }
}

/// A period of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarEvidence {
    /// The period for people: `month in Europe/Zurich, until 1 December`.
    pub period: String,
    /// The possessive of the period: `month's`.
    pub of: String,
    /// Its first instant.
    #[serde(rename = "from_ms")]
    pub from: Timestamp,
    /// The first instant of the next one.
    #[serde(rename = "to_ms")]
    pub to: Timestamp,
}

/// Counts of the period under one objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionEvidence {
    /// The first instant in the period at which it was in force.
    #[serde(rename = "from_ms")]
    pub from: Timestamp,
    /// Objective in percent.
    pub objective_percent: f64,
    /// Bad events of the period by it.
    pub bad: u64,
    /// All events of the period by it.
    pub total: u64,
}

/// Returns the coverage of notices that were stored without one.
const fn whole() -> f64 {
    1.0
}

/// Measurement of one tier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TierEvidence {
    /// Severity of its alert.
    #[serde(with = "word")]
    pub severity: Severity,
    /// Long window in seconds.
    pub long_s: u64,
    /// Short window in seconds.
    pub short_s: u64,
    /// The burn rate above which it fires.
    pub factor: f64,
    /// Burn rate over the long window; `None` without events.
    pub long_burn: Option<f64>,
    /// Burn rate over the short window; `None` without events.
    pub short_burn: Option<f64>,
    /// The observed share of the long window, from 0 to 1; unseen time counts as clean in its burn rate.
    #[serde(default = "whole")]
    pub long_coverage: f64,
    /// The observed share of the short window.
    #[serde(default = "whole")]
    pub short_coverage: f64,
    /// Bad events of the long window.
    pub long_bad: u64,
    /// All events of the long window.
    pub long_total: u64,
    /// True if it fires.
    pub firing: bool,
    /// True if it burns above its factor and waits for its hold time or for the guard.
    #[serde(default)]
    pub pending: bool,
    /// True if it burns fast enough, but the guard against low traffic holds it.
    pub held_by_guard: bool,
    /// The condition of the guard that is not met: `1 of 3 bad events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// The lower burn rate that releases it once it fires, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_factor: Option<f64>,
}
