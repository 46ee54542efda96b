//! `POST /api/v1/passengers/import`: many passengers as NDJSON.
//!
//! An import is read as it comes and answered as it is read, in NDJSON too: an `error` for each line that cannot be used,
//! `progress` after each batch, and a `summary` at the end. A batch is one transaction: when `progress` says how many were
//! imported, they stay, whatever happens next. An atomic import is read to its end first, so that its status tells
//! whether all was stored. Nothing here runs beside the answer: a client that goes away takes the rest of its import with it.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::idempotency::refuse_key;
use super::lines::{LINE_BYTES, Line, Lines, MOST_BYTES, TIME_LIMIT};
use super::{Context, Importer};
use crate::fields::FieldError;
use crate::http::error::Problem;
use crate::http::extract::{BodyLimits, require_media_type};
use crate::http::in_flight::InFlightPermit;
use crate::http::stream_outcome::StreamOutcome;
use crate::passengers::domain::model::NewPassenger;

/// The most lines of an import.
const MOST_LINES: u64 = 100_000;
/// The most lines of an atomic import, which are held in memory until all are read.
const MOST_ATOMIC_LINES: u64 = 10_000;
/// Passengers per transaction.
const BATCH: usize = 500;
/// The most errors that are reported; more are only counted. A client that reads nothing until it has sent
/// everything must not block itself.
const MOST_ERRORS: usize = 1000;

const MEDIA_TYPE: &str = "application/x-ndjson";

pub(super) async fn import(
    State(context): State<Context>,
    _importer: Importer,
    limits: BodyLimits,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    refuse_key(&headers)?;
    require_media_type(&headers, &[MEDIA_TYPE, "application/ndjson"])?;
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > MOST_BYTES) {
        return Err(Problem::too_large_for(MOST_BYTES));
    }
    let atomic = is_atomic(&uri)?;
    let permit = context.imports.take()?;
    if atomic {
        let read = read_all(Lines::of(body, MOST_ATOMIC_LINES));
        let (batch, lines) = limits.read_stream(TIME_LIMIT, read).await?;
        return store_all(&context, batch, lines).await;
    }
    let outcome = StreamOutcome::default();
    let import = Import::new(context, Lines::of(body, MOST_LINES), outcome.clone(), permit);
    let answer = stream::unfold(import, async |mut import| {
        let text = import.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), import))
    });
    let mut response = answer_of(Body::from_stream(answer));
    response.extensions_mut().insert(outcome);
    Ok(response)
}

fn answer_of(body: Body) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
}

/// Reads the one parameter of an import.
fn is_atomic(uri: &Uri) -> Result<bool, Problem> {
    match uri.query().unwrap_or_default() {
        "" | "atomic=false" => Ok(false),
        "atomic=true" => Ok(true),
        _ => Err(Problem::bad_query(vec![FieldError::new("atomic", "must be `true` or `false`, and alone")])),
    }
}

/// A passenger of an import, under the id that the line has.
type Incoming = (Option<Uuid>, NewPassenger);

/// Reads the passengers of an atomic import with the number of lines, or names what is wrong with them.
async fn read_all(mut lines: Lines) -> Result<(Vec<Incoming>, u64), Problem> {
    let (mut batch, mut errors, mut failed, mut count) = (Vec::new(), Vec::new(), 0_u64, 0);
    while let Some((number, line)) = lines.next().await? {
        count = number;
        match passenger(&line) {
            Some(Ok(_)) if failed > 0 => {}
            Some(Ok(passenger)) => batch.push(passenger),
            Some(Err(found)) => {
                failed += 1;
                let named = found.into_iter().map(|FieldError { field, detail }| {
                    FieldError::new(format!("line {number}: {field}"), detail)
                });
                errors.extend(named.take(MOST_ERRORS.saturating_sub(errors.len())));
            }
            None => {}
        }
    }
    if failed == 0 {
        return Ok((batch, count));
    }
    let detail = format!("{failed} of {count} lines cannot be used, and an atomic import stores all or none");
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Err(Problem::new(status, "not_imported", "Nothing imported", detail).with_errors(errors))
}

/// Stores the passengers of an atomic import, and answers with the summary.
async fn store_all(context: &Context, batch: Vec<Incoming>, lines: u64) -> Result<Response, Problem> {
    let count = batch.len() as u64;
    let imported = context.store.create_all(batch, context.clock.now()).await?;
    let counts = Counts { lines, imported, skipped: count.saturating_sub(imported), failed: 0 };
    let mut text = String::new();
    sum_up(counts, None, &mut text);
    Ok(answer_of(Body::from(text)))
}

