//! Records of tests that could not run because a tool is missing.
//!
//! A Rust test has no third outcome, and a runner hides what a passing test prints. So a test leaves a file, and
//! `cargo xtask test` shows the files at its end.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace::target_directory;

/// Names another folder for the records, for tests of the records themselves.
pub const FOLDER: &str = "SKIPPED_FOLDER";
/// Turns a skip into a failure when it is set.
pub const STRICT: &str = "SKIPS_FAIL";

/// Returns whether a skip counts as a failure.
pub fn is_strict() -> bool {
    std::env::var_os(STRICT).is_some_and(|value| !value.is_empty())
}

/// Returns the folder of the records.
///
/// # Errors
/// If cargo does not say where it builds.
pub fn folder() -> Result<PathBuf> {
    std::env::var_os(FOLDER).map_or_else(|| Ok(target_directory()?.join("skipped")), |path| Ok(path.into()))
}

/// Records that a test was skipped and why.
///
/// # Errors
/// If the file cannot be written.
pub fn record(folder: &Path, test: &str, why: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::write(folder.join(test), why).with_context(|| format!("recording that {test} was skipped"))
}

/// Forgets the record of one test, which ran.
///
/// # Errors
/// If the file cannot be removed.
pub fn forget(folder: &Path, test: &str) -> Result<()> {
    let removed = fs::remove_file(folder.join(test));
    removed.or_else(absent).with_context(|| format!("forgetting that {test} was skipped"))
}

/// Forgets all records.
///
/// # Errors
/// If the folder cannot be removed.
pub fn forget_all(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).or_else(absent).with_context(|| format!("removing {}", folder.display()))
}

/// Returns the tests that were skipped, in order, each with its reason.
///
/// # Errors
/// If the folder cannot be read.
pub fn all(folder: &Path) -> Result<Vec<(String, String)>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
        let why = fs::read_to_string(entry.path()).with_context(|| entry.path().display().to_string())?;
        found.push((entry.file_name().to_string_lossy().into_owned(), why));
    }
    found.sort();
    Ok(found)
}

fn absent(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_last_until_their_test_runs() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("skipped");
        assert_eq!(all(&folder).unwrap(), []);
        record(&folder, "b", "no b").unwrap();
        record(&folder, "a", "no a").unwrap();
        record(&folder, "a", "still no a").unwrap();
        let pair = |test: &str, why: &str| (test.to_owned(), why.to_owned());
        assert_eq!(all(&folder).unwrap(), [pair("a", "still no a"), pair("b", "no b")]);
        forget(&folder, "a").unwrap();
        forget(&folder, "a").unwrap();
        assert_eq!(all(&folder).unwrap(), [pair("b", "no b")]);
        forget_all(&folder).unwrap();
        forget_all(&folder).unwrap();
        assert_eq!(all(&folder).unwrap(), []);
    }
}
