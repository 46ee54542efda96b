//! Rules for every pod.

use serde_json::Value;

use super::object::{Object, at, containers, items, text};
use super::render::Build;

/// The longest the service takes for requests in flight after it drained, as in `service/src/run.rs`.
const GRACE_SECONDS: u64 = 15;

/// The name of the agent's image without its registry.
const AGENT: &str = "/lookout";

pub(super) fn faults(build: &Build) -> Vec<String> {
    let mut faults = Vec::new();
    for (workload, pod) in build.workloads() {
        let mut found = of_pod(pod);
        for container in containers(pod) {
            let name = text(container, "/name");
            let inside = of_container(pod, container, build.is_production());
            found.extend(inside.into_iter().map(|fault| format!("container {name}: {fault}")));
        }
        found.extend(of_ending(build, pod));
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", workload.shown())));
    }
    for secret in build.of_kind("Secret") {
        faults.push(format!("{}: secrets come from External Secrets, never from here", secret.shown()));
    }
    for namespace in build.of_kind("Namespace") {
        let standard = at(namespace.at("/metadata/labels"), "/pod-security.kubernetes.io~1enforce");
        if standard != "restricted" {
            faults.push(format!("{}: it does not enforce the restricted standard", namespace.shown()));
        }
    }
    faults
}

/// `wanted` at `pointer`, or a fault.
fn must(value: &Value, pointer: &str, wanted: impl Into<Value>, faults: &mut Vec<String>) {
    let (is, wanted) = (at(value, pointer), wanted.into());
    if *is != wanted {
        let name = pointer.trim_start_matches("/spec/").trim_start_matches('/').replace('/', ".");
        faults.push(format!("{name} is {is}, not {wanted}"));
    }
}

fn of_pod(pod: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    must(pod, "/spec/automountServiceAccountToken", false, &mut faults);
    must(pod, "/spec/enableServiceLinks", false, &mut faults);
    must(pod, "/spec/securityContext/runAsNonRoot", true, &mut faults);
    must(pod, "/spec/securityContext/seccompProfile/type", "RuntimeDefault", &mut faults);
    if at(pod, "/spec/securityContext/runAsUser").as_u64().is_none_or(|user| user < 10_000) {
        faults.push("securityContext.runAsUser is missing, root, or a user of the node".to_owned());
    }
    for shared in ["hostNetwork", "hostPID", "hostIPC"] {
        if at(pod, &format!("/spec/{shared}")) == true {
            faults.push(format!("{shared} lets it out of its pod"));
        }
    }
    for volume in items(pod, "/spec/volumes").filter(|volume| volume.get("hostPath").is_some()) {
        faults.push(format!("the volume {} is a folder of the node", text(volume, "/name")));
    }
    faults
}

fn of_container(pod: &Value, container: &Value, production: bool) -> Vec<String> {
    let mut faults = Vec::new();
    must(container, "/securityContext/allowPrivilegeEscalation", false, &mut faults);
    must(container, "/securityContext/readOnlyRootFilesystem", true, &mut faults);
    must(container, "/securityContext/capabilities", serde_json::json!({ "drop": ["ALL"] }), &mut faults);
    if at(container, "/securityContext/privileged") == true {
        faults.push("it is privileged".to_owned());
    }
    for (place, wrong) in [
        ("/securityContext/runAsNonRoot", Value::from(false)),
        ("/securityContext/runAsUser", Value::from(0)),
    ] {
        if *at(container, place) == wrong {
            faults.push("it runs as root".to_owned());
        }
    }
    for bound in ["requests", "limits"] {
        for resource in ["cpu", "memory"] {
            if text(container, &format!("/resources/{bound}/{resource}")).is_empty() {
                faults.push(format!("resources.{bound}.{resource} is missing"));
            }
        }
    }
    faults.extend(of_image(text(container, "/image"), production));
    faults.extend(of_probes(pod, container));
    faults
}

