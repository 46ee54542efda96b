//! `discover` of a target: a template, and files that list addresses, as `file_sd_configs` of Prometheus takes them.
//!
//! ```yaml
//! - name: shop
//!   interval: 10s
//!   http: { url: "http://{{address}}/health" }
//!   discover: { files: ["targets/shop-*.yaml"], limit: 50 }
//! ```
//!
//! ```yaml
//! - targets: ["10.0.0.1:8080", "10.0.0.2:8080"]
//!   labels: { zone: a }
//! ```

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use lookout_engine::Grid;

use super::address::parse as parse_peer;
use super::definition::Target;
use super::read::{MOST_LABELS, is_label, read_target};
use crate::inputs::matches;
use crate::keys::target::{discover, target};
use crate::reader::{At, Reader};
use crate::secret::Secrets;
use crate::yaml::{FILE_LIMIT, Key, Node, Value, parse};

/// Addresses of one target unless it says otherwise, and the most it may say.
const LIMIT: u64 = 100;
const MOST: u64 = 1000;

/// Most letters of an address.
const MOST_LETTERS: usize = 253;

/// Address that stands for all where files need not be there.
const STAND_IN: &str = "192.0.2.1:1";

/// An address with its labels.
struct Found {
    address: String,
    labels: Vec<(String, String)>,
}

/// Reads one of `targets`: itself, or one for each address that its files list. All of them, or none.
pub(crate) fn read_targets(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    grid: Option<Grid>,
    folder: &Path,
) -> Vec<Target> {
    let asked = match &at.node.value {
        Value::Map(_) => reader
            .open_fields(at, "")
            .and_then(|fields| fields.declared(target::OBJECT).get(target::DISCOVER)),
        _ => None,
    };
    let Some(asked) = asked else { return read_target(reader, at, grid, folder).into_iter().collect() };
    let Some(all) = read_discovery(reader, &asked, folder) else { return Vec::new() };
    let mut targets: Vec<Target> = Vec::new();
    for found in all {
        let mut used = false;
        let node = filled(at.node, &found.address, &mut used);
        if !used {
            let help =
                "write it like `http: { url: \"http://{{address}}/health\" }`; `{{host}}` is its host alone";
            reader.error(at, "nothing in this target takes the address", help);
            return Vec::new();
        }
        let before = reader.findings.len();
        let Some(template) = read_target(reader, &At { node: &node, key: at.key.clone() }, grid, folder)
        else {
            return Vec::new();
        };
        if !targets.is_empty() {
            // the template was told about with the first address
            reader.findings.truncate(before);
        }
        let target = of_address(template, &found);
        if targets.iter().any(|other| other.name == target.name) {
            let message = format!("two addresses make the target `{}`", target.name);
            reader.error(&asked, message, "list each address once");
            return Vec::new();
        }
        targets.push(target);
    }
    targets
}

fn of_address(template: Target, found: &Found) -> Target {
    let fits =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-') { c } else { '-' };
    let bare = found.address.split_once("://").map_or(found.address.as_str(), |(_, bare)| bare);
    let address: String = bare.chars().map(fits).collect();
    let mut labels = template.labels.clone();
    labels.retain(|(name, _)| found.labels.iter().all(|(other, _)| other != name));
    labels.extend(found.labels.iter().cloned());
    let name = format!("{}@{}", template.name, address.trim_matches('-'));
    Target { name, group: Some(template.name), labels, ..template }
}

