//! Calls of jobs. A call has no body: that it comes is the news.

use axum::extract::Path;
use axum::{Json, extract};
use http::{HeaderMap, StatusCode};
use lookout_config::Check;
use lookout_model::{Scope, Timestamp};
use lookout_runtime::events::chain;
use serde::Serialize;

use crate::{Problem, State, auth};

/// A call that was noted.
#[derive(Debug, Serialize)]
pub(super) struct HeartbeatResponse {
    name: String,
    at_ms: Timestamp,
    /// True if a restart keeps it.
    stored: bool,
}

/// `POST /api/v1/heartbeats/{name}`
pub(super) async fn note(
    extract::State(state): extract::State<State>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<HeartbeatResponse>, Problem> {
    auth::require(&state.config.tokens, &headers, Scope::Heartbeat)?;
    let heartbeats =
        || state.config.targets.iter().filter(|target| matches!(target.check, Check::Heartbeat(_)));
    if !heartbeats().any(|target| target.name == name) {
        let known: Vec<&str> = heartbeats().map(|target| target.name.as_str()).collect();
        let detail = match known.as_slice() {
            [] => "lookout.yaml has no target with `heartbeat`".to_owned(),
            known => format!("no heartbeat has this name; known are {}", known.join(", ")),
        };
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_heartbeat", detail));
    }
    let at = state.heartbeats.note(&name);
    let stored = state.ledger.record_heartbeat(&name, at).await;
    if let Err(error) = &stored {
        tracing::warn!(probe.target = name, error = chain(error), "a restart would forget a heartbeat");
    }
    Ok(Json(HeartbeatResponse { name, at_ms: at, stored: stored.is_ok() }))
}
