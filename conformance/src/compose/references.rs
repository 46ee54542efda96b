//! Names by which parts of `compose.yaml` call each other: services, networks, volumes, secrets, files, addresses.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Composed, FILE, Source, list, mount};
use crate::tree::Tree;

/// Ports that are open to other containers and published to nobody.
const INSIDE: [(&str, u16); 2] = [("postgres", 5432), ("jaeger", 4318)];
/// Configuration files of the agent and of Prometheus, by service. Their addresses are read from there.
const CONFIGURED: [(&str, &str); 2] =
    [("lookout", "deploy/compose/lookout.yaml"), ("prometheus", "deploy/compose/prometheus.yml")];

/// Every name that leads nowhere.
pub(super) fn faults(tree: &Tree, composed: &Composed) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, service) in composed.services() {
        faults.extend(of_service(tree, composed, name, service));
        for (variable, value) in composed.environment(name) {
            let asked = addresses(&value).filter_map(|address| unreachable(composed, name, address));
            faults.extend(asked.map(|fault| format!("{FILE}: {variable} of the service `{name}`: {fault}")));
        }
    }
    for what in ["networks", "volumes", "secrets"] {
        for (declared, _) in composed.declared(what) {
            let is_used = |(_, service): (&str, &Value)| uses(service, what).any(|used| used == declared);
            if !composed.services().any(is_used) {
                faults.push(format!("{FILE}: nobody uses `{declared}` of `{what}`"));
            }
        }
    }
    for (service, file) in CONFIGURED {
        match addresses_in(tree, composed, service, Path::new(file)) {
            Ok(found) => faults.extend(found),
            Err(error) => faults.push(format!("{error:#}")),
        }
    }
    faults
}

fn uses<'v>(service: &'v Value, what: &'v str) -> impl Iterator<Item = &'v str> {
    list(service, what)
        .map(move |used| if what == "volumes" { mount(used).map_or(used, |(from, _)| from) } else { used })
}

fn of_service(tree: &Tree, composed: &Composed, name: &str, service: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut miss =
        |what: String| faults.push(format!("{FILE}: the service `{name}` {what}, which is not there"));
    let waits = service.get("depends_on").and_then(Value::as_object).into_iter().flatten();
    for (other, _) in waits.filter(|(other, _)| composed.service(other).is_none()) {
        miss(format!("waits for `{other}`"));
    }
    for what in ["networks", "volumes", "secrets"] {
        for used in uses(service, what) {
            let is_there = match used.strip_prefix("./") {
                Some(path) if what == "volumes" => tree.root().join(path).exists(),
                _ => composed.declared(what).any(|(declared, _)| declared == used),
            };
            if !is_there {
                miss(format!("uses `{used}` of `{what}`"));
            }
        }
    }
    for (variable, value) in composed.environment(name) {
        let is_given = |secret: &str| uses(service, "secrets").any(|given| given == secret);
        if value.strip_prefix("/run/secrets/").is_some_and(|secret| !is_given(secret)) {
            miss(format!("reads {value} ({variable})"));
        }
        // Grafana shows an empty page instead
        if variable.ends_with("_PATH") && !in_tree(tree, composed, name, &value) {
            miss(format!("reads {value} ({variable})"));
        }
    }
    faults
}

/// Returns whether a path in a container is a file or folder of the tree.
fn in_tree(tree: &Tree, composed: &Composed, service: &str, path: &str) -> bool {
    matches!(composed.source(service, path), Some(Source::Tree(source)) if tree.root().join(&source).exists())
}

/// The folders that a file of dashboard providers names.
pub(super) fn folders_of(tree: &Tree, composed: &Composed, file: &Path) -> Result<Vec<String>> {
    let read: Value =
        serde_saphyr::from_str(&tree.read(file)?).with_context(|| file.display().to_string())?;
    let providers = read.get("providers").and_then(Value::as_array).into_iter().flatten();
    let paths = providers.filter_map(|provider| provider.pointer("/options/path").and_then(Value::as_str));
    let lost = paths.filter(|path| !in_tree(tree, composed, "grafana", path));
    Ok(lost.map(|path| format!("{}: Grafana's container has no folder {path}", file.display())).collect())
}

/// The addresses in a file that its service would not reach.
pub(super) fn addresses_in(
    tree: &Tree,
    composed: &Composed,
    service: &str,
    file: &Path,
) -> Result<Vec<String>> {
    let text = tree.read(file)?;
    let read: Value = serde_saphyr::from_str(&text).with_context(|| file.display().to_string())?;
    let mut texts = Vec::new();
    collect(&read, false, &mut texts);
    let lost =
        texts.into_iter().flat_map(addresses).filter_map(|address| unreachable(composed, service, address));
    Ok(lost.map(|fault| format!("{}: {fault}", file.display())).collect())
}

/// URLs, and the plain addresses that Prometheus calls targets, as URLs.
fn collect<'v>(value: &'v Value, is_target: bool, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) if is_target || text.contains("://") => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, is_target, found)),
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| collect(value, key == "targets", found));
        }
        _ => {}
    }
}

/// `HOST:PORT` of every address in a text.
fn addresses(text: &str) -> impl Iterator<Item = (&str, u16)> {
    text.split([',', ' ']).filter_map(|part| {
        let part = part.split_once("://").map_or(part, |(_, rest)| rest);
        let (host, port) = part.split('/').next()?.rsplit_once(':')?;
        Some((host.rsplit('@').next()?, port.parse().ok()?))
    })
}

/// The reason for which a service cannot reach an address, if it cannot.
fn unreachable(composed: &Composed, service: &str, (host, port): (&str, u16)) -> Option<String> {
    // itself, or the browser's side of a published port
    if host == "127.0.0.1" {
        return None;
    }
    let Some(other) = composed.service(host) else {
        return Some(format!("no service is called `{host}`"));
    };
    let published = list(other, "ports").filter_map(|port| port.rsplit(':').next()?.parse().ok());
    let inside = INSIDE.iter().filter(|(of, _)| *of == host).map(|(_, port)| *port);
    if !published.chain(inside).any(|open: u16| open == port) {
        return Some(format!("`{host}` does not listen at {port}"));
    }
    let asker = composed.service(service)?;
    let is_shared =
        list(asker, "networks").any(|network| list(other, "networks").any(|also| also == network));
    (!is_shared).then(|| format!("`{service}` and `{host}` share no network"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "
services:
  a: { networks: [x], ports: ['127.0.0.1:${P:-1}:80'] }
  b: { networks: [y] }
  c: { networks: [x, y] }
";

    #[test]
    fn an_address_needs_a_service_a_port_and_a_network() {
        let composed = Composed(serde_saphyr::from_str(TWO).unwrap());
        let said = |from: &str, url: &str| {
            addresses(url).find_map(|address| unreachable(&composed, from, address)).unwrap_or_default()
        };
        assert_eq!(said("c", "http://a:80/x"), "");
        assert_eq!(said("c", "http://d:80"), "no service is called `d`");
        assert_eq!(said("c", "a:81"), "`a` does not listen at 81");
        assert_eq!(said("b", "http://u:p@a:80"), "`b` and `a` share no network");
    }
}
