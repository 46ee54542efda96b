//! Add-ons: the matrix of their versions, and what the manifests, the values of their charts and `terraform/modules/eks` need
//! of them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::object::{Object, at, items, text};
use super::render::Build;
use super::{OWN_GROUPS, RELEASE, addon_charts, addon_values};
use crate::tree::Tree;

/// The add-ons of a cluster, with their versions, their charts, the groups of their objects, the files of their values and the service
/// accounts that have a role in AWS. EKS installs those of the version `eks`, in the version that suits the cluster's.
pub(super) const MATRIX: &str = "k8s/cluster/addons.json";
const EKS: [&str; 3] =
    ["terraform/modules/eks/main.tf", "terraform/modules/eks/roles.tf", "terraform/modules/eks/variables.tf"];
/// The one that is no chart: `k8s/cluster/collector` has its manifests.
const COLLECTOR: &str = "opentelemetry-collector";
const BACKUP: &str = "terraform/modules/backup/main.tf";

pub(super) fn check(tree: &Tree, builds: &[Build]) -> Result<String> {
    let matrix: Value =
        serde_json::from_str(&tree.read(Path::new(MATRIX))?).with_context(|| MATRIX.to_owned())?;
    let eks: String = EKS.iter().map(|file| tree.read(Path::new(file))).collect::<Result<_>>()?;
    let cluster = builds.iter().find(|build| build.folder == "k8s/cluster");
    let cluster = cluster.context("k8s/cluster is missing: it holds what there is once per cluster")?;
    let mut faults = of_matrix(&matrix, &eks);
    faults.extend(of_groups(&matrix, builds));
    faults.extend(addon_values::faults(tree, &matrix, builds)?);
    faults.extend(addon_charts::faults(tree, &matrix)?);
    faults.extend(of_volumes(cluster, &tree.read(Path::new(BACKUP))?));
    for build in builds {
        let found = of_ways_in(build, cluster).into_iter().chain(of_managed(build, &eks));
        faults.extend(found.map(|fault| format!("{}: {fault}", build.folder)));
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(format!("{} add-ons", items(&matrix, "/addons").count()))
}

/// Versions, and the accounts that have roles.
fn of_matrix(matrix: &Value, eks: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text(matrix, "/kubernetes") != RELEASE {
        faults.push(format!("{MATRIX} is not about Kubernetes {RELEASE}"));
    }
    for addon in items(matrix, "/addons") {
        let (name, version) = (text(addon, "/name"), text(addon, "/version"));
        if version != "eks" && addon.get("repository").is_none() && name != COLLECTOR {
            faults.push(format!("{MATRIX}: {name} has no repository of its chart"));
        }
        if version == "eks" {
            if !eks.contains(&format!("\"{name}\"")) {
                faults.push(format!("{}: EKS is not asked for {name}", EKS[0]));
            }
        } else if !version.starts_with(|first: char| first.is_ascii_digit()) {
            faults.push(format!("{MATRIX}: {name} has no version"));
        }
        if name == "cluster-autoscaler" && !version.starts_with(&format!("{RELEASE}.")) {
            faults.push(format!("{MATRIX}: {name} {version} belongs to another release than {RELEASE}"));
        }
    }
    let listed: BTreeSet<String> = items(matrix, "/addons")
        .filter_map(|addon| at(addon, "/account").as_str().map(str::to_owned))
        .collect();
    let given: BTreeSet<String> = eks
        .split("namespace = \"")
        .skip(1)
        .filter_map(|rest| {
            let (namespace, rest) = rest.split_once('"')?;
            let (account, _) = rest.strip_prefix(", service_account = \"")?.split_once('"')?;
            Some(format!("{namespace}/{account}"))
        })
        .collect();
    for odd in listed.symmetric_difference(&given) {
        faults.push(format!("{odd} has a role in terraform/modules/eks or an account in {MATRIX}, not both"));
    }
    faults
}

/// Groups of objects that nobody brings.
fn of_groups(matrix: &Value, builds: &[Build]) -> Vec<String> {
    let known: BTreeSet<&str> = items(matrix, "/addons")
        .flat_map(|addon| items(addon, "/groups"))
        .filter_map(Value::as_str)
        .chain(OWN_GROUPS.iter().filter_map(|group| group.split_once('/')).map(|(group, _)| group))
        .collect();
    let mut faults = Vec::new();
    for build in builds {
        let groups: BTreeSet<&str> = build
            .objects
            .iter()
            .filter_map(|object| object.api_version().split_once('/'))
            .map(|(group, _)| group)
            .collect();
        let missing = groups.difference(&known);
        faults.extend(missing.map(|group| format!("{}: no add-on of {MATRIX} brings {group}", build.folder)));
    }
    faults
}

pub(super) fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Volumes outlive their claims, are encrypted, and are copied by the tag that AWS Backup selects.
fn of_volumes(cluster: &Build, backup: &str) -> Vec<String> {
    let of_class = |class: &Object| {
        let mut faults = Vec::new();
        if class.text("/reclaimPolicy") != "Retain" {
            faults.push("a claim that is deleted takes its volume with it");
        }
        if class.text("/parameters/encrypted") != "true" {
            faults.push("its volumes are not encrypted");
        }
        let tag = class.text("/parameters/tagSpecification_1").split_once('=');
        let selects = |(key, value): (&str, &str)| {
            let said = |name: &str, text: &str| backup.contains(&format!("{name} = \"{text}\""));
            said("key  ", key) && said("value", value)
        };
        if !tag.is_some_and(selects) {
            faults.push("AWS Backup selects another tag than that of its volumes");
        }
        faults
            .into_iter()
            .map(|fault| format!("{}: {}: {fault}", cluster.folder, class.shown()))
            .collect::<Vec<_>>()
    };
    let classes: Vec<&Object> = cluster.of_kind("StorageClass").collect();
    if classes.is_empty() {
        return vec![format!("{}: EKS has no default class of storage, and none is made", cluster.folder)];
    }
    classes.into_iter().flat_map(of_class).collect()
}

/// Gateways have a class, and certificates an issuer for their names.
fn of_ways_in(build: &Build, cluster: &Build) -> Vec<String> {
    let mut faults = Vec::new();
    for gateway in build.of_kind("Gateway") {
        let class = gateway.text("/spec/gatewayClassName");
        if !cluster.of_kind("GatewayClass").any(|known| known.name() == class) {
            faults.push(format!("{}: there is no GatewayClass {class}", gateway.shown()));
        }
        let issuer = gateway.text("/metadata/annotations/cert-manager.io~1cluster-issuer");
        let Some(issuer) = cluster.of_kind("ClusterIssuer").find(|known| known.name() == issuer) else {
            faults.push(format!("{}: there is no ClusterIssuer {issuer:?}", gateway.shown()));
            continue;
        };
        let zones: Vec<&str> = items(issuer.value(), "/spec/acme/solvers")
            .flat_map(|solver| items(solver, "/selector/dnsZones"))
            .filter_map(Value::as_str)
            .collect();
        for host in items(gateway.value(), "/spec/listeners").map(|listener| text(listener, "/hostname")) {
            if !zones.iter().any(|zone| is_below(host, zone)) {
                faults.push(format!("{}: {} proves no name in {host}", gateway.shown(), issuer.shown()));
            }
        }
    }
    faults
}

/// Add-ons of EKS that a kind of object does nothing without.
fn of_managed(build: &Build, eks: &str) -> Vec<String> {
    let needs = [
        ("HorizontalPodAutoscaler", "\"metrics-server\""),
        ("StorageClass", "\"aws-ebs-csi-driver\""),
        ("NetworkPolicy", "enableNetworkPolicy = \"true\""),
        ("ExternalSecret", "\"eks-pod-identity-agent\""),
    ];
    let missing =
        needs.iter().filter(|(kind, text)| build.of_kind(kind).next().is_some() && !eks.contains(text));
    missing.map(|(kind, text)| format!("a {kind} does nothing without {text} in {}", EKS[0])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_below_its_domain_at_a_dot() {
        assert!(is_below("a.example.org", "example.org") && is_below("example.org", "example.org"));
        assert!(!is_below("example.org.evil", "example.org") && !is_below("badexample.org", "example.org"));
    }

    #[test]
    fn an_account_without_a_role_and_a_role_without_an_account_are_named() {
        let matrix = serde_json::json!({
            "kubernetes": RELEASE,
            "addons": [{ "name": "a", "version": "1", "repository": "r", "account": "n/a" }, { "name": "b", "version": "eks" }],
        });
        let eks = "account = { namespace = \"n\", service_account = \"c\" }\n\"b\"";
        let faults = of_matrix(&matrix, eks);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(
            faults[0].starts_with("n/a has a role") && faults[1].starts_with("n/c has a role"),
            "{faults:?}"
        );
        assert!(of_matrix(&matrix, "\"d\"").iter().any(|fault| fault.contains("EKS is not asked for b")));
    }
}
