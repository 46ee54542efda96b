//! The tree as it would be committed: what git tracks or would track, copied so that checks can neither see build
//! output nor leave anything behind, and mutations can break it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// A copy of the tree.
pub struct Tree {
    folder: TempDir,
    files: Vec<PathBuf>,
}

impl Tree {
    /// Copies what git knows of a work tree, ignored files excepted.
    pub fn copy_of(root: &Path) -> Result<Self> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
        let listed = git.output().context("starting git")?;
        if !listed.status.success() {
            bail!("git does not know this tree: {}", String::from_utf8_lossy(&listed.stderr).trim());
        }
        let names = String::from_utf8(listed.stdout).context("a file name is no text")?;
        let folder = tempfile::Builder::new().prefix("tree-").tempdir().context("making a folder")?;
        let mut files = Vec::new();
        for name in names.split('\0').filter(|name| !name.is_empty()) {
            let (from, to) = (root.join(name), folder.path().join(name));
            // one that was deleted but is still in the index
            if !from.is_file() {
                continue;
            }
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
            }
            fs::copy(&from, &to).with_context(|| format!("copying {name}"))?;
            files.push(PathBuf::from(name));
        }
        files.sort();
        Ok(Self { folder, files })
    }

    /// Returns the root of the copy.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Every file, relative to the root, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The files of a folder (`""` for all of them) with one of these endings, relative to the root.
    pub fn files_in<'t>(&'t self, folder: &'t str, endings: &'t [&'t str]) -> impl Iterator<Item = &'t Path> {
        let wanted = move |file: &&Path| {
            let name = file.to_string_lossy();
            file.starts_with(folder) && endings.iter().any(|ending| name.ends_with(ending))
        };
        self.files.iter().map(PathBuf::as_path).filter(wanted)
    }

    /// The text of a file.
    pub fn read(&self, file: &Path) -> Result<String> {
        fs::read_to_string(self.root().join(file)).with_context(|| format!("reading {}", file.display()))
    }

    /// Writes a file, for a mutation or something generated, and counts it as part of the tree.
    pub fn write(&mut self, file: &str, text: &str) -> Result<()> {
        let path = self.root().join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("writing {file}"))?;
        if let Err(place) = self.files.binary_search(&PathBuf::from(file)) {
            self.files.insert(place, PathBuf::from(file));
        }
        Ok(())
    }

    /// Removes a file, for a mutation.
    pub fn remove(&mut self, file: &str) -> Result<()> {
        fs::remove_file(self.root().join(file)).with_context(|| format!("removing {file}"))?;
        self.files.retain(|known| known != Path::new(file));
        Ok(())
    }
}
