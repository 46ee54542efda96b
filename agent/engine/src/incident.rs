//! One incident per SLO and cause, as a pure reducer over the severity that the alerts ask for.
//!
//! An incident has four instants: it **started** with the first bad slot of the run that led to it, was **detected** when
//! the first alert fired, **recovered** with the last bad slot, and was **resolved** when the last alert let go. An alert
//! that fires again soon after that reopens the same incident.

use core::fmt;

use crate::slot::Slot;
use crate::tier::Severity;

/// The cause of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The error budget burns too fast.
    Burn,
    /// Data are missing.
    DataMissing,
    /// The process behind the data starts again and again.
    CrashLoop,
    /// Data arrive and show no events, or far fewer than usual.
    TrafficMissing,
    /// Probes of a target fail one after the other.
    TargetDown,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 5] =
        [Self::Burn, Self::DataMissing, Self::CrashLoop, Self::TrafficMissing, Self::TargetDown];

    /// The name in JSON, the ledger and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Burn => "burn",
            Self::DataMissing => "data_missing",
            Self::CrashLoop => "crash_loop",
            Self::TrafficMissing => "traffic_missing",
            Self::TargetDown => "target_down",
        }
    }

    /// The cause of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name)
    }
}

/// A change of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// The first alert fired.
    Opened,
    /// An alert fired again soon after the incident was resolved.
    Reopened,
    /// An alert of a higher severity fired too.
    Escalated,
    /// The last alert of the higher severity let go. A lower one fires on.
    Eased,
    /// The last alert let go.
    Resolved,
}

impl Change {
    /// The name in JSON, the ledger and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Escalated => "escalated",
            Self::Eased => "eased",
            Self::Resolved => "resolved",
        }
    }

    /// The change of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "opened" => Some(Self::Opened),
            "reopened" => Some(Self::Reopened),
            "escalated" => Some(Self::Escalated),
            "eased" => Some(Self::Eased),
            "resolved" => Some(Self::Resolved),
            _ => None,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An incident that is not resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// The first bad slot of the run that led to it.
    pub started: Slot,
    /// The slot at whose end it was detected. With the SLO and the cause it identifies the incident.
    pub detected: Slot,
    /// Its severity now.
    pub severity: Severity,
    /// Its highest severity so far.
    pub peak: Severity,
}

/// An incident that was resolved, and may be reopened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The incident.
    pub incident: Open,
    /// The slot at whose end it was resolved.
    pub at: Slot,
    /// The last slot in which an alert reopens it.
    pub reopens_until: Slot,
}

/// The latest incident of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Latest {
    /// There is none, or it is too old to be reopened.
    #[default]
    None,
    /// It is open.
    Open(Open),
    /// It was resolved.
    Resolved(Resolved),
}

impl Latest {
    /// The open incident.
    #[must_use]
    pub const fn open(self) -> Option<Open> {
        match self {
            Self::Open(open) => Some(open),
            Self::None | Self::Resolved(_) => None,
        }
    }
}

/// The input of an incident at the end of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncidentInput {
    /// The severity that its alerts ask for; `None` when no alert fires.
    pub severity: Option<Severity>,
    /// The slot that has ended.
    pub at: Slot,
    /// The first bad slot of the present run.
    pub started: Slot,
    /// The last bad slot so far.
    pub recovered: Option<Slot>,
    /// The last slot in which an incident that is resolved now can be reopened.
    pub reopens_until: Slot,
}

/// One change of an incident, at the end of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The cause of the incident.
    pub cause: Cause,
    /// The change.
    pub change: Change,
    /// The slot at whose end it happened.
    pub at: Slot,
    /// The incident after the change, or before it when it was resolved.
    pub incident: Open,
    /// The last bad slot of a resolved incident, where it is known.
    pub recovered: Option<Slot>,
    /// The last slot in which an alert reopens a resolved incident.
    pub reopens_until: Option<Slot>,
}

/// Returns the next state of the incident of a cause.
#[must_use]
pub fn advance(cause: Cause, latest: Latest, wanted: IncidentInput) -> (Latest, Option<Transition>) {
    let at = wanted.at;
    let tell = |change, incident, recovered| {
        let reopens_until = (change == Change::Resolved).then_some(wanted.reopens_until);
        Some(Transition { cause, change, at, incident, recovered, reopens_until })
    };
    match (latest, wanted.severity) {
        (Latest::None | Latest::Resolved(_), None) => (latest, None),
        (Latest::Resolved(last), Some(severity)) if at <= last.reopens_until => {
            let incident = Open { severity, peak: last.incident.peak.max(severity), ..last.incident };
            (Latest::Open(incident), tell(Change::Reopened, incident, None))
        }
        (Latest::None | Latest::Resolved(_), Some(severity)) => {
            let started = wanted.started.min(at);
            let incident = Open { started, detected: at, severity, peak: severity };
            (Latest::Open(incident), tell(Change::Opened, incident, None))
        }
        (Latest::Open(incident), None) => {
            let recovered = wanted.recovered.filter(|slot| *slot >= incident.started);
            let resolved = Resolved { incident, at, reopens_until: wanted.reopens_until };
            (Latest::Resolved(resolved), tell(Change::Resolved, incident, recovered))
        }
        (Latest::Open(incident), Some(severity)) if severity == incident.severity => (latest, None),
        (Latest::Open(incident), Some(severity)) => {
            let change = if severity > incident.severity { Change::Escalated } else { Change::Eased };
            let next = Open { severity, peak: incident.peak.max(severity), ..incident };
            (Latest::Open(next), tell(change, next, None))
        }
    }
}
