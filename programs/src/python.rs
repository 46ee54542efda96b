//! Programs from the Python package index, pinned by version and hash, in environments of their own.
//!
//! The files `xtask/tools/*.in` list the packages. `uv pip compile --generate-hashes` makes the lock beside each.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::missing::{MissingTool, on_path};
use crate::workspace::{root, target_directory};

/// A set of packages that agree on their dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Linters, schemas, the Helm engine, secrets.
    Checks,
    /// Checkov, whose pins suit nobody else.
    Policy,
    /// The web framework that `cargo xtask bench api` measures ours beside.
    Peers,
    /// The tools that compare the API with its description.
    Api,
}

impl Set {
    const fn name(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::Policy => "policy",
            Self::Peers => "peers",
            Self::Api => "api",
        }
    }
}

/// Returns a program of a set, and installs the set first when it is absent.
///
/// # Errors
/// [`MissingTool`] without Python or without the index; anything else is a mistake in the lock.
pub fn program(set: Set, name: &str) -> Result<PathBuf> {
    let file = folder(set)?.join(name);
    if !file.is_file() {
        bail!("`{name}` is not in the set `{}`", set.name());
    }
    Ok(file)
}

/// Returns the folder with the programs of a set. A stamp beside them holds the lock, so a changed lock installs anew.
///
/// # Errors
/// As [`program`].
pub fn folder(set: Set) -> Result<PathBuf> {
    let lock = root().join("xtask/tools").join(format!("{}.txt", set.name()));
    let wanted = fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
    let environments = target_directory()?.join("checkers");
    fs::create_dir_all(&environments).with_context(|| format!("making {}", environments.display()))?;
    let folder = environments.join(set.name());
    let stamp = folder.join("installed-from");
    let is_current = || fs::read_to_string(&stamp).is_ok_and(|had| had == wanted);
    if !is_current() {
        // many tests begin at once; the first one installs
        let guard =
            File::create(environments.join(format!("{}.lock", set.name()))).context("making a lock")?;
        guard.lock().context("waiting for another installation")?;
        if !is_current() {
            println!("installing the programs of {}", lock.display());
            install(&folder, &lock)?;
            fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
        }
    }
    Ok(folder.join("bin"))
}

fn install(folder: &Path, lock: &Path) -> Result<()> {
    let how = "on Debian or Ubuntu: apt-get install python3 python3-venv";
    let python = on_path(&["python3"], how)?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    let made = Command::new(python).args(["-m", "venv"]).arg(folder).stdin(Stdio::null()).output();
    if !made.context("starting python3")?.status.success() {
        return Err(MissingTool::new("python3-venv", how).into());
    }
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]).arg(lock);
    let output = pip.stdin(Stdio::null()).output().context("starting pip")?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("connection broken by") {
        return Err(
            MissingTool::new(lock.display().to_string(), "the Python package index does not answer").into()
        );
    }
    bail!("pip refuses {}:\n{}", lock.display(), complaint.trim())
}
