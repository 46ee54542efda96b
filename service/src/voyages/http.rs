//! The HTTP interface of voyages: routes, handlers and their descriptions.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::domain::{Call, Label, NewCall, NewVoyage, Voyage};
use super::{READ, Store, WRITE};
use crate::fields::FieldError;
use crate::http::access::permission;
use crate::http::error::Problem;
use crate::http::extract::{Id, JsonObject, hyphenated};
use crate::http::openapi::schemas::{complete, id, parameter, reference};
use crate::http::openapi::{Answer, Described, Operation};
use crate::http::{Entity, Shared};

const ALL: &str = "/api/v1/voyages";
const ONE: &str = "/api/v1/voyages/{id}";
const CALLS: &str = "/api/v1/voyages/{id}/calls";
const ID: &str = "The id of a voyage.";
const PAGE: u8 = 50;
/// The day and the id of the last call of a page. A pattern cannot say which days a month has: day 28 is in each.
const CALL_CURSOR: &str =
    "^[12][0-9]{3}-(0[1-9]|1[0-2])-([01][1-9]|10|2[0-8])_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";

/// The state of the handlers.
type Context = Entity<Store>;

permission!("Proof that the client may read voyages.", Reader, READ);
permission!("Proof that the client may change voyages.", Writer, WRITE);

/// Returns the routes with their state.
pub fn routes(shared: &Shared) -> Described {
    described().with_state(Entity::new(shared, Store::new))
}

/// Returns the routes with their descriptions and schemas. Their handlers lack their state.
#[must_use]
pub fn described() -> Described<Context> {
    Described::default()
        .on(
            Operation::new(Method::GET, ALL, "listVoyages", "List voyages")
                .reads(READ)
                .parameters([cursor(json!({"type": "string", "format": "uuid"}))])
                .refuses(&[400])
                .answers(Answer::new(200, "A page of voyages.").json(reference("VoyagePage"))),
            list,
        )
        .on(
            change(Method::POST, ALL, "createVoyage", "Add a voyage", "NewVoyage").answers(
                Answer::new(201, "The voyage as stored.")
                    .json(reference("Voyage"))
                    .header("location", "Where it is."),
            ),
            create,
        )
        .on(
            one(Method::GET, ONE, "getVoyage", "Read a voyage")
                .reads(READ)
                .answers(Answer::new(200, "The voyage.").json(reference("Voyage"))),
            read,
        )
        .on(
            one(Method::DELETE, ONE, "deleteVoyage", "Remove a voyage with its calls")
                .needs(WRITE)
                .answers(Answer::new(204, "The voyage is gone.")),
            remove,
        )
        .on(
            one(Method::GET, CALLS, "listCalls", "List the ports of call of a voyage")
                .reads(READ)
                .parameters([cursor(json!({"type": "string", "pattern": CALL_CURSOR}))])
                .answers(
                    Answer::new(200, "A page of calls, in the order of their days.")
                        .json(reference("CallPage")),
                ),
            calls,
        )
        .on(
            change(Method::POST, CALLS, "addCall", "Add a port of call to a voyage", "NewCall")
                .parameters([id(ID)])
                .refuses(&[404])
                .answers(Answer::new(201, "The call as stored.").json(reference("Call"))),
            add_call,
        )
        .tagged("voyages")
        .schemas(schemas())
}

fn one(method: Method, path: &'static str, name: &'static str, summary: &'static str) -> Operation {
    Operation::new(method, path, name, summary).parameters([id(ID)]).refuses(&[400, 404])
}

fn change(
    method: Method,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    body: &str,
) -> Operation {
    Operation::new(method, path, id, summary)
        .needs(WRITE)
        .body("application/json", reference(body))
        .refuses(&[422])
}

fn cursor(schema: Value) -> Value {
    parameter("query", "cursor", "The `next_cursor` of an earlier response.", schema)
}

