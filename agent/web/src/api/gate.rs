//! The gate: asked before a deploy. Every answer about a known service to a known client is recorded before it is sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::{Extension, Json, extract};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::sync::Mutex;
use tracing::field;

use crate::{Problem, State, auth};
use lookout_gate::{Answer, Code, Decision, Question, decide};
use lookout_model::{DecisionRecord, Timestamp};
use lookout_model::{DeployClass, Scope};
use lookout_runtime::events::names;

/// Longest name of a service.
const LONGEST_NAME: usize = 200;

/// Time within which an unchanged answer is not recorded again.
const SAME_FOR: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    service: Option<String>,
    class: Option<String>,
}

/// The last recorded answers, one per service and class. The lock is held while one is recorded, so that concurrent
/// requests write one row.
#[derive(Clone, Default)]
pub(super) struct Recent(Arc<Mutex<BTreeMap<(String, DeployClass), RecordedAnswer>>>);

/// An answer, and when it was recorded.
struct RecordedAnswer {
    at: Timestamp,
    answer: Answer,
}

/// `GET /api/v1/gate?service=&class=`: 200 for every answer.
#[tracing::instrument(name = "gate", level = "info", skip_all, fields(
    otel.kind = "server", service = field::Empty, class = field::Empty, decision = field::Empty,
))]
pub(super) async fn ask(
    extract::State(state): extract::State<State>,
    Extension(recent): Extension<Recent>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Answer>, Problem> {
    let tokens = &state.config.tokens;
    if tokens.iter().any(|token| token.scopes.contains(&Scope::Ask)) {
        auth::require(tokens, &headers, Scope::Ask)?;
    }
    let question = parse(super::query(parameters)?)?;
    let class = question.class;
    let (snapshot, now) = (state.board.read(), state.clock.now());
    let answer = decide(&question, &snapshot, &state.config.gate, now);
    let known = state.services().contains(question.service.as_str());
    // A label from outside would let any client create series without limit.
    let service = if known { question.service.clone() } else { "unknown".to_owned() };
    // Nor may made-up names or strangers fill the ledger.
    let answer = if known && auth::is_known(tokens, &headers) {
        recorded(&state, &recent, question, answer, now).await?
    } else {
        Answer { decision_id: String::new(), ..answer }
    };
    let span = tracing::Span::current();
    span.record("service", service.as_str()).record("class", class.as_str());
    span.record("decision", answer.decision.as_str());
    metrics::counter!(names::DECISIONS, "service" => service, "decision" => answer.decision.as_str())
        .increment(1);
    Ok(Json(answer))
}

/// `POST /api/v1/gate/confirm?service=&class=`: the same question for clients that read only status codes, such as a
/// webhook of a rollout: 200 go on, 409 not now, 403 no. The body is not read.
pub(super) async fn confirm(
    state: extract::State<State>,
    recent: Extension<Recent>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<(StatusCode, Json<Answer>), Problem> {
    let answer = ask(state, recent, headers, parameters).await?;
    let status = match answer.decision {
        Decision::Allow => StatusCode::OK,
        Decision::Hold => StatusCode::CONFLICT,
        Decision::Deny => StatusCode::FORBIDDEN,
    };
    Ok((status, answer))
}

/// Records the answer, or returns an equal one that was recorded a moment ago.
async fn recorded(
    state: &State,
    recent: &Recent,
    question: Question,
    mut answer: Answer,
    now: Timestamp,
) -> Result<Answer, Problem> {
    let mut recent = recent.0.lock().await;
    let key = (question.service.clone(), question.class);
    if let Some(RecordedAnswer { at, answer: before }) = recent.get(&key) {
        let is_fresh = now >= *at && now.since(*at) < SAME_FOR;
        if is_fresh && before.valid_until > answer.evaluated_at && has_same_content(before, &answer) {
            return Ok(before.clone());
        }
    }
    answer.decision_id = format!("dec-{:016x}", state.random.next());
    record(state, &question, &answer, now).await?;
    recent.insert(key, RecordedAnswer { at: now, answer: answer.clone() });
    Ok(answer)
}

fn has_same_content(one: &Answer, other: &Answer) -> bool {
    let reasons = |answer: &Answer| -> Vec<(Code, String)> {
        answer.reasons.iter().map(|reason| (reason.code, reason.slo.clone())).collect()
    };
    one.decision == other.decision && reasons(one) == reasons(other)
}

fn parse(parameters: Parameters) -> Result<Question, Problem> {
    let Some(service) = parameters.service.filter(|name| !name.is_empty()) else {
        return Err(Problem::bad_request("service_missing", "say which service: `?service=…&class=feature`"));
    };
    if service.len() > LONGEST_NAME {
        return Err(Problem::bad_request("service_too_long", "no service has a name that long"));
    }
    let class = match parameters.class.as_deref() {
        // The class with the strictest policy.
        None => DeployClass::default(),
        Some(word) => {
            word.parse::<DeployClass>().map_err(|bad| Problem::bad_request("bad_class", bad.to_string()))?
        }
    };
    Ok(Question { service, class })
}

async fn record(state: &State, question: &Question, answer: &Answer, now: Timestamp) -> Result<(), Problem> {
    let text = serde_json::to_string(answer).map_err(|error| {
        tracing::error!(%error, "writing an answer of the gate as JSON");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer could not be written")
    })?;
    let record = DecisionRecord {
        id: answer.decision_id.clone(),
        sequence: 0,
        at: now,
        service: question.service.clone(),
        answer: text,
        previous_hash: String::new(),
        hash: String::new(),
    };
    state.ledger.record_decision(record).await.map_err(|error| Problem::ledger(&error))?;
    tracing::info!(
        gate.service = question.service,
        gate.class = question.class.as_str(),
        gate.decision = answer.decision.as_str(),
        gate.evidence = answer.evidence.as_str(),
        gate.decision_id = answer.decision_id,
        "the gate answered"
    );
    Ok(())
}
