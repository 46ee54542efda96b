//! Replacement of the ledger by a backup.
//!
//! The last step is a rename. Before it the ledger is the old one, after it the new one. The old one is not deleted;
//! it gets another name beside it, together with its files.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use lookout_model::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::super::BUSY;
use super::super::files::Locks;
use super::{BackupError, Partial, Report, copy, examine, failed, named, sync_folder, verify, with_suffix};
use crate::{LedgerError, witness};

/// Names that are tried for the ledger that is replaced.
const NAMES: u32 = 100;

/// Result of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The contents of the ledger now.
    pub report: Report,
    /// The path of the ledger that was replaced, if there was one.
    pub kept: Option<PathBuf>,
}

/// Treatment of a backup that can be read and contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    /// Leave the ledger as it is.
    Refuse,
    /// Take it: there is no better one.
    Accept,
}

/// Replaces the ledger with a backup. No agent may run on it. The old file is kept under another name.
///
/// # Errors
/// Fails when the backup is not whole, an agent holds the ledger, or a file cannot be used. The ledger is unchanged
/// then.
pub async fn restore(
    from: &Path,
    ledger: &Path,
    faults: Faults,
    now: Timestamp,
) -> Result<Restored, BackupError> {
    let ledger = std::path::absolute(ledger).map_err(failed("finding", ledger))?;
    refuse_itself(from, &ledger)?;
    let wanted = verify(from).await?;
    if faults == Faults::Refuse && !wanted.faults.is_empty() {
        return Err(BackupError::Faulty { path: from.to_owned(), faults: wanted.faults });
    }
    let owner = owner(&ledger)?;
    // held until the end: an agent that starts meanwhile reports that its ledger is in use
    let _locks = Locks::take(&ledger).map_err(|error| match error {
        LedgerError::InUse { .. } => BackupError::InUse { path: ledger.clone() },
        LedgerError::Open { source: sqlx::Error::Io(source), .. } => failed("locking", &ledger)(source),
        other => BackupError::Damaged { path: ledger.clone(), faults: vec![other.to_string()] },
    })?;
    give(&with_suffix(&ledger, ".lock"), &owner)?;

    let partial = Partial::create(&ledger, "restoring")?;
    copy(from, &partial.0).await?;
    let report = examine::examine(&partial.0, examine::Depth::Full).await;
    let report = report.map_err(|error| named(error, from))?;
    let alike = Report { bytes: report.bytes, sealed: false, ..wanted };
    if report != alike {
        let fault = "it was changed while it was read".to_owned();
        return Err(BackupError::Damaged { path: from.to_owned(), faults: vec![fault] });
    }
    give(&partial.0, &owner)?;
    merge_wal(&ledger).await?;
    // nothing is awaited from here on, so that a cancellation comes before or after
    let kept = put_aside(&ledger, "replaced", now)?;
    std::fs::rename(&partial.0, &ledger).map_err(failed("putting the backup in the place of", &ledger))?;
    sync_folder(&ledger);
    witness::accept_next(&ledger);
    Ok(Restored { report, kept })
}

fn refuse_itself(from: &Path, ledger: &Path) -> Result<(), BackupError> {
    let there = std::fs::metadata(from).map_err(failed("opening", from))?;
    let same =
        std::fs::metadata(ledger).is_ok_and(|here| (here.dev(), here.ino()) == (there.dev(), there.ino()));
    if same { Err(BackupError::SameFile { path: ledger.to_owned() }) } else { Ok(()) }
}

/// Returns the owner of the ledger, or of its folder when there is none: root may restore for an agent that is not
/// root.
fn owner(ledger: &Path) -> Result<Metadata, BackupError> {
    match std::fs::metadata(ledger) {
        Ok(about) => Ok(about),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = ledger.parent().unwrap_or(Path::new("/"));
            std::fs::metadata(folder).map_err(failed("looking at the folder", folder))
        }
        Err(error) => Err(failed("looking at", ledger)(error)),
    }
}

