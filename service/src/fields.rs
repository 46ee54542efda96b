//! Reading a JSON object field by field, so that one answer names everything that is wrong with it.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// One field of a request that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field, query parameter or path segment.
    pub field: String,
    /// The expected value and the one found.
    pub detail: String,
}

impl FieldError {
    /// Names a field and what is wrong with it.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}

/// Describes an expected value, with everything that is wrong with the one found.
pub(crate) fn sentence(expected: &str, errors: &[FieldError]) -> String {
    let errors: Vec<_> = errors.iter().map(|error| format!("`{}` {}", error.field, error.detail)).collect();
    format!("{expected} ({})", errors.join("; "))
}

/// Takes an id out of an object.
pub(crate) fn take_id(object: &mut Map<String, Value>, name: &str) -> Result<Uuid, String> {
    let id = object.remove(name).and_then(|id| Uuid::try_parse(id.as_str()?).ok());
    id.ok_or_else(|| format!("a UUID as `{name}`"))
}

/// A JSON object that is being read. Unknown fields are errors.
pub(crate) struct Fields {
    raw: Map<String, Value>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Fields {
    pub(crate) fn new(raw: Map<String, Value>) -> Self {
        Self { raw, known: Vec::new(), errors: Vec::new() }
    }

    /// A field that must be there.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if !self.raw.contains_key(name) {
            self.errors.push(FieldError::new(name, "is missing"));
        }
        self.optional(name, read)
    }

    /// A field that may be left out.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(name);
        let value = self.raw.remove(name)?;
        match read(&value) {
            Ok(read) => Some(read),
            Err(expected) => {
                self.refuse(name, format!("must be {expected}, not {}", shown(&value)));
                None
            }
        }
    }

    /// Notes something wrong that no single value shows.
    pub(crate) fn refuse(&mut self, name: &'static str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(name, detail));
    }

    /// Returns what was read, or all errors.
    pub(crate) fn finish<T>(self, read: T) -> Result<T, Vec<FieldError>> {
        let errors = self.errors();
        if errors.is_empty() { Ok(read) } else { Err(errors) }
    }

    /// Returns all errors, unknown fields included. There are none when the object can be used.
    pub(crate) fn errors(mut self) -> Vec<FieldError> {
        let known = self.known.join(", ");
        for name in self.raw.keys() {
            let field: String = name.chars().take(SHOWN_CHARS).collect();
            self.errors.push(FieldError::new(field, format!("is not known; the fields are {known}")));
        }
        self.errors
    }
}

const SHOWN_CHARS: usize = 60;

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => String::from("an array"),
        Value::Object(_) => String::from("an object"),
        plain => {
            let text = plain.to_string();
            let start: String = text.chars().take(SHOWN_CHARS).collect();
            if start.len() < text.len() { format!("{start}…") } else { text }
        }
    }
}

/// A whole number within bounds. `3.0` is one too: JSON knows no difference.
pub(crate) fn whole(value: &Value, least: i64, most: i64) -> Result<i64, String> {
    #[expect(clippy::cast_possible_truncation, reason = "only taken when the number is whole and small")]
    let number = value
        .as_i64()
        .or_else(|| value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e9).map(|n| n as i64));
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("a whole number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        let Value::Object(raw) = value else { panic!("not an object") };
        Fields::new(raw)
    }

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let mut fields = fields(json!({"class": 7, "colour": "red"}));
        assert_eq!(fields.required("class", |v| whole(v, 1, 3)), None);
        assert_eq!(fields.required("name", |v| whole(v, 1, 3)), None);
        let errors = fields.errors();
        let lines: Vec<_> = errors.iter().map(|e| format!("{} {}", e.field, e.detail)).collect();
        assert_eq!(
            lines,
            [
                "class must be a whole number from 1 to 3, not 7",
                "name is missing",
                "colour is not known; the fields are class, name"
            ]
        );
    }

    #[test]
    fn a_long_value_is_shown_in_part() {
        let mut fields = fields(json!({"class": "x".repeat(1000)}));
        fields.required("class", |v| whole(v, 1, 3));
        assert!(fields.errors()[0].detail.len() < 120);
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        assert_eq!(whole(&json!(3.0), 1, 3), Ok(3));
        assert!(whole(&json!(2.5), 1, 3).is_err());
        assert!(whole(&json!("2"), 1, 3).is_err());
    }
}
