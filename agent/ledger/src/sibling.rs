//! Names of the files beside the ledger.

use std::path::{Path, PathBuf};

/// Returns the name of a file that belongs to the ledger.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
