//! The gate: asked before a deploy; every answer is recorded before it is given.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::{Json, extract};
use serde::Deserialize;

use crate::events::names;
use crate::gate::{Answer, Ask, Class, decide};
use crate::ledger::DecisionRecord;
use crate::web::{Problem, State};

/// Longer names belong to no service.
const LONGEST_NAME: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    service: Option<String>,
    class: Option<String>,
}

/// `GET /api/v1/gate?service=&class=`: 200 for every answer, whatever it says.
pub(super) async fn ask(
    extract::State(state): extract::State<State>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Answer>, Problem> {
    let ask = understand(super::query(asked)?)?;
    let (snapshot, now_ms) = (state.board.read(), state.clock.now_ms());
    let mut answer = decide(&ask, &snapshot, &state.config.gate, now_ms);
    answer.decision_id = format!("dec-{:016x}", state.random.next());
    record(&state, &ask, &answer, now_ms).await?;
    let known = snapshot.slos.iter().any(|slo| slo.service == ask.service);
    // A label from outside would let anyone make series without end.
    let service = if known { ask.service } else { "unknown".to_owned() };
    metrics::counter!(names::DECISIONS, "service" => service, "decision" => answer.decision.as_str())
        .increment(1);
    Ok(Json(answer))
}

fn understand(asked: Asked) -> Result<Ask, Problem> {
    let Some(service) = asked.service.filter(|name| !name.is_empty()) else {
        return Err(Problem::bad_request("service_missing", "say which service: `?service=…&class=feature`"));
    };
    if service.len() > LONGEST_NAME {
        return Err(Problem::bad_request("service_too_long", "no service has a name that long"));
    }
    let class = match asked.class.as_deref() {
        // The class that is held to the whole policy.
        None => Class::default(),
        Some(word) => {
            word.parse::<Class>().map_err(|bad| Problem::bad_request("bad_class", bad.to_string()))?
        }
    };
    Ok(Ask { service, class })
}

async fn record(state: &State, ask: &Ask, answer: &Answer, now_ms: i64) -> Result<(), Problem> {
    let text = serde_json::to_string(answer).map_err(|error| {
        tracing::error!(%error, "writing an answer of the gate as JSON");
        Problem::new(http::StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer could not be written")
    })?;
    let record = DecisionRecord {
        id: answer.decision_id.clone(),
        sequence: 0,
        at_ms: now_ms,
        service: ask.service.clone(),
        answer: text,
        previous_hash: String::new(),
        hash: String::new(),
    };
    state.ledger.record_decision(record).await.map_err(|error| Problem::ledger(&error))?;
    tracing::info!(
        gate.service = ask.service,
        gate.class = ask.class.as_str(),
        gate.decision = answer.decision.as_str(),
        gate.evidence = answer.evidence.as_str(),
        gate.decision_id = answer.decision_id,
        "the gate answered"
    );
    Ok(())
}
