//! The one connection that writes.
//!
//! SQLite ends a transaction by itself when the disk is full or fails, and a driver that counts transactions then
//! counts wrong for ever. So no transaction outlives a failure. A connection is reused only after a successful commit;
//! in every other case, a cancelled caller included, it is closed.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use super::files::WatchedFiles;
use super::{ACQUIRE, opening, query};
use crate::LedgerError;

/// Time that a write waits for another program's lock: two tries fit into the time limit of a tick, and its error names the
/// lock.
const BUSY: Duration = Duration::from_secs(2);

/// Holder of the connection that writes; empty until one is needed.
#[derive(Debug)]
pub(super) struct Writer {
    files: WatchedFiles,
    idle: Mutex<Idle>,
    #[cfg(test)]
    pub(super) injected: super::injected_tests::Injected,
}

#[derive(Debug)]
struct Idle {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    closed: bool,
}

impl Writer {
    /// Opens the connection.
    ///
    /// # Errors
    /// Fails when the database cannot be opened.
    pub(super) async fn open(path: &Path, options: &SqliteConnectOptions) -> Result<Self, LedgerError> {
        let options = options
            .clone()
            .busy_timeout(BUSY)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let connection = options.connect().await.map_err(opening(path))?;
        let files = WatchedFiles::of(path)?;
        let idle = Mutex::new(Idle { options, connection: Some(connection), closed: false });
        Ok(Self {
            files,
            idle,
            #[cfg(test)]
            injected: super::injected_tests::Injected::default(),
        })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// Fails when the file is not the one that was opened, cannot be opened, or is locked for too long.
    pub(super) async fn begin(&self, doing: &'static str) -> Result<WriteConnection<'_>, LedgerError> {
        self.files.check()?;
        let mut work = self.connection(doing).await?;
        // fails unless the connection is in autocommit: a transaction that was left open is found here
        if let Err(error) = work.connection.execute("begin immediate").await {
            return Err(query(doing)(error));
        }
        #[cfg(test)]
        self.injected.step(doing)?;
        Ok(work)
    }

    /// Takes the connection without a transaction.
    ///
    /// # Errors
    /// As [`Writer::begin`].
    pub(super) async fn connection(&self, doing: &'static str) -> Result<WriteConnection<'_>, LedgerError> {
        let idle = tokio::time::timeout(ACQUIRE, self.idle.lock()).await;
        let mut idle = idle.map_err(|_| query(doing)(sqlx::Error::PoolTimedOut))?;
        if idle.closed {
            return Err(query(doing)(sqlx::Error::PoolClosed));
        }
        let connection = match idle.connection.take() {
            Some(connection) => connection,
            None => {
                self.files.forget_wal();
                idle.options.connect().await.map_err(opening(self.files.path()))?
            }
        };
        Ok(WriteConnection {
            idle,
            connection,
            doing,
            #[cfg(test)]
            injected: &self.injected,
        })
    }

    /// Returns the files of the database.
    pub(super) const fn files(&self) -> &WatchedFiles {
        &self.files
    }

    /// Limits the database to its present pages, or removes the limit.
    #[cfg(test)]
    pub(super) async fn limit_pages(&self, full: bool) {
        let mut idle = self.idle.lock().await;
        let options = idle.options.clone();
        let mut connection = options.clone().connect().await.unwrap();
        let pages: i64 = sqlx::query_scalar("pragma page_count").fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let pages = if full { pages } else { 1_000_000 };
        idle.options = options.pragma("max_page_count", pages.to_string());
        idle.connection = None;
    }

    /// Moves the write-ahead log into the database when no reader prevents it.
    pub(super) async fn checkpoint(&self) {
        const DOING: &str = "folding the write-ahead log into the ledger";
        let Ok(mut work) = self.connection(DOING).await else { return };
        match work.connection.execute("pragma wal_checkpoint(truncate)").await {
            Ok(_) => work.release(),
            Err(error) => tracing::debug!(%error, "the next start folds the write-ahead log into the ledger"),
        }
    }

    /// Closes the connection for good.
    pub(super) async fn close(&self) {
        let mut idle = self.idle.lock().await;
        idle.closed = true;
        if let Some(connection) = idle.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "the connection that writes was not closed in order");
        }
    }
}

/// A transaction. Dropped without [`WriteConnection::commit`], it closes its connection, which rolls everything back.
#[derive(Debug)]
pub(super) struct WriteConnection<'a> {
    idle: MutexGuard<'a, Idle>,
    /// The connection, inside a transaction unless [`Writer::connection`] made this.
    pub(super) connection: SqliteConnection,
    doing: &'static str,
    #[cfg(test)]
    injected: &'a super::injected_tests::Injected,
}

impl WriteConnection<'_> {
    /// Commits and returns the connection.
    ///
    /// # Errors
    /// Fails when the commit fails. The transaction may be stored all the same.
    pub(super) async fn commit(mut self) -> Result<(), LedgerError> {
        #[cfg(test)]
        self.injected.step(self.doing)?;
        self.connection.execute("commit").await.map_err(query(self.doing))?;
        // a disk may fail after it has stored everything
        #[cfg(test)]
        self.injected.step(self.doing)?;
        self.release();
        Ok(())
    }

    /// Returns a connection on which no transaction was begun.
    pub(super) fn release(mut self) {
        self.idle.connection = Some(self.connection);
    }
}
