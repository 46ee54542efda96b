//! JSON Schemas of requests and responses, and the parts that descriptions are made of.

use serde_json::{Map, Value, json};

/// Refers to a named schema.
pub(crate) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Describes a parameter in the `query`, a `header` or the `path`.
pub(crate) fn parameter(place: &str, name: &str, about: &str, schema: Value) -> Value {
    json!({"name": name, "in": place, "required": place == "path", "description": about, "schema": schema})
}

/// Describes the id in a path.
pub(crate) fn id(about: &str) -> Value {
    parameter("path", "id", about, json!({"type": "string", "format": "uuid"}))
}

/// Describes an object without other properties than these.
pub(crate) fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

/// Describes an object of which nothing is ever missing.
pub(crate) fn complete(properties: Value) -> Value {
    let names: Vec<_> = properties.as_object().into_iter().flat_map(Map::keys).cloned().collect();
    object(properties, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Takes a map out of a JSON object.
pub(super) fn map(object: Value) -> Map<String, Value> {
    if let Value::Object(map) = object { map } else { Map::new() }
}

/// Returns the schemas of every service.
pub(super) fn shared() -> Map<String, Value> {
    map(json!({"Problem": problem(), "Health": health()}))
}

/// Returns the responses that are problems, by status. Several problems may share a status: none of these is a title.
pub(super) fn problems() -> Value {
    let mut problems = json!({});
    for (status, about) in [
        ("400", "A parameter, a header or the body cannot be read; the fields at fault are named."),
        ("401", "An API key is needed, or the one that was sent is not known."),
        ("403", "The API key does not go so far, or nobody may change anything here."),
        ("404", "There is no such resource."),
        ("408", "The body did not come in time."),
        ("409", "Other changes came first, again and again; try again in a little while."),
        ("412", "The resource is in another state than `If-Match` or `If-None-Match` wants."),
        ("413", "The body is too large."),
        ("415", "The body is of another media type."),
        ("421", "The service does not answer under this host."),
        ("422", "The body can be read but not used; the fields at fault are named."),
        ("500", "Our fault. Quote the request id when you report it."),
        (
            "503",
            "Too busy, too slow, or the database is unavailable or read-only; try again in a little while.",
        ),
        ("507", "The database has no space left; nothing was changed."),
    ] {
        let content = json!({"application/problem+json": {"schema": reference("Problem")}});
        problems[status] = json!({"description": about, "content": content});
    }
    let text = |required| json!({"required": required, "schema": {"type": "string"}});
    problems["401"]["headers"]["www-authenticate"] = text(true);
    problems["409"]["headers"]["retry-after"] = text(false);
    problems["503"]["headers"]["retry-after"] = text(false);
    problems
}

fn problem() -> Value {
    let text = |about: &str| json!({"type": "string", "minLength": 1, "description": about});
    json!({
        "type": "object",
        "description": "An error (RFC 9457).",
        "additionalProperties": false,
        "required": ["type", "title", "status", "code", "detail", "instance"],
        "properties": {
            "type": {"type": "string", "pattern": "^urn:titanic:problem:[a-z-]+$", "description": "Stands for the code."},
            "title": text("What kind of problem it is; the same for all of one code."),
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": {"type": "string", "pattern": "^[a-z_]+$", "description": "Stable: for programs."},
            "detail": text("What belongs to this request: for people."),
            "instance": text("The path of the request."),
            "request_id": text("Also in the header `x-request-id` and in the log."),
            "errors": {
                "type": "array",
                "description": "The fields at fault.",
                "items": complete(json!({
                    "field": {"type": "string", "description": "A field of the body, a parameter, or a header."},
                    "detail": text("What was expected, and what was found.")
                }))
            }
        }
    })
}

fn health() -> Value {
    complete(json!({
        "status": {"enum": ["ok", "degraded", "fail"]},
        "checks": {"type": "object", "additionalProperties": {"type": "string"}},
        "version": {"type": "string"}
    }))
}
