//! Text to a tree of YAML nodes, each with its place. The only file that names the YAML crate.
//!
//! The tree is made by serde like any other value, but it is a tree rather than the final structs: a derived struct
//! stops at its first unknown key or wrong type, and a person who mends a file wants to hear of all of them.

use core::fmt;
use core::ops::Range;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Location, Spanned};

use super::diagnostic::{Diagnostic, Level};

/// Most bytes a file may have.
pub(super) const FILE_LIMIT: u64 = 1024 * 1024;

/// The place of a node: line and column from one, and bytes of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) span: Range<usize>,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
    /// The text of a number or a switch as it was written: `1.10` and `007` are labels too.
    pub(super) written: Option<String>,
}

/// A value after YAML's own rules for plain scalars.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) place: Place,
}

impl Value {
    /// Returns whether its text is lost in its value.
    const fn is_written(&self) -> bool {
        matches!(self, Self::Bool(_) | Self::Int(_) | Self::Float(_))
    }

    /// Returns its kind, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Most documents of a file. A file is bounded in bytes too, and so are its nodes.
const DOCUMENTS: usize = 10_000;

/// Returns every document of a text that is not empty.
pub(super) fn parse(file: &Path, text: &str) -> Result<Vec<Node>, Box<Diagnostic>> {
    // people write a few anchors at most: what grows beyond that is a mistake or an attack
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        budget: serde_saphyr::budget! { max_documents: DOCUMENTS },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 20_000 },
    };
    serde_saphyr::from_multiple_with_options::<Spanned<Raw>>(text, options)
        .map(|documents| documents.into_iter().map(|raw| raw_node(raw, text)).collect())
        .map_err(|error| Box::new(diagnose(file, text, &error)))
}

/// Returns a value as YAML, in the order it has.
pub(super) fn print(value: &impl serde::Serialize) -> String {
    let options = serde_saphyr::ser_options! { compact_list_indent: false };
    // a tree of maps with text for keys always serializes; a reader of nothing would say so
    serde_saphyr::to_string_with_options(value, options).unwrap_or_default()
}

/// The tree as serde builds it; places are filled in afterwards, when the text is at hand.
struct Raw(RawValue);

enum RawValue {
    Scalar(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<RawKey>, Spanned<Raw>)>),
}

struct RawKey(String);

impl<'de> Deserialize<'de> for RawKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor).map(Self)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawValue, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Int(value)))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<RawValue, E> {
        let value = i64::try_from(value).map_err(|_| E::custom("this number is too large"))?;
        Ok(RawValue::Scalar(Value::Int(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawValue, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(RawValue::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry::<Spanned<RawKey>, Spanned<Raw>>()? {
            entries.push(entry);
        }
        Ok(RawValue::Map(entries))
    }
}

/// Builds the tree, recursively; the parser bounds the depth.
fn raw_node(raw: Spanned<Raw>, text: &str) -> Node {
    let mut place = place_of(raw.defined, text);
    let value = match raw.value.0 {
        RawValue::Scalar(value) => value,
        RawValue::List(list) => Value::List(list.into_iter().map(|raw| raw_node(raw, text)).collect()),
        RawValue::Map(map) => {
            let entries = map.into_iter().map(|(key, raw)| {
                let place = place_of(key.defined, text);
                (Key { name: key.value.0, place }, raw_node(raw, text))
            });
            Value::Map(entries.collect())
        }
    };
    // a block mapping has no brace to point at: its first key stands for it
    if let Value::Map(entries) = &value
        && place.span.is_empty()
        && let Some((first, _)) = entries.first()
    {
        place = first.place.clone();
    }
    let written = text.get(place.span.clone()).filter(|_| value.is_written());
    Node { written: written.map(str::to_owned), value, place }
}

fn place_of(location: Location, text: &str) -> Place {
    let line = usize::try_from(location.line()).unwrap_or(1).max(1);
    let column = usize::try_from(location.column()).unwrap_or(1).max(1);
    let span = location.span();
    let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok());
    let start = number(span.byte_offset()).unwrap_or_else(|| offset_of(text, line, column)).min(text.len());
    let end = start.saturating_add(number(span.byte_len()).unwrap_or(0)).min(text.len());
    let meant = text.get(start..end).unwrap_or_default();
    Place { line, column, span: start..start + meant.trim_end().len() }
}

/// Returns the byte at which a line and column begin.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let Some(content) = text.split_inclusive('\n').nth(line - 1) else { return text.len() };
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    before + content.char_indices().nth(column - 1).map_or(content.len(), |(at, _)| at)
}

fn diagnose(file: &Path, text: &str, error: &Error) -> Diagnostic {
    let place = error.location().map(|location| place_of(location, text));
    let (message, help) = explain(error);
    Diagnostic {
        level: Level::Error,
        file: file.to_owned(),
        position: place.as_ref().map(|place| (place.line, place.column)),
        span: place.map(|place| place.span),
        key: String::new(),
        message,
        help,
    }
}

fn explain(error: &Error) -> (String, Option<String>) {
    match error {
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map_or_else(|| "a key".to_owned(), |key| format!("the key `{key}`"));
            (format!("{key} is written twice in one mapping"), Some("keep one of them".to_owned()))
        }
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } => {
            let help = "write it out with fewer anchors, aliases and levels";
            ("this YAML is too large or too deeply nested".to_owned(), Some(help.to_owned()))
        }
        Error::AliasError { error, .. } => explain(error),
        other => {
            let text = other.to_string();
            let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
            (format!("this is not valid YAML: {what}"), yaml_help(what))
        }
    }
}

