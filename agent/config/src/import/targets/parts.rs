//! A mapping of another tool, of which every part is either carried over or listed.

use std::collections::BTreeSet;

use crate::foreign::{Document, scalar_text};
use crate::reader::{At, Fields, Reader};
use crate::yaml::Value;

/// A mapping and the keys that were taken from it.
pub(super) struct Parts<'n> {
    fields: Fields<'n>,
    taken: BTreeSet<String>,
}

impl<'n> Parts<'n> {
    /// Opens a mapping. Nothing is an empty one.
    pub(super) fn open(reader: &mut Reader<'_>, at: &At<'n>) -> Option<Self> {
        reader.open_fields(at, "").map(|fields| Self { fields, taken: BTreeSet::new() })
    }

    /// The place of the mapping.
    pub(super) const fn at(&self) -> &At<'n> {
        &self.fields.at
    }

    /// Takes the value of a key. Nothing under a key is as no key.
    pub(super) fn take(&mut self, name: &str) -> Option<At<'n>> {
        let (_, at) = self.fields.all().find(|(key, _)| key.name == name)?;
        self.taken.insert(name.to_owned());
        Some(at).filter(|at| at.node.value != Value::Null)
    }

    /// Takes a text, a number or a switch as it was written.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name).and_then(|at| scalar_text(at.node))
    }

    /// Takes a switch.
    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        self.take(name).and_then(|at| match at.node.value {
            Value::Bool(on) => Some(on),
            _ => None,
        })
    }

    /// Takes the texts of a list.
    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        let Some(at) = self.take(name) else { return Vec::new() };
        match &at.node.value {
            Value::List(nodes) => nodes.iter().filter_map(scalar_text).collect(),
            _ => scalar_text(at.node).into_iter().collect(),
        }
    }

    /// Takes the items of a list.
    pub(super) fn items(&mut self, reader: &mut Reader<'_>, name: &str) -> Vec<At<'n>> {
        self.take(name).and_then(|at| reader.list(&at)).unwrap_or_default()
    }

    /// Takes keys without which a target would be another one. Returns whether none is there.
    pub(super) fn lacks(&mut self, reader: &mut Reader<'_>, names: &[&str]) -> bool {
        let mut lacks = true;
        for name in names {
            let Some(at) = self.take(name).filter(|at| !is_off(&at.node.value)) else { continue };
            reader.error(&at, format!("not converted: lookout has no `{name}`"), "write this target by hand");
            lacks = false;
        }
        lacks
    }

    /// Lists every key that was not taken.
    pub(super) fn list_rest(self, reader: &mut Reader<'_>) {
        for (key, at) in self.fields.all().filter(|(key, _)| !self.taken.contains(&key.name)) {
            reader.lost(
                &at,
                format!("`{}`", key.name),
                "it has no counterpart; leave it out or see docs/probes.md",
            );
        }
    }
}

/// A value that asks for nothing.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

/// Pairs of a mapping to write, without those that are absent.
#[derive(Default)]
pub(super) struct Pairs(Vec<(String, Document)>);

impl Pairs {
    pub(super) fn put(&mut self, name: &str, value: impl Into<Option<Document>>) {
        if let Some(value) = value.into() {
            self.0.push((name.to_owned(), value));
        }
    }

    pub(super) fn text(&mut self, name: &str, value: Option<String>) {
        self.put(name, value.map(Document::text));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_document(self) -> Document {
        Document::Map(self.0)
    }
}
