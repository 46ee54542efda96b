//! `POST /api/v1/passengers/import`: many passengers as NDJSON, read as they come and answered as they are read.
//!
//! The answer is NDJSON too: an `error` for each line that cannot be used, `progress` after each batch, and a `summary` at
//! the end. A batch is one transaction: when `progress` says how many were imported, they stay, whatever happens next.
//! Nothing here runs beside the answer: a client that goes away takes the rest of its import with it.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::idempotency::refuse_key;
use super::{Context, Importer};
use crate::fields::FieldError;
use crate::http::error::Problem;
use crate::http::extract::require_media_type;
use crate::http::in_flight::InFlightPermit;
use crate::passengers::domain::model::NewPassenger;

/// The longest line that is read.
const LINE_BYTES: usize = 8 * 1024;
/// The most lines of an import.
const MOST_LINES: u64 = 100_000;
/// The most lines of an atomic import, which are held in memory until all are read.
const MOST_ATOMIC_LINES: u64 = 10_000;
/// The most bytes of an import.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Passengers per transaction.
const BATCH: usize = 500;
/// The most errors that are reported; more are only counted. A client that reads nothing until it has sent
/// everything must not block itself.
const MOST_ERRORS: u64 = 1000;
/// Time limit for the next bytes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time limit for the whole import.
const TIME_LIMIT: Duration = Duration::from_secs(300);

const MEDIA_TYPE: &str = "application/x-ndjson";

pub(super) async fn import(
    State(shared): State<Context>,
    _importer: Importer,
    place: Option<Extension<InFlightPermit>>,
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
    let import = Import::new(shared, body, is_atomic(&uri)?);
    // The work is in the answer: it keeps its place until it has ended.
    let answer = stream::unfold((import, place), async |(mut import, place)| {
        let text = import.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), (import, place)))
    });
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, MEDIA_TYPE)], Body::from_stream(answer)).into_response())
}

/// Reads the one parameter of an import.
fn is_atomic(uri: &Uri) -> Result<bool, Problem> {
    match uri.query().unwrap_or_default() {
        "" | "atomic=false" => Ok(false),
        "atomic=true" => Ok(true),
        _ => Err(Problem::bad_query(vec![FieldError::new("atomic", "must be `true` or `false`, and alone")])),
    }
}

struct Import {
    shared: Context,
    body: BodyDataStream,
    lines: Lines,
    batch: Vec<(Option<Uuid>, NewPassenger)>,
    /// True if all is stored in one transaction, or nothing.
    atomic: bool,
    counts: Counts,
    ends: Instant,
    /// Set when the body has been read: why, if not because it was over.
    over: Option<Option<End>>,
    told: bool,
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Counts {
    lines: u64,
    imported: u64,
    /// Lines whose id was known. They change nothing.
    skipped: u64,
    failed: u64,
}

/// The reason for which an import ended before its body did.
#[derive(Debug)]
struct End {
    code: &'static str,
    detail: String,
}

impl End {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl Import {
    fn new(shared: Context, body: Body, atomic: bool) -> Self {
        Self {
            shared,
            body: body.into_data_stream(),
            lines: Lines::default(),
            batch: Vec::with_capacity(BATCH),
            atomic,
            counts: Counts::default(),
            ends: Instant::now() + TIME_LIMIT,
            over: None,
            told: false,
        }
    }

    /// The next piece of the answer; nothing after the summary.
    async fn next(&mut self) -> Option<String> {
        let mut said = String::new();
        while said.is_empty() && !self.told {
            self.step(&mut said).await;
        }
        (!said.is_empty()).then_some(said)
    }

    /// Uses one line if there is one, else reads more; at the end, stores what is left and sums up.
    async fn step(&mut self, said: &mut String) {
        if let Some(line) = self.lines.next(self.over.is_some()) {
            let most = if self.atomic { MOST_ATOMIC_LINES } else { MOST_LINES };
            if self.counts.lines >= most {
                let detail = format!("an import may have at most {most} lines");
                self.end(End::new("too_many_lines", detail));
                return;
            }
            self.counts.lines += 1;
            self.take(line, said);
            if self.batch.len() >= BATCH && !self.atomic {
                self.store(said).await;
            }
            return;
        }
        if self.over.is_none() {
            return self.read().await;
        }
        if self.atomic && (self.counts.failed > 0 || matches!(self.over, Some(Some(_)))) {
            self.batch.clear();
            if matches!(self.over, Some(None)) {
                let detail = "a line cannot be used, and an atomic import stores all lines or none";
                self.over = Some(Some(End::new("not_imported", detail)));
            }
        }
        // A line that was cut off is not in the batch, and whole lines before it are as good as any.
        self.store(said).await;
        let end = self.over.take().flatten();
        self.told = true;
        let mut summary = json!({
            "lines": self.counts.lines, "imported": self.counts.imported,
            "skipped": self.counts.skipped, "failed": self.counts.failed, "errors_not_shown": self.counts.failed.saturating_sub(MOST_ERRORS), "complete": end.is_none(),
        });
        if let (Some(end), Some(summary)) = (end, summary.as_object_mut()) {
            summary.insert(String::from("ended_early"), json!({"code": end.code, "detail": end.detail}));
        }
        tracing::info!(
            lines = self.counts.lines,
            imported = self.counts.imported,
            failed = self.counts.failed,
            "an import ended"
        );
        say(said, &json!({ "summary": summary }));
    }

