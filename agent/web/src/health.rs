//! Liveness, readiness and metrics.

use std::time::Duration;

use axum::extract;
use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use lookout_model::format;
use lookout_runtime::exposition::Format;

use super::State;
use super::error::Problem;

/// The paths of liveness and readiness. They answer when the server answers nothing else.
pub(super) const PATHS: [&str; 2] = ["/livez", "/readyz"];

/// Longest time in which the ledger of a ready agent answers a small query.
const LEDGER_PATIENCE: Duration = Duration::from_secs(2);

/// Largest delay of a tick beyond three intervals.
const LONGEST_TICK: Duration = Duration::from_secs(30);

/// `GET /livez`: 200 while this process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: 200 after the first evaluation, while the ledger answers and accepts writes.
pub(super) async fn ready(extract::State(state): extract::State<State>) -> Response {
    if !state.board.has_evaluated() {
        let detail = "the first evaluation is not done yet";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", detail).into_response();
    }
    if state.board.read().ledger_is_down {
        let detail =
            "the ledger takes no writes: counts and incidents wait in memory, and are told from there";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", detail).into_response();
    }
    let snapshot = state.board.read();
    let interval = Duration::from_secs(snapshot.interval_s.into());
    if state.clock.now().since(snapshot.at) > LONGEST_TICK + 3 * interval {
        let detail = "no evaluation was recorded for too long: the disk or the processor may be stuck";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "evaluation_late", detail).into_response();
    }
    match tokio::time::timeout(LEDGER_PATIENCE, state.ledger.open_incidents()).await {
        Ok(Ok(_)) => undelivered(&state).await.into_response(),
        Ok(Err(error)) => Problem::ledger(&error).into_response(),
        Err(_) => {
            let detail = "the ledger did not answer in time";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", detail).into_response()
        }
    }
}

/// Returns the body of a ready agent: a line for each destination that refuses messages.
async fn undelivered(state: &State) -> String {
    let refused = state.ledger.dead_letter_counts().await.unwrap_or_default();
    let config = match state.refused.get() {
        Some(_) => "ok\na changed configuration was refused; the one before is in use\n",
        None => "ok\n",
    };
    // addresses of before are in use: no reason to take the agent out of service
    let lost = state.discoveries.rows().into_iter().filter(|row| row.failure.is_some());
    let config = lost.fold(config.to_owned(), |text, row| {
        text + &format!("addresses of {} cannot be looked up: see the overview\n", row.target)
    });
    refused.into_iter().fold(config, |text, (destination, letters)| {
        let letters = format::several(letters as usize, "message");
        text + &format!("{destination} refused {letters}: see `lookout status`\n")
    })
}

/// Returns the text of `/metrics`.
#[must_use]
pub fn metrics_text(state: &State, format: Format) -> String {
    let mut text = String::new();
    write_metrics(&mut text, state, format);
    text
}

fn write_metrics(text: &mut String, state: &State, format: Format) {
    let snapshot = state.board.read();
    let url = state.config.agent_url();
    lookout_export::render(text, &state.recorder, &snapshot, &state.host, url, format);
    if state.config.blackbox.metrics {
        text.push_str(&state.blackbox.text());
    }
    format.write_end(text);
}

/// `GET /metrics`, in OpenMetrics for those that ask for it: it alone has exemplars.
pub(super) async fn metrics(extract::State(state): extract::State<State>, headers: HeaderMap) -> Response {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let [text, open_metrics] = &state.metrics;
    let (format, shared) = match accepted.any(|types| types.contains("application/openmetrics-text")) {
        true => (Format::OpenMetrics, open_metrics),
        false => (Format::Text, text),
    };
    let text = shared.get(|text| write_metrics(text, &state, format)).await;
    ([(CONTENT_TYPE, format.content_type())], text).into_response()
}
