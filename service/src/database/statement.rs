//! Statements: written once, with `$1` placeholders, for either database.

use std::borrow::Cow;

use jiff::Timestamp;
use uuid::Uuid;

/// A statement and the values for its placeholders.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(super) sql: Cow<'static, str>,
    pub(super) values: Vec<Value>,
    /// True if connections keep it prepared.
    pub(super) persistent: bool,
}

/// A value for a placeholder.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Key(Uuid),
    Text(String),
    Small(i16),
    Whole(i64),
    Real(Option<f64>),
    Flag(bool),
    Moment(Timestamp),
}

impl Statement {
    /// Creates a statement that never changes.
    pub(crate) fn fixed(sql: &'static str, values: impl Into<Vec<Value>>) -> Self {
        Self { sql: Cow::Borrowed(sql), values: values.into(), persistent: true }
    }

    /// Begins a statement that is built from parts.
    pub(crate) fn begin(sql: &'static str) -> Self {
        Self::fixed(sql, Vec::new())
    }

    /// Appends text of our own. The type keeps out text of a client.
    pub(crate) fn text(&mut self, sql: &'static str) -> &mut Self {
        self.sql.to_mut().push_str(sql);
        self
    }

    /// Appends a placeholder for a value.
    pub(crate) fn value(&mut self, value: Value) -> &mut Self {
        self.values.push(value);
        let placeholder = format!("${}", self.values.len());
        self.sql.to_mut().push_str(&placeholder);
        self
    }

    /// Appends rows of values, each in parentheses.
    pub(crate) fn rows(&mut self, rows: impl IntoIterator<Item = Vec<Value>>) -> &mut Self {
        for (index, row) in rows.into_iter().enumerate() {
            self.text(if index == 0 { "" } else { ", " });
            for (index, value) in row.into_iter().enumerate() {
                self.text(if index == 0 { "(" } else { ", " }).value(value);
            }
            self.text(")");
        }
        self
    }

    /// Appends text of this statement again, which refers to the same values.
    pub(crate) fn again(&mut self, sql: &str) -> &mut Self {
        self.sql.to_mut().push_str(sql);
        self
    }

    /// Returns the text from a position on.
    pub(crate) fn since(&self, place: usize) -> String {
        self.sql.get(place..).unwrap_or_default().to_owned()
    }

    /// Returns the length of the text.
    pub(crate) fn length(&self) -> usize {
        self.sql.len()
    }

    /// Puts text in front.
    pub(crate) fn behind(mut self, sql: &'static str) -> Self {
        self.sql.to_mut().insert_str(0, sql);
        self
    }

    /// Marks a long and rare statement that is not worth preparing.
    pub(crate) fn unprepared(mut self) -> Self {
        self.persistent = false;
        self
    }
}
