//! `/api/v1/passengers`: list, read, add, change, remove, count.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use uuid::Uuid;

use super::{Context, Reader, Writer};
use super::{document, export, idempotency, import};
use crate::fields::FieldError;
use crate::http::error::Problem;
use crate::http::extract::{Id, JsonObject, MergePatch};
use crate::http::openapi::Described;
use crate::http::precondition::Precondition;
use crate::passengers::domain::filter::Query;
use crate::passengers::domain::model::{NewPassenger, Passenger};
use crate::passengers::domain::stats::stats_of;
use crate::passengers::{Page, StoreError};

/// Returns the routes with their handlers.
pub(super) fn routes() -> Described<Context> {
    Described::default()
        .on(document::list(), list)
        .on(document::create(), create)
        .on(document::export(), export::export)
        .on(document::import(), import::import)
        .on(document::stats(), stats)
        .on(document::get(), read)
        .on(document::replace(), replace)
        .on(document::patch(), patch)
        .on(document::delete(), remove)
}

/// Attempts at a change that others overtake.
const ATTEMPTS: u32 = 8;

async fn list(State(shared): State<Context>, _reader: Reader, uri: Uri) -> Result<Json<Page>, Problem> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri)
        .map_err(|rejection| Problem::bad_query(vec![FieldError::new("query", rejection.body_text())]))?;
    let query = Query::from_pairs(&pairs).map_err(Problem::bad_query)?;
    Ok(Json(shared.store.list(&query).await?))
}

async fn create(
    State(shared): State<Context>,
    Writer(holder): Writer,
    headers: HeaderMap,
    JsonObject(object): JsonObject,
) -> Result<Response, Problem> {
    let key = idempotency::key_of(&headers)?;
    let details = NewPassenger::from_json(object).map_err(Problem::invalid)?;
    match key {
        Some(key) => idempotency::create_once(&shared, holder, key, details).await,
        None => idempotency::create(&shared, details).await,
    }
}

async fn read(
    State(shared): State<Context>,
    _reader: Reader,
    Id(id): Id,
    precondition: Precondition,
) -> Result<Response, Problem> {
    let passenger = shared.store.get(id).await?.ok_or_else(|| no_such(id))?;
    let tag = passenger.stamp.entity_tag();
    precondition.admits(&tag)?;
    if precondition.has(&tag) {
        return Ok(with_tag(StatusCode::NOT_MODIFIED.into_response(), &tag));
    }
    Ok(shown(StatusCode::OK, passenger))
}

async fn replace(
    State(shared): State<Context>,
    _writer: Writer,
    Id(id): Id,
    precondition: Precondition,
    JsonObject(object): JsonObject,
) -> Result<Response, Problem> {
    let (own, details) = NewPassenger::from_stored(object).map_err(Problem::invalid)?;
    if own.is_some_and(|own| own != id) {
        return Err(Problem::invalid(vec![FieldError::new("id", "is that of another passenger")]));
    }
    change(&shared, id, &precondition, |_| Ok(details.clone())).await
}

async fn patch(
    State(shared): State<Context>,
    _writer: Writer,
    Id(id): Id,
    precondition: Precondition,
    MergePatch(object): MergePatch,
) -> Result<Response, Problem> {
    change(&shared, id, &precondition, |details| details.patched(object.clone()).map_err(Problem::invalid))
        .await
}

/// Changes a passenger as of the state that was looked at. If another change came in between, looks again: with a
/// precondition that ends it, without one the change is made to the newer state.
async fn change(
    shared: &Context,
    id: Uuid,
    precondition: &Precondition,
    make: impl Fn(&NewPassenger) -> Result<NewPassenger, Problem>,
) -> Result<Response, Problem> {
    for _ in 0..ATTEMPTS {
        let current = shared.store.get(id).await?.ok_or_else(|| no_such(id))?;
        precondition.admits_change(&current.stamp.entity_tag())?;
        let details = make(&current.details)?;
        // What is already as wanted stays the state that it is.
        if details == current.details {
            return Ok(shown(StatusCode::OK, current));
        }
        if let Some(changed) = shared.store.replace(&current, details, shared.clock.now()).await? {
            return Ok(shown(StatusCode::OK, changed));
        }
    }
    Err(contended(id))
}

async fn remove(
    State(shared): State<Context>,
    _writer: Writer,
    Id(id): Id,
    precondition: Precondition,
) -> Result<StatusCode, Problem> {
    if precondition.is_empty() {
        let was_there = shared.store.delete(id).await?;
        return if was_there { Ok(StatusCode::NO_CONTENT) } else { Err(no_such(id)) };
    }
    for _ in 0..ATTEMPTS {
        let current = shared.store.get(id).await?.ok_or_else(|| no_such(id))?;
        precondition.admits_change(&current.stamp.entity_tag())?;
        if shared.store.delete_state(&current).await? {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    Err(contended(id))
}

async fn stats(State(shared): State<Context>, _reader: Reader) -> Result<Json<Value>, Problem> {
    Ok(Json(stats_of(shared.store.stats().await?)))
}

fn shown(status: StatusCode, passenger: Passenger) -> Response {
    let tag = passenger.stamp.entity_tag();
    with_tag((status, Json(passenger)).into_response(), &tag)
}

fn with_tag(mut response: Response, tag: &str) -> Response {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn no_such(id: Uuid) -> Problem {
    Problem::not_found(format!("there is no passenger {id}"))
}

fn contended(id: Uuid) -> Problem {
    let detail =
        format!("passenger {id} was changed {ATTEMPTS} times in between; try again in a little while");
    Problem::new(StatusCode::CONFLICT, "conflict", "Conflict", detail).retry_after(1)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(error) => error.into(),
            error => Self::internal().caused_by(error),
        }
    }
}
