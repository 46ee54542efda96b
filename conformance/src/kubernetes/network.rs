//! Network policies: nothing may connect unless a policy names both ends and the port.

use serde_json::Value;

use super::object::{Object, at, items, selects, text};
use super::render::Build;

/// Pods of others may carry it: whoever has it may ask the gate.
const GATE_CLIENT: &str = "/matchLabels/lookout.dev~1gate-client";

/// Networks that an address range of the internet must leave out.
const PRIVATE: [&str; 5] =
    ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];

pub(super) fn faults(build: &Build) -> Vec<String> {
    let pods: Vec<&Value> = build.workloads().map(|(_, pod)| pod).collect();
    if pods.is_empty() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if !build.of_kind("NetworkPolicy").any(denies_everything) {
        faults.push("no NetworkPolicy denies all traffic, in and out, by default".to_owned());
    }
    for policy in build.of_kind("NetworkPolicy") {
        let found = of_policy(policy, &pods);
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", policy.shown())));
    }
    faults
}

fn denies_everything(policy: &Object) -> bool {
    let both: Vec<&str> = items(policy.value(), "/spec/policyTypes").filter_map(Value::as_str).collect();
    policy.at("/spec/podSelector").as_object().is_some_and(serde_json::Map::is_empty)
        && both.contains(&"Ingress")
        && both.contains(&"Egress")
        && policy.at("/spec/ingress").is_null()
        && policy.at("/spec/egress").is_null()
}

fn of_policy(policy: &Object, pods: &[&Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let selector = policy.at("/spec/podSelector");
    let here: Vec<&&Value> =
        pods.iter().filter(|pod| selects(selector, at(pod, "/metadata/labels"))).collect();
    if here.is_empty() {
        faults.push("it selects no pod".to_owned());
    }
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in items(policy.value(), &format!("/spec/{direction}")) {
            if items(rule, &format!("/{peers}")).next().is_none() {
                faults.push(format!("{direction} is open to everybody: a rule has no `{peers}`"));
            }
            if items(rule, "/ports").next().is_none() {
                faults.push(format!("{direction} is open at every port: a rule has no `ports`"));
            }
            for peer in items(rule, &format!("/{peers}")) {
                faults.extend(of_peer(peer, direction, rule, pods));
            }
            let served = |port: &Value| {
                let number = at(port, "/port");
                here.iter().flat_map(|pod| super::object::containers(pod)).any(|container| {
                    items(container, "/ports").any(|has| at(has, "/containerPort") == number)
                })
            };
            if direction == "ingress" {
                let unserved = items(rule, "/ports").filter(|port| !served(port));
                faults.extend(unserved.map(|port| format!("nobody listens at {}", at(port, "/port"))));
            }
        }
    }
    faults
}

fn of_peer(peer: &Value, direction: &str, rule: &Value, pods: &[&Value]) -> Option<String> {
    let empty = |selector: &Value| {
        selector.as_object().is_some_and(|selector| {
            selector.values().all(|part| part.as_object().is_some_and(serde_json::Map::is_empty))
        })
    };
    if let Some(block) = peer.get("ipBlock") {
        return of_addresses(block, direction, rule);
    }
    if peer.get("namespaceSelector").is_some_and(empty) {
        return Some(format!("{direction} is open to every namespace"));
    }
    match (peer.get("podSelector"), peer.get("namespaceSelector")) {
        (None, _) => Some(format!("{direction} is open to every pod of a namespace")),
        (Some(selector), _) if empty(selector) => {
            Some(format!("{direction} is open to every pod of a namespace"))
        }
        (Some(selector), None) => {
            let somebody = pods.iter().any(|pod| selects(selector, at(pod, "/metadata/labels")));
            let known = somebody || selector.pointer(GATE_CLIENT).is_some();
            (!known).then(|| format!("{direction} names pods that nothing makes: {selector}"))
        }
        (Some(_), Some(_)) => None,
    }
}

/// The internet may be reached over HTTPS alone, and never from there; what is private is not the internet.
fn of_addresses(block: &Value, direction: &str, rule: &Value) -> Option<String> {
    let range = text(block, "/cidr");
    let width: u32 = range.rsplit_once('/').and_then(|(_, width)| width.parse().ok()).unwrap_or(0);
    if width >= 8 {
        return None;
    }
    let excepted: Vec<&str> = items(block, "/except").filter_map(Value::as_str).collect();
    let only_https = items(rule, "/ports").all(|port| at(port, "/port") == 443);
    let is_fine = direction == "egress" && only_https && PRIVATE.iter().all(|range| excepted.contains(range));
    (!is_fine).then(|| format!("{direction} is open to {range}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::render::objects;

    const GOOD: &str = r"
{ apiVersion: v1, kind: Pod, metadata: { name: a, labels: { app: a } }, spec: { containers: [{ ports: [{ containerPort: 80 }] }] } }
---
{ kind: NetworkPolicy, metadata: { name: default-deny }, spec: { podSelector: {}, policyTypes: [Ingress, Egress] } }
---
kind: NetworkPolicy
metadata: { name: a }
spec:
  podSelector: { matchLabels: { app: a } }
  ingress:
    - from: [{ podSelector: { matchLabels: { app: a } } }]
      ports: [{ port: 80 }]
  egress:
    - to: [{ ipBlock: { cidr: 10.1.0.0/16 } }]
      ports: [{ port: 5432 }]
";

    fn faults_of(text: &str) -> Vec<String> {
        faults(&Build { folder: String::new(), objects: objects(text).unwrap() })
    }

    #[test]
    fn each_rule_can_fail() {
        assert_eq!(faults_of(GOOD), Vec::<String>::new());
        for (part, broken, fault) in [
            ("policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]", "denies all traffic"),
            (
                "policyTypes: [Ingress, Egress]",
                "policyTypes: [Ingress, Egress], egress: [{ to: [], ports: [{ port: 1 }] }]",
                "denies",
            ),
            (
                "spec:\n  podSelector: { matchLabels: { app: a } }",
                "spec:\n  podSelector: { matchLabels: { app: b } }",
                "selects no pod",
            ),
            ("from: [{ podSelector: { matchLabels: { app: a } } }]", "from: []", "open to everybody"),
            (
                "podSelector: { matchLabels: { app: a } } }]",
                "namespaceSelector: {} }]",
                "open to every namespace",
            ),
            ("podSelector: { matchLabels: { app: a } } }]", "podSelector: {} }]", "every pod of a namespace"),
            (
                "podSelector: { matchLabels: { app: a } } }]",
                "podSelector: { matchLabels: { app: c } } }]",
                "nothing makes",
            ),
            ("ports: [{ port: 80 }]\n", "\n", "open at every port"),
            ("ports: [{ port: 80 }]\n", "ports: [{ port: 81 }]\n", "nobody listens at 81"),
            ("10.1.0.0/16", "0.0.0.0/0", "egress is open to 0.0.0.0/0"),
        ] {
            assert!(GOOD.contains(part), "{part}");
            let found = faults_of(&GOOD.replacen(part, broken, 1));
            assert!(found.iter().any(|found| found.contains(fault)), "{broken}: {found:?}");
        }
    }
}
