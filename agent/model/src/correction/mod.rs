//! Corrections: time that does not count, such as planned maintenance, with the reason.
//!
//! ```text
//!  CorrectionRecord ─▶ its own stretches of time ─┐
//!  CorrectionRecord ─▶ its own stretches of time ─┴─▶ union ─▶ Ranges: sorted, apart from each other
//! ```
//!
//! A correction excludes events and never rewrites them. The counts stay as they are, so that a revoked correction
//! gives all of them back. The union counts, so that neither the order of corrections nor their overlap matters.

mod ranges;
mod recurrence;

use core::fmt;
use core::time::Duration;
use std::str::FromStr;

use crate::Timestamp;
use serde::{Deserialize, Serialize};

pub use ranges::{Ranges, expand};
pub use recurrence::{BadRecurrence, Recurrence};

/// Largest number of corrections in force at once.
pub const MAX_IN_FORCE: usize = 500;
/// Largest number of stored corrections, the revoked and the past ones included.
pub const MAX_KEPT: usize = 10_000;

/// Time past its end for which a correction still counts against [`MAX_IN_FORCE`].
pub const IN_FORCE_FOR: Duration = Duration::from_secs(90 * 86_400);

/// Longest reason of a correction, in bytes.
pub const LONGEST_REASON: usize = 500;

/// SLOs that a correction applies to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionScope {
    /// The SLO with this id.
    Slo(String),
    /// Every SLO of a service.
    Service(String),
    /// Every SLO.
    All,
}

impl CorrectionScope {
    /// Returns `slo`, `service` or `all`, and the name, which is empty for `all`.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Slo(id) => ("slo", id),
            Self::Service(name) => ("service", name),
            Self::All => ("all", ""),
        }
    }

    /// Returns whether an SLO is one of them.
    #[must_use]
    pub fn covers(&self, service: &str, slo_id: &str) -> bool {
        match self {
            Self::Slo(id) => id == slo_id,
            Self::Service(name) => name == service,
            Self::All => true,
        }
    }

    pub fn from_parts(scope: &str, name: String) -> Option<Self> {
        match scope {
            "slo" => Some(Self::Slo(name)),
            "service" => Some(Self::Service(name)),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

impl fmt::Display for CorrectionScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slo(id) => f.write_str(id),
            Self::Service(name) => write!(f, "service {name}"),
            Self::All => f.write_str("all SLOs"),
        }
    }
}

/// Reason for which time does not count. Both kinds have the same effect; people want to tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionKind {
    /// Planned maintenance.
    #[default]
    Maintenance,
    /// An unplanned event that is not to count all the same.
    Excluded,
}

impl CorrectionKind {
    /// Returns the word used in JSON, the ledger and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Maintenance => "maintenance",
            Self::Excluded => "excluded",
        }
    }
}

impl fmt::Display for CorrectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CorrectionKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "maintenance" => Ok(Self::Maintenance),
            "excluded" => Ok(Self::Excluded),
            _ => Err("expected maintenance or excluded".to_owned()),
        }
    }
}

/// A correction. Its revocation may come later; nothing else of it ever changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectionRecord {
    /// The unique id.
    pub id: String,
    /// The SLOs it applies to.
    pub scope: CorrectionScope,
    /// The kind of reason.
    pub kind: CorrectionKind,
    /// The first instant.
    #[serde(rename = "from_ms")]
    pub from: Timestamp,
    /// The first instant after it; `None`, for recurring ones only, until it is revoked.
    #[serde(rename = "to_ms")]
    pub to: Option<Timestamp>,
    /// The recurrence between the two instants; `None` for all of the time.
    pub recurrence: Option<Recurrence>,
    /// The reason in a sentence: text from outside.
    pub reason: String,
    /// The author: text from outside.
    pub actor: String,
    /// The instant at which it was written.
    #[serde(rename = "created_at_ms")]
    pub created_at: Timestamp,
    /// The revocation, if there is one.
    pub revoked: Option<Revocation>,
}

impl CorrectionRecord {
    /// Returns whether it equals another one apart from id and time of writing.
    #[must_use]
    pub fn has_same_content(&self, other: &Self) -> bool {
        let same = |one: &Self| Self {
            id: String::new(),
            created_at: Timestamp::EPOCH,
            revoked: None,
            ..one.clone()
        };
        same(self) == same(other)
    }

    /// Returns whether it can exclude something at or after an instant.
    #[must_use]
    pub fn is_in_force(&self, since: Timestamp) -> bool {
        self.revoked.is_none() && self.to.is_none_or(|to| to > since)
    }
}

/// Revocation of a correction. A revoked correction has no effect, not even on the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The instant.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The author: text from outside.
    pub actor: String,
    /// The reason: text from outside.
    pub reason: String,
}

/// The part of a period that does not count. The sum counts every instant once, however many corrections it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// Seconds of the period.
    pub seconds: u64,
    /// True if the newest slot is among them.
    pub now: bool,
    /// The corrections that exclude something of the period, the most recent ones first, at most [`Corrected::SHOWN`].
    pub entries: Vec<CorrectedBy>,
    /// The number of corrections beyond those.
    pub more: u64,
}

impl Corrected {
    /// Number of corrections that are named.
    pub const SHOWN: usize = 5;
}

/// The part of a period that one correction excludes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectedBy {
    /// The correction.
    pub id: String,
    /// The kind of reason.
    pub kind: CorrectionKind,
    /// The reason in a sentence: text from outside.
    pub reason: String,
    /// The author: text from outside.
    pub actor: String,
    /// The first excluded instant of the period.
    #[serde(rename = "from_ms")]
    pub from: Timestamp,
    /// The end of the last one.
    #[serde(rename = "to_ms")]
    pub to: Timestamp,
    /// Seconds of the period that it excludes, whether or not others exclude them too.
    pub seconds: u64,
    /// True if it covers several stretches of time.
    pub recurring: bool,
}
