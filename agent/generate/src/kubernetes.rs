//! The rules of a service as an object of the Prometheus operator: the same groups, under `spec`.

use core::fmt::Write as _;

use super::MARK;
use super::rules;
use super::yaml::{self, Node, map};
use lookout_config::{Config, OperatorObjects};

/// Returns the file name of a service's object.
pub(super) fn file_name(service: &str) -> String {
    format!("{service}.prometheusrule.yaml")
}

/// Renders the object of a service.
pub(super) fn file(config: &Config, objects: &OperatorObjects, service: &str) -> String {
    let comments = [
        format!("{MARK} from the SLOs of {service}. Do not edit: change the spec and generate again."),
        format!("The groups are those of {}, which promtool tests.", rules::file_name(service)),
    ];
    object(objects, &object_name(service), &comments, rules::groups(config, service))
}

/// Renders an object of these groups.
pub(super) fn object(objects: &OperatorObjects, name: &str, comments: &[String], groups: Node) -> String {
    // kube-prometheus has selected by the last two
    let ours = [("app.kubernetes.io/component", "slo-rules"), ("prometheus", "k8s"), ("role", "alert-rules")];
    let object = map([
        ("apiVersion", "monitoring.coreos.com/v1".into()),
        ("kind", "PrometheusRule".into()),
        ("metadata", metadata(objects, name, &ours)),
        ("spec", map([("groups", groups)])),
    ]);
    yaml::file(comments, &object)
}

/// Returns name, namespace and labels of an object. A label of the user takes precedence over one of ours.
pub(super) fn metadata(objects: &OperatorObjects, name: &str, ours: &[(&str, &str)]) -> Node {
    let mut labels = objects.labels.clone();
    for (name, value) in [("app.kubernetes.io/name", "lookout")].iter().chain(ours) {
        labels.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
    }
    let labels = labels.into_iter().map(|(name, value)| (name, value.into())).collect();
    let mut metadata = vec![("name", name.into())];
    metadata.extend(objects.namespace.as_deref().map(|namespace| ("namespace", namespace.into())));
    metadata.push(("labels", Node::Map(labels)));
    map(metadata)
}

/// Returns a name that Kubernetes accepts: lower case, digits, `-` and `.`, with a letter or digit at both ends. A
/// name that had to be changed gets a checksum, so that `a_b` and `a-b` stay two objects.
fn object_name(service: &str) -> String {
    let plain: String = service
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' })
        .collect();
    let plain = plain.trim_matches('-');
    let mut name = format!("lookout-{plain}");
    if plain != service {
        // FNV-1a is enough to distinguish names
        let sum = service
            .bytes()
            .fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let _ = write!(name, "-{sum:08x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_kubernetes_takes_and_stay_apart() {
        assert_eq!(object_name("titanic"), "lookout-titanic");
        let names = ["a_b", "a-b", "a.b", "A-b", "a-b-"].map(object_name);
        for (index, name) in names.iter().enumerate() {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
            assert!(!name.ends_with('-'), "{name}");
            assert!(!names.iter().skip(index + 1).any(|other| other == name), "{name}");
        }
    }
}
