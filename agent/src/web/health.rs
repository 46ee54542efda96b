//! What machines ask: are you alive, are you ready, what do you count.

use std::time::Duration;

use axum::extract;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::State;
use super::error::Problem;
use crate::export;

/// A ledger that takes longer to answer a small question is not ready.
const LEDGER_PATIENCE: Duration = Duration::from_secs(2);

/// `GET /livez`: this process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the first evaluation is done, and the ledger answers and takes what is written.
pub(super) async fn ready(extract::State(state): extract::State<State>) -> Response {
    if !state.board.has_evaluated() {
        let detail = "the first evaluation is not done yet";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", detail).into_response();
    }
    if state.board.read().ledger_is_down {
        let detail = "the ledger takes no writes: counts wait in memory and nobody is told of incidents";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", detail).into_response();
    }
    match tokio::time::timeout(LEDGER_PATIENCE, state.ledger.open_incidents()).await {
        Ok(Ok(_)) => "ok\n".into_response(),
        Ok(Err(error)) => Problem::ledger(&error).into_response(),
        Err(_) => {
            let detail = "the ledger did not answer in time";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", detail).into_response()
        }
    }
}

/// `GET /metrics`
pub(super) async fn metrics(extract::State(state): extract::State<State>) -> Response {
    let text = export::render(&state.recorder, &state.board.read(), &state.host, state.config.agent_url());
    ([(CONTENT_TYPE, export::CONTENT_TYPE)], text).into_response()
}
