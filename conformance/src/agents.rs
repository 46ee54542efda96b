//! The agent of every environment as it would start: its files, its variables and the links that others make to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::kubernetes;
use crate::tree::Tree;

/// An agent before it starts.
#[derive(Debug, Default)]
pub struct Agent {
    /// The environment, as a message names it.
    pub name: String,
    /// Absolute paths of its container with their texts.
    pub files: BTreeMap<PathBuf, String>,
    pub variables: BTreeMap<String, String>,
    /// Absolute path of its configuration.
    pub config: PathBuf,
    /// Paths that alerts and messages link to, below the agent's own address.
    pub links: Vec<String>,
}

/// Returns the agents of all environments on Kubernetes, on ECS and of compose.
pub fn all(tree: &Tree) -> Result<Vec<Agent>> {
    let mut agents = Vec::new();
    for environment in ["dev", "staging", "prod"] {
        let mut agent = kubernetes::agent(tree, environment)?;
        if agent.links.is_empty() {
            // without Prometheus rules the agent itself sends the same links
            agent.links = links_of_rules(tree)?;
        }
        agents.push(agent);
    }
    agents.push(of_compose(tree)?);
    agents.extend(of_ecs(tree)?);
    Ok(agents)
}

/// Links of the rules that Prometheus loads from `alerts/`.
fn links_of_rules(tree: &Tree) -> Result<Vec<String>> {
    let mut links = Vec::new();
    for file in tree.files_in("alerts", &[".rules.yaml"]) {
        for line in tree.read(file)?.lines().map(str::trim) {
            let link = ["runbook_url: ", "dashboard_url: "].iter().find_map(|name| line.strip_prefix(name));
            links.extend(link.and_then(path_of));
        }
    }
    Ok(links)
}

/// The path of an address.
pub(crate) fn path_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    Some(rest.find('/').map_or_else(|| "/".to_owned(), |start| rest.get(start..).unwrap_or("/").to_owned()))
}

fn of_compose(tree: &Tree) -> Result<Agent> {
    let compose: Value =
        serde_saphyr::from_str(&tree.read(Path::new("compose.yaml"))?).context("compose.yaml")?;
    let service = compose.pointer("/services/lookout").context("compose.yaml has no service lookout")?;
    let mut agent = Agent { name: "compose".to_owned(), links: links_of_rules(tree)?, ..Agent::default() };
    for volume in service.get("volumes").and_then(Value::as_array).into_iter().flatten() {
        let parts: Vec<&str> = volume.as_str().unwrap_or_default().split(':').collect();
        if let [from, to, ..] = parts.as_slice()
            && let Some(from) = from.strip_prefix("./")
        {
            copy(tree, Path::new(from), Path::new(to), &mut agent.files)?;
        }
    }
    for (name, value) in service.get("environment").and_then(Value::as_object).into_iter().flatten() {
        agent.variables.insert(name.clone(), with_defaults(value.as_str().unwrap_or_default()));
    }
    let command = service.get("command").and_then(Value::as_array).and_then(|words| words.last());
    agent.config = command.and_then(Value::as_str).context("the service lookout has no command")?.into();
    Ok(agent)
}

/// `${NAME:-default}` as Compose has it when nothing is set.
fn with_defaults(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, behind) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(variable.split_once(":-").map_or("", |(_, default)| default));
        rest = behind;
    }
    out + rest
}

/// The two configurations of the image `lookout-titanic`: beside a task, and alone.
fn of_ecs(tree: &Tree) -> Result<Vec<Agent>> {
    let mut files = BTreeMap::new();
    for line in
        tree.read(Path::new("deploy/ecs/Dockerfile"))?.lines().filter(|line| line.starts_with("COPY "))
    {
        let words: Vec<&str> =
            line.split_whitespace().skip(1).filter(|word| !word.starts_with("--")).collect();
        let Some((to, from)) = words.split_last() else { continue };
        for source in from {
            copy(tree, Path::new(source.trim_end_matches("*.md")), Path::new(to), &mut files)?;
        }
    }
    let variables = [
        ("ENVIRONMENT", "prod"),
        ("LOOKOUT_EXTERNAL_URL", "https://lookout.example.com"),
        ("TITANIC_URL", "http://127.0.0.1:9"),
        ("TITANIC_METRICS_URL", "http://127.0.0.1:9/metrics"),
    ];
    let agent = |name: &str, config: &str, links: Vec<String>| Agent {
        name: name.to_owned(),
        files: files.clone(),
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        config: config.into(),
        links,
    };
    let links = links_of_rules(tree)?;
    // alone it has no SLO that counts requests
    let probes = links.iter().filter(|link| !link.to_lowercase().contains("requests")).cloned().collect();
    Ok(vec![
        agent("ECS, beside a task", "/etc/lookout/lookout.yaml", links),
        agent("ECS, alone", "/etc/lookout/agent/lookout.yaml", probes),
    ])
}

/// Copies a file, or the files of a folder, to where a container sees them.
fn copy(tree: &Tree, from: &Path, to: &Path, files: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for file in tree.files().iter().filter(|file| file.starts_with(from)) {
        let below = file.strip_prefix(from).unwrap_or(file);
        let whole = match (below.as_os_str().is_empty(), to.extension().is_some()) {
            (true, true) => to.to_owned(),
            (true, false) => to.join(file.file_name().unwrap_or_default()),
            (false, _) => to.join(below),
        };
        files.insert(whole, tree.read(file)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_paths() {
        assert_eq!(with_defaults("http://${A:-127.0.0.1}:${B:-9797}/x"), "http://127.0.0.1:9797/x");
        assert_eq!(with_defaults("${A}"), "");
        assert_eq!(path_of("https://a.example.org/runbooks/B").as_deref(), Some("/runbooks/B"));
        assert_eq!(path_of("https://a.example.org").as_deref(), Some("/"));
    }
}