    async fn read(&mut self) {
        let deadline = self.ends.min(Instant::now() + PATIENCE);
        match timeout_at(deadline, self.body.next()).await {
            Ok(Some(Ok(bytes))) if self.lines.bytes + bytes.len() as u64 > MOST_BYTES => {
                self.end(End::new(
                    "body_too_large",
                    format!("an import may have at most {MOST_BYTES} bytes"),
                ));
            }
            Ok(Some(Ok(bytes))) => self.lines.push(&bytes),
            Ok(Some(Err(_))) => {
                self.end(End::new("body_unreadable", "the body could not be read to its end"));
            }
            Ok(None) => self.over = Some(None),
            Err(_) => self.end(End::new("timeout", "the next lines did not come in time")),
        }
    }

    /// Ends the import before its body has ended. What has not become a whole line is forgotten.
    fn end(&mut self, end: End) {
        self.lines.forget();
        self.over = Some(Some(end));
    }

    fn take(&mut self, line: Line, said: &mut String) {
        let number = self.counts.lines;
        let read = match line {
            Line::Blank => return,
            Line::TooLong => Err(vec![FieldError::new("line", format!("has more than {LINE_BYTES} bytes"))]),
            Line::Text(bytes) => passenger(&bytes),
        };
        match read {
            Ok(passenger) => self.batch.push(passenger),
            Err(errors) => {
                self.counts.failed += 1;
                if self.counts.failed <= MOST_ERRORS {
                    say(
                        said,
                        &json!({ "line": number, "error": { "code": "invalid_line", "errors": errors } }),
                    );
                }
            }
        }
    }

    async fn store(&mut self, said: &mut String) {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        match self.shared.store.create_all(batch, self.shared.clock.now()).await {
            Ok(added) => {
                self.counts.imported += added;
                self.counts.skipped += count.saturating_sub(added);
                say(said, &json!({ "progress": self.counts }));
            }
            Err(error) => {
                let problem = Problem::from(error);
                let detail =
                    format!("{}; {count} lines since the last progress were not imported", problem.detail());
                tracing::error!(problem = problem.code(), error = problem.cause(), "an import was cut short");
                self.end(End::new(problem.code(), detail));
            }
        }
    }
}

fn passenger(line: &[u8]) -> Result<(Option<Uuid>, NewPassenger), Vec<FieldError>> {
    match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => NewPassenger::from_stored(object),
        Ok(_) => Err(vec![FieldError::new("line", "must be a JSON object")]),
        Err(error) => Err(vec![FieldError::new("line", format!("is not JSON: {error}"))]),
    }
}

fn say(said: &mut String, value: &Value) {
    said.push_str(&value.to_string());
    said.push('\n');
}

/// Bytes cut into lines. Of a line that is too long no more is held than the limit.
#[derive(Debug, Default)]
struct Lines {
    ready: VecDeque<Line>,
    open: Vec<u8>,
    too_long: bool,
    bytes: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Text(Vec<u8>),
    TooLong,
    Blank,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            if self.open.len() + part.len() > LINE_BYTES {
                self.too_long = true;
                self.open.clear();
            }
            if !self.too_long {
                self.open.extend_from_slice(part);
            }
            if parts.peek().is_some() {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        let text = std::mem::take(&mut self.open);
        self.ready.push_back(match std::mem::take(&mut self.too_long) {
            true => Line::TooLong,
            false if text.trim_ascii().is_empty() => Line::Blank,
            false => Line::Text(text),
        });
    }

    /// The next whole line. The last one may lack its end, once nothing more will come.
    fn next(&mut self, last: bool) -> Option<Line> {
        if last && self.ready.is_empty() && (self.too_long || !self.open.is_empty()) {
            self.close();
        }
        self.ready.pop_front()
    }

    fn forget(&mut self) {
        (self.ready, self.open, self.too_long) = (VecDeque::new(), Vec::new(), false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let long = "x".repeat(LINE_BYTES + 1);
        let body = format!("one\r\n\n{long}\ntwo\n  \n{}", &long[1..]);
        let text = |text: &str| Line::Text(text.as_bytes().to_vec());
        for size in [1, 2, 7, 4096, body.len()] {
            let mut lines = Lines::default();
            body.as_bytes().chunks(size).for_each(|part| lines.push(part));
            let mut met: Vec<_> = std::iter::from_fn(|| lines.next(false)).collect();
            assert_eq!(met.len(), 5, "the last line might go on");
            met.extend(std::iter::from_fn(|| lines.next(true)));
            let expected =
                [text("one\r"), Line::Blank, Line::TooLong, text("two"), Line::Blank, text(&long[1..])];
            assert!(met == expected, "in parts of {size}");
            assert_eq!(lines.bytes, body.len() as u64);
        }
    }
}
