//! An incident: one SLO and one cause, from its opening until it is resolved.

use std::time::Duration;

use lookout_engine::{Cause, Severity};
use serde::{Deserialize, Serialize};

use crate::{Timestamp, word};

/// Time for which the end of an incident is repeated to those who were told of it, as Prometheus repeats resolved alerts.
pub const END_REPEATED_FOR: Duration = Duration::from_secs(15 * 60);

/// Incident of one SLO, open or resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRecord {
    /// The id, derived from SLO, cause and start: see [`incident_id`].
    pub id: String,
    /// `Slo::id`.
    pub slo_id: String,
    /// The service.
    pub service: String,
    /// The SLO's name.
    pub slo: String,
    /// The cause.
    #[serde(with = "word")]
    pub cause: Cause,
    /// Its severity now, or when it was resolved.
    #[serde(with = "word")]
    pub severity: Severity,
    /// Its highest severity so far.
    #[serde(with = "word")]
    pub peak: Severity,
    /// Begin of the first bad slot of the run that led to it. Incidents of 0.1.0 have none.
    #[serde(rename = "started_at_ms", default)]
    pub started_at: Option<Timestamp>,
    /// End of the slot in which the first alert fired.
    #[serde(rename = "detected_at_ms", alias = "opened_at_ms")]
    pub detected_at: Timestamp,
    /// End of the last bad slot, of a resolved incident, where it is known.
    #[serde(rename = "recovered_at_ms", default)]
    pub recovered_at: Option<Timestamp>,
    /// The instant until which an alert reopens a resolved incident.
    #[serde(rename = "reopens_until_ms", default)]
    pub reopens_until: Option<Timestamp>,
    /// End of the slot in which the last alert was released.
    #[serde(rename = "resolved_at_ms")]
    pub resolved_at: Option<Timestamp>,
}

impl IncidentRecord {
    /// Returns the first instant of the fault, as far as it is known.
    #[must_use]
    pub fn began_at(&self) -> Timestamp {
        self.started_at.unwrap_or(self.detected_at).min(self.detected_at)
    }

    /// Returns the length of a fault until `now`, or until it recovered; `None` when the clock was set back meanwhile.
    #[must_use]
    pub fn lasted(&self, now: Timestamp) -> Option<Duration> {
        let end = self.recovered_at.or(self.resolved_at).unwrap_or(now);
        (end >= self.began_at()).then(|| end.since(self.began_at()))
    }
}

/// Returns the id of an incident: the same SLO, cause and start are the same incident, in every process.
#[must_use]
pub fn incident_id(slo_id: &str, cause: Cause, detected_at: Timestamp) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for part in [slo_id, cause.as_str(), &detected_at.as_millis().to_string()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("inc-{hex}")
}
