//! The JSON Schemas (draft 2020-12) of `lookout.yaml` and of SLO specs, for editors, made of the declared keys.
//!
//! They say what has which shape; what a value means (whether a target exists, whether a tier can fire) only `check`
//! knows.

use serde_json::{Map, Value, json};

use super::keys::{self, DURATION, Key, Literal, NAME, Object, Shape};

/// The dialect all schemas are written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Annotations that are lookout's own.
const OWN_ANNOTATION: &str = "^lookout\\.dev/";

/// Returns the schema of `lookout.yaml`.
#[must_use]
pub fn config_schema() -> String {
    print(of_object(keys::agent::agent::OBJECT), "lookout.yaml")
}

/// Returns the schema of one document of an SLO spec.
#[must_use]
pub fn slo_schema() -> String {
    let documents: Vec<Map<String, Value>> =
        keys::SPEC_DOCUMENTS.iter().map(|document| of_object(document)).collect();
    let schema = entries(json!({ "oneOf": documents }));
    print(schema, "SLO specs that lookout reads: OpenSLO v1, Sloth and Pyrra")
}

fn print(mut schema: Map<String, Value>, title: &str) -> String {
    schema.insert("$schema".to_owned(), DIALECT.into());
    schema.insert("title".to_owned(), title.into());
    format!("{:#}\n", Value::Object(schema))
}

fn of_object(object: &Object) -> Map<String, Value> {
    let properties: Map<String, Value> =
        object.keys.iter().map(|key| (key.name.to_owned(), of_key(key))).collect();
    let mut schema =
        entries(json!({ "description": object.about, "type": "object", "properties": properties }));
    if !object.open {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    let required: Vec<&str> = object.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    let names = |choice: &[Key]| choice.iter().map(|key| key.name).collect::<Vec<_>>();
    let choices = object.choices.iter().map(|choice| json!({ "required": names(choice) }));
    if !object.choices.is_empty() {
        schema.insert("oneOf".to_owned(), choices.collect());
    }
    schema.extend(object.constraint.into_iter().flat_map(|constraint| entries(constraint())));
    schema
}

fn of_key(key: &Key) -> Value {
    let mut schema = of_shape(&key.shape);
    if !key.about.is_empty() {
        schema.insert("description".to_owned(), key.about.into());
    }
    if !key.default.is_empty() {
        // a declaration that is no YAML is found by the test of defaults
        schema.insert("default".to_owned(), serde_saphyr::from_str(key.default).unwrap_or_default());
    }
    Value::Object(schema)
}

fn of_shape(shape: &Shape) -> Map<String, Value> {
    let all = |shapes: &[Shape]| shapes.iter().map(of_shape).collect::<Vec<_>>();
    entries(match *shape {
        Shape::Any => json!({}),
        Shape::Text | Shape::Secret => json!({ "type": "string" }),
        Shape::Scalar => json!({ "type": ["string", "number"] }),
        Shape::Name => json!({ "type": "string", "pattern": NAME }),
        Shape::Duration => json!({ "type": "string", "pattern": DURATION, "minLength": 1 }),
        Shape::Switch => json!({ "type": "boolean" }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Below(least, bound) => {
            json!({ "type": "number", "minimum": number(least), "exclusiveMaximum": number(bound) })
        }
        Shape::Between(least, most) => {
            json!({ "type": "number", "minimum": number(least), "maximum": number(most) })
        }
        Shape::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Count(least) => json!({ "type": "integer", "minimum": least }),
        Shape::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
        Shape::Filled => json!({ "type": "string", "minLength": 1 }),
        Shape::Word(words) => json!({ "type": "string", "enum": words }),
        Shape::Values(values) => json!({ "enum": values.iter().map(literal).collect::<Vec<_>>() }),
        Shape::Const(word) => json!({ "const": word }),
        Shape::List(item) => json!({ "type": "array", "items": of_shape(item) }),
        Shape::NonEmpty(item) => json!({ "type": "array", "items": of_shape(item), "minItems": 1 }),
        Shape::Single(item) => {
            json!({ "type": "array", "items": of_shape(item), "minItems": 1, "maxItems": 1 })
        }
        Shape::Map(&Shape::Any) => json!({ "type": "object" }),
        Shape::Map(value) => json!({ "type": "object", "additionalProperties": of_shape(value) }),
        Shape::Object(object) => return of_object(object),
        Shape::Annotations(own) => return annotations(own),
        Shape::AnyOf(shapes) => json!({ "anyOf": all(shapes) }),
        Shape::OneOf(shapes) => json!({ "oneOf": all(shapes) }),
        Shape::About(about, shape) => {
            let mut schema = of_shape(shape);
            schema.insert("description".to_owned(), about.into());
            return schema;
        }
    })
}

/// Annotations of lookout's own, and those of others, which have another prefix.
fn annotations(own: Option<&Object>) -> Map<String, Value> {
    let foreign = json!({ "not": { "pattern": OWN_ANNOTATION } });
    let Some(own) = own else {
        return entries(json!({ "type": "object", "propertyNames": foreign }));
    };
    let mut schema = of_object(own);
    schema.remove("additionalProperties");
    let mut names = own.names();
    names.sort_unstable();
    schema.insert("propertyNames".to_owned(), json!({ "anyOf": [{ "enum": names }, foreign] }));
    schema
}

fn literal(literal: &Literal) -> Value {
    match *literal {
        Literal::Text(text) => text.into(),
        Literal::Number(value) => number(value),
    }
}

/// Returns a number of JSON, without a fraction where it has none.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}

/// Returns the entries of a schema that is a mapping.
fn entries(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(entries) => entries,
        _ => Map::new(),
    }
}
