//! Marked deploys: version, time and actor. Two marks with one key are one deploy.

use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::{Json, extract};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::Limit;
use crate::{Problem, State, auth};
use lookout_model::DeployRecord;
use lookout_model::{DeployClass, Scope};

/// Longest value of a field and longest key.
const LONGEST: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    service: Option<String>,
    #[serde(default)]
    limit: Limit,
}

#[derive(Debug, Serialize)]
pub(super) struct Deploys {
    deploys: Vec<DeployRecord>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marked {
    service: String,
    #[serde(default = "production")]
    environment: String,
    version: String,
    #[serde(default)]
    commit: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    class: DeployClass,
}

fn production() -> String {
    "production".to_owned()
}

/// `GET /api/v1/deploys?service=&limit=`
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Deploys>, Problem> {
    let parameters = super::query(parameters)?;
    let service = parameters.service.as_deref().filter(|name| !name.is_empty());
    let deploys =
        state.ledger.deploys(service, parameters.limit.0).await.map_err(|error| Problem::ledger(&error))?;
    Ok(Json(Deploys { deploys }))
}

/// `POST /api/v1/deploys`: 201 when it is new, 200 when it was marked before.
pub(super) async fn mark(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<DeployRecord>), Problem> {
    let token = auth::require(&state.config.tokens, &headers, Scope::Mark)?;
    let key = key(&headers)?;
    let body =
        body.map_err(|rejection| Problem::new(rejection.status(), "bad_body", rejection.body_text()))?;
    let marked = parse(&body, &state)?;
    let actor = auth::actor(token, &marked.actor);
    let wanted = DeployRecord {
        id: format!("dep-{:016x}", state.random.next()),
        idempotency_key: key,
        service: marked.service,
        environment: marked.environment,
        version: marked.version,
        commit: marked.commit,
        actor,
        class: marked.class,
        started_at: state.clock.now(),
    };
    let stored = state.ledger.record_deploy(&wanted).await.map_err(|error| Problem::ledger(&error))?;
    if stored.id == wanted.id {
        tracing::info!(
            deploy.service = stored.service,
            deploy.version = stored.version,
            "a deploy was marked"
        );
        return Ok((StatusCode::CREATED, Json(stored)));
    }
    // The same deploy, apart from the values that its first mark was given.
    let same = DeployRecord { id: stored.id.clone(), started_at: stored.started_at, ..wanted };
    if same == stored {
        return Ok((StatusCode::OK, Json(stored)));
    }
    let detail =
        format!("this Idempotency-Key belongs to another deploy ({}): use a key of its own", stored.id);
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail))
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).map(str::trim);
    match key {
        Some(key) if (1..=LONGEST).contains(&key.len()) => Ok(key.to_owned()),
        Some(_) => {
            let detail = format!("an Idempotency-Key has 1 to {LONGEST} characters");
            Err(Problem::bad_request("bad_idempotency_key", detail))
        }
        None => {
            let detail = "send the header `Idempotency-Key` (the id of the pipeline run, say), so that a repeated request \
                          marks one deploy";
            Err(Problem::bad_request("idempotency_key_missing", detail))
        }
    }
}

fn parse(body: &[u8], state: &State) -> Result<Marked, Problem> {
    let marked: Marked = serde_json::from_slice(body).map_err(|error| {
        Problem::bad_request("bad_body", format!("the body is not the JSON of a deploy: {error}"))
    })?;
    let fields = [
        ("service", &marked.service, 1),
        ("environment", &marked.environment, 1),
        ("version", &marked.version, 1),
        ("commit", &marked.commit, 0),
        ("actor", &marked.actor, 0),
    ];
    for (name, value, least) in fields {
        if !(least..=LONGEST).contains(&value.len()) {
            let detail = format!("{name} has {least} to {LONGEST} bytes, not {}", value.len());
            return Err(Problem::bad_request("bad_field", detail));
        }
    }
    let services = state.services();
    if !services.contains(marked.service.as_str()) {
        let known: Vec<&str> = services.into_iter().collect();
        let detail =
            format!("no service is named {:?}; known services: {}", marked.service, known.join(", "));
        return Err(Problem::bad_request("unknown_service", detail));
    }
    Ok(marked)
}
