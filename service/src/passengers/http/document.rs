//! The routes of this noun as they are described.
#![expect(
    clippy::indexing_slicing,
    reason = "parts of JSON objects of our own: one that is missing is added"
)]

use axum::http::Method;
use serde_json::{Value, json};

use super::idempotency;
use super::import::MOST_PASSENGERS;
use crate::http::openapi::schemas::{complete, id, object, parameter, reference};
use crate::http::openapi::{Answer, Operation};
use crate::passengers::domain::filter::{DEFAULT_LIMIT, Limit, MOST_LIMIT, MOST_NAME_CHARS, MOST_WORDS};
use crate::passengers::domain::values::{Age, Class, Fare, Name, Relatives};
use crate::passengers::{IMPORT, READ, WRITE};

const ALL: &str = "/api/v1/passengers";
const FARE: &str = "Pounds, as the client says who adds the passenger. The public passenger list has no fares: null for its 1,309 \
     people.";
const ONE: &str = "/api/v1/passengers/{id}";
/// The operations on a passenger whose id is known.
const NEXT: [&str; 4] = ["getPassenger", "replacePassenger", "patchPassenger", "deletePassenger"];

pub(super) fn list() -> Operation {
    let name =
        format!("Words of the name or their beginnings, at most {MOST_WORDS}, without case and diacritics.");
    let parameters = [
        query("class", "Of this class.", Class::schema()),
        query("sex", "Of this sex.", sex()),
        query("survived", "Saved or not.", json!({"type": "boolean"})),
        query("name", &name, json!({"type": "string", "minLength": 1, "maxLength": MOST_NAME_CHARS})),
        query("min_age", "Of known age, at least this.", Age::schema()),
        query("max_age", "Of known age, at most this.", Age::schema()),
        query("min_fare", "Of known fare, at least this. Nobody of the public list has one.", Fare::schema()),
        query("max_fare", "Of known fare, at most this. Nobody of the public list has one.", Fare::schema()),
        query(
            "sort",
            "The order; with `-` in front the other direction. Those without a value come last.",
            json!({"enum": ["id", "-id", "name", "-name", "age", "-age", "fare", "-fare"], "default": "id"}),
        ),
        query("limit", "How many at most.", with(Limit::schema(), "default", DEFAULT_LIMIT)),
        query(
            "cursor",
            "Where to go on: the `next_cursor` of an earlier answer of the same sort.",
            json!({"type": "string", "pattern": "^[ab][0-9a-f]+$"}),
        ),
        query(
            "total",
            "Count how many there are in all. It costs more than the page: ask once, not with every page.",
            json!({"type": "boolean", "default": false}),
        ),
    ];
    Operation::new(Method::GET, ALL, "listPassengers", "List, find and sort passengers")
        .reads(READ)
        .details(
            "All parameters must hold together. A parameter that is not known, or given twice, is an error.",
        )
        .parameters(parameters)
        .answers(Answer::new(200, "A page of passengers.").json(reference("PassengerPage")))
        .refuses(&[400])
}

pub(super) fn create() -> Operation {
    let made = Answer::new(201, "The passenger as stored.")
        .json(reference("Passenger"))
        .header("location", "Where the passenger is.")
        .header("etag", "The state of the passenger.")
        .may_have(
            "idempotency-replayed",
            "`true` when this is the answer to an earlier request of the same key.",
        )
        .leads_to(&NEXT);
    let pattern =
        format!("^([A-Za-z0-9._:~-]{{1,{0}}}|\"[A-Za-z0-9._:~-]{{1,{0}}}\")$", idempotency::MAX_CHARS);
    let key = parameter(
        "header",
        "Idempotency-Key",
        "A name for this request, new for each. When the answer was lost, send the same again: within 24 hours it gets the \
         first answer, and nobody comes aboard twice.",
        json!({"type": "string", "minLength": 1, "pattern": pattern}),
    );
    Operation::new(Method::POST, ALL, "createPassenger", "Add a passenger")
        .needs(WRITE)
        .parameters([key])
        .body("application/json", reference("NewPassenger"))
        .answers(made)
        .refuses(&[422])
}

pub(super) fn import() -> Operation {
    let someone = r#"{"name": "Brown, Mrs. Margaret", "class": 1, "sex": "female", "survived": true}"#;
    let lines = json!({"type": "string", "description": "One JSON object per line.", "examples": [someone]});
    let details = format!(
        "Stores all lines in one transaction, or none, at most {MOST_PASSENGERS}. An import can be sent again: a line with a known \
         `id` is skipped, and so is a line without an `id` if one was imported that said the same."
    );
    Operation::new(Method::POST, "/api/v1/passengers/import", "importPassengers", "Add many passengers")
        .details(&details)
        .needs(IMPORT)
        .body("application/x-ndjson", lines)
        .answers(Answer::new(200, "All are stored.").json(reference("Imported")))
        .refuses(&[422])
}

pub(super) fn export() -> Operation {
    let lines = || json!({"type": "string", "description": "One passenger per line."});
    let format = query("format", "The format.", json!({"enum": ["ndjson", "csv"], "default": "ndjson"}));
    Operation::new(Method::GET, "/api/v1/passengers/export", "exportPassengers", "Stream all passengers")
        .reads(READ)
        .details(
            "In the order of ids. A passenger that changes meanwhile appears in either state. The lines can be imported again.",
        )
        .parameters([format])
        .answers(
            Answer::new(200, "All passengers.")
                .media("application/x-ndjson", lines())
                .media("text/csv", lines()),
        )
        .refuses(&[400])
}

pub(super) fn stats() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/passengers/stats",
        "getStats",
        "Count the saved by class, sex and age",
    )
    .reads(READ)
    .answers(Answer::new(200, "Everyone, and every group.").json(reference("Stats")))
}

