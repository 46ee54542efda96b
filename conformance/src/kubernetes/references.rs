//! Names that objects call each other by: whoever is named is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::object::{Object, at, containers, items, selects, text};
use super::render::Build;

/// Everything in a build that can be named.
struct Names<'b> {
    build: &'b Build,
    /// Services, and those that Flagger makes.
    services: Vec<Object>,
    /// Keys of config maps.
    maps: BTreeMap<&'b str, BTreeSet<&'b str>>,
    /// Keys of secrets that External Secrets makes.
    secrets: BTreeMap<&'b str, BTreeSet<&'b str>>,
}

/// Names inside of an environment, and those that its cluster must have.
pub(super) fn faults(build: &Build, cluster: &Build) -> Vec<String> {
    let names = Names::of(build);
    let mut faults = Vec::new();
    for (workload, pod) in build.workloads() {
        let mut found = names.of_pod(pod);
        let class = text(pod, "/spec/priorityClassName");
        if !cluster.of_kind("PriorityClass").any(|known| known.name() == class) {
            found.push(format!("the PriorityClass {class:?} is not in {}", cluster.folder));
        }
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", workload.shown())));
    }
    faults.extend(within(build));
    faults
}

/// Names inside of a build that somebody else's objects surround.
pub(super) fn within(build: &Build) -> Vec<String> {
    let names = Names::of(build);
    let mut faults = Vec::new();
    for (workload, pod) in build.workloads() {
        let found = names.of_owner(workload, pod);
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", workload.shown())));
    }
    for object in build.objects.iter().filter(|object| object.kind() != "HTTPRoute" || names.has_gateways()) {
        let found = names.of_object(object);
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", object.shown())));
    }
    faults
}

