//! Silences: bounded times in which incidents are told to nobody. A scope is needed to make and end them, none to read
//! them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::rejection::BytesRejection;
use axum::{Json, extract};
use http::{HeaderMap, StatusCode};
use lookout_config::Slo;
use lookout_engine::Severity;
use serde::{Deserialize, Serialize};

use super::corrections::parse;
use crate::{Problem, State, auth};
use lookout_ledger::MAX_SILENCES;
use lookout_model::{LONGEST_REASON, Matcher, Scope, SilenceRecord, parse_duration};

/// Longest silence. What must be silent for longer needs another route, or another SLO.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Time for which silences that are over are listed.
const LISTED_FOR: Duration = Duration::from_secs(7 * 86_400);

#[derive(Debug, Serialize)]
pub(super) struct Silences {
    silences: Vec<SilenceRecord>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SilenceRequest {
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    slos: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    severity: Option<WrittenSeverity>,
    /// A duration like `2h`.
    #[serde(rename = "for")]
    length: String,
    reason: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenSeverity {
    Page,
    Ticket,
}

/// `GET /api/v1/silences`: those in force, and those that ended within a week, in the order they were made.
pub(super) async fn list(extract::State(state): extract::State<State>) -> Result<Json<Silences>, Problem> {
    let silences = state.ledger.silences(state.clock.now() - LISTED_FOR).await;
    Ok(Json(Silences { silences: silences.map_err(|error| Problem::ledger(&error))? }))
}

/// `POST /api/v1/silences`: 201 for a new one, 200 when an equal one is in force.
pub(super) async fn add(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<SilenceRecord>), Problem> {
    let token = auth::require(&state.config.tokens, &headers, Scope::Silence)?;
    let wanted = check(parse(body, "a silence")?, &token.name, &state)?;
    let known = state.ledger.silences(wanted.created_at).await.map_err(|error| Problem::ledger(&error))?;
    // a repeated request, whose answer was lost, makes no second one
    let same = |known: &SilenceRecord| {
        (&known.matcher, known.severity, &known.reason, &known.actor)
            == (&wanted.matcher, wanted.severity, &wanted.reason, &wanted.actor)
            && known.ends_at.since(wanted.ends_at).max(wanted.ends_at.since(known.ends_at))
                < Duration::from_secs(60)
    };
    if let Some(same) = known.into_iter().find(same) {
        return Ok((StatusCode::OK, Json(same)));
    }
    if !state.ledger.record_silence(&wanted).await.map_err(|error| Problem::ledger(&error))? {
        let detail = format!("{MAX_SILENCES} silences are in force; expire those that are not needed");
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_silences", detail));
    }
    tracing::info!(silence.id = wanted.id, actor = wanted.actor, silence.of = %wanted.matcher, "a silence begins");
    Ok((StatusCode::CREATED, Json(wanted)))
}

/// `POST /api/v1/silences/{id}/expire`: the silence as it is now; one that is over stays as it is.
pub(super) async fn expire(
    extract::State(state): extract::State<State>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<SilenceRecord>, Problem> {
    let token = auth::require(&state.config.tokens, &headers, Scope::Silence)?;
    let expired = state.ledger.expire_silence(&id, &token.name, state.clock.now()).await;
    let Some(silence) = expired.map_err(|error| Problem::ledger(&error))? else {
        let shown: String = id.chars().take(40).collect();
        let detail = format!("there is no silence {shown:?}; `GET /api/v1/silences` lists them");
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_silence", detail));
    };
    tracing::info!(silence.id = id, actor = token.name, "a silence is ended");
    Ok(Json(silence))
}

fn check(written: SilenceRequest, actor: &str, state: &State) -> Result<SilenceRecord, Problem> {
    let SilenceRequest { services, slos, labels, severity, length, reason } = written;
    if reason.trim().is_empty() || reason.len() > LONGEST_REASON {
        let detail =
            format!("reason has 1 to {LONGEST_REASON} bytes that say something, not {}", reason.len());
        return Err(Problem::bad_request("bad_field", detail));
    }
    let length = parse_duration(&length).ok().filter(|length| !length.is_zero() && *length <= LONGEST);
    let Some(length) = length else {
        let detail = "`for` is a time like `2h`, at most `7d`: a silence must end by itself";
        return Err(Problem::bad_request("bad_length", detail));
    };
    let matcher = Matcher { services, slos, labels };
    if matcher.is_empty() && severity.is_none() {
        let detail =
            "name `services`, `slos`, `labels` or a `severity`: a silence of everything hides every outage";
        return Err(Problem::bad_request("bad_matcher", detail));
    }
    let selects = |slo: &Slo| matcher.selects(&slo.service, &slo.id(), &slo.labels);
    if !state.config.slos.iter().any(selects) {
        let known: Vec<String> = state.config.slos.iter().map(Slo::id).take(20).collect();
        let detail = format!("no SLO is selected by {matcher}; known are {}", known.join(", "));
        return Err(Problem::bad_request("unknown_slo", detail));
    }
    let now = state.clock.now();
    Ok(SilenceRecord {
        id: format!("sil-{:016x}", state.random.next()),
        matcher,
        severity: severity.map(|severity| match severity {
            WrittenSeverity::Page => Severity::Page,
            WrittenSeverity::Ticket => Severity::Ticket,
        }),
        reason: reason.trim().to_owned(),
        actor: actor.to_owned(),
        created_at: now,
        ends_at: now + length,
        expired_by: None,
    })
}
