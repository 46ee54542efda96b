//! Incidents, newest first.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::{Json, extract};
use serde::{Deserialize, Serialize};

use super::Limit;
use crate::{Problem, State};
use lookout_model::IncidentRecord;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    #[serde(default)]
    limit: Limit,
}

#[derive(Debug, Serialize)]
pub(super) struct Incidents {
    incidents: Vec<IncidentRecord>,
}

/// `GET /api/v1/incidents?limit=`
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Incidents>, Problem> {
    let limit = super::query(parameters)?.limit.0;
    let incidents = state.ledger.incidents(limit).await.map_err(|error| Problem::ledger(&error))?;
    Ok(Json(Incidents { incidents }))
}
