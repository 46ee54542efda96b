//! Deliveries that a destination refused for good, and another try.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::{Json, extract};
use http::HeaderMap;
use lookout_model::Scope;
use serde::{Deserialize, Serialize};

use crate::{Problem, ReceiverRow, State, auth};
use lookout_ledger::{DeadLetter, DeliveryState};

#[derive(Debug, Serialize)]
pub(super) struct Deliveries {
    dead_letters: Vec<DeadLetter>,
    /// Instances of destinations that tell what they hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    receivers: Vec<ReceiverRow>,
    /// Of the incident that was named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deliveries: Vec<DeliveryState>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfIncident {
    incident: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    destination: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Retried {
    retried: u64,
}

/// `GET /api/v1/deliveries?incident=`: the dead letters, what instances of Alertmanager hold, and the deliveries of an incident when one is named.
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    parameters: Result<Query<OfIncident>, QueryRejection>,
) -> Result<Json<Deliveries>, Problem> {
    let incident = super::query(parameters)?.incident;
    let letters = state.ledger.dead_letters(state.clock.now()).await;
    let dead_letters = letters.map_err(|error| Problem::ledger(&error))?;
    let deliveries = match &incident {
        Some(incident) => {
            state.ledger.deliveries_of(incident).await.map_err(|error| Problem::ledger(&error))?
        }
        None => Vec::new(),
    };
    Ok(Json(Deliveries { dead_letters, receivers: state.receivers.rows(), deliveries }))
}

/// `POST /api/v1/deliveries/retry?destination=`: of all destinations, unless one is named.
pub(super) async fn retry(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Retried>, Problem> {
    let token = auth::require(&state.config.tokens, &headers, Scope::Deliver)?;
    let destination = super::query(parameters)?.destination;
    let retried = state.ledger.retry_dead_letters(destination.as_deref(), state.clock.now()).await;
    let retried = retried.map_err(|error| Problem::ledger(&error))?;
    state.wake.notify_waiters();
    tracing::info!(actor = token.name, deliveries = retried, "deliveries are tried again");
    Ok(Json(Retried { retried }))
}
