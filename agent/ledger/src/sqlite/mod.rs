//! The embedded ledger: one SQLite file in WAL mode, one writer, a few readers.
//!
//! The writer syncs every transaction to the disk, so that a committed one survives a power cut. A lock on a sibling
//! file keeps a second process out for as long as this one lives.

mod backup;
mod conversation;
mod corrections;
mod counts;
mod decisions;
mod deploys;
mod files;
mod heartbeats;
mod hours;
mod incident_rows;
mod incidents;
mod inspect;
mod letters;
mod objectives;
mod outbox;
mod pauses;
mod probe_history;
mod progress;
mod reading;
mod salvage;
mod silences;
mod states;
mod tick;
mod writer;

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod injected_tests;
#[cfg(test)]
mod older_tests;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lookout_model::Timestamp;
use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, SqliteConnection, SqlitePool};

use self::files::Locks;
use self::tick::Unacknowledged;
use self::writer::Writer;
use super::chain::Chain;
use super::retention::Cutoffs;
use super::sibling::sibling;
use super::witness::Version;
use super::{Ledger, LedgerError, Tick};
#[cfg(test)]
use lookout_model::CountRow;
use lookout_model::word::Word;
use lookout_model::{IncidentRecord, StateRecord};

pub use backup::{
    BackupError, Faults, Recovered, Report, Restored, SloTotals, backup, recover, restore, verify,
};
pub(crate) use files::lock_name;
pub(crate) use inspect::is_damage;
pub use reading::LedgerFile;
pub(crate) use salvage::set_aside;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Time that a statement waits for another connection's lock.
const BUSY: Duration = Duration::from_secs(5);
/// Time that a caller waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(10);
/// Number of readers. Each is opened on demand and closed when idle, because it holds a thread and a page cache.
const READERS: u32 = 2;
const READER_IDLE: Duration = Duration::from_secs(60);

/// A ledger in an SQLite file.
#[derive(Debug)]
pub struct SqliteLedger {
    readers: SqlitePool,
    writer: Writer,
    /// Counts of a tick that failed and may be stored all the same.
    unacknowledged: tokio::sync::Mutex<Unacknowledged>,
    /// Transitions that cannot be read back; the log named them.
    unreadable: Mutex<BTreeSet<i64>>,
    locks: Mutex<Option<Locks>>,
}

impl SqliteLedger {
    /// Opens the ledger at `path`, and makes it when there is none.
    ///
    /// # Errors
    /// If the file is in use, damaged, of a newer version or cannot be opened. It is left as it is in all of these.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let locks = Locks::take(path)?;
        inspect::inspect(path).await?;
        let locks = locks.make(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY)
            .foreign_keys(true)
            .pragma("cache_size", "-1024")
            .disable_statement_logging();
        let writer = Writer::open(path, &options).await?;
        migrate(path, &writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(READER_IDLE)
            .connect_lazy_with(options.read_only(true));
        Ok(Self {
            readers,
            writer,
            unacknowledged: tokio::sync::Mutex::default(),
            unreadable: Mutex::default(),
            locks: Mutex::new(Some(locks)),
        })
    }

    /// Returns the id of this ledger and the number of its last tick.
    ///
    /// # Errors
    /// Fails when they cannot be read.
    pub(crate) async fn version(&self) -> Result<Version, LedgerError> {
        let read = sqlx::query_as("select identity.id, tick.number from identity, tick");
        let (ledger, tick) =
            read.fetch_one(&self.readers).await.map_err(query("reading the id of the ledger"))?;
        Ok(Version { ledger, tick })
    }

    /// Returns an incident.
    ///
    /// # Errors
    /// Fails when it cannot be read.
    pub(crate) async fn incident(&self, id: &str) -> Result<Option<IncidentRecord>, LedgerError> {
        incidents::by_id(&self.readers, id).await.map_err(query("reading an incident"))
    }

