//! Backup and restore of every entity, while the service runs. It knows no entity: `api` lists them.
//!
//! A backup is of one moment, and can be restored into either database. A restore is one transaction: it replaces every
//! record, or changes nothing.
//!
//! The file is text, a JSON object per line: records as `{"table": {…}}`, table by table, in the order of their ids. The
//! last line has the number of records of each table, and a digest of all lines before. A file without it is cut off.

mod restore;
mod save;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::database::{DatabaseError, Readable, Statement};

pub(crate) use self::restore::Restore;
pub(crate) use self::save::Backup;

/// The number of records of each table.
pub type Counts = BTreeMap<&'static str, u64>;

/// A record of an entity that a backup holds. Its JSON has the field `id`.
pub(crate) trait Record: Serialize + Readable + Send + Sync {
    /// The table.
    const TABLE: &'static str;

    /// Returns the id.
    fn id(&self) -> Uuid;

    /// Returns the statement that reads some records after an id, in the order of ids.
    fn page(after: Uuid, limit: i64) -> Statement;

    /// Reads a record of a backup, or returns what was expected.
    fn from_json(record: Map<String, Value>) -> Result<Self, String>;

    /// Returns the statement that adds records as they are.
    fn insert(records: &[Self]) -> Statement;
}

/// The reason for which a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The records cannot be read or written.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The file cannot be read or written.
    #[error("{doing} {}", path.display())]
    File {
        /// The attempted operation.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The file is not a whole backup.
    #[error("line {line} of {}: expected {expected}; nothing was restored", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// The expected content.
        expected: String,
    },
}

/// The last line.
#[derive(Serialize)]
struct Footer<'a> {
    counts: &'a Counts,
    sha256: String,
}

impl<'a> Footer<'a> {
    fn of(counts: &'a Counts, lines: &Sha256) -> Self {
        Self { counts, sha256: hex::encode(lines.clone().finalize()) }
    }
}

/// Adds the attempted operation to the error of a file.
fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { doing, path, source }
}
