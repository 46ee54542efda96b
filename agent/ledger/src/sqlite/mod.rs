//! The embedded ledger: one SQLite file in WAL mode, one writer, a few readers.
//!
//! The writer syncs every transaction to the disk: what was committed survives a power cut. A lock on a sibling file
//! keeps a second process out, for as long as this one lives and not a moment longer.

mod backup;
mod corrections;
mod counts;
mod decisions;
mod deploys;
mod hours;
mod incidents;
mod inspect;
mod objectives;
mod outbox;
mod reading;

#[cfg(test)]
mod fault;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlitePool};

use super::chain::Chain;
use super::retention::Cutoffs;
use super::{Ledger, LedgerError, StoredCounts};
use lookout_model::word::Word;
use lookout_model::{
    CorrectionRecord, CountRow, DecisionRecord, Delivery, DeliveryResult, DeployRecord, IncidentRecord,
    ObjectiveRecord, Revocation, TransitionRecord,
};

pub use backup::{BackupError, Faults, Report, Restored, SloTotals, backup, restore, verify};
pub use reading::LedgerFile;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a statement waits for another connection's lock.
const BUSY: Duration = Duration::from_secs(5);
/// How long a caller waits for the writer.
const ACQUIRE: Duration = Duration::from_secs(10);
/// Readers are opened when they are needed and go when they are not: each holds a thread and a page cache.
const READERS: u32 = 2;
const READER_IDLE: Duration = Duration::from_secs(60);

/// A ledger in an SQLite file.
#[derive(Debug)]
pub struct SqliteLedger {
    readers: SqlitePool,
    writer: SqlitePool,
    /// Transitions that cannot be read back and were told of in the log.
    unreadable: Mutex<BTreeSet<i64>>,
    /// Held open: the lock goes with it, also when the process is killed.
    lock: Mutex<Option<File>>,
}

