//! Comparison of files on disk with generated ones.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{Artifact, MARK, Preserved, runbook};

/// Largest file that is compared; no generated file is larger.
const LARGEST_FILE: u64 = 8 * 1024 * 1024;

/// Difference between a file and its artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The file is missing.
    Missing,
    /// The file differs, first in this line.
    Different {
        /// The line, counted from one.
        line: usize,
        /// The line found; `None` at the end of the file.
        found: Option<String>,
        /// The line expected; `None` at the end of the file.
        expected: Option<String>,
    },
    /// The file was generated for an SLO that no longer exists.
    Stale,
}

/// File that differs from its artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The file.
    pub path: PathBuf,
    /// The difference.
    pub difference: Difference,
}

impl core::fmt::Display for Drift {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let path = self.path.display();
        match &self.difference {
            Difference::Missing => write!(f, "{path}: missing; run `lookout generate`"),
            Difference::Different { line, found, expected } => {
                let show = |text: &Option<String>| match text {
                    Some(text) => format!("`{}`", text.escape_debug()),
                    None => "the end of the file".to_owned(),
                };
                write!(
                    f,
                    "{path}:{line}: differs from the spec: found {}, expected {}; run `lookout generate`",
                    show(found),
                    show(expected)
                )
            }
            Difference::Stale => write!(f, "{path}: no SLO asks for this file any more; delete it"),
        }
    }
}

/// Writes the files that differ and returns them. Each is replaced as a whole, so that a reader sees the old or the
/// new one.
///
/// # Errors
/// The first file that cannot be read or written, by name.
pub fn write(artifacts: &[Artifact]) -> io::Result<Vec<PathBuf>> {
    let mut changed = Vec::new();
    for artifact in artifacts {
        let found = read(&artifact.path)?;
        let wanted = wanted(artifact, found.as_deref());
        if found.as_deref() != Some(wanted.as_str()) {
            replace(&artifact.path, &wanted).map_err(|error| named("write", &artifact.path, &error))?;
            changed.push(artifact.path.clone());
        }
    }
    Ok(changed)
}

/// Returns every file that is missing, different or stale, in the order of their paths.
///
/// # Errors
/// The first file or folder that cannot be read, by name.
pub fn drift(artifacts: &[Artifact]) -> io::Result<Vec<Drift>> {
    let mut list = Vec::new();
    for artifact in artifacts {
        let difference = match read(&artifact.path)? {
            None => Some(Difference::Missing),
            Some(found) => first_difference(&found, &wanted(artifact, Some(&found))),
        };
        list.extend(difference.map(|difference| Drift { path: artifact.path.clone(), difference }));
    }
    list.extend(stale(artifacts)?);
    list.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(list)
}

/// Returns the wanted contents of a file, given the present ones.
fn wanted(artifact: &Artifact, found: Option<&str>) -> String {
    match (artifact.kept, found) {
        (Preserved::Body, Some(found)) => runbook::merge(&artifact.contents, found),
        _ => artifact.contents.clone(),
    }
}

fn first_difference(found: &str, expected: &str) -> Option<Difference> {
    if found == expected {
        return None;
    }
    let (mut old, mut new) = (found.split('\n'), expected.split('\n'));
    let mut line = 1;
    loop {
        let (found, expected) = (old.next(), new.next());
        if found != expected || found.is_none() {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            return Some(Difference::Different { line, found: owned(found), expected: owned(expected) });
        }
        line += 1;
    }
}

/// Returns the files beside the artifacts that have our marker and belong to no artifact.
fn stale(artifacts: &[Artifact]) -> io::Result<Vec<Drift>> {
    let mut folders: Vec<&Path> = artifacts.iter().filter_map(|artifact| artifact.path.parent()).collect();
    folders.sort_unstable();
    folders.dedup();
    let mut list = Vec::new();
    for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder).map_err(|error| named("list", folder, &error))? {
            let path = entry.map_err(|error| named("list", folder, &error))?.path();
            let known = artifacts.iter().any(|artifact| artifact.path == path);
            let ours = matches!(path.extension().and_then(|e| e.to_str()), Some("yaml" | "json" | "md"));
            if !known && ours && path.is_file() && read(&path)?.is_some_and(|text| text.contains(MARK)) {
                list.push(Drift { path, difference: Difference::Stale });
            }
        }
    }
    Ok(list)
}

/// Reads a text file; `None` when it does not exist. A file that is not text or too large reads as different from
/// every generated file.
fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named("read", path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(|error| named("read", path, &error))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

fn named(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(folder: &Path, name: &str, text: &str) -> Artifact {
        Artifact::new(folder.join(name), text.to_owned())
    }

    #[test]
    fn only_what_changed_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let list = [artifact(folder.path(), "deep/a.yaml", "a\n"), artifact(folder.path(), "b.yaml", "b\n")];
        assert_eq!(drift(&list).unwrap().len(), 2);
        assert_eq!(write(&list).unwrap().len(), 2);
        assert_eq!(write(&list).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(drift(&list).unwrap(), []);
        fs::write(&list[1].path, "c\n").unwrap();
        assert_eq!(write(&list).unwrap(), [list[1].path.clone()]);
    }

    #[test]
    fn drift_names_the_first_line_that_differs() {
        let folder = tempfile::tempdir().unwrap();
        let list = [artifact(folder.path(), "a.yaml", "one\ntwo\nthree\n")];
        for (text, shown) in [
            ("one\n2\nthree\n", ":2: differs from the spec: found `2`, expected `two`"),
            ("one\ntwo\nthree\nfour\n", ":4: differs from the spec: found `four`, expected ``"),
            ("one\ntwo\nthree", ":4: differs from the spec: found the end of the file, expected ``"),
        ] {
            fs::write(&list[0].path, text).unwrap();
            let found = drift(&list).unwrap();
            assert!(found[0].to_string().contains(shown), "{}", found[0]);
        }
    }

    #[test]
    fn a_generated_file_no_one_asks_for_is_stale_and_a_foreign_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let list = [artifact(folder.path(), "a.yaml", "a\n")];
        write(&list).unwrap();
        fs::write(folder.path().join("old.rules.yaml"), format!("# {MARK}.\n")).unwrap();
        fs::write(folder.path().join("mine.yaml"), "by hand\n").unwrap();
        let found = drift(&list).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].difference, Difference::Stale);
        assert!(found[0].path.ends_with("old.rules.yaml"));
    }
}
