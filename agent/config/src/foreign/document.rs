//! A document in the order in which it is written, and the way back to nodes that know where they come from.

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

use crate::reader::At;
use crate::yaml::{Key, Node, Place, Value};

/// A document in the order it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Document {
    Text(String),
    Number(f64),
    Switch(bool),
    List(Vec<Document>),
    Map(Vec<(String, Document)>),
    /// A part with its place: findings about it point there.
    At(Place, Box<Document>),
}

impl Document {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Returns a text that was written there.
    pub(crate) fn text_at(at: &At<'_>, text: impl Into<String>) -> Self {
        Self::At(at.node.place.clone(), Box::new(Self::text(text)))
    }

    /// Returns a number that was written there.
    pub(crate) fn number_at(at: &At<'_>, number: f64) -> Self {
        Self::At(at.node.place.clone(), Box::new(Self::Number(number)))
    }

    /// As the reader of SLO specs wants it, each part at its place, or at that of what is around it.
    pub(crate) fn node(&self, place: &Place) -> Node {
        let value = match self {
            Self::At(place, inner) => return inner.node(place),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Number(number) => Value::Float(*number),
            Self::Switch(value) => Value::Bool(*value),
            Self::List(items) => Value::List(items.iter().map(|item| item.node(place)).collect()),
            Self::Map(entries) => {
                let entry = |(name, value): &(String, Self)| {
                    let value = value.node(place);
                    (Key { name: name.clone(), place: value.place.clone() }, value)
                };
                Value::Map(entries.iter().map(entry).collect())
            }
        };
        Node { value, place: place.clone(), written: None }
    }

    /// Copies a node.
    pub(crate) fn of(node: &Node) -> Self {
        match &node.value {
            Value::Null => Self::text(""),
            Value::Bool(value) => Self::Switch(*value),
            Value::Int(value) => Self::Number(*value as f64),
            Value::Float(value) => Self::Number(*value),
            Value::Text(text) => Self::text(text),
            Value::List(nodes) => Self::List(nodes.iter().map(Self::of).collect()),
            Value::Map(entries) => {
                Self::Map(entries.iter().map(|(key, node)| (key.name.clone(), Self::of(node))).collect())
            }
        }
    }
}

/// Returns a mapping from pairs.
pub(crate) fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, Document)>) -> Document {
    Document::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                serializer.serialize_i64(*number as i64)
            }
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Switch(value) => serializer.serialize_bool(*value),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::At(_, inner) => inner.serialize(serializer),
        }
    }
}

/// Returns a ratio of two PromQL queries, as `indicator.rs` reads it.
pub(crate) fn ratio(source: &str, part: (&str, Document), total: Document) -> Document {
    let side = |query: Document| {
        let source = match &query {
            Document::At(place, _) => Document::At(place.clone(), Box::new(Document::text(source))),
            _ => Document::text(source),
        };
        let spec = map([("source", source), ("query", query)]);
        map([("metricSource", map([("type", Document::text("prometheus")), ("spec", spec)]))])
    };
    let ratio = map([("counter", Document::Switch(true)), (part.0, side(part.1)), ("total", side(total))]);
    map([("ratioMetric", ratio)])
}
