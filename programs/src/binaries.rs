//! The two programs of this workspace, as they were built.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::workspace;

/// The folder of the binaries.
pub struct Binaries(PathBuf);

impl Binaries {
    /// Builds both, optimised but quick to link. The whole workspace is selected, so that features are the same as in
    /// every other build.
    pub fn build() -> Result<Self> {
        workspace::must_succeed(workspace::cargo().args([
            "build",
            "--profile",
            "fast",
            "--workspace",
            "--bins",
            "--exclude",
            "xtask",
        ]))?;
        Ok(Self(workspace::target_directory()?.join("fast")))
    }

    /// Takes those in a folder.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        for name in ["titanic", "lookout"] {
            if !folder.join(name).is_file() {
                bail!("{} has no program `{name}`", folder.display());
            }
        }
        Ok(Self(folder.to_path_buf()))
    }

    pub fn lookout(&self) -> PathBuf {
        self.0.join("lookout")
    }

    pub fn titanic(&self) -> PathBuf {
        self.0.join("titanic")
    }
}
