//! An incident: one SLO, one cause, from its opening until it is resolved.

use lookout_engine::{Cause, Severity};
use serde::{Deserialize, Serialize};

use crate::{Timestamp, word};

/// Incident of one SLO, open or resolved.
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
    /// Why it is open.
    #[serde(with = "word")]
    pub cause: Cause,
    /// Its severity now, or when it was resolved.
    #[serde(with = "word")]
    pub severity: Severity,
    /// The highest severity it ever had.
    #[serde(with = "word")]
    pub peak: Severity,
    /// When it opened.
    #[serde(rename = "opened_at_ms")]
    pub opened_at: Timestamp,
    /// When it was resolved.
    #[serde(rename = "resolved_at_ms")]
    pub resolved_at: Option<Timestamp>,
}

/// Returns the id of an incident: the same SLO, cause and start are the same incident, in every process.
#[must_use]
pub fn incident_id(slo_id: &str, cause: Cause, opened_at: Timestamp) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for part in [slo_id, cause.as_str(), &opened_at.as_millis().to_string()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("inc-{hex}")
}
