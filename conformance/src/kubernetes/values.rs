//! Values of the chart: each is described, has a default, is read by a template, and is set by an example that is rendered.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::chart::{FOLDER, RENDERED, examples};
use crate::tree::Tree;

/// Values that Helm itself reads.
const OF_HELM: &str = "global";

pub(super) fn check(tree: &Tree) -> Result<String> {
    let read = |file: &str| tree.read(Path::new(FOLDER).join(file).as_path());
    let schema: Value =
        serde_json::from_str(&read("values.schema.json")?).context("values.schema.json is no JSON")?;
    let defaults: Value = serde_saphyr::from_str(&read("values.yaml")?).context("values.yaml")?;
    let mut faults = Vec::new();
    let mut known = Vec::new();
    described(&schema, "", &mut known, &mut faults);
    known.retain(|path| path != OF_HELM);
    let templates = tree.files_in("k8s/lookout/templates", &[".yaml", ".tpl", ".txt"]);
    let templates: String = templates.map(|file| tree.read(file)).collect::<Result<_>>()?;
    let examples: Vec<Value> = examples(tree)
        .into_iter()
        .chain(RENDERED.map(|(values, _)| values.into()))
        .map(|file| serde_saphyr::from_str(&tree.read(&file)?).with_context(|| file.display().to_string()))
        .collect::<Result<_>>()?;
    for path in &known {
        let pointer = format!("/{}", path.replace('.', "/"));
        let set = |values: &Value| values.pointer(&pointer).is_some();
        if !set(&defaults) {
            faults.push(format!("values.yaml has no default for `{path}`"));
        }
        if !is_read(&templates, path) {
            faults.push(format!("no template reads `{path}`"));
        }
        if !examples.iter().any(set) {
            faults.push(format!("no example sets `{path}`"));
        }
    }
    let mut given = Vec::new();
    leaves(&defaults, &schema, "", &mut given);
    let unknown = given.iter().filter(|path| !known.contains(path));
    faults.extend(unknown.map(|path| format!("values.schema.json does not describe `{path}`")));
    if !faults.is_empty() {
        bail!("{}", faults.iter().map(|fault| format!("{FOLDER}: {fault}")).collect::<Vec<_>>().join("\n"));
    }
    Ok(format!("{} values", known.len()))
}

fn joined(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") }
}

/// Collects the values of a schema that hold no further ones, and those without a sentence.
fn described(schema: &Value, above: &str, known: &mut Vec<String>, faults: &mut Vec<String>) {
    for (name, value) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = joined(above, name);
        let about = value.get("description").and_then(Value::as_str).unwrap_or_default();
        if !about.ends_with('.') {
            faults.push(format!("values.schema.json has no sentence about `{path}`"));
        }
        if value.get("properties").is_some() {
            described(value, &path, known, faults);
        } else {
            known.push(path);
        }
    }
}

/// Collects the values of a file, as deep as the schema goes.
fn leaves(values: &Value, schema: &Value, above: &str, found: &mut Vec<String>) {
    for (name, value) in values.as_object().into_iter().flatten() {
        let path = joined(above, name);
        match schema.get("properties").and_then(|known| known.get(name)) {
            Some(inner) if inner.get("properties").is_some() => leaves(value, inner, &path, found),
            _ => found.push(path),
        }
    }
}

/// Returns whether a template reads a value, or one that holds it as a whole.
fn is_read(templates: &str, path: &str) -> bool {
    let ends: Vec<usize> = path.match_indices('.').map(|(end, _)| end).chain([path.len()]).collect();
    let by_name = ends.iter().filter_map(|end| path.get(..*end)).any(|path| {
        let name = format!(".Values.{path}");
        let mut reads = templates.split(name.as_str()).skip(1);
        reads.any(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '.'))
    });
    let mut picked = templates.lines().filter(|line| line.contains("pick .Values "));
    by_name || picked.any(|line| line.contains(&format!("\"{path}\"")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_read_by_its_name_or_with_what_holds_it() {
        assert!(is_read("{{ .Values.image.tag }}", "image.tag"));
        assert!(is_read("{{- toYaml .Values.resources }}", "resources.limits"));
        assert!(!is_read("{{ .Values.image.tagged }}", "image.tag"));
        assert!(!is_read("{{ .Values.image.tag }}", "image.digest"));
        assert!(is_read("{{ range pick .Values \"affinity\" }}", "affinity"));
    }

    #[test]
    fn values_are_compared_as_deep_as_the_schema_goes() {
        let schema = json!({ "properties": {
            "a": { "description": "One.", "properties": { "b": { "description": "no sentence" } } },
            "c": { "description": "Any map.", "type": "object" },
        } });
        let (mut known, mut faults) = (Vec::new(), Vec::new());
        described(&schema, "", &mut known, &mut faults);
        assert_eq!(known, ["a.b", "c"]);
        assert_eq!(faults, ["values.schema.json has no sentence about `a.b`"]);
        let mut given = Vec::new();
        leaves(&json!({ "a": { "b": 1, "d": 2 }, "c": { "e": 3 } }), &schema, "", &mut given);
        assert_eq!(given, ["a.b", "a.d", "c"]);
    }
}
