//! `/api/v1/passengers`: list, read, add, remove.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use uuid::Uuid;

use super::filter::Query;
use super::model::{NewPassenger, Passenger};
use crate::fields::FieldError;
use crate::http::Shared;
use crate::http::error::Problem;
use crate::http::extract::{JsonObject, Segment};

/// The routes of this noun.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/v1/passengers", get(list).post(create))
        .route("/api/v1/passengers/{id}", get(read).delete(remove))
}

#[derive(Debug, Serialize)]
struct ListAnswer {
    items: Vec<Passenger>,
    next_cursor: Option<String>,
    total: i64,
}

async fn list(State(shared): State<Shared>, uri: Uri) -> Result<Json<ListAnswer>, Problem> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri)
        .map_err(|rejection| Problem::bad_query(vec![FieldError::new("query", rejection.body_text())]))?;
    let query = Query::from_pairs(&pairs).map_err(Problem::bad_query)?;
    let page = shared.store.list(&query).await?;
    let next_cursor = page.next.map(|cursor| cursor.to_string());
    Ok(Json(ListAnswer { items: page.items, next_cursor, total: page.total }))
}

async fn create(State(shared): State<Shared>, JsonObject(object): JsonObject) -> Result<Response, Problem> {
    let details = NewPassenger::from_json(object).map_err(Problem::invalid)?;
    let passenger = shared.store.create(details).await?;
    let place = format!("{}/api/v1/passengers/{}", shared.config.base_url, passenger.id);
    let mut response = (StatusCode::CREATED, Json(passenger)).into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

async fn read(State(shared): State<Shared>, Segment(id): Segment) -> Result<Json<Passenger>, Problem> {
    let id = id_of(&id)?;
    shared.store.get(id).await?.map(Json).ok_or_else(|| no_such(id))
}

async fn remove(State(shared): State<Shared>, Segment(id): Segment) -> Result<StatusCode, Problem> {
    let id = id_of(&id)?;
    if shared.store.delete(id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(no_such(id)) }
}

fn id_of(text: &str) -> Result<Uuid, Problem> {
    let hyphenated = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    hyphenated.ok_or_else(|| Problem::bad_path(FieldError::new("id", "must be a UUID with hyphens")))
}

fn no_such(id: Uuid) -> Problem {
    Problem::not_found(format!("there is no passenger {id}"))
}
