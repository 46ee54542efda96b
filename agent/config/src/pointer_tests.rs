//! Places in documents of tests, as JSON pointers (RFC 6901).

use serde_json::Value;

/// Returns the place of an entry of a mapping, or of an item of a list by its number.
pub(crate) fn below(at: &str, step: &str) -> String {
    format!("{at}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// Returns a document with an entry more in one of its mappings.
pub(crate) fn with_entry(document: &Value, at: &str, name: &str, value: Value) -> Value {
    let mut document = document.clone();
    document.pointer_mut(at).unwrap()[name] = value;
    document
}
