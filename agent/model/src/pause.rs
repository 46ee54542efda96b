//! Pauses of targets: time in which nobody probes them, with the reason.

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, format};

/// Longest pause that an operator can ask for.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 86_400);

/// Pause that an operator asked for. It survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseRecord {
    /// The target.
    pub target: String,
    /// The begin.
    #[serde(rename = "from_ms")]
    pub from: Timestamp,
    /// The end.
    #[serde(rename = "until_ms")]
    pub until: Timestamp,
    /// The reason: text from outside.
    pub reason: String,
    /// The name of the token that asked.
    pub actor: String,
}

/// Origin of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// The configuration has no credentials for the target here: it is off until the configuration changes.
    Off,
    /// A maintenance window of the configuration.
    Maintenance,
    /// An operator.
    Operator,
}

/// Pause of a target at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The target.
    pub target: String,
    /// The origin.
    pub cause: PauseCause,
    /// The end; `None` where only another configuration ends it.
    #[serde(rename = "until_ms")]
    pub until: Option<Timestamp>,
    /// The reason: text from outside.
    pub reason: String,
    /// The name of the token that asked; `None` where the configuration says so.
    pub actor: Option<String>,
}

impl Pause {
    /// Returns a sentence about the pause, told at an instant.
    #[must_use]
    pub fn text(&self, now: Timestamp) -> String {
        let Self { target, reason, .. } = self;
        let until = self.until.map(|until| format!(" until {}", format::time(until, now)));
        let until = until.unwrap_or_default();
        let by = self.actor.as_ref().map(|actor| format!(" by {actor}")).unwrap_or_default();
        match self.cause {
            PauseCause::Off => format!("the target {target} is off: {reason}"),
            PauseCause::Maintenance => format!("the target {target} is in maintenance{until}: {reason}"),
            PauseCause::Operator => format!("the target {target} is paused{by}{until}: {reason}"),
        }
    }
}

impl fmt::Display for PauseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Maintenance => "maintenance",
            Self::Operator => "paused",
        })
    }
}
