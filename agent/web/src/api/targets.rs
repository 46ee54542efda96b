//! Targets, and pauses that operators ask for. Who asked is the name of the token.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::Json;
use axum::body::Bytes;
use axum::extract;
use axum::extract::Path;
use axum::extract::rejection::BytesRejection;
use http::{HeaderMap, StatusCode};
use lookout_config::Target;
use lookout_model::{LONGEST_PAUSE, LONGEST_REASON, Pause, PauseRecord, Scope, parse_duration};
use lookout_runtime::events::chain;
use serde::{Deserialize, Serialize};

use super::corrections::parse;
use crate::{DiscoveryRow, ProbeRow, Problem, State, auth};

/// Every target.
#[derive(Debug, Serialize)]
pub(super) struct Targets {
    targets: Vec<Row>,
    /// Sources of addresses.
    discoveries: Vec<DiscoveryRow>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    protocol: &'static str,
    labels: BTreeMap<String, String>,
    paused: Option<Pause>,
    /// Results of the last probe by address, where it tries several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<Address>,
}

#[derive(Debug, Serialize)]
struct Address {
    address: IpAddr,
    ok: bool,
    failure: Option<String>,
    total_ms: f64,
}

/// `GET /api/v1/targets`: every target with its labels and its pause.
pub(super) async fn list(extract::State(state): extract::State<State>) -> Json<Targets> {
    let now = state.clock.now();
    let probes = state.probes.rows().into_iter().filter(|row| !row.addresses.is_empty());
    let probes: BTreeMap<String, ProbeRow> = probes.map(|row| (row.target.clone(), row)).collect();
    let addresses = |name: &str| {
        let rows = probes.get(name).into_iter().flat_map(|row| &row.addresses);
        rows.map(|row| Address {
            address: row.address,
            ok: row.failure.is_none(),
            failure: row.failure.clone(),
            total_ms: row.total.as_secs_f64() * 1e3,
        })
        .collect()
    };
    let row = |target: &Target| Row {
        addresses: addresses(&target.name),
        name: target.name.clone(),
        protocol: target.check.protocol(),
        labels: target.labels.iter().cloned().collect(),
        paused: state.pauses.at(target, now),
    };
    let targets = state.config.targets.iter().map(|target| row(target)).collect();
    Json(Targets { targets, discoveries: state.discoveries.rows() })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseRequest {
    /// The length, such as `2h`.
    #[serde(rename = "for")]
    length: String,
    reason: String,
}

/// A pause, and whether a restart keeps it.
#[derive(Debug, Serialize)]
pub(super) struct PauseResponse {
    #[serde(flatten)]
    pause: PauseRecord,
    stored: bool,
}

/// `POST /api/v1/targets/{name}/pause`: begins now, in the place of an earlier pause.
pub(super) async fn pause(
    extract::State(state): extract::State<State>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<PauseResponse>, Problem> {
    let token = auth::require(&state.config.tokens, &headers, Scope::Pause)?;
    known(&state, &name)?;
    let PauseRequest { length, reason } = parse(body, "a pause")?;
    if reason.trim().is_empty() || reason.len() > LONGEST_REASON {
        let detail =
            format!("reason has 1 to {LONGEST_REASON} bytes that say something, not {}", reason.len());
        return Err(Problem::bad_request("bad_field", detail));
    }
    let length = parse_duration(&length).ok().filter(|length| !length.is_zero() && *length <= LONGEST_PAUSE);
    let Some(length) = length else {
        let days = LONGEST_PAUSE.as_secs() / 86_400;
        let detail = format!("for: write a length like `2h`, at most {days}d");
        return Err(Problem::bad_request("bad_times", detail));
    };
    let now = state.clock.now();
    let pause =
        PauseRecord { target: name, from: now, until: now + length, reason, actor: token.name.clone() };
    state.pauses.put(pause.clone());
    tracing::info!(probe.target = pause.target, actor = pause.actor, "a target is paused");
    Ok(Json(store(&state, pause).await))
}

/// `POST /api/v1/targets/{name}/resume`: ends the pause that an operator asked for.
pub(super) async fn resume(
    extract::State(state): extract::State<State>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<PauseResponse>, Problem> {
    let token = auth::require(&state.config.tokens, &headers, Scope::Pause)?;
    let target = known(&state, &name)?;
    let now = state.clock.now();
    let Some(ended) = state.pauses.end(&name, now) else {
        let why = state.pauses.at(target, now).map(|pause| format!(": {}", pause.text(now)));
        let detail = format!("no operator paused this target{}", why.unwrap_or_default());
        return Err(Problem::new(StatusCode::CONFLICT, "not_paused", detail));
    };
    tracing::info!(probe.target = ended.target, actor = token.name, "a target is probed again");
    Ok(Json(store(&state, ended).await))
}

async fn store(state: &State, pause: PauseRecord) -> PauseResponse {
    let stored = state.ledger.record_pause(&pause).await;
    if let Err(error) = &stored {
        let error = chain(error);
        tracing::warn!(probe.target = pause.target, error, "a restart would forget a pause or its end");
    }
    PauseResponse { pause, stored: stored.is_ok() }
}

/// A target, or the first address of one.
pub(super) fn known<'s>(state: &'s State, name: &str) -> Result<&'s Target, Problem> {
    state.config.targets.iter().map(AsRef::as_ref).find(|target: &&Target| target.is_of(name)).ok_or_else(
        || {
            let known: Vec<&str> = state.config.targets.iter().map(|target| target.name.as_str()).collect();
            let detail = match known.as_slice() {
                [] => "lookout.yaml has no target".to_owned(),
                known => format!("no target has this name; known are {}", known.join(", ")),
            };
            Problem::new(StatusCode::NOT_FOUND, "unknown_target", detail)
        },
    )
}
