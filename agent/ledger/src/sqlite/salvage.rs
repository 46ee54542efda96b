//! Recovery of a running ledger whose file is deleted, replaced or damaged.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::backup::{BackupError, put_aside};
use super::{SqliteLedger, query, tick};
#[cfg(test)]
use crate::Ledger as _;
use crate::sibling::sibling;
use crate::working::Entry;
use crate::{LedgerError, Loss, Tick};
use lookout_model::Timestamp;

impl SqliteLedger {
    /// Stores a tick together with the state of deliveries.
    pub(crate) async fn store(&self, tick: Tick<'_>, deliveries: &[Entry]) -> Result<(), LedgerError> {
        tick::store(self, tick, deliveries).await
    }

    /// Stores the state of deliveries.
    pub(crate) async fn store_deliveries(&self, deliveries: &[Entry]) -> Result<(), LedgerError> {
        const DOING: &str = "storing the progress of deliveries";
        let mut work = self.writer.begin(DOING).await?;
        for delivery in deliveries {
            super::progress::write(&mut work.connection, delivery).await.map_err(query(DOING))?;
        }
        work.commit().await
    }

    /// Looks for damage with a connection of its own.
    ///
    /// # Errors
    /// Fails when the file is damaged, is not the one that was opened, or cannot be read.
    pub(crate) async fn check_file(&self) -> Result<(), LedgerError> {
        self.writer.files().check()?;
        super::inspect::check_pages(self.writer.files().path()).await
    }

    /// Saves the data that the open connections still see although a file name is gone. Returns whether all of it is
    /// saved.
    pub(crate) async fn salvage(&self, loss: Loss) -> bool {
        let path = self.writer.files().path();
        match loss {
            Loss::Deleted => self.copy_to(path).await,
            Loss::Replaced => {
                // the other file is intact, and nothing of it may be mixed with this ledger
                self.copy_to(&sibling(path, ".before-it-was-replaced")).await;
                self.writer.files().remove_own_log();
                false
            }
            Loss::Log => {
                self.writer.checkpoint().await;
                super::inspect::check_pages(path).await.is_ok()
            }
            Loss::Truncated | Loss::Unread | Loss::Older => false,
        }
    }

    /// Copies a database that has lost its name, and exists until it is closed, to a free name.
    async fn copy_to(&self, path: &Path) -> bool {
        let Ok(mut work) = self.writer.connection("saving a ledger that lost its name").await else {
            return false;
        };
        let saved = sibling(path, ".saved");
        let _left_by_a_crash = std::fs::remove_file(&saved);
        let name = saved.display().to_string();
        let copied = sqlx::query("vacuum into $1").bind(&name).execute(&mut work.connection).await;
        // SQLite would use the old log as part of the copy
        self.writer.files().remove_own_log();
        let named = copied.is_ok() && std::fs::hard_link(&saved, path).is_ok();
        let _not_needed_any_more = std::fs::remove_file(&saved);
        named
    }

    /// Closes every connection without touching a file that belongs to another ledger by now.
    pub(crate) async fn close_connections(&self) {
        self.readers.close().await;
        self.writer.close().await;
        drop(self.locks.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

#[cfg(test)]
impl SqliteLedger {
    /// Moves the write-ahead log into the file, so that damage to the file is damage to the ledger.
    pub(crate) async fn checkpoint_for_test(&self) {
        self.writer.checkpoint().await;
        self.commit(&[], &[]).await.unwrap();
    }

    /// Makes each step of a write fail with a probability, or heals the disk.
    pub(crate) fn inject_faults_for_test(&self, faults: Option<(u64, f64)>) {
        self.writer.injected.set(faults);
    }

    /// Returns the faults that a test injects.
    pub(crate) fn injected_for_test(&self) -> &super::injected_tests::Injected {
        &self.writer.injected
    }

    /// Takes all connections that read, as reads do whose disk does not answer.
    pub(crate) async fn take_readers_for_test(&self) -> Vec<sqlx::pool::PoolConnection<sqlx::Sqlite>> {
        let mut taken = Vec::new();
        for _ in 0..super::READERS {
            taken.push(self.readers.acquire().await.unwrap());
        }
        taken
    }

    /// Makes every write fail, or succeed again.
    pub(crate) async fn refuse_writes_for_test(&self, refuse: bool) {
        self.writer.limit_pages(refuse).await;
    }
}

/// Renames a damaged ledger and its sibling files. Nothing in it is changed.
pub(crate) fn set_aside(ledger: &Path, now: Timestamp) -> Result<Option<PathBuf>, BackupError> {
    let aside = put_aside(ledger, "damaged", now)?;
    if aside.is_some() {
        match std::fs::remove_file(ledger) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(BackupError::File { doing: "setting aside", path: ledger.to_owned(), source });
            }
            _ => {}
        }
    }
    Ok(aside)
}
