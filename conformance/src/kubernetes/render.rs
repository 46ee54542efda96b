//! Folders to objects.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::object::Object;
use crate::tool::content;
use crate::tree::Tree;
use programs::fetched::{self, KUBECTL};
use programs::python::{Set, program};

/// The objects of one folder.
#[derive(Debug)]
pub(super) struct Build {
    /// Relative to the root.
    pub(super) folder: String,
    pub(super) objects: Vec<Object>,
}

impl Build {
    /// Returns whether clients live there.
    pub(super) fn is_production(&self) -> bool {
        self.of_kind("ConfigMap").any(|map| map.text("/data/ENVIRONMENT").starts_with("prod"))
    }

    pub(super) fn of_kind<'b>(&'b self, kind: &'b str) -> impl Iterator<Item = &'b Object> {
        self.objects.iter().filter(move |object| object.kind() == kind)
    }

    /// Everything that makes pods, with their template.
    pub(super) fn workloads(&self) -> impl Iterator<Item = (&Object, &Value)> {
        self.objects.iter().filter_map(|object| Some((object, object.pod()?)))
    }
}

/// Builds a folder with the kustomize of kubectl, or with kustomize itself.
pub(super) fn kustomize(tree: &Tree, folder: &Path) -> Result<Build> {
    let program = fetched::program(&KUBECTL)?;
    let is_kubectl = program.ends_with("kubectl");
    let mut command = Command::new(program);
    command.arg(if is_kubectl { "kustomize" } else { "build" }).arg(folder).current_dir(tree.root());
    let text = content(&mut command).with_context(|| format!("building {}", folder.display()))?;
    let objects = objects(&text).with_context(|| format!("what {} becomes", folder.display()))?;
    Ok(Build { folder: folder.display().to_string(), objects })
}

/// The chart with some values, as an installation in a namespace would have it.
pub(super) fn helm(tree: &Tree, namespace: &str, values: &[&Path]) -> Result<Build> {
    let mut command = Command::new(program(Set::Checks, "python")?);
    command.args(["xtask/tools/render_chart.py", super::chart::FOLDER, "lookout", namespace]).args(values);
    let text = content(command.current_dir(tree.root()))?;
    let list: Vec<Value> = serde_json::from_str(&text).context("reading what the chart became")?;
    let folder = format!("{} for {namespace}", super::chart::FOLDER);
    Ok(Build { folder, objects: list.into_iter().map(Object::new).collect() })
}

/// The documents of a YAML text.
pub(super) fn objects(text: &str) -> Result<Vec<Object>> {
    let values: Vec<Value> = serde_saphyr::from_multiple(text).context("this is no YAML")?;
    if let Some(odd) = values.iter().find(|value| !value.is_object()) {
        bail!("a document is no object: {odd}");
    }
    Ok(values.into_iter().map(Object::new).collect())
}
