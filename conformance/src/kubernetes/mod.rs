//! `k8s/`: every overlay and every combination of components is built, held against the schemas of a Kubernetes release
//! and of the operators it needs, against checkov, and against rules of our own; the chart must give the same objects.

mod addon_charts;
mod addon_values;
mod addons;
mod argocd;
mod chart;
mod deploy_class;
mod gate;
mod links;
mod network;
mod object;
mod pods;
mod references;
mod render;
mod values;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use object::Object;
use render::{Build, kustomize};

use crate::agents::Agent;
use crate::tool::content;
use crate::tree::Tree;
use programs::python::{Set, program};

/// The oldest release that the manifests are meant for; its schemas refuse what came later.
const RELEASE: &str = "1.35";

/// The kinds that no Kubernetes release describes, and what we use of them.
const OPERATORS: &str = "xtask/tools/schemas/kubernetes-operators.json";

/// API groups of Kubernetes itself. A group that is in neither list is a mistake, or a new operator to be described.
const OWN_GROUPS: [&str; 8] = [
    "v1",
    "apps/v1",
    "policy/v1",
    "autoscaling/v2",
    "networking.k8s.io/v1",
    "rbac.authorization.k8s.io/v1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1",
];

/// Policies of checkov that we do not follow, with the reason.
const SKIPPED: [(&str, &str); 1] = [(
    "CKV_K8S_43",
    "images by digest: asked of production alone, by our own rule; other environments follow versions",
)];

/// Builds everything and applies our own rules for pods, networks and references.
pub fn rules(tree: &Tree) -> Result<String> {
    let builds = every_build(tree)?;
    let cluster = builds.iter().find(|build| build.folder == "k8s/cluster");
    let cluster = cluster.context("k8s/cluster is missing: it holds what there is once per cluster")?;
    let mut faults: Vec<String> =
        argocd::faults(&builds).into_iter().map(|fault| format!("k8s/argocd: {fault}")).collect();
    for build in &builds {
        let mut found = pods::faults(build);
        found.extend(network::faults(build));
        found.extend(gate::faults(build));
        found.extend(references::faults(build, cluster));
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", build.folder)));
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    let objects: usize = builds.iter().map(|build| build.objects.len()).sum();
    Ok(format!("{} builds, {objects} objects", builds.len()))
}

fn scratch() -> Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("manifests-").tempdir().context("making a folder")
}

/// Renders the chart of the agent, alone and as the overlays have it.
pub fn helm(tree: &Tree) -> Result<String> {
    chart::check(tree)
}

/// Looks for the description, the default, the template and the example of every value of the chart.
pub fn chart_values(tree: &Tree) -> Result<String> {
    values::check(tree)
}

/// Compares the links of every environment with the host that leads to the agent.
pub fn links(tree: &Tree) -> Result<String> {
    let builds = every_build(tree)?;
    let all = builds.iter().flat_map(|build| {
        links::faults(build).into_iter().map(move |fault| format!("{}: {fault}", build.folder))
    });
    let faults: Vec<String> = all.collect();
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    let count: usize = builds.iter().map(|build| links::alert_links(build).count()).sum();
    Ok(format!("{count} links of alerts in {} builds", builds.len()))
}

/// Compares the matrix of add-ons with what the manifests and the cluster of Terraform need.
pub fn addons(tree: &Tree) -> Result<String> {
    addons::check(tree, &every_build(tree)?)
}

/// Looks for a class of change that stands over manifests it was not written for.
pub fn deploy_class(tree: &Tree) -> Result<String> {
    deploy_class::check(tree)
}

/// Returns the agent of an environment as its pod would start it.
pub(crate) fn agent(tree: &Tree, environment: &str) -> Result<Agent> {
    let build = kustomize(tree, &Path::new("k8s/overlays").join(environment))?;
    let found = build.workloads().find_map(|(_, pod)| {
        let container = object::containers(pod).find(|one| object::text(one, "/name") == "lookout")?;
        Some((pod, container))
    });
    let (pod, container) = found.with_context(|| format!("{} has no agent", build.folder))?;
    let mut agent = Agent {
        name: format!("Kubernetes, {environment}"),
        config: "/etc/lookout/lookout.yaml".into(),
        links: links::alert_links(&build).filter_map(|(_, _, url)| crate::agents::path_of(url)).collect(),
        ..Agent::default()
    };
    for mount in object::items(container, "/volumeMounts") {
        let Some(map) = links::map_of(pod, object::text(mount, "/name")) else { continue };
        let map = build.of_kind("ConfigMap").find(|known| known.name() == map);
        let data = map.with_context(|| format!("nothing makes the ConfigMap of {mount}"))?.at("/data");
        for (file, text) in data.as_object().into_iter().flatten() {
            let path = Path::new(object::text(mount, "/mountPath")).join(file);
            agent.files.insert(path, text.as_str().unwrap_or_default().to_owned());
        }
    }
    for variable in object::items(container, "/env") {
        if let Some(value) = variable.get("value").and_then(Value::as_str) {
            agent.variables.insert(object::text(variable, "/name").to_owned(), value.to_owned());
        }
    }
    Ok(agent)
}

