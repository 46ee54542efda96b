//! Rows of incidents and transitions, and what they are read back as.

use lookout_engine::Change;
use lookout_model::{IncidentRecord, Timestamp, TransitionRecord};
use sqlx::FromRow;

use super::{decode, word};
use crate::LedgerError;

/// A row of an incident.
#[derive(FromRow)]
pub(super) struct IncidentRow {
    pub(super) id: String,
    slo_id: String,
    service: String,
    slo: String,
    cause: String,
    severity: String,
    peak: String,
    opened_at_ms: i64,
    resolved_at_ms: Option<i64>,
    started_at_ms: Option<i64>,
    recovered_at_ms: Option<i64>,
    reopens_until_ms: Option<i64>,
}

impl IncidentRow {
    pub(super) fn into_record(self) -> Result<IncidentRecord, LedgerError> {
        const DOING: &str = "reading an incident back";
        Ok(IncidentRecord {
            cause: word(DOING, &self.cause)?,
            severity: word(DOING, &self.severity)?,
            peak: word(DOING, &self.peak)?,
            id: self.id,
            slo_id: self.slo_id,
            service: self.service,
            slo: self.slo,
            detected_at: Timestamp::from_millis(self.opened_at_ms),
            resolved_at: self.resolved_at_ms.map(Timestamp::from_millis),
            started_at: self.started_at_ms.map(Timestamp::from_millis),
            recovered_at: self.recovered_at_ms.map(Timestamp::from_millis),
            reopens_until: self.reopens_until_ms.map(Timestamp::from_millis),
        })
    }
}

/// Query of a transition with its incident; the caller adds a join.
pub(super) const TRANSITIONS: &str = "select incident.*, transition.id as transition_id, transition.change, \
     transition.at_ms, transition.notice, transition.destinations from incident";

/// A row of a transition with its incident.
#[derive(FromRow)]
pub(super) struct TransitionRow {
    #[sqlx(flatten)]
    pub(super) incident: IncidentRow,
    pub(super) transition_id: i64,
    change: String,
    at_ms: i64,
    notice: String,
    destinations: String,
}

impl TransitionRow {
    pub(super) fn into_record(self) -> Result<TransitionRecord, LedgerError> {
        let change: Change = word("reading a transition back", &self.change)?;
        Ok(TransitionRecord {
            incident: self.incident.into_record()?,
            change,
            at: Timestamp::from_millis(self.at_ms),
            notice: decode("reading a notice back", &self.notice)?,
            destinations: decode("reading the destinations of a transition back", &self.destinations)?,
        })
    }
}
