//! The JSON Schemas (draft 2020-12) of `lookout.yaml` and of SLO specs, for editors.
//!
//! They say what has which shape; what a value means (whether a target exists, whether a tier can fire) only `check`
//! knows. A test puts an unknown key into every mapping and compares what the readers know there with what is here.

mod alerting;
mod config;
mod foreign;
mod slo;
mod target;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub use config::config_schema;
pub use slo::slo_schema;

/// The dialect all schemas are written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// As `duration.rs` reads it.
const DURATION: &str =
    "^(0|(?:[0-9]+y)?(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?)$";

/// As `reader.rs` reads it.
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$";

fn head(schema: &mut Value, title: &str) {
    if let Value::Object(schema) = schema {
        schema.insert("$schema".to_owned(), DIALECT.into());
        schema.insert("title".to_owned(), title.into());
    }
}

fn print(schema: &Value) -> String {
    format!("{schema:#}\n")
}

/// A document of OpenSLO.
fn document(kind: &str, metadata: Value, spec: Value) -> Value {
    closed(
        kind,
        &["apiVersion", "kind", "metadata", "spec"],
        [
            ("apiVersion", json!({ "const": "openslo/v1" })),
            ("kind", json!({ "const": kind })),
            ("metadata", metadata),
            ("spec", spec),
        ],
    )
}

/// A mapping with these keys and no others.
fn closed<const N: usize>(description: &str, required: &[&str], keys: [(&str, Value); N]) -> Value {
    let properties: Map<String, Value> =
        keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut schema = json!({
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if let Value::Object(schema) = &mut schema
        && !required.is_empty()
    {
        schema.insert("required".to_owned(), required.into());
    }
    schema
}

fn text(description: &str) -> Value {
    json!({ "description": description, "type": "string" })
}

fn name(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": NAME })
}

fn duration(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": DURATION, "minLength": 1 })
}

fn switch(description: &str) -> Value {
    json!({ "description": description, "type": "boolean" })
}

fn words(description: &str, words: &[&str]) -> Value {
    json!({ "description": description, "type": "string", "enum": words })
}

fn list(description: &str, items: Value) -> Value {
    json!({ "description": description, "type": "array", "items": items })
}

/// One of these keys, and not another of them.
fn exactly_one_of(schema: &mut Value, keys: &[&str]) {
    let choices: Vec<Value> = keys.iter().map(|key| json!({ "required": [key] })).collect();
    if let Value::Object(schema) = schema {
        schema.insert("oneOf".to_owned(), choices.into());
    }
}
