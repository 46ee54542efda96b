//! Container files and compose files.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::checks::content;
use super::tools::{Set, program};
use super::tree::Tree;

/// Hadolint over every container file, the published schema over every compose file.
pub(crate) fn check(tree: &Tree) -> Result<String> {
    let is_container_file = |file: &&Path| {
        file.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("Dockerfile") || name.ends_with(".Dockerfile")
        })
    };
    let files: Vec<&Path> = tree.files_in("", &[""]).filter(is_container_file).collect();
    let composed: Vec<&Path> = tree.files_in("", &["compose.yaml"]).collect();
    if files.is_empty() || composed.is_empty() {
        bail!("there is no container file, or no compose.yaml");
    }
    let mut hadolint = Command::new(program(Set::Checks, "hadolint")?);
    hadolint.args(["--config", ".hadolint.yaml", "--failure-threshold", "style"]).args(&files);
    content(hadolint.current_dir(tree.root()))?;
    let mut schema = Command::new(program(Set::Checks, "check-jsonschema")?);
    schema.args(["--builtin-schema", "vendor.compose-spec"]).args(&composed);
    content(schema.current_dir(tree.root()))?;
    Ok(format!("{} container files, {} compose files", files.len(), composed.len()))
}
