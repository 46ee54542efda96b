//! A target with placeholders for its address.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lookout_engine::Grid;
use url::Url;

use super::FoundAddress;
use crate::diagnostic::Level;
use crate::reader::{At, Reader};
use crate::secret::Secrets;
use crate::target::Target;
use crate::target::address::parse as parse_peer;
use crate::target::read::read_target;
use crate::yaml::{Node, Value};

/// Address that stands for all.
const STAND_IN: &str = "192.0.2.1:1";

/// A target with placeholders for its address, and all that it takes to read it again.
pub(super) struct Template {
    file: PathBuf,
    folder: PathBuf,
    node: Node,
    key: String,
    grid: Option<Grid>,
    /// Variables that it names. They may be secrets.
    variables: BTreeMap<String, String>,
    stand_in: Target,
}

impl Template {
    /// Reads a template. Its mistakes are told once, whatever its addresses will be.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        at: &At<'_>,
        grid: Option<Grid>,
        folder: &Path,
    ) -> Option<Self> {
        let mut used = false;
        let node = filled(at.node, STAND_IN, &mut used);
        if !used {
            let help = "write it like `http: { url: \"http://{{address}}/health\" }`; `{{host}}` is its host alone, `{{url}}` a URL";
            reader.error(at, "nothing in this target takes the address", help);
            return None;
        }
        let variables = RefCell::new(BTreeMap::new());
        let outer = reader.environment;
        let environment = |name: &str| {
            let value = outer(name);
            variables.borrow_mut().extend(value.clone().map(|value| (name.to_owned(), value)));
            value
        };
        let mut inner = Reader::new(reader.file, reader.text, &environment, reader.needs);
        let stand_in = read_target(&mut inner, &At { node: &node, key: at.key.clone() }, grid, folder);
        let (findings, secrets, inputs) = (inner.findings, inner.secrets, inner.inputs);
        reader.findings.extend(findings);
        reader.secrets.extend(secrets);
        reader.inputs.extend(inputs);
        let stand_in = FoundAddress { address: STAND_IN.to_owned(), labels: Vec::new() }.put_into(stand_in?);
        Some(Self {
            file: reader.file.to_owned(),
            folder: folder.to_owned(),
            node: at.node.clone(),
            key: at.key.clone(),
            grid,
            variables: variables.into_inner(),
            stand_in,
        })
    }

    /// Returns the target at an address.
    pub(super) fn at(&self, found: &FoundAddress) -> Result<Target, String> {
        let node = filled(&self.node, &found.address, &mut false);
        let environment = |name: &str| self.variables.get(name).cloned();
        let mut reader = Reader::new(&self.file, "", &environment, Secrets::Needed);
        let target =
            read_target(&mut reader, &At { node: &node, key: self.key.clone() }, self.grid, &self.folder);
        let wrong = reader.findings.into_iter().find(|finding| finding.level == Level::Error);
        match (target, wrong) {
            (Some(target), None) => Ok(found.put_into(target)),
            (_, wrong) => {
                let message = wrong.map(|wrong| wrong.message).unwrap_or_default();
                Err(format!("the address {} does not fit: {message}", found.address))
            }
        }
    }

    pub(super) const fn stand_in(&self) -> &Target {
        &self.stand_in
    }
}

impl FoundAddress {
    /// Returns the target that a template is at this address.
    fn put_into(&self, template: Target) -> Target {
        let fits = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-') { c } else { '-' }
        };
        let bare = self.address.split_once("://").map_or(self.address.as_str(), |(_, bare)| bare);
        let address: String = bare.chars().map(fits).collect();
        let mut labels = template.labels.clone();
        labels.retain(|(name, _)| self.labels.iter().all(|(other, _)| other != name));
        labels.extend(self.labels.iter().cloned());
        let name = format!("{}@{}", template.name, address.trim_matches('-'));
        Target { name, group: Some(template.name), labels, ..template }
    }
}

/// Returns the host of `host:port` or of a URL.
fn host_of(address: &str) -> String {
    let of_url = || Url::parse(address).ok()?.host_str().map(str::to_owned);
    let found = parse_peer(address).map(|peer| peer.host).or_else(of_url);
    found.unwrap_or_else(|| address.to_owned())
}

/// The node with `{{address}}`, `{{host}}` and `{{url}}` replaced.
fn filled(node: &Node, address: &str, used: &mut bool) -> Node {
    let mut with = |node: &Node| filled(node, address, used);
    let value = match &node.value {
        Value::Text(text) => {
            let host = || host_of(address);
            let url =
                || if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
            let address = || address.to_owned();
            let placeholders: [(&str, &dyn Fn() -> String); 3] =
                [("{{address}}", &address), ("{{host}}", &host), ("{{url}}", &url)];
            let mut text = text.clone();
            for (placeholder, value) in placeholders {
                if text.contains(placeholder) {
                    *used = true;
                    text = text.replace(placeholder, &value());
                }
            }
            Value::Text(text)
        }
        Value::List(nodes) => Value::List(nodes.iter().map(with).collect()),
        Value::Map(entries) => {
            Value::Map(entries.iter().map(|(key, node)| (key.clone(), with(node))).collect())
        }
        other => other.clone(),
    };
    Node { value, ..node.clone() }
}
