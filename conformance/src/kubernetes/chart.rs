//! The chart gives what kustomize gives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::Value;

use super::object::Object;
use super::pods;
use super::render::{Build, helm, kustomize};
use crate::tree::Tree;

/// The folder of the chart.
pub(super) const FOLDER: &str = "k8s/chart";

/// Config maps whose names kustomize ends with a hash of their content; the chart has an annotation with one instead.
const HASHED: [&str; 3] = ["titanic-config", "lookout-sidecar", "lookout-agent"];

/// Labels that Helm has and kustomize has not.
const HELM_LABELS: [&str; 2] = ["helm.sh/chart", "app.kubernetes.io/managed-by"];

/// Annotations by which a changed config restarts pods of the chart.
const CHECKSUMS: &str = "checksum/";

/// Lists whose order says nothing: kustomize puts what a component adds in front.
const UNORDERED: [&str; 2] = ["volumes", "ports"];

pub(super) fn check(tree: &Tree) -> Result<String> {
    let mut pairs: Vec<(PathBuf, PathBuf)> = Vec::new();
    for overlay in ["dev", "staging", "prod"] {
        let values = Path::new(FOLDER).join(format!("values-{overlay}.yaml"));
        pairs.push((Path::new("k8s/overlays").join(overlay), values));
    }
    for values in tree.files_in("k8s/chart/ci", &["-values.yaml"]) {
        let name = values.file_name().unwrap_or_default().to_string_lossy();
        let test = Path::new("k8s/tests").join(name.trim_end_matches("-values.yaml"));
        pairs.push((test, values.to_owned()));
    }
    let (mut faults, mut objects) = (Vec::new(), 0);
    for (overlay, values) in &pairs {
        let ours = kustomize(tree, overlay)?;
        let mut namespaces = ours.objects.iter().map(|object| object.text("/metadata/namespace"));
        let namespace = namespaces.rfind(|name| !name.is_empty()).unwrap_or("default");
        let theirs = helm(tree, namespace, &[values])?;
        // the pods of its tests are in no overlay
        faults
            .extend(pods::faults(&theirs).into_iter().map(|fault| format!("{}: {fault}", values.display())));
        let (ours, theirs) = (comparable(&ours), comparable(&theirs));
        objects += ours.len();
        let found = differences(&ours, &theirs);
        faults.extend(
            found.into_iter().map(|what| format!("{} and {}: {what}", overlay.display(), values.display())),
        );
    }
    if !faults.is_empty() {
        bail!("the chart is not what the overlays are:\n{}", faults.join("\n"));
    }
    Ok(format!("{objects} objects of {} environments are those of kustomize", pairs.len()))
}

/// The objects by kind and name, without what may differ: the namespace, which Helm is told and does not make, and tests.
fn comparable(build: &Build) -> BTreeMap<String, Value> {
    let counted = |object: &&Object| {
        object.kind() != "Namespace" && object.at("/metadata/annotations").get("helm.sh/hook").is_none()
    };
    let objects = build.objects.iter().filter(counted).map(|object| {
        let mut value = object.value().clone();
        level(&mut value);
        (Object::new(value.clone()).shown(), value)
    });
    objects.collect()
}

fn level(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(name) = without_hash(text) {
                *text = name.to_owned();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(level),
        Value::Object(fields) => {
            fields.retain(|name, _| !HELM_LABELS.contains(&name.as_str()) && !name.starts_with(CHECKSUMS));
            for (name, field) in fields.iter_mut() {
                level(field);
                if let (true, Value::Array(list)) = (UNORDERED.contains(&name.as_str()), field) {
                    list.sort_by_key(|item| item.get("name").map(ToString::to_string));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn without_hash(text: &str) -> Option<&str> {
    let (name, hash) = text.rsplit_once('-')?;
    let is_hash =
        hash.len() == 10 && hash.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (is_hash && HASHED.contains(&name)).then_some(name)
}

fn differences(ours: &BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        match (ours.get(name), theirs.get(name)) {
            (Some(ours), Some(theirs)) => compare(name, ours, theirs, &mut found),
            (Some(_), None) => found.push(format!("{name} is missing in the chart")),
            (None, _) => found.push(format!("{name} is in the chart alone")),
        }
    }
    found
}

fn compare(at: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for name in names {
                let field =
                    |fields: &serde_json::Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
                compare(&format!("{at}.{name}"), &field(one), &field(other), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (place, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{at}[{place}]"), one, other, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{at}: {} with kustomize, {} in the chart", short(ours), short(theirs))),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    let start: String = text.chars().take(60).collect();
    if start.len() < text.len() { format!("{start}…") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named_with_its_place_and_hashes_are_none() {
        let one =
            serde_json::json!({"kind": "A", "metadata": {"name": "titanic-config-abcdef2345"}, "n": [1, 2]});
        let other = serde_json::json!({"kind": "A", "metadata": {"name": "titanic-config"}, "n": [1, 3]});
        let build = |value| Build { folder: String::new(), objects: vec![Object::new(value)] };
        let found = differences(&comparable(&build(one)), &comparable(&build(other)));
        assert_eq!(found, ["A titanic-config.n[1]: 2 with kustomize, 3 in the chart"]);
    }
}
