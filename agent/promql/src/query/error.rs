//! An error in a query: the place, the message and the remedy.

use core::ops::Range;

/// A finding about the text of a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Bytes of the query's text that are meant.
    pub span: Range<usize>,
    /// The finding, in one line.
    pub message: String,
    /// The remedy.
    pub help: String,
}

impl QueryError {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: help.into() }
    }

    /// Returns line and column of the finding inside the query, both from 1, the column in characters.
    #[must_use]
    pub fn line_column(&self, text: &str) -> (usize, usize) {
        let before = text.get(..self.span.start.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// Renders the finding with its place inside the query, for readers who see no caret.
    #[must_use]
    pub fn located(&self, text: &str) -> String {
        let (line, column) = self.line_column(text);
        format!("line {line}, column {column} of the query: {}", self.message)
    }
}
