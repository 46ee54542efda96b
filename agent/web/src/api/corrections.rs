//! Corrections: time that does not count, with the reason. A scope is needed to write and revoke them, none to read
//! them.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::{Json, extract};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Limit;
use crate::{Problem, State, auth};
use lookout_config::Token;
use lookout_model::{
    CorrectionKind, CorrectionRecord, CorrectionScope, LONGEST_REASON, MAX_IN_FORCE, MAX_KEPT, Recurrence,
    Revocation, Scope, Timestamp,
};

/// Longest actor, and longest value of any other field.
const LONGEST_NAME: usize = 200;
/// Largest distance from now at which a correction may begin and end: the retention of incidents.
const FURTHEST: Duration = Duration::from_secs(400 * 86_400);
/// Number of names that a refusal lists.
const MAX_NAMED: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    before: Option<String>,
    #[serde(default)]
    limit: Limit,
}

#[derive(Debug, Serialize)]
pub(super) struct Corrections {
    corrections: Vec<CorrectionRecord>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CorrectionRequest {
    scope: CorrectionScope,
    #[serde(default)]
    kind: CorrectionKind,
    from: String,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    recurrence: Option<Recurrence>,
    reason: String,
    #[serde(default)]
    actor: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoked {
    reason: String,
    #[serde(default)]
    actor: String,
}

/// `GET /api/v1/corrections?before=&limit=`: the last written first.
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Corrections>, Problem> {
    let parameters = super::query(parameters)?;
    let before = parameters.before.as_deref().filter(|id| !id.is_empty());
    let corrections = state.ledger.corrections(before, parameters.limit.0).await;
    Ok(Json(Corrections { corrections: corrections.map_err(|error| Problem::ledger(&error))? }))
}

/// `POST /api/v1/corrections`: 201 for a new one, 200 when an equal one is in force.
pub(super) async fn add(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<CorrectionRecord>), Problem> {
    let token = auth::require(&state.config.tokens, &headers, Scope::Correct)?;
    let written: CorrectionRequest = parse(body, "a correction")?;
    let wanted = check(written, token, &state)?;
    let ledger = |error| Problem::ledger(&error);
    // a repeated request, whose answer was lost, writes nothing again
    let known = state.ledger.corrections_in_force(Timestamp::MIN).await.map_err(ledger)?;
    if let Some(same) = known.into_iter().find(|known| known.has_same_content(&wanted)) {
        return Ok((StatusCode::OK, Json(same)));
    }
    if !state.ledger.record_correction(&wanted).await.map_err(ledger)? {
        let detail = format!(
            "there are too many corrections: at most {MAX_IN_FORCE} may be in force and {MAX_KEPT} kept; revoke those \
             that are not needed, or let one recur instead of writing many"
        );
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_corrections", detail));
    }
    tracing::info!(
        correction.id = wanted.id,
        correction.scope = %wanted.scope,
        correction.actor = wanted.actor,
        "a correction was written"
    );
    Ok((StatusCode::CREATED, Json(wanted)))
}

/// `POST /api/v1/corrections/{id}/revoke`: the correction as it is now; a second revocation changes nothing.
pub(super) async fn revoke(
    extract::State(state): extract::State<State>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<CorrectionRecord>, Problem> {
    let token = auth::require(&state.config.tokens, &headers, Scope::Correct)?;
    let Revoked { reason, actor } = parse(body, "a revocation")?;
    check_texts(&reason, &actor)?;
    let actor = auth::actor(token, &actor);
    let revocation = Revocation { at: state.clock.now(), actor, reason };
    let revoked = state.ledger.revoke_correction(&id, &revocation).await;
    match revoked.map_err(|error| Problem::ledger(&error))? {
        Some(correction) => {
            tracing::info!(correction.id = correction.id, "a correction is revoked");
            Ok(Json(correction))
        }
        None => {
            let shown: String = id.chars().take(40).collect();
            let detail = format!("there is no correction {shown:?}; `GET /api/v1/corrections` lists them");
            Err(Problem::new(StatusCode::NOT_FOUND, "unknown_correction", detail))
        }
    }
}

pub(super) fn parse<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
    what: &str,
) -> Result<T, Problem> {
    let body =
        body.map_err(|rejection| Problem::new(rejection.status(), "bad_body", rejection.body_text()))?;
    serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request("bad_body", format!("the body is not the JSON of {what}: {error}"))
    })
}

fn check(written: CorrectionRequest, token: &Token, state: &State) -> Result<CorrectionRecord, Problem> {
    check_texts(&written.reason, &written.actor)?;
    let actor = auth::actor(token, &written.actor);
    check_scope(&written.scope, state)?;
    let now = state.clock.now();
    let from = instant("from", &written.from)?;
    let to = written.to.as_deref().map(|to| instant("to", to)).transpose()?;
    if to.is_none() && written.recurrence.is_none() {
        let detail = "say when it ends: `to`; only a correction with a `recurrence` may go on for ever";
        return Err(Problem::bad_request("bad_times", detail));
    }
    if to.is_some_and(|to| to <= from) {
        return Err(Problem::bad_request("bad_times", "`to` must lie after `from`"));
    }
    let far = |at: Timestamp| at.since(now).max(now.since(at)) > FURTHEST;
    if far(from) || to.is_some_and(far) {
        let days = FURTHEST.as_secs() / 86_400;
        let detail = format!("`from` and `to` must lie within {days} days of now");
        return Err(Problem::bad_request("bad_times", detail));
    }
    Ok(CorrectionRecord {
        id: format!("cor-{:016x}", state.random.next()),
        scope: written.scope,
        kind: written.kind,
        from,
        to,
        recurrence: written.recurrence,
        reason: written.reason,
        actor,
        created_at: now,
        revoked: None,
    })
}

fn instant(name: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        let detail = format!("{name}: {shown:?} is no instant; write it like 2026-03-01T00:00:00Z");
        Problem::bad_request("bad_times", detail)
    })
}

fn check_texts(reason: &str, actor: &str) -> Result<(), Problem> {
    if reason.trim().is_empty() || reason.len() > LONGEST_REASON {
        let length = reason.len();
        let detail = format!("reason has 1 to {LONGEST_REASON} bytes that say something, not {length}");
        return Err(Problem::bad_request("bad_field", detail));
    }
    if actor.len() > LONGEST_NAME {
        let detail = format!("actor has up to {LONGEST_NAME} bytes, not {}", actor.len());
        return Err(Problem::bad_request("bad_field", detail));
    }
    Ok(())
}

fn check_scope(scope: &CorrectionScope, state: &State) -> Result<(), Problem> {
    let (known, name): (Vec<String>, &String) = match scope {
        CorrectionScope::All => return Ok(()),
        CorrectionScope::Service(name) => (state.services().into_iter().map(str::to_owned).collect(), name),
        CorrectionScope::Slo(id) => (state.config.slos.iter().map(lookout_config::Slo::id).collect(), id),
    };
    if known.contains(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(LONGEST_NAME).collect();
    let mut listed = known.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if known.len() > MAX_NAMED {
        listed.push_str(", …");
    }
    let (code, what) = match scope {
        CorrectionScope::Service(_) => ("unknown_service", "service is named"),
        _ => ("unknown_slo", "SLO has the id"),
    };
    Err(Problem::bad_request(code, format!("no {what} {shown:?}; known are: {listed}")))
}
