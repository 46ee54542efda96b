//! Check that the file of a ledger is still the one that was opened.
//!
//! A database that was deleted, replaced or truncated under a running process accepts writes without an error, and
//! they are lost with the process. The check compares names and metadata and opens no file: closing one would drop
//! SQLite's locks.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::opening;
use crate::sibling::sibling;
use crate::{LedgerError, Loss};

/// The files of a ledger as they were seen last.
#[derive(Debug)]
pub(super) struct WatchedFiles {
    path: PathBuf,
    seen: Mutex<FileState>,
}

#[derive(Debug, Clone, Copy)]
struct FileState {
    file: Identity,
    bytes: u64,
    wal: Option<Identity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(about: &Metadata) -> Self {
        Self { device: about.dev(), inode: about.ino() }
    }
}

impl WatchedFiles {
    /// Creates the files as they are now.
    pub(super) fn of(path: &Path) -> Result<Self, LedgerError> {
        let about = std::fs::metadata(path).map_err(|source| opening(path)(source.into()))?;
        let seen = FileState { file: Identity::of(&about), bytes: about.len(), wal: None };
        Ok(Self { path: path.to_owned(), seen: Mutex::new(seen) })
    }

    /// Returns the name of the database.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Compares the files with their state at the last check.
    ///
    /// # Errors
    /// Fails when a file is missing, is another one or lost bytes.
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        let lost = |what| LedgerError::Lost { path: self.path.display().to_string(), what };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let about = match std::fs::metadata(&self.path) {
            Ok(about) => about,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(lost(Loss::Deleted)),
            Err(source) => return Err(opening(&self.path)(source.into())),
        };
        if Identity::of(&about) != seen.file {
            return Err(lost(Loss::Replaced));
        }
        if about.len() < seen.bytes {
            return Err(lost(Loss::Truncated));
        }
        seen.bytes = about.len();
        let wal = std::fs::metadata(sibling(&self.path, "-wal")).ok().map(|about| Identity::of(&about));
        if seen.wal.is_some() && wal != seen.wal {
            return Err(lost(Loss::Log));
        }
        seen.wal = wal;
        Ok(())
    }

    /// Removes the write-ahead log of a database that has lost its name, unless another database owns that log by now.
    pub(super) fn remove_own_log(&self) {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let log = sibling(&self.path, "-wal");
        let own = std::fs::metadata(&log).is_ok_and(|about| Some(Identity::of(&about)) == seen.wal);
        if own {
            let _best_effort = std::fs::remove_file(log);
            let _best_effort = std::fs::remove_file(sibling(&self.path, "-shm"));
        }
    }

    /// Drops the state of the write-ahead log: SQLite creates another one with the next connection.
    pub(super) fn forget_wal(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).wal = None;
    }
}

/// The locks that keep a second process out. The operating system releases them when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Locks {
    _beside: File,
    /// A lock on the database itself, which holds when somebody removes the file of the other lock.
    itself: Option<File>,
}

impl Locks {
    /// Locks the ledger at `path`, which need not exist yet.
    ///
    /// # Errors
    /// Fails when another process holds a lock, or a file cannot be opened.
    pub(in crate::sqlite) fn take(path: &Path) -> Result<Self, LedgerError> {
        let beside = lock(path, &lock_name(path), true)?;
        let itself = std::fs::metadata(path).is_ok().then(|| lock(path, path, false)).transpose()?;
        Ok(Self { _beside: beside, itself })
    }

    /// Makes the database for its owner alone, unless it is there, and locks it.
    ///
    /// # Errors
    /// As [`Locks::take`].
    pub(super) fn make(self, path: &Path) -> Result<Self, LedgerError> {
        let itself = match self.itself {
            Some(itself) => itself,
            None => lock(path, path, true)?,
        };
        Ok(Self { itself: Some(itself), ..self })
    }
}

fn lock(ledger: &Path, name: &Path, make: bool) -> Result<File, LedgerError> {
    let file = OpenOptions::new()
        .create(make)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(name)
        .map_err(|source| opening(ledger)(source.into()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::InUse { path: ledger.display().to_string() }),
        Err(TryLockError::Error(source)) => Err(opening(ledger)(source.into())),
    }
}

/// Returns the name of the file that is locked by whoever uses the ledger; it stays behind.
pub(crate) fn lock_name(ledger: &Path) -> PathBuf {
    sibling(ledger, ".lock")
}
