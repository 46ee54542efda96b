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
pub(crate) fn object(properties: impl Into<Value>, required: &[&str]) -> Value {
    let properties: Value = properties.into();
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

/// Describes an object of which nothing is ever missing.
pub(crate) fn complete(properties: impl Into<Value>) -> Value {
    let properties = map(properties.into());
    let names: Vec<_> = properties.keys().cloned().collect();
    object(properties, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Takes a map out of a JSON object.
pub(crate) fn map(object: Value) -> Map<String, Value> {
    if let Value::Object(map) = object { map } else { Map::new() }
}

/// Returns the schemas of every service.
pub(super) fn shared() -> Map<String, Value> {
    Map::from_iter([(String::from("Problem"), problem()), (String::from("Health"), health())])
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
