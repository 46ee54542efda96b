//! Files of plain kinds: YAML, shell scripts, and secrets in any of them.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::tool::content;
use crate::tree::Tree;
use programs::python::{Set, program};

/// YAML that is no template of something else.
pub fn yaml(tree: &Tree) -> Result<String> {
    let files: Vec<&Path> = tree.files_in("", &[".yaml", ".yml"]).filter(|file| !is_template(file)).collect();
    let mut yamllint = Command::new(program(Set::Checks, "yamllint")?);
    yamllint.args(["--strict", "--config-file", ".yamllint.yaml"]).args(&files).current_dir(tree.root());
    content(&mut yamllint)?;
    Ok(format!("{} files", files.len()))
}

/// A Helm template is YAML only once it is rendered.
fn is_template(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "templates")
}

/// Shell scripts, by their ending or their first line.
pub fn shell(tree: &Tree) -> Result<String> {
    let mut scripts = Vec::new();
    for file in tree.files() {
        if file.extension().is_some_and(|ending| ending == "sh") || begins_as_shell(tree, file)? {
            scripts.push(file);
        }
    }
    let mut shellcheck = Command::new(program(Set::Checks, "shellcheck")?);
    shellcheck.args(["--severity=style", "--external-sources"]).args(&scripts).current_dir(tree.root());
    content(&mut shellcheck)?;
    Ok(format!("{} scripts", scripts.len()))
}

fn begins_as_shell(tree: &Tree, file: &Path) -> Result<bool> {
    if file.extension().is_some() {
        return Ok(false);
    }
    let text = tree.read(file).unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    Ok(first.starts_with("#!") && first.ends_with("sh"))
}

/// Keys and passwords that should not be here.
pub fn secrets(tree: &Tree) -> Result<String> {
    let mut gitleaks = Command::new(program(Set::Checks, "gitleaks")?);
    gitleaks.args(["dir", ".", "--no-banner", "--redact", "--verbose", "--config", ".gitleaks.toml"]);
    content(gitleaks.current_dir(tree.root()))?;
    Ok(format!("{} files", tree.files().len()))
}
