//! One incident per SLO and cause, as a pure reducer over tier states.

use core::fmt;

use crate::slot::Slot;
use crate::tier::Severity;

/// Why an incident is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The error budget burns too fast.
    Burn,
    /// Nothing is known about the service any more.
    DataMissing,
}

impl Cause {
    /// The word used in JSON, the ledger and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Burn => "burn",
            Self::DataMissing => "data_missing",
        }
    }

    /// The cause of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "burn" => Some(Self::Burn),
            "data_missing" => Some(Self::DataMissing),
            _ => None,
        }
    }
}

/// What happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// The first tier fired.
    Opened,
    /// A tier of a higher severity fired too.
    Escalated,
    /// The last tier of the higher severity let go; a lower one still fires.
    Eased,
    /// The last tier let go.
    Resolved,
}

impl Change {
    /// The word used in JSON, the ledger and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
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

/// An incident that has not been resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// The slot at whose end it opened. With the SLO and the cause it identifies the incident.
    pub opened: Slot,
    /// How severe it is now.
    pub severity: Severity,
    /// How severe it ever was.
    pub peak: Severity,
}

/// One change of an incident, at the end of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Why the incident is open.
    pub cause: Cause,
    /// What happened.
    pub change: Change,
    /// The slot at whose end it happened.
    pub at: Slot,
    /// The incident after the change (before it, when it was resolved).
    pub incident: Open,
}

/// The next state of an incident, given the severity its tiers call for at the end of a slot (`None`: no tier fires).
#[must_use]
pub fn advance(
    cause: Cause,
    open: Option<Open>,
    wanted: Option<Severity>,
    at: Slot,
) -> (Option<Open>, Option<Transition>) {
    let transition = |change, incident| Some(Transition { cause, change, at, incident });
    match (open, wanted) {
        (None, None) => (None, None),
        (None, Some(severity)) => {
            let incident = Open { opened: at, severity, peak: severity };
            (Some(incident), transition(Change::Opened, incident))
        }
        (Some(incident), None) => (None, transition(Change::Resolved, incident)),
        (Some(incident), Some(severity)) if severity == incident.severity => (Some(incident), None),
        (Some(incident), Some(severity)) => {
            let change = if severity > incident.severity { Change::Escalated } else { Change::Eased };
            let next = Open { severity, peak: incident.peak.max(severity), ..incident };
            (Some(next), transition(change, next))
        }
    }
}