fn of_image(image: &str, production: bool) -> Vec<String> {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let tag = name.rsplit_once('/').map_or(name, |(_, last)| last).split_once(':').map(|(_, tag)| tag);
    let mut faults = Vec::new();
    match (digest, tag) {
        (Some(_), _) => {}
        (None, None | Some("latest")) => faults.push(format!("the image {image} is whatever is latest")),
        (None, Some(_)) if production => faults.push(format!("the image {image} is not named by digest")),
        (None, Some(_)) => {}
    }
    faults
}

/// A container that ends has none; the agent beside a service has a liveness probe only, so that it can neither keep the
/// service from starting nor from serving.
fn of_probes(pod: &Value, container: &Value) -> Vec<String> {
    let is_init = items(pod, "/spec/initContainers").any(|other| other == container);
    let is_sidecar = is_init && text(container, "/restartPolicy") == "Always";
    let alone = containers(pod).count() == 1;
    let ends = !matches!(text(pod, "/spec/restartPolicy"), "" | "Always");
    let mut faults = Vec::new();
    let image = text(container, "/image").split(['@']).next().unwrap_or_default();
    let is_agent = image.rsplit_once(':').map_or(image, |(name, _)| name).ends_with(AGENT);
    if is_agent && !alone && !is_sidecar && !ends {
        faults
            .push("beside a service, the agent is an init container with `restartPolicy: Always`".to_owned());
    }
    let (wanted, unwanted): (&[&str], &[&str]) = match (is_init || ends, is_sidecar) {
        (false, _) => (&["startupProbe", "livenessProbe", "readinessProbe"], &[]),
        (true, true) => (&["livenessProbe"], &["startupProbe", "readinessProbe"]),
        (true, false) => (&[], &["startupProbe", "livenessProbe", "readinessProbe"]),
    };
    faults.extend(
        wanted
            .iter()
            .filter(|probe| container.get(probe).is_none())
            .map(|probe| format!("{probe} is missing")),
    );
    faults.extend(
        unwanted
            .iter()
            .filter(|probe| container.get(probe).is_some())
            .map(|probe| format!("{probe} would let it hold up the pod")),
    );
    let ports: Vec<&Value> =
        items(container, "/ports").flat_map(|port| [at(port, "/name"), at(port, "/containerPort")]).collect();
    for probe in wanted.iter().filter_map(|probe| container.get(probe)) {
        let port = at(probe, "/httpGet/port");
        if !port.is_null() && !ports.contains(&port) {
            faults.push(format!("a probe asks at the port {port}, which the container does not have"));
        }
    }
    faults
}

/// The kubelet waits longer than the service takes to end.
fn of_ending(build: &Build, pod: &Value) -> Option<String> {
    let sources = containers(pod).flat_map(|container| items(container, "/envFrom"));
    let names: Vec<&str> = sources.map(|source| text(source, "/configMapRef/name")).collect();
    let mut maps = build.of_kind("ConfigMap").filter(|map| names.contains(&map.name()));
    let drain: u64 = maps.find_map(|map| Object::text(map, "/data/DRAIN_SECONDS").parse().ok())?;
    let patience = at(pod, "/spec/terminationGracePeriodSeconds").as_u64().unwrap_or(30);
    (patience <= drain + GRACE_SECONDS).then(|| {
        format!(
            "terminationGracePeriodSeconds is {patience}, but the service drains {drain} s and then has {GRACE_SECONDS} s \
             for what is in flight"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_versions_and_in_production_digests() {
        assert!(of_image("r.example.org:5000/a/b:1.2", false).is_empty());
        assert!(of_image("r/a@sha256:00", true).is_empty());
        for (image, production) in [("r.example.org:5000/a", false), ("a:latest", false), ("r/a:1.2", true)] {
            assert_eq!(of_image(image, production).len(), 1, "{image}");
        }
    }
}