impl<'b> Names<'b> {
    fn of(build: &'b Build) -> Self {
        let mut services: Vec<Object> = build.of_kind("Service").cloned().collect();
        services.extend(build.of_kind("Canary").filter_map(|canary| service_of(build, canary)));
        let keys = |object: &'b Object| {
            let data = object.at("/data").as_object().into_iter().flatten();
            data.map(|(key, _)| key.as_str()).collect()
        };
        let maps = build.of_kind("ConfigMap").map(|map| (map.name(), keys(map))).collect();
        let secrets = build.of_kind("ExternalSecret").map(|secret| {
            let mut keys: BTreeSet<&str> =
                items(secret.value(), "/spec/data").map(|item| text(item, "/secretKey")).collect();
            let generated = |item: &Value| text(item, "/sourceRef/generatorRef/kind") == "Password";
            if items(secret.value(), "/spec/dataFrom").any(generated) {
                keys.insert("password");
            }
            (secret.text("/spec/target/name"), keys)
        });
        Self { build, services, maps, secrets: secrets.collect() }
    }

    /// Accounts, config and secrets of a pod.
    fn of_pod(&self, pod: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        let account = text(pod, "/spec/serviceAccountName");
        if !self.build.of_kind("ServiceAccount").any(|known| known.name() == account) {
            faults.push(format!("there is no ServiceAccount {account:?}"));
        }
        let mut asked: Vec<(&str, &str, Option<&str>)> = Vec::new();
        for container in containers(pod) {
            for source in items(container, "/envFrom") {
                asked.push(("ConfigMap", text(source, "/configMapRef/name"), None));
            }
            for from in items(container, "/env").filter_map(|variable| variable.get("valueFrom")) {
                for (kind, place) in [("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")] {
                    // a pod starts without an optional one
                    let required = |named: &&Value| named.get("optional") != Some(&Value::Bool(true));
                    if let Some(named) = from.get(place).filter(required) {
                        asked.push((kind, text(named, "/name"), Some(text(named, "/key"))));
                    }
                }
            }
        }
        for volume in items(pod, "/spec/volumes") {
            for (kind, part, name) in
                [("ConfigMap", "configMap", "/name"), ("Secret", "secret", "/secretName")]
            {
                let Some(named) = volume.get(part) else { continue };
                asked.push((kind, text(named, name), None));
                asked.extend(
                    items(named, "/items").map(|item| (kind, text(named, name), Some(text(item, "/key")))),
                );
            }
        }
        for (kind, name, key) in asked {
            let known = if kind == "ConfigMap" { &self.maps } else { &self.secrets };
            match (known.get(name), key) {
                (None, _) => faults.push(format!("nothing makes the {kind} {name}")),
                (Some(keys), Some(key)) if !keys.contains(key) => {
                    faults.push(format!("the {kind} {name} has no key {key:?}"));
                }
                _ => {}
            }
        }
        let mounted = containers(pod).flat_map(|container| items(container, "/volumeMounts"));
        let volumes: Vec<&str> = items(pod, "/spec/volumes").map(|volume| text(volume, "/name")).collect();
        let claims = self
            .build
            .of_kind("StatefulSet")
            .flat_map(|set| items(set.value(), "/spec/volumeClaimTemplates"));
        let claims: Vec<&str> = claims.map(|claim| text(claim, "/metadata/name")).collect();
        for mount in mounted.map(|mount| text(mount, "/name")) {
            if !volumes.contains(&mount) && !claims.contains(&mount) {
                faults.push(format!("it mounts {mount:?}, which is no volume of it"));
            }
        }
        faults
    }

    /// Selectors of what makes pods, and the budget for taking them away.
    fn of_owner(&self, workload: &Object, pod: &Value) -> Vec<String> {
        let labels = at(pod, "/metadata/labels");
        let mut faults = Vec::new();
        if workload.kind() != "Pod" && !selects(workload.at("/spec/selector"), labels) {
            faults.push("its selector does not match its own pods".to_owned());
        }
        let served = ["Deployment", "StatefulSet"].contains(&workload.kind());
        let budgets = self.build.of_kind("PodDisruptionBudget");
        if served && !budgets.into_iter().any(|budget| selects(budget.at("/spec/selector"), labels)) {
            faults.push("no PodDisruptionBudget says how many of its pods may go at once".to_owned());
        }
        faults
    }

    fn of_object(&self, object: &Object) -> Vec<String> {
        match object.kind() {
            "Service" => self.of_service(object),
            "PodDisruptionBudget" => {
                let used = self.pods(object.at("/spec/selector")).next().is_some();
                if used { Vec::new() } else { vec!["it selects no pod".to_owned()] }
            }
            "HorizontalPodAutoscaler" => self.of_target(object, "/spec/scaleTargetRef"),
            "Rollout" => self.of_target(object, "/spec/workloadRef"),
            "Canary" => {
                let mut faults = self.of_target(object, "/spec/targetRef");
                faults.extend(self.of_target(object, "/spec/autoscalerRef"));
                faults.extend(self.of_gateways(object, "/spec/service/gatewayRefs"));
                faults
            }
            "Ingress" => {
                let paths = items(object.value(), "/spec/rules").flat_map(|rule| items(rule, "/http/paths"));
                let backends = paths.map(|path| at(path, "/backend/service"));
                let mut faults: Vec<String> = backends
                    .filter_map(|to| self.of_backend(text(to, "/name"), at(to, "/port/name")))
                    .collect();
                if items(object.value(), "/spec/tls").next().is_none() {
                    faults.push("it serves without TLS".to_owned());
                }
                faults
            }
            "HTTPRoute" => {
                let backends =
                    items(object.value(), "/spec/rules").flat_map(|rule| items(rule, "/backendRefs"));
                let broken = backends.filter_map(|to| self.of_backend(text(to, "/name"), at(to, "/port")));
                let mut faults: Vec<String> = broken.collect();
                faults.extend(self.of_gateways(object, "/spec/parentRefs"));
                faults
            }
            "ServiceMonitor" => self.of_monitor(object),
            "AlertmanagerConfig" => self.of_alertmanager(object),
            _ => Vec::new(),
        }
    }

    /// Returns whether the Gateways of routes are in the build.
    fn has_gateways(&self) -> bool {
        self.build.of_kind("Gateway").next().is_some()
    }

    fn pods<'s>(&'s self, selector: &'s Value) -> impl Iterator<Item = &'s Value> {
        let labelled = move |pod: &&Value| selects(selector, at(pod, "/metadata/labels"));
        self.build.workloads().map(|(_, pod)| pod).filter(labelled)
    }

    fn of_service(&self, service: &Object) -> Vec<String> {
        let selector = json!({ "matchLabels": service.at("/spec/selector") });
        let ports: Vec<&Value> = self
            .pods(&selector)
            .flat_map(containers)
            .flat_map(|container| items(container, "/ports"))
            .flat_map(|port| [at(port, "/name"), at(port, "/containerPort")])
            .collect();
        if ports.is_empty() {
            return vec!["it selects no pod with a port".to_owned()];
        }
        let targets = items(service.value(), "/spec/ports").map(|port| at(port, "/targetPort"));
        let missing = targets.filter(|target| !ports.contains(target));
        missing.map(|target| format!("its pods have no port {target}")).collect()
    }

    fn of_target(&self, object: &Object, place: &str) -> Vec<String> {
        let (kind, name) = (text(object.at(place), "/kind"), text(object.at(place), "/name"));
        let Some(target) = self.build.of_kind(kind).find(|known| known.name() == name) else {
            return vec![format!("there is no {kind} {name}")];
        };
        // a rollout has the pods of its deployment
        let target = self.build.of_kind("Deployment").find(|known| known.name() == name).unwrap_or(target);
        let named = items(object.value(), "/spec/metrics")
            .filter_map(|metric| metric.pointer("/containerResource/container"));
        let has = |container: &Value| {
            target.pod().into_iter().flat_map(containers).any(|known| at(known, "/name") == container)
        };
        named
            .filter(|container| !has(container))
            .map(|container| format!("no container is named {container}"))
            .collect()
    }

    fn of_backend(&self, name: &str, port: &Value) -> Option<String> {
        let Some(service) = self.services.iter().find(|known| known.name() == name) else {
            return Some(format!("there is no Service {name}"));
        };
        let mut ports = items(service.value(), "/spec/ports");
        let known = ports.any(|known| at(known, "/name") == port || at(known, "/port") == port);
        (!known).then(|| format!("the Service {name} has no port {port}"))
    }

    fn of_gateways(&self, object: &Object, place: &str) -> Vec<String> {
        let broken = |named: &Value| {
            let (name, section) = (text(named, "/name"), text(named, "/sectionName"));
            let Some(gateway) = self.build.of_kind("Gateway").find(|known| known.name() == name) else {
                return Some(format!("there is no Gateway {name}"));
            };
            let listens =
                items(gateway.value(), "/spec/listeners").any(|known| text(known, "/name") == section);
            (!listens).then(|| format!("the Gateway {name} has no listener {section:?}"))
        };
        items(object.value(), place).filter_map(broken).collect()
    }

    /// Receivers that routes name, and secrets that receivers read.
    fn of_alertmanager(&self, config: &Object) -> Vec<String> {
        let known: Vec<&str> =
            items(config.value(), "/spec/receivers").map(|one| text(one, "/name")).collect();
        let routes =
            std::iter::once(config.at("/spec/route")).chain(items(config.value(), "/spec/route/routes"));
        let named = routes.map(|route| text(route, "/receiver"));
        let mut faults: Vec<String> = named
            .filter(|name| !known.contains(name))
            .map(|name| format!("a route leads to {name:?}, which is no receiver"))
            .collect();
        let slack = items(config.value(), "/spec/receivers").flat_map(|one| items(one, "/slackConfigs"));
        for url in slack.map(|one| at(one, "/apiURL")) {
            let (name, key) = (text(url, "/name"), text(url, "/key"));
            if !self.secrets.get(name).is_some_and(|keys| keys.contains(key)) {
                faults.push(format!("the Secret {name} has no key {key:?}"));
            }
        }
        faults
    }

    fn of_monitor(&self, monitor: &Object) -> Vec<String> {
        let selector = monitor.at("/spec/selector");
        let labelled = |service: &&Object| selects(selector, service.at("/metadata/labels"));
        let Some(service) = self.services.iter().find(labelled) else {
            return vec!["it selects no Service".to_owned()];
        };
        let named = items(monitor.value(), "/spec/endpoints").map(|endpoint| text(endpoint, "/port"));
        let known =
            |port: &&str| items(service.value(), "/spec/ports").any(|known| text(known, "/name") == *port);
        let missing = named.filter(|port| !known(port));
        missing.map(|port| format!("the Service {} has no port {port:?}", service.name())).collect()
    }
}

