//! Every SLO of the newest snapshot.

use axum::{Json, extract};
use serde::Serialize;

use crate::State;
use lookout_evaluate::Snapshot;

/// Body of the answer: the snapshot and its age.
#[derive(Debug, Serialize)]
pub(super) struct Slos {
    age_seconds: f64,
    #[serde(flatten)]
    snapshot: Snapshot,
}

/// `GET /api/v1/slos`
pub(super) async fn list(extract::State(state): extract::State<State>) -> Json<Slos> {
    let snapshot = Snapshot::clone(&state.board.read());
    let age_seconds = state.clock.now().seconds_since(snapshot.at).max(0.0);
    Json(Slos { age_seconds, snapshot })
}
