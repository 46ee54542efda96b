//! Charts of add-ons: each is pinned, brings the program of the matrix, and has every key of our values.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::addons::MATRIX;
use super::object::{items, text};
use crate::tree::Tree;

/// Facts about the charts, at the versions of the matrix.
const FACTS: &str = "xtask/tools/schemas/addon-charts.json";
const REFRESH: &str = "xtask/tools/schemas/addon_charts.py refreshes it";
/// The page that gives the versions of two charts, and values, on the command line.
const PAGE: &str = "k8s/README.md";

/// Faults of the charts in the matrix.
pub(super) fn faults(tree: &Tree, matrix: &Value) -> Result<Vec<String>> {
    let facts: Value =
        serde_json::from_str(&tree.read(Path::new(FACTS))?).with_context(|| FACTS.to_owned())?;
    let page = tree.read(Path::new(PAGE))?;
    let mut faults = Vec::new();
    for addon in items(matrix, "/addons").filter(|addon| addon.get("repository").is_some()) {
        let (name, chart) = (text(addon, "/name"), text(addon, "/chart"));
        let Some((chart, version)) = chart.split_once(' ') else {
            faults.push(format!("{MATRIX}: {name} pins no chart, as `name version`"));
            continue;
        };
        let fact = facts.pointer(&format!("/charts/{chart}")).unwrap_or(&Value::Null);
        if text(fact, "/version") != version {
            faults.push(format!("{FACTS} knows nothing of the chart {chart} {version}; {REFRESH}"));
            continue;
        }
        let (brings, wanted) = (text(fact, "/program"), text(addon, "/version"));
        if brings != wanted {
            faults
                .push(format!("{MATRIX}: the chart {chart} {version} brings {name} {brings}, not {wanted}"));
        }
        if let Some(file) = addon.get("values").and_then(Value::as_str) {
            let file = format!("k8s/cluster/values/{file}.yaml");
            let values: Value =
                serde_saphyr::from_str(&tree.read(Path::new(&file))?).with_context(|| file.clone())?;
            let mut unknown = Vec::new();
            unknown_keys(&values, "", fact, &mut unknown);
            let unknown = unknown.iter();
            faults.extend(
                unknown.map(|key| format!("{file}: the chart {chart} {version} has no value `{key}`")),
            );
        }
        faults.extend(of_page(&page, chart, version, fact));
    }
    Ok(faults)
}

/// Collects the keys that the chart does not have. A mapping that the facts leave out takes any.
fn unknown_keys(values: &Value, above: &str, fact: &Value, unknown: &mut Vec<String>) {
    let Some(known) = fact.get("keys").and_then(|keys| keys.get(above)).and_then(Value::as_array) else {
        return;
    };
    let known: BTreeSet<&str> = known.iter().filter_map(Value::as_str).collect();
    for (name, value) in values.as_object().into_iter().flatten() {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        if known.contains(name.as_str()) {
            unknown_keys(value, &path, fact, unknown);
        } else {
            unknown.push(path);
        }
    }
}

/// Faults of the commands on the page that install a chart.
fn of_page(page: &str, chart: &str, version: &str, fact: &Value) -> Vec<String> {
    let joined = page.replace("\\\n", " ");
    let mut faults = Vec::new();
    for line in joined.lines().filter(|line| line.starts_with(&format!("helm upgrade --install {chart} "))) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after =
            |flag: &str| words.iter().skip_while(|word| **word != flag).nth(1).copied().unwrap_or_default();
        if after("--version") != version {
            faults.push(format!("{PAGE} installs {chart} {}, {MATRIX} pins {version}", after("--version")));
        }
        let set = after("--set").split_once('=').map_or("", |(key, _)| key);
        let first = set.split('.').next().unwrap_or_default();
        let known = fact.pointer("/keys/").and_then(Value::as_array).into_iter().flatten();
        if !set.is_empty() && !known.into_iter().any(|key| key == first) {
            faults.push(format!("{PAGE}: the chart {chart} {version} has no value `{first}`"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_looked_for_where_the_chart_has_keys() {
        let fact = json!({ "keys": { "": ["a", "open"], "a": ["b"] } });
        let mut unknown = Vec::new();
        unknown_keys(
            &json!({ "a": { "b": 1, "c": 2 }, "open": { "x": 1 }, "d": 3 }),
            "",
            &fact,
            &mut unknown,
        );
        assert_eq!(unknown, ["a.c", "d"]);
    }

    #[test]
    fn a_command_of_the_page_takes_the_pinned_chart() {
        let fact = json!({ "keys": { "": ["owner"] } });
        let line = "helm upgrade --install a r/a --version 1 \\\n  --set owner=x\n";
        assert_eq!(of_page(line, "a", "1", &fact), [""; 0]);
        let faults = of_page(&line.replace("owner", "other"), "a", "2", &fact);
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
