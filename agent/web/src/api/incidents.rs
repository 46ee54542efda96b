//! Incidents, newest first.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::{Json, extract};
use serde::{Deserialize, Serialize};

use super::Limit;
use crate::attention::Attention;
use crate::{Problem, State};
use lookout_model::{Acknowledgement, IncidentRecord, SilencedBy};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    before: Option<String>,
    #[serde(default)]
    limit: Limit,
}

#[derive(Debug, Serialize)]
pub(super) struct Incidents {
    incidents: Vec<Incident>,
}

/// An incident with what people did about it.
#[derive(Debug, Serialize)]
struct Incident {
    #[serde(flatten)]
    record: IncidentRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledgement: Option<Acknowledgement>,
    /// The silence that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    silence: Option<SilencedBy>,
}

/// `GET /api/v1/incidents?before=&limit=`: the newest first, or those that follow the incident with the id `before`.
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Incidents>, Problem> {
    let Parameters { before, limit } = super::query(parameters)?;
    let records = state.ledger.incidents(before.as_deref(), limit.0).await;
    let records = records.map_err(|error| Problem::ledger(&error))?;
    let attention = Attention::read(&state).await;
    let incident = |record: IncidentRecord| Incident {
        acknowledgement: attention.acknowledgement(&record).cloned(),
        silence: attention.silence(&record),
        record,
    };
    Ok(Json(Incidents { incidents: records.into_iter().map(incident).collect() }))
}
