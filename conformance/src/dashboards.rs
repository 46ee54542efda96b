//! Dashboards, held against the types that Grafana publishes (`xtask/tools/grafana`), and against what a schema cannot
//! say: no panel covers another, and nothing is called the same twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::compose::Composed;
use crate::tool::content;
use crate::tree::Tree;
use programs::python::{Set, program};

const SCHEMA: &str = "xtask/tools/grafana/dashboard.json";
/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

/// Holds every dashboard against Grafana's types, in the version that `compose.yaml` starts.
pub fn types(tree: &Tree) -> Result<String> {
    let files = files(tree)?;
    let version = same_version(tree)?;
    against(tree, SCHEMA, &files)?;
    Ok(format!("{} dashboards against the types of Grafana {version}", files.len()))
}

fn files(tree: &Tree) -> Result<Vec<&Path>> {
    let files: Vec<&Path> = tree.files_in("dashboards", &[".json"]).collect();
    if files.is_empty() {
        bail!("there are no dashboards");
    }
    Ok(files)
}

/// Finds panels that cover each other and names that are used twice.
pub fn layout(tree: &Tree) -> Result<String> {
    let files = files(tree)?;
    let (mut broken, mut names) = (Vec::new(), BTreeMap::new());
    let mut panels = 0;
    for file in &files {
        let dashboard: Value = serde_json::from_str(&tree.read(file)?)
            .with_context(|| format!("{} is no JSON", file.display()))?;
        let list = panels_of(&dashboard);
        panels += list.len();
        let mut faults = place_faults(list);
        faults.extend(name_faults(list));
        let uid = text(&dashboard, "uid");
        if let Some(other) = names.insert(uid.to_owned(), file.display()) {
            faults.push(format!("its uid `{uid}` is that of {other}"));
        }
        broken.extend(faults.into_iter().map(|fault| format!("{}: {fault}", file.display())));
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    Ok(format!("{} dashboards, {panels} panels", files.len()))
}

/// Files against a JSON Schema of ours.
pub(crate) fn against(tree: &Tree, schema: &str, files: &[&Path]) -> Result<()> {
    let mut check = Command::new(program(Set::Checks, "check-jsonschema")?);
    check.args(["--schemafile", schema]).args(files);
    content(check.current_dir(tree.root())).map(|_| ())
}

/// The version of the published types, which is that of the Grafana in `compose.yaml`.
fn same_version(tree: &Tree) -> Result<String> {
    let schema: Value = serde_json::from_str(&tree.read(Path::new(SCHEMA))?)
        .with_context(|| format!("{SCHEMA} is no JSON"))?;
    let version = text(&schema, "x-grafana").to_owned();
    let image = Composed::read(tree)?.image("grafana").unwrap_or_default();
    if version.is_empty() || !image.ends_with(&format!(":{version}")) {
        bail!(
            "{SCHEMA} is made of the types of Grafana {version}, but compose.yaml starts {image}; \
             xtask/tools/grafana/extract.py says how to make it anew"
        );
    }
    Ok(version)
}

fn panels_of(dashboard: &Value) -> &[Value] {
    dashboard.get("panels").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The area of a panel.
#[derive(Clone, Copy)]
struct Area {
    left: u64,
    right: u64,
    top: u64,
    bottom: u64,
}

impl Area {
    fn of(panel: &Value) -> Self {
        let side = |name: &str| {
            panel.get("gridPos").and_then(|place| place.get(name)).and_then(Value::as_u64).unwrap_or_default()
        };
        let (left, top) = (side("x"), side("y"));
        Self { left, right: left.saturating_add(side("w")), top, bottom: top.saturating_add(side("h")) }
    }

    const fn covers(self, other: Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// Grafana pushes a panel that does not fit to another place, where nobody meant it to be.
fn place_faults(panels: &[Value]) -> Vec<String> {
    let placed: Vec<(&str, Area)> =
        panels.iter().map(|panel| (text(panel, "title"), Area::of(panel))).collect();
    let mut faults = Vec::new();
    for (at, (title, area)) in placed.iter().enumerate() {
        if area.right > COLUMNS {
            faults.push(format!("the panel `{title}` ends in column {}, of {COLUMNS}", area.right));
        }
        let later = placed.iter().skip(at + 1).filter(|(_, other)| area.covers(*other));
        faults.extend(later.map(|(other, _)| format!("the panels `{title}` and `{other}` cover each other")));
    }
    faults
}

/// Links and alerts point at ids; transformations at the letters of queries.
fn name_faults(panels: &[Value]) -> Vec<String> {
    let (mut faults, mut ids) = (Vec::new(), BTreeMap::new());
    for panel in panels {
        let title = text(panel, "title");
        let id = panel.get("id").and_then(Value::as_u64).unwrap_or_default();
        if let Some(other) = ids.insert(id, title) {
            faults.push(format!("the panels `{other}` and `{title}` have the same id {id}"));
        }
        let mut letters: Vec<&str> = panel
            .get("targets")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|target| text(target, "refId"))
            .collect();
        let queries = letters.len();
        letters.sort_unstable();
        letters.dedup();
        if letters.len() < queries {
            faults.push(format!("two queries of the panel `{title}` have the same `refId`"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(id: u64, [x, y, w, h]: [u64; 4]) -> Value {
        serde_json::json!({"id": id, "title": id.to_string(), "gridPos": {"x": x, "y": y, "w": w, "h": h}})
    }

    #[test]
    fn neighbours_may_touch_but_not_cover_each_other_or_leave_the_grid() {
        let fine = [panel(1, [0, 0, 12, 4]), panel(2, [12, 0, 12, 4]), panel(3, [0, 4, 24, 1])];
        assert_eq!(place_faults(&fine), Vec::<String>::new());
        let covered = [panel(1, [0, 0, 12, 4]), panel(2, [11, 3, 12, 4])];
        assert_eq!(place_faults(&covered), ["the panels `1` and `2` cover each other"]);
        assert_eq!(place_faults(&[panel(1, [13, 0, 12, 4])]), ["the panel `1` ends in column 25, of 24"]);
    }

    #[test]
    fn nothing_is_called_the_same_twice() {
        let mut one = panel(1, [0, 0, 1, 1]);
        one["targets"] = serde_json::json!([{"refId": "A"}, {"refId": "B"}]);
        let mut two = panel(1, [1, 0, 1, 1]);
        two["targets"] = serde_json::json!([{"refId": "A"}, {"refId": "A"}]);
        assert_eq!(name_faults(std::slice::from_ref(&one)), Vec::<String>::new());
        let faults = name_faults(&[one, two]);
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
