//! Lists of mappings with unique names.

use super::reader::{At, Fields, Reader};
use super::yaml::Value;
use crate::keys::Key;

/// Notes names that stand twice.
pub(super) fn check_unique(reader: &mut Reader<'_>, what: &str, names: &[(String, At<'_>)]) {
    for (n, (name, at)) in names.iter().enumerate() {
        if names.iter().take(n).any(|(earlier, _)| earlier == name) {
            reader.error(at, format!("two {what} have the name `{name}`"), "give one of them another name");
        }
    }
}

/// Returns the names of a list of mappings, as far as they can be read.
pub(super) fn declared_names<'n>(items: &[At<'n>]) -> Vec<(String, At<'n>)> {
    let name = |item: &At<'n>| {
        let Value::Map(entries) = &item.node.value else { return None };
        let (_, node) = entries.iter().find(|(key, _)| key.name == "name")?;
        let Value::Text(name) = &node.value else { return None };
        Some((name.clone(), At { node, key: format!("{}.name", item.key) }))
    };
    items.iter().filter_map(name).collect()
}

pub(super) fn items<'n>(reader: &mut Reader<'_>, fields: &Fields<'n>, key: Key) -> Vec<At<'n>> {
    fields.get(key).and_then(|at| reader.list(&at)).unwrap_or_default()
}
