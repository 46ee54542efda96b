//! Links that people follow: every one leads to the agent's host, which a Gateway listens to, a route leads from, and the
//! network policies let through to the agent's port.

use std::collections::BTreeSet;

use serde_json::Value;

use super::object::{Object, at, containers, items, namespace_labels, selects, text};
use super::render::Build;

/// The namespace of the proxies of a Gateway, where Envoy Gateway puts them, and the label of their pods. Source:
/// <https://gateway.envoyproxy.io/docs/tasks/operations/customize-envoyproxy/>
const PROXIES: (&str, &str) = ("envoy-gateway-system", "envoy");

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
            faults.extend(of_way(build, route));
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

/// Faults between the proxies of the Gateway and the pods that a route leads to.
fn of_way(build: &Build, route: &Object) -> Vec<String> {
    let rules = items(route.value(), "/spec/rules");
    let mut faults = Vec::new();
    for backend in rules.flat_map(|rule| items(rule, "/backendRefs")) {
        let (name, number) = (text(backend, "/name"), at(backend, "/port"));
        let services = build.of_kind("Service").filter(|service| service.name() == name);
        let mut ports = services.flat_map(|service| {
            items(service.value(), "/spec/ports").map(move |port| (service.at("/spec/selector"), port))
        });
        let Some((selector, port)) = ports.find(|(_, port)| at(port, "/port") == number) else {
            faults.push(format!("{}: no Service is {name}:{number}", route.shown()));
            continue;
        };
        let selector = serde_json::json!({ "matchLabels": selector });
        let pods = build.workloads().map(|(_, pod)| pod);
        for pod in pods.filter(|pod| selects(&selector, at(pod, "/metadata/labels"))) {
            let target = port.get("targetPort").unwrap_or(number);
            let mut known = containers(pod).flat_map(|container| items(container, "/ports"));
            let named = known.find(|known| at(known, "/name") == target);
            let listens = named.map_or(target, |known| at(known, "/containerPort"));
            if !admits_proxies(build, at(pod, "/metadata/labels"), listens) {
                faults.push(format!(
                    "{}: no NetworkPolicy lets the proxies of the Gateway reach {name}:{number} (port {listens} of its pods)",
                    route.shown()
                ));
            }
        }
    }
    faults
}

/// Returns whether a policy lets the proxies of the Gateway reach a port of the pods with these labels.
fn admits_proxies(build: &Build, labels: &Value, port: &Value) -> bool {
    let namespace = namespace_labels(PROXIES.0, &Value::Null);
    let proxy = serde_json::json!({ "app.kubernetes.io/name": PROXIES.1 });
    let mut policies =
        build.of_kind("NetworkPolicy").filter(|policy| selects(policy.at("/spec/podSelector"), labels));
    policies.any(|policy| {
        items(policy.value(), "/spec/ingress").any(|rule| {
            let from = items(rule, "/from").any(|peer| {
                selects(at(peer, "/namespaceSelector"), &namespace)
                    && selects(at(peer, "/podSelector"), &proxy)
            });
            from && items(rule, "/ports").any(|open| at(open, "/port") == port)
        })
    })
}

/// Returns whether a line holds an address of this machine that is no default (`${NAME:-http://127.0.0.1}`).
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
