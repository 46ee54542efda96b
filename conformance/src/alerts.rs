//! References between generated files: alerts name runbooks that exist, dashboards show metrics that exist.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::tree::Tree;

/// Series that Prometheus itself records.
const OF_PROMETHEUS: [&str; 3] = ["ALERTS", "ALERTS_FOR_STATE", "up"];

/// Follows every runbook URL of an alert and every metric of a dashboard.
pub fn check(tree: &Tree) -> Result<String> {
    let rules: Vec<&Path> = tree.files_in("alerts", &[".rules.yaml"]).collect();
    let dashboards: Vec<&Path> = tree.files_in("dashboards", &[".json"]).collect();
    if rules.is_empty() || dashboards.is_empty() {
        bail!("there are no rules in alerts, or no dashboards");
    }
    let mut broken = Vec::new();
    let (mut recorded, mut runbooks) = (BTreeSet::new(), BTreeSet::new());
    for file in rules {
        for line in tree.read(file)?.lines() {
            let line = line.trim_start().trim_start_matches("- ");
            if let Some(name) = line.strip_prefix("record: ") {
                recorded.insert(name.to_owned());
            } else if let Some(url) = line.strip_prefix("runbook_url: ") {
                let name = url.rsplit('/').next().unwrap_or_default();
                let page = format!("runbooks/{name}.md");
                if !tree.files().iter().any(|known| known == Path::new(&page)) {
                    broken.push(format!(
                        "{}: an alert sends people to {page}, which does not exist",
                        file.display()
                    ));
                }
                runbooks.insert(page);
            }
        }
    }
    let written = sources(tree)?;
    let mut shown = BTreeSet::new();
    for file in dashboards {
        let dashboard: Value = serde_json::from_str(&tree.read(file)?)
            .with_context(|| format!("{} is no JSON", file.display()))?;
        let mut used = BTreeSet::new();
        metrics(&dashboard, &mut used);
        let exists = |name: &&String| {
            recorded.contains(*name) || OF_PROMETHEUS.contains(&name.as_str()) || is_written(&written, name)
        };
        let unknown = used.iter().filter(|name| !exists(name));
        broken.extend(unknown.map(|name| {
            format!(
                "{}: the metric `{name}` is neither recorded by a rule nor written by a program",
                file.display()
            )
        }));
        shown.append(&mut used);
    }
    if !broken.is_empty() {
        broken.dedup();
        bail!("{}", broken.join("\n"));
    }
    Ok(format!("{} runbooks, {} metrics", runbooks.len(), shown.len()))
}

/// The sources of both programs.
fn sources(tree: &Tree) -> Result<String> {
    let of_program = |file: &&Path| file.components().any(|part| part.as_os_str() == "src");
    let files = ["agent", "service"]
        .into_iter()
        .flat_map(|folder| tree.files_in(folder, &[".rs"]).filter(of_program));
    files.map(|file| tree.read(file)).collect()
}

/// Returns whether a program has the name, or that of the histogram it belongs to, as a text of its own.
fn is_written(sources: &str, name: &str) -> bool {
    // a name with a colon is that of a rule
    let parts = ["_bucket", "_count", "_sum"].iter().find_map(|part| name.strip_suffix(part));
    !name.contains(':') && sources.contains(&format!("\"{}\"", parts.unwrap_or(name)))
}

/// The names before the braces and brackets of every query.
fn metrics(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(query) if matches!(key.as_str(), "expr" | "query" | "definition") => {
                        found.extend(selected(query));
                    }
                    value => metrics(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| metrics(item, found)),
        _ => {}
    }
}

fn selected(query: &str) -> Vec<String> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let mut names = Vec::new();
    let mut quoted = false;
    for (at, c) in query.char_indices() {
        quoted ^= c == '"';
        if quoted || !matches!(c, '{' | '[') {
            continue;
        }
        let before = query.get(..at).unwrap_or_default();
        let name = before.rsplit(|c| !of_name(c)).next().unwrap_or_default();
        if !name.is_empty() {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_before_braces_and_brackets_but_not_in_texts() {
        let query = "sum by (le) (rate(a_bucket{x=~\"b{2}|c[0-9]\"}[5m])) / slo:b:c{} > rate(d[1m])";
        assert_eq!(selected(query), ["a_bucket", "slo:b:c", "d"]);
    }

    #[test]
    fn a_part_of_a_histogram_is_written_by_whoever_writes_the_histogram() {
        assert!(is_written("name(\"seconds\")", "seconds_bucket"));
        assert!(!is_written("name(\"seconds\")", "second_bucket"));
        assert!(!is_written("\"a:b\"", "a:b"));
    }
}