fn give(path: &Path, owner: &Metadata) -> Result<(), BackupError> {
    let about = std::fs::metadata(path).map_err(failed("looking at", path))?;
    if (about.uid(), about.gid()) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    match chown(path, Some(owner.uid()), Some(owner.gid())) {
        // the group does not decide whether the owner can open it
        Err(_) if about.uid() == owner.uid() => Ok(()),
        done => done.map_err(failed("giving its owner (restore as the user the agent runs as)", path)),
    }
}

/// Writes the WAL that the last agent left into the ledger, so that one file holds everything. A damaged ledger is put
/// aside with its WAL: SQLite deletes a WAL that it cannot read.
async fn merge_wal(ledger: &Path) -> Result<(), BackupError> {
    let options = SqliteConnectOptions::new().filename(ledger).busy_timeout(BUSY).disable_statement_logging();
    if !std::fs::metadata(with_suffix(ledger, "-wal")).is_ok_and(|wal| wal.len() > 0) {
        return Ok(());
    }
    if examine::examine(ledger, examine::Depth::Startup).await.is_err() {
        return Ok(());
    }
    let Ok(mut connection) = options.connect().await else { return Ok(()) };
    let folded: sqlx::Result<(i64, i64, i64)> =
        sqlx::query_as("pragma wal_checkpoint(truncate)").fetch_one(&mut connection).await;
    drop(connection.close().await);
    match folded {
        Ok((busy, ..)) if busy != 0 => Err(BackupError::Read { path: ledger.to_owned() }),
        _ => Ok(()),
    }
}

/// Renames the old ledger, and removes the files beside it that SQLite would take for part of the new one.
pub(in crate::sqlite) fn put_aside(
    ledger: &Path,
    why: &str,
    now: Timestamp,
) -> Result<Option<PathBuf>, BackupError> {
    let Some(aside) = free_name(ledger, why, now)? else { return Ok(None) };
    match std::fs::hard_link(ledger, &aside) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // a file system without links; a copy, so that there is a ledger at every moment
        Err(_) => copy_aside(ledger, &aside).map_err(failed("putting aside", ledger))?,
    }
    for suffix in ["-wal", "-journal"] {
        let part = with_suffix(ledger, suffix);
        match std::fs::rename(&part, with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed("putting aside", &part)(error));
            }
            _ => {}
        }
    }
    // an index of the WAL: SQLite creates it again
    let _mostly_not_there = std::fs::remove_file(with_suffix(ledger, "-shm"));
    sync_folder(ledger);
    Ok(Some(aside))
}

fn copy_aside(ledger: &Path, aside: &Path) -> std::io::Result<()> {
    let copied = std::fs::copy(ledger, aside).and_then(|_| std::fs::File::open(aside)?.sync_all());
    if copied.is_err() {
        let _half_a_copy = std::fs::remove_file(aside);
    }
    copied
}

/// Returns a name for the old ledger, when there is anything of it.
fn free_name(ledger: &Path, why: &str, now: Timestamp) -> Result<Option<PathBuf>, BackupError> {
    let there = |path: &Path| std::fs::symlink_metadata(path).is_ok();
    let parts = ["", "-wal", "-journal"];
    if !parts.iter().any(|part| there(&with_suffix(ledger, part))) {
        return Ok(None);
    }
    let stamp = jiff::Timestamp::try_from(now).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ");
    for n in 1..=NAMES {
        let more = if n == 1 { String::new() } else { format!("-{n}") };
        let name = with_suffix(ledger, &format!(".{why}-{stamp}{more}"));
        if !parts.iter().any(|part| there(&with_suffix(&name, part))) {
            return Ok(Some(name));
        }
    }
    Err(BackupError::Exists { path: with_suffix(ledger, &format!(".{why}-{stamp}")) })
}
