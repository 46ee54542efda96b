//! The instances of a destination: their clocks, and what they hold.

use lookout_model::Timestamp;
use serde::Serialize;

/// State of one instance of a destination, as it was read back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct InstanceState {
    /// Host and port.
    pub instance: String,
    /// Milliseconds by which its clock is ahead of that of this machine; `None` before its first answer.
    pub clock_ahead_ms: Option<i64>,
    /// The instant of the last read that succeeded.
    #[serde(rename = "read_at_ms")]
    pub read_at: Option<Timestamp>,
    /// The reason why the last read failed. Then it is not known what the instance holds.
    pub failure: Option<String>,
    /// The alerts that it holds.
    pub alerts: Vec<HeldAlert>,
}

/// An alert that an instance holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldAlert {
    /// The name of the alert.
    pub alert: String,
    /// The label `severity`.
    pub severity: String,
    /// The service.
    pub service: String,
    /// The SLO.
    pub slo: String,
    /// The state that the instance gives it.
    pub state: HeldState,
    /// The silences it is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub silences: Vec<HeldSilence>,
}

/// Treatment of an alert by an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldState {
    /// It notifies.
    Active,
    /// It has not decided yet.
    Unprocessed,
    /// Another alert keeps it from notifying.
    Inhibited,
    /// A silence keeps it from notifying.
    Silenced,
}

/// A silence of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldSilence {
    /// Its id.
    pub id: String,
    /// The person who made it; empty when it is not known.
    pub actor: String,
    /// The reason; empty when it is not known.
    pub reason: String,
    /// Its end.
    #[serde(rename = "until_ms", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
