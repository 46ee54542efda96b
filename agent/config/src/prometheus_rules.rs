//! `generate.prometheus_rules`: objects for the Prometheus operator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::model::PrometheusRules;
use super::reader::{At, Reader};
use crate::keys::agent::rules;

pub(super) fn read(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    absolute: impl Fn(&Path) -> PathBuf,
) -> Option<PrometheusRules> {
    let fields = reader.fields(at, rules::OBJECT)?;
    let folder = reader
        .required(&fields, rules::FOLDER, "say where the objects go: `folder: k8s/rules`")
        .and_then(|at| reader.expand(&at));
    let namespace = fields.get(rules::NAMESPACE).and_then(|at| {
        let name = reader.text(&at)?;
        let dns = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let ends = !name.starts_with('-') && !name.ends_with('-');
        if ends && !name.is_empty() && name.len() <= 63 && name.chars().all(dns) {
            return Some(name.to_owned());
        }
        let help = "use 1 to 63 of a-z, 0-9 and `-`, with a letter or digit at both ends";
        reader.error(&at, "this cannot be the name of a namespace", help);
        None
    });
    let labels = fields.get(rules::LABELS).map(|at| read_labels(reader, &at)).unwrap_or_default();
    Some(PrometheusRules { folder: absolute(Path::new(&folder?)), namespace, labels })
}

/// Reads labels as Kubernetes takes them.
fn read_labels(reader: &mut Reader<'_>, at: &At<'_>) -> BTreeMap<String, String> {
    let Some(fields) = reader.open_fields(at, "from names to values") else { return BTreeMap::new() };
    let mut labels = BTreeMap::new();
    for (key, value) in fields.all() {
        let Some(text) = reader.scalar(&value) else { continue };
        let (prefix, name) = key.name.split_once('/').unwrap_or(("x", &key.name));
        if prefix.len() > 253 || !is_word(prefix) || !is_word(name) || name.len() > 63 {
            let help = "write `name` or `example.com/name`, of letters, digits, `-`, `_` and `.`";
            reader.error(&value, format!("`{}` cannot be the name of a label in Kubernetes", key.name), help);
        } else if text.len() > 63 || !(text.is_empty() || is_word(&text)) {
            let help = "use at most 63 letters, digits, `-`, `_` and `.`";
            reader.error(&value, "this cannot be the value of a label in Kubernetes", help);
        } else {
            labels.insert(key.name.clone(), text);
        }
    }
    labels
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_word(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(|c| ends(c) || matches!(c, '-' | '_' | '.'))
}
