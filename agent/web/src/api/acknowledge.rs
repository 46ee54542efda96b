//! Acknowledgements: somebody works on an incident. It is told to all who heard of the incident.

use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::rejection::BytesRejection;
use axum::{Json, extract};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::corrections::parse;
use crate::{Problem, State, auth};
use lookout_ledger::LedgerError;
use lookout_model::{Acknowledgement, LONGEST_REASON, News, Scope, Timestamp, TransitionRecord};

/// Number of times that an acknowledgement is written anew because the incident changed meanwhile.
const TRIES: usize = 5;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AcknowledgementRequest {
    #[serde(default)]
    note: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Acknowledged {
    incident_id: String,
    acknowledgement: Acknowledgement,
    /// Those that are told of it.
    destinations: Vec<String>,
}

/// `POST /api/v1/incidents/{id}/acknowledge`: a second one of the same person with the same note changes nothing.
pub(super) async fn acknowledge(
    extract::State(state): extract::State<State>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Acknowledged>), Problem> {
    let token = auth::require(&state.config.tokens, &headers, Scope::Acknowledge)?;
    let empty = body.as_ref().is_ok_and(|body| body.is_empty());
    let AcknowledgementRequest { note } =
        if empty { AcknowledgementRequest::default() } else { parse(body, "an acknowledgement")? };
    if note.len() > LONGEST_REASON {
        let detail = format!("note has up to {LONGEST_REASON} bytes, not {}", note.len());
        return Err(Problem::bad_request("bad_field", detail));
    }
    let note = note.trim().to_owned();
    for _ in 0..TRIES {
        let now = state.clock.now();
        let last = open(&state, &id, now).await?;
        let known = last.notice.acknowledgement.as_ref();
        if let Some(known) =
            known.filter(|known| known.at >= last.at && known.actor == token.name && known.note == note)
        {
            return Ok((StatusCode::OK, answer(&last, known.clone())));
        }
        // two within a millisecond would be one
        let at =
            known.map_or(now, |known| now.max(known.at + Timestamp::TICK)).max(last.at + Timestamp::TICK);
        let acknowledgement = Acknowledgement { at, actor: token.name.clone(), note: note.clone() };
        let mut base = last.clone();
        base.notice.acknowledgement = Some(acknowledgement.clone());
        let news = base.with_news(News::Acknowledged, at, last.destinations.clone());
        let ledger = |error: LedgerError| Problem::ledger(&error);
        state.ledger.commit(&[], std::slice::from_ref(&news)).await.map_err(ledger)?;
        // it is not stored when the incident changed meanwhile
        let stored = open(&state, &id, now).await?;
        if stored.notice.acknowledgement.as_ref() == Some(&acknowledgement) {
            state.wake.notify_waiters();
            tracing::info!(actor = token.name, incident.id = id, "an incident is acknowledged");
            return Ok((StatusCode::CREATED, answer(&last, acknowledgement)));
        }
    }
    let detail = "the incident changes again and again; try once more";
    Err(Problem::new(StatusCode::CONFLICT, "incident_changed", detail))
}

fn answer(last: &TransitionRecord, acknowledgement: Acknowledgement) -> Json<Acknowledged> {
    let (incident_id, destinations) = (last.incident.id.clone(), last.destinations.clone());
    Json(Acknowledged { incident_id, acknowledgement, destinations })
}

/// Returns the last change of an open incident.
async fn open(state: &State, id: &str, now: Timestamp) -> Result<TransitionRecord, Problem> {
    let latest = state.ledger.latest_transitions(now).await.map_err(|error| Problem::ledger(&error))?;
    let is_open = |one: &TransitionRecord| one.incident.id == id && one.incident.resolved_at.is_none();
    if let Some(found) = latest.into_iter().find(is_open) {
        return Ok(found);
    }
    let shown: String = id.chars().take(60).collect();
    let detail = format!("no open incident has the id {shown:?}; `GET /api/v1/incidents` lists them");
    Err(Problem::new(StatusCode::NOT_FOUND, "unknown_incident", detail))
}
