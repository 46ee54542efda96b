//! `POST /api/v1/passengers/import`: many passengers as NDJSON, all of them or none.
//!
//! An import can be sent again: a passenger with a known id is skipped, and a line without an id has one that follows from
//! what it says.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::idempotency::refuse_key;
use super::{Context, Importer};
use crate::fields::FieldError;
use crate::http::error::Problem;
use crate::http::extract::{BodyLimits, bounded, require_media_type};
use crate::passengers::domain::model::NewPassenger;

/// The most passengers of an import: as many as are stored before another writer has waited too long.
pub(super) const MOST_PASSENGERS: usize = 10_000;
/// The most bytes of an import, which are held in memory: about as many as 10,000 passengers of an export have.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Time limit for reading an import.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// The most errors that are reported.
const MOST_ERRORS: usize = 1000;

/// The outcome of an import.
#[derive(Debug, Serialize)]
pub(super) struct Imported {
    imported: u64,
    /// Passengers that were known. They are left as they are.
    skipped: u64,
}

pub(super) async fn import(
    State(context): State<Context>,
    _importer: Importer,
    limits: BodyLimits,
    request: Request,
) -> Result<Json<Imported>, Problem> {
    refuse_key(request.headers())?;
    require_media_type(request.headers(), &["application/x-ndjson", "application/ndjson"])?;
    let _permit = context.imports.take()?;
    let body = limits.read_stream(TIME_LIMIT, bounded(request, MOST_BYTES)).await?;
    let passengers = passengers_of(&body)?;
    let sent = passengers.len() as u64;
    let imported = context.store.create_all(passengers, context.clock.now()).await?;
    tracing::info!(sent, imported, "an import was stored");
    Ok(Json(Imported { imported, skipped: sent.saturating_sub(imported) }))
}

/// A passenger of an import, under the id that the line has.
type Incoming = (Option<Uuid>, NewPassenger);

/// Reads the lines of an import, or names everything that is wrong with them. Blank lines are left out.
fn passengers_of(body: &[u8]) -> Result<Vec<Incoming>, Problem> {
    let (mut passengers, mut errors) = (Vec::new(), Vec::new());
    for (line, number) in body.split(|byte| *byte == b'\n').zip(1_u32..) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match passenger_of(line) {
            Ok(passenger) => passengers.push(passenger),
            Err(wrong) => errors.extend(wrong.into_iter().map(|FieldError { field, detail }| {
                FieldError::new(format!("line {number}: {field}"), detail)
            })),
        }
        if passengers.len() > MOST_PASSENGERS {
            let detail = format!("an import may have at most {MOST_PASSENGERS} passengers");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(Problem::new(status, "too_many_lines", "Too many lines", detail));
        }
        if errors.len() >= MOST_ERRORS {
            errors.truncate(MOST_ERRORS);
            break;
        }
    }
    if errors.is_empty() {
        return Ok(passengers);
    }
    let detail = "some lines cannot be used, and an import stores all or none";
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Err(Problem::new(status, "not_imported", "Nothing imported", detail).with_errors(errors))
}

fn passenger_of(line: &[u8]) -> Result<Incoming, Vec<FieldError>> {
    let wrong = |detail: String| Err(vec![FieldError::new("line", detail)]);
    match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => NewPassenger::from_stored(object),
        Ok(_) => wrong(String::from("must be a JSON object")),
        Err(error) => wrong(format!("is not JSON: {error}")),
    }
}
