//! The tools that hold the API against its description: pinned by version and hash, in an environment of their own.
//!
//! `tools/api.in` says what is wanted; `uv pip compile --generate-hashes` made the lock beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::workspace::{must_succeed, root, target_directory};

/// The folder with the programs. What it was installed from is kept in it, so that a changed lock installs it anew.
pub(super) fn tools() -> Result<PathBuf> {
    let lock = root().join("xtask/tools/api.txt");
    let wanted = fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
    let folder = target_directory()?.join("checkers/api");
    let stamp = folder.join("installed-from");
    if !fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        println!("installing the tools of {}", lock.display());
        install(&folder, &lock)?;
        fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
    }
    Ok(folder.join("bin"))
}

fn install(folder: &Path, lock: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    must_succeed(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("on Debian or Ubuntu: apt-get install python3 python3-venv")?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]).arg(lock);
    must_succeed(&mut pip).context("the tools come from the Python package index, which must be in reach")
}
