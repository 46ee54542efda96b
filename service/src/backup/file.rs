//! The file of a backup: text, one JSON object per line.
//!
//! The header names the kinds. Then come the records, kind by kind, each kind in the order of its ids. The footer has the
//! number of records of each kind and a digest of everything before it. Format 1 held the first kind only, without a name.

use std::io;
use std::path::Path;

use super::BackupError;

/// The version of the format.
pub(super) const FORMAT: u64 = 2;

/// Makes an error of what was being done to a file.
pub(super) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { doing, path, source }
}
