//! Drills: marked incidents that go the whole way of a page.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::{Json, extract};
use http::{HeaderMap, StatusCode};
use lookout_engine::Severity;
use serde::{Deserialize, Serialize};

use super::corrections::parse;
use crate::{Problem, State, auth};
use lookout_model::{Scope, Timestamp};

/// Longest drill.
const LONGEST: u64 = 3600;
/// Largest number of drills at a time.
const AT_ONCE: usize = 5;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DrillRequest {
    /// `Slo::id`.
    slo: String,
    #[serde(default)]
    severity: AskedSeverity,
    #[serde(default = "half_a_minute")]
    seconds: u64,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AskedSeverity {
    #[default]
    Page,
    Ticket,
}

const fn half_a_minute() -> u64 {
    30
}

#[derive(Debug, Serialize)]
pub(super) struct DrillStarted {
    incident_id: String,
    destinations: Vec<String>,
    #[serde(rename = "ends_at_ms")]
    ends_at: Timestamp,
}

/// `POST /api/v1/drills`: opens a drill, which is resolved by itself.
pub(super) async fn begin(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<DrillStarted>), Problem> {
    let token = auth::require(&state.config.tokens, &headers, Scope::Deliver)?;
    let asked: DrillRequest = parse(body, "a drill")?;
    let Some(slo) = state.config.slos.iter().find(|slo| slo.id() == asked.slo) else {
        let known: Vec<String> = state.config.slos.iter().map(lookout_config::Slo::id).take(20).collect();
        let detail = format!("there is no SLO {:?}; known are {}", asked.slo, known.join(", "));
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_slo", detail));
    };
    if !(1..=LONGEST).contains(&asked.seconds) {
        return Err(Problem::bad_request("bad_length", format!("a drill lasts 1 to {LONGEST} seconds")));
    }
    let open = state.ledger.open_incidents().await.map_err(|error| Problem::ledger(&error))?;
    if open.iter().filter(|incident| lookout_evaluate::is_drill(incident)).count() >= AT_ONCE {
        let detail = format!("{AT_ONCE} drills are under way; wait for the end of one");
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_drills", detail));
    }
    let severity = match asked.severity {
        AskedSeverity::Page => Severity::Page,
        AskedSeverity::Ticket => Severity::Ticket,
    };
    let (now, length) = (state.clock.now(), Duration::from_secs(asked.seconds));
    let drill = lookout_evaluate::drill(&state.config, slo, severity, length, now);
    state.ledger.commit(&[], std::slice::from_ref(&drill)).await.map_err(|error| Problem::ledger(&error))?;
    state.wake.notify_waiters();
    tracing::info!(actor = token.name, slo.id = asked.slo, incident.id = drill.incident.id, "a drill begins");
    let (incident_id, destinations) = (drill.incident.id, drill.destinations);
    Ok((StatusCode::CREATED, Json(DrillStarted { incident_id, destinations, ends_at: now + length })))
}
