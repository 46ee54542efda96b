//! A target to write, and its texts.

use std::path::PathBuf;

use crate::foreign::{Document, map};
use crate::yaml::Place;

/// A target to write.
pub(super) struct TargetOutput {
    pub(super) file: PathBuf,
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) document: Document,
}

/// Makes a name of a text: letters, digits, `.`, `_` and `-`.
pub(super) fn name_of(text: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = text.chars().map(fits).collect();
    let name: String = name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).chars().take(63).collect();
    name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// A text within an assertion.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `expect` with what is there; none when nothing is.
pub(super) fn expect_of(statuses: Option<Document>, assertions: Vec<String>) -> Option<Document> {
    let assertions: Vec<Document> = assertions.into_iter().map(Document::text).collect();
    let assertions = Some(Document::List(assertions)).filter(|list| *list != Document::List(Vec::new()));
    let parts: Vec<_> = [("status", statuses), ("assert", assertions)]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
    (!parts.is_empty()).then(|| map(parts))
}
