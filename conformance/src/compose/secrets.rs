//! `deploy/compose/secrets.sh`, run in a folder of its own: it makes the files that `compose.yaml` reads, and keeps them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Composed, FILE};
use crate::tool::content;
use crate::tree::Tree;

const SCRIPT: &str = "deploy/compose/secrets.sh";
/// Two passwords of one kind are a password nobody has to guess twice.
const LENGTH: usize = 48;

pub(super) fn made(tree: &Tree, composed: &Composed) -> Result<()> {
    let scratch = tempfile::Builder::new().prefix("secrets-").tempdir().context("making a folder")?;
    let script = scratch.path().join(SCRIPT);
    let folder = script.parent().context("the script has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::copy(tree.root().join(SCRIPT), &script).with_context(|| format!("copying {SCRIPT}"))?;
    content(Command::new("bash").arg(&script).current_dir(scratch.path()))?;
    let first = read(scratch.path(), composed)?;
    content(Command::new("bash").arg(&script).current_dir(scratch.path()))?;
    if read(scratch.path(), composed)? != first {
        bail!("{SCRIPT} changes secrets that are there already");
    }
    let mut values: Vec<&String> = first.values().collect();
    values.sort_unstable();
    values.dedup();
    if values.len() < first.len() || values.iter().any(|value| value.len() < LENGTH) {
        bail!("{SCRIPT} makes secrets that are equal or short");
    }
    Ok(())
}

fn read(folder: &Path, composed: &Composed) -> Result<BTreeMap<String, String>> {
    let files = composed.declared("secrets").map(|(name, secret)| {
        let file = secret.get("file").and_then(Value::as_str);
        let file = file.with_context(|| format!("{FILE}: the secret `{name}` is no file"))?;
        let value = fs::read_to_string(folder.join(file));
        Ok((name.to_owned(), value.with_context(|| format!("{SCRIPT} does not make {file}"))?))
    });
    files.collect()
}
