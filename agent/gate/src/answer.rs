//! The answer, as it goes over the wire, into the audit chain and back into the pipeline's client.

use core::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Decision about a change, ordered by how much it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Go on.
    Allow,
    /// Not now: ask again later.
    Hold,
    /// No.
    Deny,
}

impl Decision {
    /// The word used in JSON, metrics and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Origin of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The gate's policy over the evidence.
    Policy,
    /// A person with the right to, over the policy.
    Override,
    /// A freeze.
    Freeze,
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policy => "policy",
            Self::Override => "override",
            Self::Freeze => "freeze",
        })
    }
}

/// Evidence behind a decision, ordered by weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Enough events, and they are fine.
    Good,
    /// Too few events to say.
    InsufficientData,
    /// Nothing, or nothing recent enough to rely on.
    Unknown,
    /// Enough events, and they are not fine.
    Bad,
}

impl Evidence {
    /// The word used in JSON and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::InsufficientData => "insufficient_data",
            Self::Unknown => "unknown",
            Self::Bad => "bad",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reason, from a closed list that programs may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Budget is left and nothing burns too fast.
    BudgetLeft,
    /// The budget is spent, or less of it is left than the policy asks for.
    BudgetExhausted,
    /// A page is open because the budget burns too fast.
    BurnFast,
    /// An incident is open.
    IncidentOpen,
    /// The SLO fails now, whether or not anyone was paged yet.
    FailingNow,
    /// A tier burns above its factor and is about to alert.
    BurnPending,
    /// Too little time was observed to say anything about now.
    TooLittleObserved,
    /// The class of the change passes over what would stop any other one.
    PassedOver,
    /// The last observation, or the last evaluation, is too long ago.
    DataStale,
    /// The evaluation lies in the future: one of the clocks is wrong.
    ClockSkew,
    /// The source answers and says that nothing happens.
    NoTraffic,
    /// Events arrive, but too few to judge.
    TooFewSamples,
    /// A source showed counts that cannot be true.
    ImplausibleCounts,
    /// A target of the SLO is paused: nobody looks.
    TargetPaused,
    /// A target of the SLO is off here: the SLO takes no part.
    TargetOff,
    /// A destination refused messages about the SLO for good: pages may reach nobody.
    PagesUndelivered,
    /// No SLO belongs to a service of that name.
    UnknownService,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BudgetLeft => "budget_left",
            Self::BudgetExhausted => "budget_exhausted",
            Self::BurnFast => "burn_fast",
            Self::IncidentOpen => "incident_open",
            Self::FailingNow => "failing_now",
            Self::BurnPending => "burn_pending",
            Self::TooLittleObserved => "too_little_observed",
            Self::PassedOver => "passed_over",
            Self::DataStale => "data_stale",
            Self::ClockSkew => "clock_skew",
            Self::NoTraffic => "no_traffic",
            Self::TooFewSamples => "too_few_samples",
            Self::ImplausibleCounts => "implausible_counts",
            Self::TargetPaused => "target_paused",
            Self::TargetOff => "target_off",
            Self::PagesUndelivered => "pages_undelivered",
            Self::UnknownService => "unknown_service",
        })
    }
}

/// One thing that was taken into account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// For programs.
    pub code: Code,
    /// Id of the SLO; empty when none is meant.
    pub slo: String,
    /// For people.
    pub text: String,
    /// Measured value.
    pub measured: Option<f64>,
    /// Threshold of the comparison.
    pub threshold: Option<f64>,
    /// Over which window.
    pub window: Option<String>,
    /// From how many events.
    pub samples: Option<u64>,
}

/// Answer of the gate. Every number is finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Decision.
    pub decision: Decision,
    /// Origin of the decision.
    pub decided_by: DecidedBy,
    /// Evidence.
    pub evidence: Evidence,
    /// Everything that was taken into account, what weighs most first; never empty.
    pub reasons: Vec<Reason>,
    /// The smallest change for the worse that would have been seen; `None` before a deploy.
    pub minimum_detectable_effect: Option<f64>,
    /// The instant of the answer.
    pub evaluated_at: Timestamp,
    /// The end of its validity.
    pub valid_until: Timestamp,
    /// Age of the oldest data it rests on; `None` when there are none.
    pub data_age_seconds: Option<f64>,
    /// Names the answer in the audit chain; empty when it is not recorded, because nobody knows the service.
    pub decision_id: String,
    /// The hash of the policy that was applied: the same policy has the same hash.
    pub policy_hash: String,
}

impl Answer {
    /// The exit code of a pipeline step that asks: 0 for allow, 1 for deny, 3 for a hold because too little is known, 5 for
    /// a hold while the state is known and may change soon.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match (self.decision, self.decided_by, self.evidence) {
            (Decision::Allow, ..) => 0,
            (Decision::Deny, ..) => 1,
            (Decision::Hold, DecidedBy::Policy, Evidence::Unknown | Evidence::InsufficientData) => 3,
            (Decision::Hold, ..) => 5,
        }
    }
}