    /// Follows the hash chain of the decisions from its first link.
    ///
    /// # Errors
    /// Fails when the decisions cannot be read.
    pub async fn verify_chain(&self) -> Result<Chain, LedgerError> {
        decisions::verify(&self.readers).await.map_err(query("verifying the decisions"))
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn commit_tick(&self, tick: Tick<'_>) -> Result<(), LedgerError> {
        tick::store(self, tick, &[]).await
    }

    async fn states(&self) -> Result<Vec<StateRecord>, LedgerError> {
        states::read(&self.readers).await.map_err(query("reading the states of evaluators"))
    }

    async fn prune(&self, now: Timestamp) -> Result<(), LedgerError> {
        const DOING: &str = "forgetting rows past retention";
        let cutoffs = Cutoffs::at(now);
        let mut work = self.writer.begin(DOING).await?;
        let connection = &mut work.connection;
        counts::prune(connection, &cutoffs).await.map_err(query(DOING))?;
        incidents::prune(connection, cutoffs.incidents_before).await.map_err(query(DOING))?;
        corrections::prune(connection, cutoffs.incidents_before).await.map_err(query(DOING))?;
        silences::prune(connection, cutoffs.incidents_before).await.map_err(query(DOING))?;
        decisions::prune(connection, cutoffs.decisions_before).await.map_err(query(DOING))?;
        deploys::prune(connection, cutoffs.decisions_before).await.map_err(query(DOING))?;
        pauses::remove_before(connection, now - pauses::RETENTION).await.map_err(query(DOING))?;
        probe_history::prune(connection, &cutoffs).await.map_err(query(DOING))?;
        work.commit().await
    }

    async fn close(&self) {
        // readers first: only a connection that may write moves the WAL into the file when it closes
        self.readers.close().await;
        self.writer.checkpoint().await;
        self.writer.close().await;
        drop(self.locks.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Brings the tables up to date. A ledger of an older lookout is copied first: the older one cannot read it afterwards.
async fn migrate(path: &Path, writer: &Writer) -> Result<(), LedgerError> {
    const DOING: &str = "preparing the tables";
    let mut work = writer.connection(DOING).await?;
    let made: bool =
        sqlx::query_scalar("select exists (select 1 from sqlite_master where name = '_sqlx_migrations')")
            .fetch_one(&mut work.connection)
            .await
            .map_err(query(DOING))?;
    if made {
        let found: i64 = sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations")
            .fetch_one(&mut work.connection)
            .await
            .map_err(query(DOING))?;
        if found > 0 && MIGRATIONS.iter().any(|migration| migration.version > found) {
            keep_copy(path, found, &mut work.connection).await;
        }
    }
    MIGRATIONS
        .run_direct(None, &mut work.connection, false)
        .await
        .map_err(|error| refused_migration(path, error))?;
    work.release();
    Ok(())
}

/// Copies a ledger before its tables change. Without room for a copy it is migrated all the same: each step is one
/// transaction, and without a ledger nothing is observed.
async fn keep_copy(path: &Path, version: i64, connection: &mut SqliteConnection) {
    let copy = sibling(path, &format!(".schema-{version}"));
    if copy.exists() {
        return;
    }
    let name = copy.display().to_string();
    match sqlx::query("vacuum into $1").bind(&name).execute(connection).await {
        Ok(_) => {
            tracing::info!(copy = name, "the ledger of an older lookout was copied before it is migrated")
        }
        Err(error) => tracing::warn!(%error, copy = name, "the ledger is migrated without a copy"),
    }
}

fn refused_migration(path: &Path, error: MigrateError) -> LedgerError {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) | MigrateError::Dirty(_) => {
            LedgerError::Corrupt { path: path.display().to_string(), what: error.to_string() }
        }
        other => opening(path)(other.into()),
    }
}

fn opening(path: &Path) -> impl Fn(sqlx::Error) -> LedgerError {
    let path = path.display().to_string();
    move |source| LedgerError::Open { path: path.clone(), source }
}

fn query(doing: &'static str) -> impl Fn(sqlx::Error) -> LedgerError {
    move |source| LedgerError::Query { doing, source }
}

fn json<T: Serialize>(doing: &'static str, value: &T) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(|source| LedgerError::Decode { doing, source })
}

/// Reads a value from its word in a column. An unknown word is an error, never a guess.
fn word<T: Word>(doing: &'static str, text: &str) -> Result<T, LedgerError> {
    T::from_word(text).ok_or_else(|| LedgerError::Decode {
        doing,
        source: serde_json::Error::custom(format!("{text:?} is not {}", T::KIND)),
    })
}

fn decode<T: DeserializeOwned>(doing: &'static str, text: &str) -> Result<T, LedgerError> {
    serde_json::from_str(text).map_err(|source| LedgerError::Decode { doing, source })
}