/// An import that is answered while it is read.
struct Import {
    context: Context,
    lines: Lines,
    batch: Vec<Incoming>,
    counts: Counts,
    outcome: StreamOutcome,
    over: bool,
    _permit: InFlightPermit,
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Counts {
    lines: u64,
    imported: u64,
    /// Lines whose passenger was known. They change nothing.
    skipped: u64,
    failed: u64,
}

impl Import {
    fn new(context: Context, lines: Lines, outcome: StreamOutcome, permit: InFlightPermit) -> Self {
        let (batch, counts) = (Vec::with_capacity(BATCH), Counts::default());
        Self { context, lines, batch, counts, outcome, over: false, _permit: permit }
    }

    /// The next piece of the answer; nothing after the summary.
    async fn next(&mut self) -> Option<String> {
        let mut said = String::new();
        while said.is_empty() && !self.over {
            let end = match self.lines.next().await {
                Ok(Some((number, line))) => {
                    self.take(number, &line, &mut said);
                    if self.batch.len() < BATCH {
                        continue;
                    }
                    match self.store(&mut said).await {
                        Ok(()) => continue,
                        Err(problem) => Some(problem),
                    }
                }
                Ok(None) => self.store(&mut said).await.err(),
                // A line that was cut off is not in the batch, and whole lines before it are as good as any.
                Err(problem) => Some(self.store(&mut said).await.err().unwrap_or(problem)),
            };
            self.over = true;
            sum_up(self.counts, end, &mut said);
        }
        (!said.is_empty()).then_some(said)
    }

    fn take(&mut self, number: u64, line: &Line, said: &mut String) {
        self.counts.lines = number;
        match passenger(line) {
            Some(Ok(passenger)) => self.batch.push(passenger),
            Some(Err(errors)) => {
                self.counts.failed += 1;
                if self.counts.failed <= MOST_ERRORS as u64 {
                    say(
                        said,
                        &json!({ "line": number, "error": { "code": "invalid_line", "errors": errors } }),
                    );
                }
            }
            None => {}
        }
    }

    async fn store(&mut self, said: &mut String) -> Result<(), Problem> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let count = batch.len() as u64;
        match self.context.store.create_all(batch, self.context.clock.now()).await {
            Ok(added) => {
                self.counts.imported += added;
                self.counts.skipped += count.saturating_sub(added);
                say(said, &json!({ "progress": self.counts }));
                Ok(())
            }
            Err(error) => {
                let problem = Problem::from(error);
                tracing::error!(problem = problem.code(), error = problem.cause(), "an import was cut short");
                self.outcome.fail(&problem);
                let lost = format!("{count} lines since the last progress were not imported");
                Err(problem.with_detail(|detail| format!("{detail}; {lost}")))
            }
        }
    }
}

/// Reads a passenger, or names what is wrong. A blank line has none.
fn passenger(line: &Line) -> Option<Result<Incoming, Vec<FieldError>>> {
    let wrong = |detail: String| Err(vec![FieldError::new("line", detail)]);
    Some(match line {
        Line::Blank => return None,
        Line::TooLong => wrong(format!("has more than {LINE_BYTES} bytes")),
        Line::Text(bytes) => match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => NewPassenger::from_stored(object),
            Ok(_) => wrong(String::from("must be a JSON object")),
            Err(error) => wrong(format!("is not JSON: {error}")),
        },
    })
}

/// Adds the summary, with what ended an import before its body did.
fn sum_up(counts: Counts, end: Option<Problem>, said: &mut String) {
    let Counts { lines, imported, skipped, failed } = counts;
    let mut summary = json!({
        "lines": lines, "imported": imported, "skipped": skipped, "failed": failed,
        "errors_not_shown": failed.saturating_sub(MOST_ERRORS as u64), "complete": end.is_none(),
    });
    if let (Some(end), Some(summary)) = (end, summary.as_object_mut()) {
        summary.insert(String::from("ended_early"), json!({"code": end.code(), "detail": end.detail()}));
    }
    tracing::info!(lines, imported, failed, "an import ended");
    say(said, &json!({ "summary": summary }));
}

fn say(said: &mut String, value: &Value) {
    said.push_str(&value.to_string());
    said.push('\n');
}