/// Returns the routes of Alertmanager where it watches the agent: in staging and prod, and in each installation of the chart
/// that asks for them.
pub(crate) fn alertmanagers(tree: &Tree) -> Result<Vec<(String, Value)>> {
    let mut found = Vec::new();
    for environment in ["staging", "prod"] {
        let build = kustomize(tree, &Path::new("k8s/overlays").join(environment))?;
        if build.of_kind("AlertmanagerConfig").next().is_none() {
            bail!("{} has no AlertmanagerConfig: when the agent is down, nobody hears of it", build.folder);
        }
        found.push(build);
    }
    for values in chart::examples(tree) {
        let mut build = render::helm(tree, "lookout", &[&values])?;
        build.folder = values.display().to_string();
        found.push(build);
    }
    let routes = found.iter().flat_map(|build| {
        let objects = build.of_kind("AlertmanagerConfig");
        objects.map(|object| (build.folder.clone(), object.value().clone()))
    });
    Ok(routes.collect())
}

/// Every folder that is built, and the objects that ArgoCD reads as they are.
fn every_build(tree: &Tree) -> Result<Vec<Build>> {
    let folders: Vec<&Path> = tree
        .files_in("k8s", &["/kustomization.yaml"])
        .filter_map(Path::parent)
        .filter(|folder| {
            ["k8s/overlays", "k8s/tests", "k8s/cluster"].iter().any(|top| folder.starts_with(top))
        })
        .collect();
    if folders.is_empty() {
        bail!("k8s/overlays holds nothing to build");
    }
    let mut builds = Vec::new();
    for folder in folders {
        builds.push(kustomize(tree, folder)?);
    }
    let mut plain = Build { folder: "k8s/argocd".to_owned(), objects: Vec::new() };
    for file in tree.files_in("k8s/argocd", &[".yaml"]) {
        plain.objects.extend(render::objects(&tree.read(file)?).with_context(|| file.display().to_string())?);
    }
    builds.push(plain);
    Ok(builds)
}

/// Holds each different object against the schema of its kind.
pub fn schemas(tree: &Tree) -> Result<String> {
    validate(tree, &every_build(tree)?)
}

fn validate(tree: &Tree, builds: &[Build]) -> Result<String> {
    let scratch = scratch()?;
    let scratch = scratch.path();
    let (mut own, mut others): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for object in builds.iter().flat_map(|build| &build.objects) {
        let of_release = OWN_GROUPS.contains(&object.api_version());
        let seen = if of_release { &mut own } else { &mut others };
        let text = object.value().to_string();
        if seen.contains(&text) {
            continue;
        }
        let folder = scratch.join(if of_release { "own" } else { "others" });
        fs::create_dir_all(&folder).context("making a folder")?;
        let file = folder.join(format!("{:03}-{}-{}.json", seen.len(), object.kind(), object.name()));
        fs::write(&file, &text).with_context(|| format!("writing {}", file.display()))?;
        seen.push(text);
    }
    let files = |folder: &str| -> Result<Vec<_>> {
        let found = fs::read_dir(scratch.join(folder)).context("reading a folder")?;
        found.map(|entry| entry.map(|entry| entry.path()).context("reading a folder")).collect()
    };
    let mut release = Command::new(program(Set::Checks, "kubernetes-validate")?);
    release.args(["--strict", "--kubernetes-version", RELEASE, "--quiet"]).args(files("own")?);
    let said = content(&mut release)?;
    if said.contains("Couldn't find schema") {
        bail!("Kubernetes {RELEASE} does not know a kind that is asked for:\n{said}");
    }
    let mut operators = Command::new(program(Set::Checks, "check-jsonschema")?);
    operators.arg("--schemafile").arg(tree.root().join(OPERATORS)).args(files("others")?);
    content(&mut operators)?;
    Ok(format!("{} different objects against Kubernetes {RELEASE}", own.len() + others.len()))
}

/// Runs checkov over what would be applied.
pub fn policies(tree: &Tree) -> Result<String> {
    checkov(&every_build(tree)?)
}

fn checkov(builds: &[Build]) -> Result<String> {
    let scratch = scratch()?;
    let folder = scratch.path().join("builds");
    fs::create_dir_all(&folder).context("making a folder")?;
    for build in builds {
        let file = folder.join(format!("{}.json", build.folder.replace('/', "-")));
        let items: Vec<&Value> = build.objects.iter().map(Object::value).collect();
        let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items });
        fs::write(&file, list.to_string()).with_context(|| format!("writing {}", file.display()))?;
    }
    let skipped: Vec<&str> = SKIPPED.iter().map(|(name, _)| *name).collect();
    let mut checkov = Command::new(program(Set::Policy, "checkov")?);
    checkov.args(["--framework", "kubernetes", "--compact", "--quiet", "--skip-download"]);
    checkov.arg("--skip-check").arg(skipped.join(",")).arg("--directory").arg(&folder);
    content(&mut checkov)?;
    Ok(format!("{} builds", builds.len()))
}