impl SqliteLedger {
    /// Opens the ledger at `path`, and makes it when there is none.
    ///
    /// # Errors
    /// When the file is in use, damaged, of a newer version or cannot be opened. In all of these it is left as it is.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let lock = lock(path)?;
        inspect::inspect(path).await?;
        create(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY)
            .foreign_keys(true)
            .pragma("cache_size", "-1024")
            .disable_statement_logging();
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(
                options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full),
            )
            .await
            .map_err(opening(path))?;
        if let Err(error) = MIGRATIONS.run(&writer).await {
            writer.close().await;
            return Err(refused_migration(path, error));
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(READER_IDLE)
            .connect_lazy_with(options.read_only(true));
        Ok(Self { readers, writer, unreadable: Mutex::default(), lock: Mutex::new(Some(lock)) })
    }

    /// Follows the hash chain of the decisions from its first link.
    ///
    /// # Errors
    /// When the decisions cannot be read.
    pub async fn verify_chain(&self) -> Result<Chain, LedgerError> {
        decisions::verify(&self.readers).await.map_err(query("verifying the decisions"))
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn commit(&self, counts: &[CountRow], transitions: &[TransitionRecord]) -> Result<(), LedgerError> {
        let mut work = self.writer.begin().await.map_err(query("beginning to store a tick"))?;
        counts::add(&mut work, counts).await.map_err(query("storing counts"))?;
        for transition in transitions {
            incidents::record(&mut work, transition).await?;
        }
        work.commit().await.map_err(query("storing a tick"))
    }

    async fn counts(&self, slo_id: &str, since_ms: i64) -> Result<StoredCounts, LedgerError> {
        counts::read(&self.readers, slo_id, since_ms).await.map_err(query("reading counts"))
    }

    async fn open_incidents(&self) -> Result<Vec<IncidentRecord>, LedgerError> {
        incidents::open(&self.readers).await.map_err(query("reading open incidents"))
    }

    async fn incidents(&self, limit: u32) -> Result<Vec<IncidentRecord>, LedgerError> {
        incidents::newest(&self.readers, limit).await.map_err(query("reading incidents"))
    }

    async fn latest_transitions(&self, since_ms: i64) -> Result<Vec<TransitionRecord>, LedgerError> {
        incidents::latest_transitions(&self.readers, since_ms, &self.unreadable).await
    }

    async fn due_deliveries(
        &self,
        destination: &str,
        now_ms: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError> {
        outbox::due(&self.readers, &self.writer, destination, now_ms, limit).await
    }

    async fn waiting(&self, destination: &str) -> Result<(Option<i64>, u64), LedgerError> {
        outbox::waiting(&self.readers, destination).await.map_err(query("counting what waits"))
    }

    async fn begin_attempt(&self, delivery: i64, _now_ms: i64) -> Result<(), LedgerError> {
        outbox::begin(&self.writer, delivery).await.map_err(query("noting that an attempt begins"))
    }

    async fn end_attempt(
        &self,
        delivery: i64,
        now_ms: i64,
        result: &DeliveryResult,
    ) -> Result<(), LedgerError> {
        outbox::end(&self.writer, delivery, now_ms, result)
            .await
            .map_err(query("noting what became of an attempt"))
    }

    async fn record_deploy(&self, deploy: &DeployRecord) -> Result<DeployRecord, LedgerError> {
        deploys::record(&self.writer, deploy).await.map_err(query("storing a deploy"))
    }

    async fn deploys(&self, service: Option<&str>, limit: u32) -> Result<Vec<DeployRecord>, LedgerError> {
        deploys::newest(&self.readers, service, limit).await.map_err(query("reading deploys"))
    }

    async fn record_decision(&self, decision: DecisionRecord) -> Result<DecisionRecord, LedgerError> {
        decisions::append(&self.writer, decision).await.map_err(query("storing a decision"))
    }

    async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, LedgerError> {
        decisions::by_id(&self.readers, id).await.map_err(query("reading a decision"))
    }

    async fn record_correction(&self, correction: &CorrectionRecord) -> Result<bool, LedgerError> {
        corrections::record(&self.writer, correction).await.map_err(query("storing a correction"))
    }

    async fn revoke_correction(
        &self,
        id: &str,
        revocation: &Revocation,
    ) -> Result<Option<CorrectionRecord>, LedgerError> {
        corrections::revoke(&self.writer, id, revocation).await.map_err(query("revoking a correction"))
    }

    async fn corrections(
        &self,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<CorrectionRecord>, LedgerError> {
        corrections::newest(&self.readers, before, limit).await.map_err(query("reading corrections"))
    }

    async fn corrections_in_force(&self, since_ms: i64) -> Result<Vec<CorrectionRecord>, LedgerError> {
        corrections::in_force(&self.readers, since_ms).await.map_err(query("reading corrections"))
    }

    async fn corrections_version(&self) -> Result<i64, LedgerError> {
        corrections::version(&self.writer).await.map_err(query("looking for new corrections"))
    }

    async fn record_objective(&self, slo_id: &str, objective: ObjectiveRecord) -> Result<(), LedgerError> {
        objectives::record(&self.writer, slo_id, objective).await.map_err(query("storing an objective"))
    }

    async fn objectives(&self, slo_id: &str) -> Result<Vec<ObjectiveRecord>, LedgerError> {
        objectives::read(&self.readers, slo_id).await.map_err(query("reading objectives"))
    }

    async fn prune(&self, now_ms: i64) -> Result<(), LedgerError> {
        let doing = query("forgetting what is past retention");
        let cutoffs = Cutoffs::at(now_ms);
        let pruned: sqlx::Result<()> = async {
            let mut work = self.writer.begin().await?;
            counts::prune(&mut work, &cutoffs).await?;
            incidents::prune(&mut work, cutoffs.incidents_before_ms).await?;
            corrections::prune(&mut work, cutoffs.incidents_before_ms).await?;
            work.commit().await
        }
        .await;
        pruned.map_err(doing)
    }

    async fn close(&self) {
        // readers first: only a connection that may write folds the WAL into the file as it goes
        self.readers.close().await;
        if let Err(error) = sqlx::query("pragma wal_checkpoint(truncate)").execute(&self.writer).await {
            tracing::debug!(error = %error, "the WAL is folded into the ledger at the next start");
        }
        self.writer.close().await;
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Takes the lock beside the file.
fn lock(path: &Path) -> Result<File, LedgerError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&name)
        .map_err(|source| opening(path)(source.into()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::InUse { path: path.display().to_string() }),
        Err(TryLockError::Error(source)) => Err(opening(path)(source.into())),
    }
}

/// Makes the file for its owner alone; SQLite gives the files beside it the same mode.
fn create(path: &Path) -> Result<(), LedgerError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| opening(path)(source.into()))
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

/// Reads a value from its word in a column; a word that names none is an error, never a guess.
fn word<T: Word>(doing: &'static str, text: &str) -> Result<T, LedgerError> {
    T::from_word(text).ok_or_else(|| LedgerError::Decode {
        doing,
        source: serde_json::Error::custom(format!("{text:?} is not {}", T::KIND)),
    })
}

fn decode<T: DeserializeOwned>(doing: &'static str, text: &str) -> Result<T, LedgerError> {
    serde_json::from_str(text).map_err(|source| LedgerError::Decode { doing, source })
}
