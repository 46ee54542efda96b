//! The files that a configuration was read from, and whether they changed since.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Most SLO specs of one agent.
pub(super) const SPEC_LIMIT: usize = 1000;

/// Files and patterns that a configuration was read from, whether they exist or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    files: BTreeSet<PathBuf>,
    /// Folders, each with a pattern of files in it.
    patterns: BTreeSet<(PathBuf, String)>,
}

/// State of all inputs at an instant. Two that are equal lead to the same configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, Option<Stamp>)>);

/// Facts that differ when a file was written or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// A file that was moved over another one may have its time.
    inode: u64,
}

impl Inputs {
    pub(super) fn add_file(&mut self, file: &Path) {
        self.files.insert(file.to_owned());
    }

    pub(super) fn add_pattern(&mut self, folder: &Path, pattern: &str) {
        self.patterns.insert((folder.to_owned(), pattern.to_owned()));
    }

    /// Reads the present state of the files. Reads no content.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut files = self.files.clone();
        for (folder, pattern) in &self.patterns {
            files.extend(matches(folder, pattern).unwrap_or_default());
        }
        let stamped = files.into_iter().map(|file| {
            let stamp = std::fs::metadata(&file).ok().map(|metadata| Stamp::new(&metadata));
            (file, stamp)
        });
        Fingerprint(stamped.collect())
    }
}

impl Stamp {
    fn new(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { modified: metadata.modified().ok(), bytes: metadata.len(), inode: metadata.ino() }
    }
}

/// Returns the files of a folder that match a pattern.
pub(super) fn matches(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, glob::PatternError> {
    // what looks like a pattern in the folder's own name is meant literally
    let base = glob::Pattern::escape(&folder.to_string_lossy());
    let whole = Path::new(&base).join(pattern);
    let found = glob::glob(&whole.to_string_lossy())?;
    Ok(found.filter_map(Result::ok).filter(|path| path.is_file()).take(SPEC_LIMIT + 1).collect())
}

#[cfg(test)]
mod tests {
    use crate::load_with;

    /// Loads the folder's configuration, and returns its inputs even when it is refused.
    fn inputs(folder: &std::path::Path) -> super::Inputs {
        match load_with(folder, &|_| None) {
            Ok((_, found)) | Err(found) => found.inputs,
        }
    }

    #[test]
    fn every_file_that_matters_changes_the_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("password", "s3cret\n");
        write("lookout.yaml", "destinations:\n  - name: oncall\n    slack: { webhook_url_file: password }\n");
        let watched = inputs(folder.path());
        let mut before = watched.fingerprint();
        assert_eq!(watched.fingerprint(), before, "nothing changed");
        write("unrelated.txt", "x");
        assert_eq!(watched.fingerprint(), before, "another file in the folder");
        for (name, text) in [
            ("password", "an0ther\n"),
            ("lookout.yaml", "targets: []\n"),
            ("new.slo.yaml", "apiVersion: openslo/v1\n"),
        ] {
            write(name, text);
            let after = watched.fingerprint();
            assert_ne!(after, before, "{name}");
            before = after;
        }
        let replaced = folder.path().join("other");
        std::fs::write(&replaced, "targets: []\n").unwrap();
        std::fs::rename(&replaced, folder.path().join("lookout.yaml")).unwrap();
        assert_ne!(watched.fingerprint(), before, "a file moved over another one");
        assert_eq!(inputs(folder.path()).files.len(), 2, "a refused configuration is watched too");
    }
}
