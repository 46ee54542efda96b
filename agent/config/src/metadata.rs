//! `metadata` of an OpenSLO document: name, labels and annotations.

use std::collections::BTreeMap;

use super::diagnostic::Level;
use super::reader::{At, Fields, Reader, did_you_mean, quoted_list, suggestion};
use super::yaml::Value;
use crate::keys::document::metadata;
use crate::keys::{Key, Object};

/// The prefix of lookout's own annotations.
pub(super) const PREFIX: &str = "lookout.dev/";

/// Labels that rules get from lookout itself.
pub(super) const OWN_LABELS: [&str; 5] = ["alertname", "env", "service", "severity", "slo"];

/// The content of `metadata`.
pub(super) struct Metadata<'n> {
    pub(super) name: Option<(String, At<'n>)>,
    pub(super) display_name: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    /// The annotations that are declared for this kind of document.
    known: Option<&'static Object>,
    annotations: BTreeMap<String, At<'n>>,
}

impl<'n> Metadata<'n> {
    /// Returns an annotation of lookout.
    pub(super) fn annotation(&self, key: Key) -> Option<&At<'n>> {
        self.known.into_iter().for_each(|known| known.expect_key(key));
        self.annotations.get(key.name)
    }
}

pub(super) fn read_metadata<'n>(
    reader: &mut Reader<'_>,
    at: &At<'n>,
    known: Option<&'static Object>,
) -> Option<Metadata<'n>> {
    let fields = reader.fields(at, metadata::OBJECT)?;
    let name = reader.required(&fields, metadata::NAME, "give it a name");
    let name = name.and_then(|at| reader.name(&at).map(|name| (name.to_owned(), at)));
    let display_name = text(reader, &fields, metadata::DISPLAY_NAME);
    let labels = fields.get(metadata::LABELS).map(|at| read_labels(reader, &at)).unwrap_or_default();
    let annotations = fields.get(metadata::ANNOTATIONS).map(|at| read_annotations(reader, &at, known));
    Some(Metadata { name, display_name, labels, known, annotations: annotations.unwrap_or_default() })
}

pub(super) fn text(reader: &mut Reader<'_>, fields: &Fields<'_>, key: Key) -> Option<String> {
    fields.get(key).and_then(|at| reader.text(&at)).map(|text| text.trim_end().to_owned())
}

fn read_labels(reader: &mut Reader<'_>, at: &At<'_>) -> BTreeMap<String, String> {
    let Some(fields) = reader.open_fields(at, "from names to values") else { return BTreeMap::new() };
    let mut labels = BTreeMap::new();
    for (key, value) in fields.all() {
        let name = key.name.as_str();
        let shape = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty();
        if !shape || name.starts_with("__") {
            let help = "use letters, digits and `_`, beginning with a letter";
            reader.note(
                Level::Error,
                &key.place,
                &value.key,
                format!("`{name}` cannot be the name of a label"),
                Some(help.to_owned()),
            );
        } else if OWN_LABELS.contains(&name) || name.starts_with("sloth_") {
            let help =
                format!("lookout sets {} and `sloth_*` itself; use another name", quoted_list(&OWN_LABELS));
            reader.note(
                Level::Error,
                &key.place,
                &value.key,
                format!("the label `{name}` is taken"),
                Some(help),
            );
        } else if matches!(value.node.value, Value::List(_)) {
            reader.error(&value, "not supported yet: labels with several values", "write one value");
        } else if let Some(text) = reader.scalar(&value) {
            labels.insert(name.to_owned(), text);
        }
    }
    labels
}

/// Reads the annotations of lookout and ignores others.
fn read_annotations<'n>(
    reader: &mut Reader<'_>,
    at: &At<'n>,
    known: Option<&'static Object>,
) -> BTreeMap<String, At<'n>> {
    let known = known.map(Object::names).unwrap_or_default();
    let Some(fields) = reader.open_fields(at, "from names to texts") else { return BTreeMap::new() };
    let mut annotations = BTreeMap::new();
    for (key, value) in fields.all().filter(|(key, _)| key.name.starts_with(PREFIX)) {
        if known.contains(&key.name.as_str()) {
            annotations.insert(key.name.clone(), value);
            continue;
        }
        let help = suggestion(&key.name, &known).map(|name| did_you_mean(&name));
        let help = help.unwrap_or_else(|| match known.is_empty() {
            true => "an SLI has no annotations of lookout's own".to_owned(),
            false => format!("known here: {}", quoted_list(&known)),
        });
        let message = format!("unknown annotation `{}`", key.name);
        reader.note(Level::Error, &key.place, &value.key, message, Some(help));
    }
    annotations
}
