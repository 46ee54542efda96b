//! `GET /api/v1/passengers/export`: all passengers as a stream, as NDJSON or CSV.
//!
//! Passengers are read page by page in the order of their ids. No transaction stays open for a slow client: each passenger
//! appears at most once, and one that changes meanwhile appears in either state. A backup is of one moment.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use uuid::Uuid;

use super::{Context, Reader};
use crate::fields::FieldError;
use crate::http::error::Problem;
use crate::http::in_flight::InFlightPermit;
use crate::http::stream_outcome::StreamOutcome;
use crate::passengers::StoreError;
use crate::passengers::domain::model::Passenger;
use crate::passengers::store::COLUMNS;

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    NdJson,
    Csv,
}

/// The state of a stream.
struct Export {
    context: Context,
    format: Format,
    after: Uuid,
    /// The line in front of all others, until it was sent.
    header: Vec<u8>,
    _permit: InFlightPermit,
}

pub(super) async fn export(
    State(context): State<Context>,
    _reader: Reader,
    uri: Uri,
) -> Result<Response, Problem> {
    let (format, media_type) = match uri.query().unwrap_or_default() {
        "" | "format=ndjson" => (Format::NdJson, "application/x-ndjson"),
        "format=csv" => (Format::Csv, "text/csv; charset=utf-8"),
        _ => {
            let error = FieldError::new("format", "must be `ndjson` or `csv`, and alone");
            return Err(Problem::bad_query(vec![error]));
        }
    };
    let _permit = context.streams.take()?;
    let header = if format == Format::Csv { csv_line(columns()).unwrap_or_default() } else { Vec::new() };
    let mut export = Export { context, format, after: Uuid::nil(), header, _permit };
    // The first page is read before the status: a database that is away is a 503.
    let first = export.next().await?;
    let outcome = StreamOutcome::default();
    let failed = outcome.clone();
    let later =
        stream::try_unfold(export, async |mut export| Ok(export.next().await?.map(|page| (page, export))));
    // A broken stream tells the client that something is missing; a whole one would hide it.
    let later = later.map_err(move |error: StoreError| {
        let problem = Problem::from(error);
        tracing::error!(problem = problem.code(), error = problem.cause(), "an export was cut short");
        failed.fail(&problem);
        std::io::Error::other("the export was cut short")
    });
    let pages = Body::from_stream(stream::iter(first.map(Ok)).chain(later));
    Ok((Extension(outcome), [(header::CONTENT_TYPE, media_type)], pages).into_response())
}

impl Export {
    /// Reads the next page. There is none after the last passenger.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let page = self.context.store.after(self.after).await?;
        let mut text = std::mem::take(&mut self.header);
        for passenger in page {
            self.after = passenger.id;
            match self.format {
                Format::NdJson => {
                    // Text and numbers only: this cannot fail.
                    text.extend(serde_json::to_vec(&passenger).unwrap_or_default());
                    text.push(b'\n');
                }
                Format::Csv => text.extend(csv_of(&passenger).unwrap_or_default()),
            }
        }
        Ok((!text.is_empty()).then(|| text.into()))
    }
}

/// The columns of a table: the fields of a passenger, in the order of the store.
fn columns() -> impl Iterator<Item = &'static str> {
    COLUMNS.split(", ")
}

fn csv_of(passenger: &Passenger) -> Option<Vec<u8>> {
    let fields = serde_json::to_value(passenger).ok()?;
    csv_line(columns().map(|column| match fields.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => inert(text),
        Some(plain) => plain.to_string(),
    }))
}

/// Keeps a spreadsheet from running a text as a formula.
fn inert(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() }
}

fn csv_line<T: AsRef<[u8]>>(fields: impl IntoIterator<Item = T>) -> Option<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields).ok()?;
    writer.into_inner().ok()
}
