//! JSON Schemas of requests and responses.

use serde_json::{Map, Value, json};

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
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["field", "detail"],
                    "properties": {
                        "field": {"type": "string", "description": "A field of the body, a parameter, or a header."},
                        "detail": text("What was expected, and what was found.")
                    }
                }
            }
        }
    })
}

fn health() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["status", "checks", "version"],
        "properties": {
            "status": {"enum": ["ok", "degraded", "fail"]},
            "checks": {"type": "object", "additionalProperties": {"type": "string"}},
            "version": {"type": "string"}
        }
    })
}
