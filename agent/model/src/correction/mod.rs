//! Time that does not count, and why: planned maintenance, spend that was nobody's fault.
//!
//! ```text
//!  CorrectionRecord ─▶ its own stretches of time ─┐
//!  CorrectionRecord ─▶ its own stretches of time ─┴─▶ union ─▶ Ranges: sorted, apart from each other
//! ```
//!
//! A correction excludes events, it never rewrites them: the counts stay as they are, and a revoked correction gives all
//! of them back. What counts is the union, so that neither the order of corrections nor their overlap matters.

mod ranges;
mod recurrence;

use core::fmt;
use core::time::Duration;
use std::str::FromStr;

use crate::Timestamp;
use serde::{Deserialize, Serialize};

pub use ranges::{Ranges, expand};
pub use recurrence::{BadRecurrence, Recurrence};

/// Corrections that are in force at once, at most.
pub const MOST_IN_FORCE: usize = 500;
/// Corrections that are kept, at most, the revoked and the past ones included.
pub const MOST_KEPT: usize = 10_000;

/// A correction of less than this past its end still counts against [`MOST_IN_FORCE`].
pub const IN_FORCE_FOR: Duration = Duration::from_secs(90 * 86_400);

/// Which SLOs a correction is about.
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
    /// `slo`, `service` or `all`, and the name; without one for all.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Slo(id) => ("slo", id),
            Self::Service(name) => ("service", name),
            Self::All => ("all", ""),
        }
    }

    /// Whether an SLO is one of them.
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

/// Why time does not count. Both kinds do the same; people want to tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionKind {
    /// It was planned.
    #[default]
    Maintenance,
    /// It was not, and it is not to count all the same.
    Excluded,
}

impl CorrectionKind {
    /// The word used in JSON, the ledger and messages.
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

/// One entry. Only its revocation comes later; nothing else of it ever changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectionRecord {
    /// Unique.
    pub id: String,
    /// Which SLOs.
    pub scope: CorrectionScope,
    /// Why, in a word.
    pub kind: CorrectionKind,
    /// The first instant it is about.
    #[serde(rename = "from_ms")]
    pub from: Timestamp,
    /// The first instant it is not about any more; `None`, for recurring ones only: until it is revoked.
    #[serde(rename = "to_ms")]
    pub to: Option<Timestamp>,
    /// Which times between the two; `None` for all of it.
    pub recurrence: Option<Recurrence>,
    /// Why, in a sentence: text from outside.
    pub reason: String,
    /// Who wrote it: text from outside.
    pub actor: String,
    /// When it was written.
    #[serde(rename = "created_at_ms")]
    pub created_at: Timestamp,
    /// Since when it is void.
    pub revoked: Option<Revocation>,
}

impl CorrectionRecord {
    /// Whether it says nothing else than another one, apart from id and time of writing.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let same = |one: &Self| Self {
            id: String::new(),
            created_at: Timestamp::EPOCH,
            revoked: None,
            ..one.clone()
        };
        same(self) == same(other)
    }

    /// Whether it can exclude something at or after an instant.
    #[must_use]
    pub fn is_in_force(&self, since: Timestamp) -> bool {
        self.revoked.is_none() && self.to.is_none_or(|to| to > since)
    }
}

/// That a correction is void: from then on it never was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// When.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// By whom: text from outside.
    pub actor: String,
    /// Why: text from outside.
    pub reason: String,
}

/// What of a period does not count. The sum counts every instant once, however many corrections it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// Seconds of the period.
    pub seconds: u64,
    /// Whether the newest slot is among them.
    pub now: bool,
    /// The corrections that exclude something of the period, the most recent ones first, at most [`Corrected::SHOWN`].
    pub entries: Vec<CorrectedBy>,
    /// How many there are beyond those.
    pub more: u64,
}

impl Corrected {
    /// How many corrections are named.
    pub const SHOWN: usize = 5;
}

/// What one correction excludes of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectedBy {
    /// The correction.
    pub id: String,
    /// Why, in a word.
    pub kind: CorrectionKind,
    /// Why, in a sentence: text from outside.
    pub reason: String,
    /// Who wrote it: text from outside.
    pub actor: String,
    /// The first excluded instant of the period.
    #[serde(rename = "from_ms")]
    pub from: Timestamp,
    /// The end of the last one.
    #[serde(rename = "to_ms")]
    pub to: Timestamp,
    /// Seconds of the period that it excludes, whatever else does so too.
    pub seconds: u64,
    /// Whether it is many stretches of time.
    pub recurring: bool,
}
