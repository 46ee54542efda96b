//! A file of documents, and what a document says before it is read.

use super::reader::Reader;
use super::yaml::{Node, Value};

/// Kinds of OpenSLO that are read, and those that are not used yet.
pub(super) const KINDS: [&str; 7] =
    ["SLO", "SLI", "Service", "DataSource", "AlertPolicy", "AlertCondition", "AlertNotificationTarget"];

/// A file and its documents.
pub(super) struct ParsedFile<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) documents: &'a [Node],
}

/// Returns the text under a key, without any check.
pub(super) fn scalar<'n>(node: &'n Node, name: &str) -> Option<&'n str> {
    let Value::Map(entries) = &node.value else { return None };
    let (_, found) = entries.iter().find(|(key, _)| key.name == name)?;
    match &found.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}