/// The service that Flagger makes for a canary.
fn service_of(build: &Build, canary: &Object) -> Option<Object> {
    let name = canary.text("/spec/targetRef/name");
    let target = build.of_kind("Deployment").find(|known| known.name() == name)?;
    let mut ports = vec![json!({
        "name": canary.at("/spec/service/portName"),
        "port": canary.at("/spec/service/port"),
        "targetPort": canary.at("/spec/service/targetPort"),
    })];
    if canary.at("/spec/service/portDiscovery") == true {
        let found =
            target.pod().into_iter().flat_map(containers).flat_map(|container| items(container, "/ports"));
        ports.extend(found.map(|port| {
            json!({ "name": at(port, "/name"), "port": at(port, "/containerPort"), "targetPort": at(port, "/name") })
        }));
    }
    Some(Object::new(json!({
        "kind": "Service",
        "metadata": { "name": name, "labels": canary.at("/spec/service/primary/labels") },
        "spec": { "selector": target.at("/spec/selector/matchLabels"), "ports": ports },
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::render::objects;

    const GOOD: &str = r"
kind: Deployment
metadata: { name: a }
spec:
  selector: { matchLabels: { app: a } }
  template:
    metadata: { labels: { app: a } }
    spec:
      serviceAccountName: a
      priorityClassName: high
      containers:
        - name: main
          ports: [{ name: http, containerPort: 80 }]
          envFrom: [{ configMapRef: { name: config } }]
          env: [{ name: P, valueFrom: { secretKeyRef: { name: made, key: password } } }]
          volumeMounts: [{ name: v }]
      volumes: [{ name: v, configMap: { name: config, items: [{ key: K }] } }]
---
{ kind: ServiceAccount, metadata: { name: a } }
---
{ kind: ConfigMap, metadata: { name: config }, data: { K: x } }
---
{ kind: ExternalSecret, metadata: { name: e }, spec: { target: { name: made }, data: [{ secretKey: password }] } }
---
{ kind: Service, metadata: { name: s, labels: { app: a } }, spec: { selector: { app: a }, ports: [{ name: web, port: 8, targetPort: http }] } }
---
{ kind: PodDisruptionBudget, metadata: { name: b }, spec: { selector: { matchLabels: { app: a } } } }
---
kind: HorizontalPodAutoscaler
metadata: { name: h }
spec: { scaleTargetRef: { kind: Deployment, name: a }, metrics: [{ containerResource: { container: main } }] }
---
kind: Ingress
metadata: { name: i }
spec: { tls: [{}], rules: [{ http: { paths: [{ backend: { service: { name: s, port: { name: web } } } }] } }] }
---
{ kind: Gateway, metadata: { name: g }, spec: { listeners: [{ name: https }] } }
---
{ kind: HTTPRoute, metadata: { name: r }, spec: { parentRefs: [{ name: g, sectionName: https }], rules: [{ backendRefs: [{ name: s, port: 8 }] }] } }
---
{ kind: ServiceMonitor, metadata: { name: m }, spec: { selector: { matchLabels: { app: a } }, endpoints: [{ port: web }] } }
";

    fn build(text: &str) -> Build {
        Build { folder: "cluster".to_owned(), objects: objects(text).unwrap() }
    }

    #[test]
    fn whatever_is_named_must_be_there() {
        let cluster = build("{ kind: PriorityClass, metadata: { name: high } }");
        assert_eq!(faults(&build(GOOD), &cluster), Vec::<String>::new());
        for (part, broken, fault) in [
            (
                "priorityClassName: high",
                "priorityClassName: low",
                "the PriorityClass \"low\" is not in cluster",
            ),
            ("serviceAccountName: a", "serviceAccountName: b", "no ServiceAccount"),
            ("configMapRef: { name: config }", "configMapRef: { name: x }", "nothing makes the ConfigMap x"),
            ("items: [{ key: K }]", "items: [{ key: L }]", "the ConfigMap config has no key \"L\""),
            ("secretKey: password", "secretKey: word", "the Secret made has no key \"password\""),
            ("volumeMounts: [{ name: v }]", "volumeMounts: [{ name: w }]", "it mounts \"w\""),
            (
                "selector: { matchLabels: { app: a } }\n",
                "selector: { matchLabels: { app: z } }\n",
                "its own pods",
            ),
            (
                "name: b }, spec: { selector: { matchLabels: { app: a",
                "name: b }, spec: { selector: { matchLabels: { app: z",
                "no PodDisruptionBudget",
            ),
            ("selector: { app: a }", "selector: { app: z }", "selects no pod with a port"),
            ("targetPort: http", "targetPort: htp", "its pods have no port \"htp\""),
            ("kind: Deployment, name: a", "kind: Deployment, name: z", "no Deployment z"),
            ("container: main", "container: mian", "no container is named \"mian\""),
            ("tls: [{}], ", "", "serves without TLS"),
            ("port: { name: web }", "port: { name: wob }", "the Service s has no port \"wob\""),
            ("sectionName: https", "sectionName: http", "the Gateway g has no listener \"http\""),
            ("name: s, port: 8 }", "name: s, port: 9 }", "the Service s has no port 9"),
            ("endpoints: [{ port: web }]", "endpoints: [{ port: wob }]", "the Service s has no port \"wob\""),
        ] {
            assert!(GOOD.contains(part), "{part}");
            let found = faults(&build(&GOOD.replacen(part, broken, 1)), &cluster);
            assert!(found.iter().any(|found| found.contains(fault)), "{broken}: {found:?}");
        }
    }
}