/// Reads the addresses, in order and each once; none after an error was told.
fn read_discovery(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<Vec<Found>> {
    let fields = reader.fields(at, discover::OBJECT)?;
    let limit =
        fields.get(discover::LIMIT).map_or(Some(LIMIT), |at| super::http::read_whole(reader, &at, 1, MOST));
    let how = "name the files that list addresses, like `files: [\"targets/*.yaml\"]`";
    let files = reader.required(&fields, discover::FILES, how)?;
    let items = reader.list(&files)?;
    if reader.needs == Secrets::Unneeded {
        // what is generated is about all addresses at once, and does not change with them
        return Some(vec![Found { address: STAND_IN.to_owned(), labels: Vec::new() }]);
    }
    let mut all = Vec::new();
    for item in &items {
        let pattern = reader.expand(item)?;
        reader.input_patterns.push(pattern.clone());
        let paths = matches(folder, &pattern).unwrap_or_default();
        if paths.is_empty() {
            reader.error(item, format!("no file matches `{pattern}`"), "make the file, or name another");
            return None;
        }
        for path in paths {
            match read_file(&path) {
                Ok(found) => all.extend(found),
                Err(message) => {
                    let help = "it is a list of `{ targets: [\"10.0.0.1:8080\"], labels: { zone: a } }`";
                    reader.error(item, message, help);
                    return None;
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    all.retain(|found: &Found| seen.insert(found.address.clone()));
    let limit = limit?;
    if all.is_empty() || all.len() as u64 > limit {
        let message = match all.len() {
            0 => "these files list no address".to_owned(),
            many => format!("these files list {many} addresses, more than {limit}"),
        };
        reader.error(&files, message, format!("list 1 to {limit} addresses; `limit` allows up to {MOST}"));
        return None;
    }
    Some(all)
}

fn read_file(path: &Path) -> Result<Vec<Found>, String> {
    let shown = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_string(&mut text));
    read.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(format!("{shown} is larger than {FILE_LIMIT} bytes"));
    }
    let documents =
        parse(path, &text).map_err(|found| format!("{shown} is not YAML or JSON: {}", found.message))?;
    let mut all = Vec::new();
    for document in &documents {
        let Value::List(groups) = &document.value else {
            return Err(format!("{shown} is no list, line {}", document.place.line));
        };
        for group in groups {
            all.extend(
                read_group(group)
                    .map_err(|message| format!("{shown}, line {}: {message}", group.place.line))?,
            );
        }
    }
    Ok(all)
}

fn read_group(group: &Node) -> Result<Vec<Found>, String> {
    let Value::Map(entries) = &group.value else { return Err("expected a mapping".to_owned()) };
    let mut labels = Vec::new();
    let mut addresses = Vec::new();
    for (key, node) in entries {
        match (key.name.as_str(), &node.value) {
            ("targets", Value::List(items)) => addresses = items.iter().collect(),
            ("labels", Value::Map(pairs)) => labels = read_labels(pairs)?,
            ("targets" | "labels", _) => return Err(format!("`{}` is of another kind", key.name)),
            (other, _) => return Err(format!("unknown key `{other}`")),
        }
    }
    let found = addresses.into_iter().map(|node| {
        let address = text_of(node).filter(|text| is_address(text));
        let address = address.ok_or("an address is a host with a port, or a URL, of letters and digits")?;
        Ok(Found { address, labels: labels.clone() })
    });
    found.collect()
}

fn read_labels(pairs: &[(Key, Node)]) -> Result<Vec<(String, String)>, String> {
    // names that begin like this are for the relabelling of Prometheus, and never reach a series
    let shown = pairs.iter().filter(|(key, _)| !key.name.starts_with("__"));
    let labels: Result<Vec<_>, String> = shown
        .map(|(key, node)| {
            let text = text_of(node).filter(|_| is_label(&key.name));
            Ok((key.name.clone(), text.ok_or_else(|| format!("`{}` cannot be a label", key.name))?))
        })
        .collect();
    labels.and_then(|labels| match labels.len() {
        many if many > MOST_LABELS => Err(format!("more than {MOST_LABELS} labels")),
        _ => Ok(labels),
    })
}

/// A text, or a number as it is written.
fn text_of(node: &Node) -> Option<String> {
    match (&node.written, &node.value) {
        (Some(written), _) => Some(written.clone()),
        (None, Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

/// Whether a text may stand in a target: nothing in it is a variable, a placeholder or a credential.
fn is_address(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".:/-_[]?=&%~+,".contains(c);
    !text.is_empty() && text.len() <= MOST_LETTERS && text.chars().all(fits)
}

/// The node with `{{address}}` and `{{host}}` replaced.
fn filled(node: &Node, address: &str, used: &mut bool) -> Node {
    let mut with = |node: &Node| filled(node, address, used);
    let value = match &node.value {
        Value::Text(text) if text.contains("{{address}}") || text.contains("{{host}}") => {
            let host = parse_peer(address).map_or_else(|| address.to_owned(), |peer| peer.host);
            *used = true;
            Value::Text(text.replace("{{address}}", address).replace("{{host}}", &host))
        }
        Value::List(nodes) => Value::List(nodes.iter().map(with).collect()),
        Value::Map(entries) => {
            Value::Map(entries.iter().map(|(key, node)| (key.clone(), with(node))).collect())
        }
        other => other.clone(),
    };
    Node { value, ..node.clone() }
}
