//! Links that people follow: every one leads to the agent's host, which a Gateway listens to and a route leads from.

use std::collections::BTreeSet;

use serde_json::Value;

use super::object::{Object, at, containers, items, text};
use super::render::Build;

/// Annotations of an alert that are links.
const ANNOTATIONS: [&str; 2] = ["runbook_url", "dashboard_url"];

/// Faults of the links in a build that has an agent.
pub(super) fn faults(build: &Build) -> Vec<String> {
    let mut faults = Vec::new();
    let Some(agent) = external_url(build) else { return faults };
    let host = agent.strip_prefix("https://").unwrap_or_default();
    if host.is_empty() || host.contains(['/', ':']) {
        faults.push(format!("the agent's address {agent:?} is no https host, so no link of it works"));
    }
    let leads = |route: &&Object| items(route.value(), "/spec/hostnames").any(|name| name == host);
    match build.of_kind("HTTPRoute").find(leads) {
        None => faults.push(format!("no HTTPRoute leads from {host} to the agent")),
        Some(route) => {
            let section = text(route.value(), "/spec/parentRefs/0/sectionName");
            let gateways = build.of_kind("Gateway");
            let mut listeners = gateways.flat_map(|gateway| items(gateway.value(), "/spec/listeners"));
            let listener = listeners.find(|known| text(known, "/name") == section);
            let serves =
                |known: &Value| text(known, "/hostname") == host && text(known, "/protocol") == "HTTPS";
            if !listener.is_some_and(serves) {
                faults.push(format!("no Gateway listens to {host} where its route begins"));
            }
        }
    }
    if !build
        .of_kind("SecurityPolicy")
        .any(|policy| text(policy.value(), "/spec/oidc/redirectURL").contains(host))
    {
        faults.push(format!("nobody logs in at {host}"));
    }
    let runbooks: BTreeSet<&str> = runbooks(build);
    for (alert, name, url) in alert_links(build) {
        let page = url.strip_prefix(agent).filter(|page| page.starts_with('/'));
        match page {
            None => faults.push(format!("{alert}: {name} leads to {url}, not to {agent}")),
            Some(page) => {
                let runbook = page.strip_prefix("/runbooks/").map(|name| format!("{name}.md"));
                if let Some(missing) = runbook.filter(|file| !runbooks.contains(file.as_str())) {
                    faults.push(format!("{alert}: the agent has no runbook {missing}"));
                }
            }
        }
    }
    for map in build.of_kind("ConfigMap") {
        for (file, text) in map.at("/data").as_object().into_iter().flatten() {
            let text = text.as_str().unwrap_or_default();
            if let Some(line) = text.lines().find(|line| sends_here(line)) {
                faults.push(format!("{}: {file} sends people to this machine: {}", map.shown(), line.trim()));
            }
        }
    }
    faults
}

/// Whether a line holds an address of this machine that is no default (`${NAME:-http://127.0.0.1}`).
fn sends_here(line: &str) -> bool {
    ["http://127.0.0.1", "http://localhost"].iter().any(|here| {
        line.match_indices(here).any(|(at, _)| !line.get(..at).is_some_and(|before| before.ends_with(":-")))
    })
}

/// The address that the agent of a build puts before its links.
pub(super) fn external_url(build: &Build) -> Option<&str> {
    let variables = build.workloads().flat_map(|(_, pod)| containers(pod)).flat_map(|one| items(one, "/env"));
    variables
        .into_iter()
        .find(|set| text(set, "/name") == "LOOKOUT_EXTERNAL_URL")
        .map(|set| text(set, "/value"))
}

/// Every link of every alert: the alert, the annotation, the address.
pub(super) fn alert_links(build: &Build) -> impl Iterator<Item = (&str, &'static str, &str)> {
    let rules = build.of_kind("PrometheusRule").flat_map(|rule| items(rule.value(), "/spec/groups"));
    rules.flat_map(|group| items(group, "/rules")).flat_map(|rule| {
        let link =
            |name| Some((text(rule, "/alert"), name, at(rule, &format!("/annotations/{name}")).as_str()?));
        ANNOTATIONS.into_iter().filter_map(link).collect::<Vec<_>>()
    })
}

/// The pages in the ConfigMap that an agent mounts as its runbooks.
fn runbooks(build: &Build) -> BTreeSet<&str> {
    let pods = build.workloads().map(|(_, pod)| pod);
    let mounts = pods.flat_map(|pod| containers(pod).map(move |container| (pod, container)));
    let maps: BTreeSet<&str> = mounts
        .flat_map(|(pod, container)| {
            let mounted = items(container, "/volumeMounts")
                .filter(|mount| text(mount, "/mountPath") == "/etc/runbooks");
            mounted.filter_map(|mount| map_of(pod, text(mount, "/name"))).collect::<Vec<_>>()
        })
        .collect();
    let found = build.of_kind("ConfigMap").filter(|map| maps.contains(map.name()));
    found
        .flat_map(|map| map.at("/data").as_object().into_iter().flatten())
        .map(|(key, _)| key.as_str())
        .collect()
}

/// The ConfigMap behind a volume.
pub(super) fn map_of<'p>(pod: &'p Value, volume: &str) -> Option<&'p str> {
    let found = items(pod, "/spec/volumes").find(|known| text(known, "/name") == volume)?;
    Some(text(found, "/configMap/name")).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_may_name_this_machine() {
        assert!(!sends_here("curl -s \"${SERVICE_URL:-http://127.0.0.1:8080}/health\""));
        assert!(sends_here("curl -s http://127.0.0.1:8080/health"));
        assert!(sends_here("${A:-http://127.0.0.1} or http://localhost:3000"));
    }
}
