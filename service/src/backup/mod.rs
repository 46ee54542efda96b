//! Backup and restore of every entity, while the service runs. It knows no entity: `api` lists them.
//!
//! A backup is of one moment, and can be restored into either database. A restore is one transaction. It begins only
//! after the file has been read to its end and is whole. `format` is the file, `Record` is what an entity implements.

mod file;
mod reader;
mod record;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sqlx::error::BoxDynError;

use self::reader::Reader;
use self::writer::Writer;
use crate::database::{Database, DatabaseError, Purpose, doing};

pub(crate) use self::record::{Kind, Record};

/// Records that are added by one statement. Not more: SQLite looks up each `$n` among all before it, so that ten times as
/// many take a hundred times as long.
const BATCH: usize = 50;

/// The reason for which a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The records cannot be read or written.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A row holds an impossible value.
    #[error("reading {kind}")]
    Row {
        /// The kind of the record.
        kind: &'static str,
        /// The impossible value.
        #[source]
        source: BoxDynError,
    },
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

/// The contents of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The kinds in the backup, with the number of their records.
    pub counts: Vec<(&'static str, u64)>,
    /// The kinds that the backup does not hold. A restore leaves them as they are.
    pub left: Vec<&'static str>,
}

impl std::fmt::Display for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (kind, count)) in self.counts.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{count} {kind}")?;
        }
        Ok(())
    }
}

/// Writes all records of some kinds, as of one moment, into a file. It replaces an older file of this name at the end.
pub(crate) async fn backup(
    db: &Database,
    kinds: &[&'static dyn Kind],
    path: &Path,
    now: Timestamp,
) -> Result<Contents, BackupError> {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    let mut writer = Writer::create(path, &names, now)?;
    let mut counts = Vec::with_capacity(kinds.len());
    let mut tx = db.begin(Purpose::Read).await.map_err(doing("beginning a backup"))?;
    tx.allow_long();
    for kind in kinds {
        counts.push((kind.name(), kind.write(&mut tx, &mut writer).await?));
    }
    writer.finish(&counts)?;
    Ok(Contents { counts, left: Vec::new() })
}

/// Replaces all records of the kinds that are in the file. Readers see the state before meanwhile, and writers wait.
pub(crate) async fn restore(
    db: &Database,
    kinds: &[&'static dyn Kind],
    path: &Path,
) -> Result<Contents, BackupError> {
    // Once without the database: nobody shall wait for a file that turns out to be cut off.
    let mut reader = Reader::open(path, kinds)?;
    while let Some((kind, record)) = reader.next()? {
        kind.check(record).map_err(|expected| reader.wrong(expected))?;
    }
    let contents = reader.contents();
    let mut reader = Reader::open(path, kinds)?;
    let mut tx = db.begin(Purpose::Replace).await.map_err(doing("beginning a restore"))?;
    for kind in kinds {
        tx.lock_table(kind.name()).await.map_err(doing("locking the tables for a restore"))?;
    }
    for kind in reader.kinds().iter().rev() {
        kind.clear(&mut tx).await?;
    }
    let mut batch = Vec::with_capacity(BATCH);
    let mut current: Option<&'static dyn Kind> = None;
    while let Some((kind, record)) = reader.next()? {
        let other = current.filter(|current| current.name() != kind.name() || batch.len() == BATCH);
        if let Some(full) = other {
            full.add(&mut tx, std::mem::take(&mut batch)).await?;
        }
        current = Some(kind);
        batch.push(record);
    }
    if let Some(last) = current {
        last.add(&mut tx, batch).await?;
    }
    tx.commit().await.map_err(doing("completing a restore"))?;
    Ok(contents)
}
