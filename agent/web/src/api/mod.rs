//! `/api/v1`: the data of the pages for programs, the gate, marked deploys and corrections.

mod acknowledge;
mod corrections;
mod deliveries;
mod deploys;
mod drills;
mod gate;
mod heartbeats;
mod history;
mod incidents;
mod silences;
mod slos;
mod targets;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;

use super::State;
use super::error::Problem;
use http::StatusCode;

pub(super) fn routes() -> Router<State> {
    let gate = Router::new()
        .route("/gate", get(gate::ask))
        .route("/gate/confirm", post(gate::confirm))
        .layer(Extension(gate::Recent::default()));
    Router::new()
        .route("/slos", get(slos::list))
        .route("/incidents", get(incidents::list))
        .route("/incidents/{id}/acknowledge", post(acknowledge::acknowledge))
        .route("/silences", get(silences::list).post(silences::add))
        .route("/silences/{id}/expire", post(silences::expire))
        .merge(gate)
        .route("/deploys", get(deploys::list).post(deploys::mark))
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/retry", post(deliveries::retry))
        .route("/deliveries/discard", post(deliveries::discard))
        .route("/drills", post(drills::begin))
        .route("/corrections", get(corrections::list).post(corrections::add))
        .route("/corrections/{id}/revoke", post(corrections::revoke))
        .route("/targets", get(targets::list))
        .route("/targets/{name}/history", get(history::show))
        .route("/targets/{name}/pause", post(targets::pause))
        .route("/targets/{name}/resume", post(targets::resume))
        .route("/heartbeats/{name}", post(heartbeats::note))
        .fallback(missing)
}

async fn missing() -> Problem {
    let detail = "there is no such resource; known are slos, incidents, silences, gate, deploys, deliveries, corrections, targets and heartbeats";
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

/// Returns the query of a request, or a problem that names the fault.
fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(Problem::bad_request("bad_query", rejection.body_text())),
    }
}

/// Number of rows of an answer.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
struct Limit(u32);

impl Limit {
    const MAX_ROWS: u32 = 1000;
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<u32> for Limit {
    type Error = String;

    fn try_from(rows: u32) -> Result<Self, String> {
        if (1..=Self::MAX_ROWS).contains(&rows) {
            Ok(Self(rows))
        } else {
            Err(format!("limit must lie between 1 and {}", Self::MAX_ROWS))
        }
    }
}