pub(super) fn get() -> Operation {
    one(Method::GET, "getPassenger", "Read a passenger")
        .reads(READ)
        .answers(passenger("The passenger."))
        .answers(
            Answer::new(304, "The state in `If-None-Match` is still the latest.")
                .header("etag", "That state."),
        )
}

pub(super) fn replace() -> Operation {
    one(Method::PUT, "replacePassenger", "Replace a passenger")
        .needs(WRITE)
        .details("A body that was read before can be put back: its `version` and `updated_at` are ignored.")
        .body("application/json", reference("PassengerReplacement"))
        .answers(passenger("The passenger as stored."))
        .refuses(&[409, 422])
}

pub(super) fn patch() -> Operation {
    one(Method::PATCH, "patchPassenger", "Change some fields of a passenger")
        .details("A JSON merge patch (RFC 7396): `null` takes a field away, where it may be missing.")
        .needs(WRITE)
        .body("application/merge-patch+json", reference("PassengerPatch"))
        .answers(passenger("The passenger as stored."))
        .refuses(&[409, 422])
}

pub(super) fn delete() -> Operation {
    one(Method::DELETE, "deletePassenger", "Remove a passenger")
        .needs(WRITE)
        .answers(Answer::new(204, "The passenger is gone."))
        .refuses(&[409])
}

fn passenger(about: &'static str) -> Answer {
    Answer::new(200, about).json(reference("Passenger")).header("etag", "The state of the passenger.")
}

fn one(method: Method, name: &'static str, summary: &'static str) -> Operation {
    let tag = "(W/)?\"[!#-+.-~-]*\"";
    let pattern = format!("^{tag}(, ?{tag}){{0,31}}$");
    let tags = || json!({"anyOf": [{"const": "*"}, {"type": "string", "pattern": pattern}]});
    Operation::new(method, ONE, name, summary)
        .parameters([
            id("The id of a passenger."),
            parameter("header", "If-Match", "Only in one of these states.", tags()),
            parameter("header", "If-None-Match", "In none of these states.", tags()),
        ])
        .refuses(&[400, 404, 412])
}

fn query(name: &str, about: &str, schema: Value) -> Value {
    parameter("query", name, about, schema)
}

/// The schemas of this noun.
pub(super) fn schemas() -> Value {
    let mut passenger = details(false);
    passenger["id"] = json!({"type": "string", "format": "uuid", "description": "UUID v7, which sorts by when it was made; v8 of those imported without an `id`."});
    passenger["version"] =
        json!({"type": "integer", "minimum": 1, "description": "One more with each change."});
    passenger["updated_at"] =
        json!({"type": "string", "format": "date-time", "description": "When it last changed."});
    let mut replacement = passenger.clone();
    for name in ["id", "version", "updated_at"] {
        // A client need not send it. One that sends what it read is not refused.
        replacement[name]["readOnly"] = true.into();
    }
    let page = json!({
        "items": {"type": "array", "items": reference("Passenger"), "maxItems": MOST_LIMIT},
        "next_cursor": {"type": ["string", "null"], "description": "Where the next page goes on, if there is one."},
        "total": {"type": "integer", "minimum": 0, "description": "How many there are in all; with `total=true`."}
    });
    let required = ["name", "class", "sex", "survived"];
    json!({
        "NewPassenger": object(details(false), &required),
        "PassengerReplacement": object(replacement, &required),
        "PassengerPatch": object(details(true), &[]),
        "Passenger": complete(passenger),
        "PassengerPage": object(page, &["items", "next_cursor"]),
        "Stats": stats_schema(),
        "Imported": complete(json!({
            "imported": {"type": "integer", "minimum": 0, "description": "How many are new."},
            "skipped": {"type": "integer", "minimum": 0, "description": "How many were known; they are left as they are."}
        })),
    })
}

/// The properties that a client sets. In a patch more may be null: what goes away falls back to what it means when it is
/// left out.
fn details(patch: bool) -> Value {
    let or_null = |schema: Value| with(schema.clone(), "type", json!([schema["type"], "null"]));
    let relatives = |about| {
        let schema = with(with(Relatives::schema(), "default", 0), "description", about);
        if patch { or_null(schema) } else { schema }
    };
    json!({
        "name": Name::schema("Family name, title, given names."),
        "class": Class::schema(),
        "sex": sex(),
        "age": with(or_null(Age::schema()), "description", "Years; null where nobody knows."),
        "fare": with(or_null(Fare::schema()), "description", FARE),
        "siblings_or_spouses_aboard": relatives("Siblings or spouses aboard."),
        "parents_or_children_aboard": relatives("Parents or children aboard."),
        "survived": {"type": "boolean"}
    })
}

fn with(mut schema: Value, name: &str, value: impl Into<Value>) -> Value {
    schema[name] = value.into();
    schema
}

fn sex() -> Value {
    json!({"enum": ["female", "male"]})
}

fn stats_schema() -> Value {
    let counts = json!({
        "total": {"type": "integer", "minimum": 0},
        "survived": {"type": "integer", "minimum": 0},
        "survival_rate": {
            "type": ["number", "null"], "minimum": 0, "maximum": 1, "description": "Null where there is nobody."
        }
    });
    let groups = |name: &str, schema: Value| {
        let mut group = counts.clone();
        group[name] = schema;
        json!({"type": "array", "items": complete(group)})
    };
    let band = json!({"type": "string", "pattern": "^([1-6]0-[1-6]9|0-9|70\\+|unknown)$"});
    let mut all = counts.clone();
    all["by_class"] = groups("class", Class::schema());
    all["by_sex"] = groups("sex", sex());
    all["by_age_band"] = groups("age_band", band);
    complete(all)
}