/// Returns the remedy of the two most common mistakes.
fn yaml_help(what: &str) -> Option<String> {
    let help = if what.contains("tabs disallowed") {
        "indent with spaces"
    } else if what.contains("unexpected character") || what.contains("mapping values are not allowed") {
        "put the value in quotes"
    } else {
        return None;
    };
    Some(help.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'n>(node: &'n Node, name: &str) -> &'n (Key, Node) {
        let Value::Map(entries) = &node.value else { panic!("not a mapping: {node:?}") };
        entries.iter().find(|(key, _)| key.name == name).unwrap()
    }

    #[test]
    fn every_node_knows_its_bytes_whatever_stands_before_it() {
        let text = "ü: 10s\nb: {c: [1, '2'], d: \"q\\u00e4\"}\nlist:\n  - name: x\n    text: |\n      one\n      two\n";
        let documents = parse(Path::new("x"), text).unwrap();
        let root = &documents[0];
        let at = |node: &Node| text[node.place.span.clone()].to_owned();
        let (key, first) = entry(root, "ü");
        assert_eq!(&text[key.place.span.clone()], "ü");
        assert_eq!((at(first).as_str(), first.place.line, first.place.column), ("10s", 1, 4));
        let (_, b) = entry(root, "b");
        assert_eq!(at(&entry(b, "d").1), "\"q\\u00e4\"");
        assert_eq!(entry(b, "d").1.value, Value::Text("qä".to_owned()));
        let Value::List(items) = &entry(root, "list").1.value else { panic!() };
        assert_eq!(at(&items[0]), "name", "a mapping is its first key");
        assert_eq!(at(&entry(&items[0], "text").1), "one\n      two");
    }

    #[test]
    fn yes_and_on_are_text_and_empty_documents_are_skipped() {
        let documents = parse(Path::new("x"), "a: yes\nb: true\n---\n# nothing\n---\nc: on\n").unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(entry(&documents[0], "a").1.value, Value::Text("yes".to_owned()));
        assert_eq!(entry(&documents[0], "b").1.value, Value::Bool(true));
    }

    #[test]
    fn broken_yaml_is_located_and_says_what_to_do() {
        let finding = parse(Path::new("x"), "ä: 1\nb:\n\t- c\n").unwrap_err();
        assert_eq!((finding.position, finding.span.clone()), (Some((3, 2)), Some(10..10)), "{finding:?}");
        assert_eq!(finding.help.as_deref(), Some("indent with spaces"));
        let finding = parse(Path::new("x"), "a: 1\na: 2\n").unwrap_err();
        assert_eq!(finding.message, "the key `a` is written twice in one mapping");
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
            + &(0..20)
                .map(|n| {
                    format!(
                        "b{n}: &b{n} [{}]\n",
                        vec![if n == 0 { "*a".to_owned() } else { format!("*b{}", n - 1) }; 9].join(",")
                    )
                })
                .collect::<String>();
        assert!(parse(Path::new("x"), &bomb).is_err(), "aliases are bounded");
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(Path::new("x"), &deep).is_err(), "depth is bounded");
    }
}
