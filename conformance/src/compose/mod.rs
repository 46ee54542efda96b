//! `compose.yaml` as a whole: what its services say of each other and of the files they mount; what Grafana is
//! provisioned with; and Prometheus and Alertmanager started with the very flags and files of their containers.

mod references;
mod secrets;
mod started;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::dashboards::against;
use crate::tree::Tree;

const FILE: &str = "compose.yaml";
const DATASOURCES: &str = "xtask/tools/grafana/datasources.json";
const PROVIDERS: &str = "xtask/tools/grafana/providers.json";

/// Follows every name, path and address of `compose.yaml` and of what Grafana is provisioned with.
pub fn references(tree: &Tree) -> Result<String> {
    let composed = Composed::read(tree)?;
    let mut faults = references::faults(tree, &composed);
    let provisioned: Vec<&Path> = tree.files_in("deploy/compose/grafana", &[".yaml"]).collect();
    let below = |folder: &str| -> Vec<&Path> {
        let files = provisioned.iter().copied();
        files.filter(|file| file.parent().is_some_and(|parent| parent.ends_with(folder))).collect()
    };
    let (datasources, providers) = (below("datasources"), below("dashboards"));
    if datasources.is_empty()
        || providers.is_empty()
        || datasources.len() + providers.len() < provisioned.len()
    {
        bail!(
            "deploy/compose/grafana must hold datasources and dashboards, and nothing that we do not check"
        );
    }
    against(tree, DATASOURCES, &datasources)?;
    against(tree, PROVIDERS, &providers)?;
    for file in datasources {
        faults.extend(references::addresses_in(tree, &composed, "grafana", file)?);
    }
    for file in providers {
        faults.extend(references::folders_of(tree, &composed, file)?);
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(format!("{} services, {} provisioning files", composed.services().count(), provisioned.len()))
}

/// Runs the script that makes the secrets, twice.
pub fn secrets(tree: &Tree) -> Result<String> {
    secrets::made(tree, &Composed::read(tree)?)?;
    Ok("made once, kept the second time".to_owned())
}

/// Starts Prometheus and Alertmanager as their containers would.
pub fn started(tree: &Tree) -> Result<String> {
    started::check(tree, &Composed::read(tree)?)
}

/// The file, read.
pub(crate) struct Composed(Value);

impl Composed {
    pub(crate) fn read(tree: &Tree) -> Result<Self> {
        let read = serde_saphyr::from_str(&tree.read(Path::new(FILE))?);
        read.map(Self).with_context(|| format!("{FILE} is no YAML"))
    }

    fn services(&self) -> impl Iterator<Item = (&str, &Value)> {
        let services = self.0.get("services").and_then(Value::as_object).into_iter().flatten();
        services.map(|(name, service)| (name.as_str(), service))
    }

    fn service(&self, name: &str) -> Option<&Value> {
        self.0.get("services")?.get(name)
    }

    /// Names declared at the top under `networks`, `volumes` or `secrets`.
    fn declared(&self, what: &str) -> impl Iterator<Item = (&str, &Value)> {
        let declared = self.0.get(what).and_then(Value::as_object).into_iter().flatten();
        declared.map(|(name, value)| (name.as_str(), value))
    }

    /// The image of a service, with the defaults of variables.
    pub(crate) fn image(&self, service: &str) -> Option<String> {
        self.service(service)?.get("image").and_then(Value::as_str).map(with_defaults)
    }

    /// Variables of a service, with their defaults.
    fn environment(&self, service: &str) -> Vec<(&str, String)> {
        let variables = self.service(service).and_then(|service| service.get("environment"));
        let variables = variables.and_then(Value::as_object).into_iter().flatten();
        variables.filter_map(|(name, value)| Some((name.as_str(), with_defaults(value.as_str()?)))).collect()
    }

    /// Returns the source of a path inside a service's container.
    fn source(&self, service: &str, path: &str) -> Option<Source> {
        let mounts = list(self.service(service)?, "volumes").filter_map(mount);
        // the longest folder wins, as in the container
        let (from, inside) = mounts
            .filter(|(_, inside)| Path::new(path).starts_with(inside))
            .max_by_key(|(_, inside)| inside.len())?;
        let rest = Path::new(path).strip_prefix(inside).ok()?;
        Some(match from.strip_prefix("./") {
            // joining nothing would leave a slash behind a file's name
            Some(file) if rest.as_os_str().is_empty() => Source::Tree(PathBuf::from(file)),
            Some(folder) => Source::Tree(Path::new(folder).join(rest)),
            None => Source::Volume(from.to_owned()),
        })
    }
}

/// The source of a mounted path.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// A file or folder of the tree, relative to its root.
    Tree(PathBuf),
    /// A volume, by its name.
    Volume(String),
}

/// Texts of a list of a service.
fn list<'v>(service: &'v Value, key: &str) -> impl Iterator<Item = &'v str> {
    service.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// `FROM:INSIDE[:MODE]`.
fn mount(text: &str) -> Option<(&str, &str)> {
    let (from, rest) = text.split_once(':')?;
    Some((from, rest.split_once(':').map_or(rest, |(inside, _)| inside)))
}

/// A text as compose sees it where no variable is set.
fn with_defaults(text: &str) -> String {
    let (mut seen, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let Some((variable, behind)) = after.split_once('}') else { break };
        seen.push_str(before);
        seen.push_str(variable.split_once(":-").map_or("", |(_, default)| default));
        rest = behind;
    }
    seen.push_str(rest);
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_their_defaults() {
        assert_eq!(with_defaults("http://a:${PORT:-80}/${NONE}x"), "http://a:80/x");
        assert_eq!(with_defaults("a${b"), "a${b");
    }

    #[test]
    fn the_longest_mount_wins() {
        let text = "{services: {a: {volumes: ['./x:/etc', './y.yml:/etc/y.yml:ro', 'data:/var']}}}";
        let composed = Composed(serde_saphyr::from_str(text).unwrap());
        assert_eq!(composed.source("a", "/etc/y.yml"), Some(Source::Tree("y.yml".into())));
        assert_eq!(composed.source("a", "/etc/z/1"), Some(Source::Tree("x/z/1".into())));
        assert_eq!(composed.source("a", "/var/1"), Some(Source::Volume("data".to_owned())));
        assert_eq!(composed.source("a", "/etcetera"), None);
    }
}
