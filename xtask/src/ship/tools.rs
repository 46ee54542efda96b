//! The checkers that come from the Python package index, pinned by version and hash, in environments of their own.
//!
//! `checks.in`, `policy.in` and `peers.in` say what is wanted; `uv pip compile --generate-hashes` made the locks beside
//! them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::packages::find;
use crate::workspace::{must_succeed, root, target_directory};

/// A set of checkers that agree on their dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    /// Linters, schemas, the Helm engine, secrets.
    Checks,
    /// Checkov, whose pins suit nobody else.
    Policy,
    /// Not checkers: the web framework that `cargo xtask bench api` measures ours beside.
    Peers,
}

impl Set {
    const fn name(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::Policy => "policy",
            Self::Peers => "peers",
        }
    }
}

/// A program of a set, installed when it is not there yet.
pub(crate) fn program(set: Set, name: &str) -> Result<PathBuf> {
    let programs = installed(set)?.join("bin");
    let file = programs.join(name);
    if !file.is_file() {
        bail!("`{name}` is not among the checkers in {}", programs.display());
    }
    Ok(file)
}

/// A program that no package index brings.
pub(crate) fn on_path(names: &[&str], how: &str) -> Result<PathBuf> {
    find(names).with_context(|| format!("{} is missing; {how}", names.join(" or ")))
}

/// The folder of a set. What it was installed from is kept beside it, so that a changed lock installs it anew.
fn installed(set: Set) -> Result<PathBuf> {
    let lock = root().join("xtask/tools").join(format!("{}.txt", set.name()));
    let wanted = fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
    let folder = target_directory()?.join("checkers").join(set.name());
    let stamp = folder.join("installed-from");
    if fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(folder);
    }
    println!("installing the checkers of {}", lock.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    install(&folder, &lock)?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(folder)
}

fn install(folder: &Path, lock: &Path) -> Result<()> {
    let python = on_path(&["python3"], "on Debian or Ubuntu: apt-get install python3 python3-venv")?;
    let made = Command::new(python).args(["-m", "venv"]).arg(folder).stdin(Stdio::null()).status();
    if !made.context("starting python3")?.success() {
        bail!("python3 cannot make an environment; on Debian or Ubuntu: apt-get install python3-venv");
    }
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]).arg(lock);
    must_succeed(&mut pip).context("the checkers come from the Python package index, which must be in reach")
}
