//! Deliveries that a destination refused for good, and another try.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::{Json, extract};
use http::HeaderMap;
use lookout_model::Scope;
use serde::{Deserialize, Serialize};

use crate::{Problem, ReceiverRow, State, auth};
use lookout_ledger::{DeadLetter, DeliveryState, Discard};

/// Most dead letters of an answer.
const MAX_LETTERS: u32 = 1000;

#[derive(Debug, Serialize)]
pub(super) struct Deliveries {
    /// The newest first.
    dead_letters: Vec<DeadLetter>,
    /// The number of all of them by destination.
    dead_letter_counts: BTreeMap<String, u64>,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenUp {
    destination: Option<String>,
    incident: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Discarded {
    discarded: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Retried {
    retried: u64,
}

/// `GET /api/v1/deliveries?incident=`: the newest dead letters, what instances of Alertmanager hold, and the deliveries of an incident when one is named.
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    parameters: Result<Query<OfIncident>, QueryRejection>,
) -> Result<Json<Deliveries>, Problem> {
    let incident = super::query(parameters)?.incident;
    let ledger = &state.ledger;
    let read = tokio::try_join!(ledger.newest_dead_letters(MAX_LETTERS), ledger.dead_letter_counts());
    let (dead_letters, dead_letter_counts) = read.map_err(|error| Problem::ledger(&error))?;
    let deliveries = match &incident {
        Some(incident) => {
            state.ledger.deliveries_of(incident).await.map_err(|error| Problem::ledger(&error))?
        }
        None => Vec::new(),
    };
    Ok(Json(Deliveries { dead_letters, dead_letter_counts, receivers: state.receivers.rows(), deliveries }))
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

/// `POST /api/v1/deliveries/discard?destination=&incident=`: gives up dead letters of a destination, of an incident, or of both.
pub(super) async fn discard(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    parameters: Result<Query<GivenUp>, QueryRejection>,
) -> Result<Json<Discarded>, Problem> {
    let token = auth::require(&state.config.tokens, &headers, Scope::Deliver)?;
    let GivenUp { destination, incident } = super::query(parameters)?;
    if destination.is_none() && incident.is_none() {
        return Err(Problem::bad_request("bad_query", "name a destination, an incident or both"));
    }
    let which = Discard { destination, incident, actor: token.name.clone() };
    let letters = state.ledger.discard_dead_letters(&which).await;
    let discarded = letters.map_err(|error| Problem::ledger(&error))?.len();
    tracing::warn!(
        actor = token.name,
        deliveries = discarded,
        destination.name = which.destination,
        incident.id = which.incident,
        "refused messages are given up"
    );
    Ok(Json(Discarded { discarded }))
}
