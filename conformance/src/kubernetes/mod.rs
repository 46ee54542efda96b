//! `k8s/`: every overlay and every combination of components is built, held against the schemas of a Kubernetes release
//! and of the operators it needs, against checkov, and against rules of our own; the chart must give the same objects.

mod chart;
mod copies;
mod network;
mod object;
mod pods;
mod references;
mod render;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

pub use copies::{current as copies, write as write_copies};
use object::Object;
use render::{Build, kustomize};

use crate::tool::content;
use crate::tree::Tree;
use programs::python::{Set, program};

/// The oldest release that the manifests are meant for; its schemas refuse what came later.
const RELEASE: &str = "1.32";

/// The kinds that no Kubernetes release describes, and what we use of them.
const OPERATORS: &str = "xtask/tools/schemas/kubernetes-operators.json";

/// API groups of Kubernetes itself. A group that is in neither list is a mistake, or a new operator to be described.
const OWN_GROUPS: [&str; 7] = [
    "v1",
    "apps/v1",
    "policy/v1",
    "autoscaling/v2",
    "networking.k8s.io/v1",
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
    let mut faults = Vec::new();
    for build in &builds {
        let mut found = pods::faults(build);
        found.extend(network::faults(build));
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

/// Compares the chart with the overlay of every environment.
pub fn helm(tree: &Tree) -> Result<String> {
    chart::check(tree)
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
    let (builds, scratch) = (every_build(tree)?, scratch()?);
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
    let (builds, scratch) = (every_build(tree)?, scratch()?);
    let folder = scratch.path().join("builds");
    fs::create_dir_all(&folder).context("making a folder")?;
    for build in &builds {
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