fn schemas() -> Value {
    let day = json!({"type": "string", "format": "date", "pattern": "^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$"});
    let (ship, port) = (Label::schema("The ship."), Label::schema("The port."));
    let id = json!({"type": "string", "format": "uuid"});
    let page = |item: &str| {
        let cursor = json!({"type": ["string", "null"], "description": "Where the next page goes on, if there is one."});
        complete(json!({"items": {"type": "array", "items": reference(item)}, "next_cursor": cursor}))
    };
    json!({
        "NewVoyage": complete(json!({"ship": ship, "departed_on": day})),
        "Voyage": complete(json!({"id": id, "ship": ship, "departed_on": day})),
        "VoyagePage": page("Voyage"),
        "NewCall": complete(json!({"port": port, "called_on": day})),
        "Call": complete(json!({"id": id, "voyage_id": id, "port": port, "called_on": day})),
        "CallPage": page("Call"),
    })
}

#[derive(Debug, Serialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of items, of which one more was read than the page has.
    fn of(mut items: Vec<T>, cursor: impl Fn(&T) -> String) -> Json<Self> {
        let more = items.len() > usize::from(PAGE);
        items.truncate(PAGE.into());
        let next_cursor = items.last().filter(|_| more).map(cursor);
        Json(Self { items, next_cursor })
    }
}

/// Reads the one parameter of a list, if there is one.
fn cursor_of<T>(uri: &Uri, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
    let Some(query) = uri.query().filter(|query| !query.is_empty()) else { return Ok(None) };
    let cursor = query.strip_prefix("cursor=").and_then(read).map(Some);
    cursor.ok_or_else(|| {
        Problem::bad_query(vec![FieldError::new("cursor", "must be a `next_cursor`, and alone")])
    })
}

async fn list(
    State(context): State<Context>,
    _reader: Reader,
    uri: Uri,
) -> Result<Json<Page<Voyage>>, Problem> {
    let after = cursor_of(&uri, hyphenated)?.unwrap_or(Uuid::nil());
    let items = context.store.list(after, PAGE + 1).await?;
    Ok(Page::of(items, |last| last.id.to_string()))
}

async fn create(
    State(context): State<Context>,
    _writer: Writer,
    JsonObject(object): JsonObject,
) -> Result<Response, Problem> {
    let details = NewVoyage::from_json(object).map_err(Problem::invalid)?;
    let voyage = context.store.create(details).await?;
    let place = format!("{}{ALL}/{}", context.config.base_url, voyage.id);
    let mut response = (StatusCode::CREATED, Json(voyage)).into_response();
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

async fn read(State(context): State<Context>, _reader: Reader, Id(id): Id) -> Result<Json<Voyage>, Problem> {
    context.store.get(id).await?.map(Json).ok_or_else(|| no_such(id))
}

async fn remove(State(context): State<Context>, _writer: Writer, Id(id): Id) -> Result<StatusCode, Problem> {
    if context.store.delete(id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(no_such(id)) }
}

async fn calls(
    State(context): State<Context>,
    _reader: Reader,
    Id(id): Id,
    uri: Uri,
) -> Result<Json<Page<Call>>, Problem> {
    let read = |text: &str| {
        let (day, id) = text.split_once('_')?;
        Some((day.parse().ok()?, hyphenated(id)?))
    };
    let after = cursor_of(&uri, read)?;
    let items = context.store.calls(id, after, PAGE + 1).await?;
    if items.is_empty() && context.store.get(id).await?.is_none() {
        return Err(no_such(id));
    }
    Ok(Page::of(items, |last| format!("{}_{}", last.details.called_on, last.id)))
}

async fn add_call(
    State(context): State<Context>,
    _writer: Writer,
    Id(id): Id,
    JsonObject(object): JsonObject,
) -> Result<(StatusCode, Json<Call>), Problem> {
    let details = NewCall::from_json(object).map_err(Problem::invalid)?;
    let call = context.store.add_call(id, details).await?;
    call.map(|call| (StatusCode::CREATED, Json(call))).ok_or_else(|| no_such(id))
}

fn no_such(id: Uuid) -> Problem {
    Problem::not_found(format!("there is no voyage {id}"))
}
