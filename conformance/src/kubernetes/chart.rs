//! The chart of the agent: it installs alone, and what the overlays have of the agent is rendered from it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::render::{Build, helm, objects};
use super::{checkov, pods, references, validate};
use crate::tree::Tree;

/// The folder of the chart.
pub(super) const FOLDER: &str = "k8s/lookout";

/// Values of a component, and the file that is rendered from them.
pub(super) const RENDERED: [(&str, &str); 2] = [
    ("k8s/components/standalone-agent/values.yaml", "k8s/components/standalone-agent/agent.yaml"),
    ("k8s/components/sidecar/values.yaml", "k8s/components/sidecar/agent/kustomization.yaml"),
];

pub(super) fn check(tree: &Tree) -> Result<String> {
    for (values, file) in RENDERED {
        current(tree, values, file)?;
    }
    let examples = examples(tree);
    if examples.is_empty() {
        bail!("{FOLDER}/ci has no values to install the chart with");
    }
    let (mut builds, mut faults) = (Vec::new(), Vec::new());
    for values in &examples {
        let mut build = helm(tree, "lookout", &[values])?;
        build.folder = values.display().to_string();
        let found = pods::faults(&build).into_iter().chain(references::within(&build));
        faults.extend(found.map(|fault| format!("{}: {fault}", values.display())));
        builds.push(build);
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    let held = validate(tree, &builds)?;
    checkov(&builds)?;
    Ok(format!("{} installations, {held}, {} files rendered from it", builds.len(), RENDERED.len()))
}

/// Returns the values of the chart's examples.
pub(super) fn examples(tree: &Tree) -> Vec<PathBuf> {
    tree.files_in("k8s/lookout/ci", &["-values.yaml"]).map(Path::to_owned).collect()
}

/// Fails when a committed file is not what the chart gives now.
fn current(tree: &Tree, values: &str, file: &str) -> Result<()> {
    let made = helm(tree, "titanic", &[Path::new(values)])?;
    let committed = objects(&tree.read(Path::new(file))?).with_context(|| file.to_owned())?;
    let texts = |build: &Build| build.objects.iter().map(|object| object.value().to_string()).collect();
    let (made, committed): (Vec<String>, Vec<String>) =
        (texts(&made), texts(&Build { folder: String::new(), objects: committed }));
    if made == committed {
        return Ok(());
    }
    let other = made.iter().find(|text| !committed.contains(text)).or_else(|| committed.last());
    let start: String = other.map(|text| text.chars().take(160).collect()).unwrap_or_default();
    bail!(
        "{file} is not what {FOLDER} and {values} give (`k8s/render.sh` writes it); first difference in {start}"
    );
}
