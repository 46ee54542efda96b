//! Where passengers are kept: SQLite or PostgreSQL.
//!
//! - `db` runs statements on either, on connections that `lease` keeps; `columns` is what each keeps in its own way; `schema` brings the tables up to date.
//! - `list` finds, `batcher` fetches together who is asked for at the same time, `change` changes, `once` does so once for a request that comes again; `meter` measures; `error` says
//!   what went wrong and whether it may pass; `plan` how a database goes about a page.

mod batcher;
mod change;
mod columns;
mod db;
mod error;
mod idempotency;
mod lease;
mod list;
mod meter;
mod plan;
mod schema;

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, PgPool, SqlitePool};

use self::batcher::Batcher;
use self::db::{Db, Pool, Statement};
use self::error::doing;
use self::lease::{Leases, Peer};
use self::meter::Pass;
use self::schema::Standing;
use crate::config::DatabaseUrl;
use crate::telemetry::exposition::Exposition;

pub use self::error::StoreError;
pub use self::idempotency::{Claim, Repeatable};

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a health check waits for its answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a sign of life may take. One that was left in the middle of a statement gives none before that has ended.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// What each connection to SQLite may hold of the file, in KiB after a minus sign. The system holds all of it once; ten times
/// SQLite's own choice of 2 MiB would be more than the rest of the service needs.
const CACHE: &str = "-512";
/// After this much idleness a connection is asked for a sign of life before it is used. Asking each time would cost every
/// request a round trip; never asking would hand out connections that a restart of the database has cut.
const TRUSTED: Duration = Duration::from_secs(1);

/// What the database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// To serve: it is made, brought up to date and loaded with the list, where that is still to be done.
    Serve,
    /// To be filled with something else: made and brought up to date, but not loaded. Tables of a newer version are
    /// refused: what it added would be lost.
    Fill,
    /// To be read as a whole: it must be there with exactly our tables, and nothing is changed.
    Read,
}

/// Connections of the pool by what they are doing.
#[derive(Debug, Clone, Copy)]
pub struct PoolUse {
    /// Waiting for work.
    pub idle: u32,
    /// At work.
    pub used: u32,
}

/// The passengers, kept.
#[derive(Debug, Clone)]
pub struct Store {
    db: Db,
    batcher: Arc<Batcher>,
}

impl Store {
    /// Opens the database to serve: makes it if it is not there, brings its tables up to date and loads the list if it is
    /// empty.
    pub async fn open(url: &DatabaseUrl, max_connections: u32) -> Result<Self, StoreError> {
        Self::open_for(Opening::Serve, url, max_connections).await
    }

    /// Opens the database for a purpose.
    pub async fn open_for(opening: Opening, url: &DatabaseUrl, most: u32) -> Result<Self, StoreError> {
        let pool = if url.is_postgres() {
            Pool::Postgres(Leases::new(postgres(url, most).await?, Peer::Server(SIGN_OF_LIFE)))
        } else {
            Pool::Sqlite(Leases::new(sqlite(url, most, opening != Opening::Read).await?, Peer::File))
        };
        let store = Self { db: Db::new(pool, most), batcher: Arc::default() };
        let url = url.to_string();
        let standing = if opening == Opening::Read {
            schema::standing(&store.db).await.map_err(doing("reading which migrations were applied"))?
        } else {
            schema::migrate(&store.db, &url).await?
        };
        match (standing, opening) {
            (Standing::Unfit(unfit), _) => return Err(StoreError::Unfit { url, unfit }),
            (Standing::Behind, _) => return Err(StoreError::Behind { url }),
            (Standing::Newer(unknown), Opening::Serve) => tracing::warn!(
                migrations.unknown = %unknown,
                "the tables are of a newer version; what it added is left alone"
            ),
            (Standing::Newer(unknown), _) => return Err(StoreError::Newer { url, unknown }),
            (Standing::Ours, _) => {}
        }
        if opening == Opening::Read {
            return Ok(store);
        }
        store.find_words().await?;
        if opening == Opening::Serve {
            store.seed_if_empty().await?;
        }
        Ok(store)
    }

    /// Whether the tables can be worked with: every migration we know was applied as we know it. A newer version may have
    /// applied more.
    pub async fn is_up_to_date(&self) -> bool {
        matches!(schema::standing(&self.db).await, Ok(Standing::Ours | Standing::Newer(_)))
    }

    /// Whether the passengers can be read right now.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let look = Statement::begin("select count(*) from (select 1 from passengers limit 1) as someone");
        match tokio::time::timeout(PING_TIMEOUT, self.db.rows_at_once::<(i64,)>(look)).await {
            Ok(answer) => answer.map(|_| ()).map_err(doing("asking the database for a sign of life")),
            Err(_) => Err(StoreError::Silent),
        }
    }

    /// What the connections are doing.
    #[must_use]
    pub fn pool_use(&self) -> PoolUse {
        let idle = match &self.db.pool {
            Pool::Sqlite(leases) => leases.idle(),
            Pool::Postgres(leases) => leases.idle(),
        };
        PoolUse { idle: u32::try_from(idle).unwrap_or(u32::MAX), used: self.db.meter.used() }
    }

    /// Keeps every connection from being used, one after the other as they become free, until the answer is dropped.
    /// Whether the database is well can still be asked.
    pub async fn exhaust(&self) -> Option<Exhausted> {
        self.db.meter.close().await.map(Exhausted)
    }

    /// Writes how the database is used.
    pub(crate) fn write(&self, out: &mut Exposition) {
        self.db.meter.write(out);
    }

    /// Lets connections go that nobody needed for long. To be called now and then.
    pub fn tidy(&self) {
        match &self.db.pool {
            Pool::Sqlite(leases) => leases.tidy(),
            Pool::Postgres(leases) => leases.tidy(),
        }
    }

    /// Waits for running statements and closes.
    pub async fn close(&self) {
        match &self.db.pool {
            Pool::Sqlite(leases) => leases.close().await,
            Pool::Postgres(leases) => leases.close().await,
        }
    }
}

/// All connections, kept from everybody.
#[derive(Debug)]
pub struct Exhausted(#[expect(dead_code, reason = "held, not used")] Pass);

async fn sqlite(url: &DatabaseUrl, most: u32, may_make: bool) -> Result<SqlitePool, StoreError> {
    let advice = if may_make { "its folder must exist and be writable" } else { "it must exist" };
    let open = |source| StoreError::Open { url: url.to_string(), advice, source };
    let in_memory = url.expose().contains(":memory:") || url.expose().contains("mode=memory");
    let options = SqliteConnectOptions::from_str(url.expose())
        .map_err(open)?
        .create_if_missing(may_make)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", CACHE)
        // Each statement has a span and a measurement of ours; sqlx would put together a line that nobody reads.
        .disable_statement_logging();
    SqlitePoolOptions::new()
        // A database in memory ends with its last connection, and shares locks among several: it gets exactly one.
        .min_connections(u32::from(in_memory))
        .max_connections(if in_memory { 1 } else { most })
        .idle_timeout((!in_memory).then_some(Duration::from_secs(600)))
        .max_lifetime((!in_memory).then_some(Duration::from_secs(1800)))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A file does not hang up.
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(open)
}

async fn postgres(url: &DatabaseUrl, most: u32) -> Result<PgPool, StoreError> {
    let advice = "it must be running and reachable, and let this user in with this password";
    let open = |source| StoreError::Open { url: url.to_string(), advice, source };
    let options = PgConnectOptions::from_str(url.expose())
        .map_err(open)?
        .application_name(env!("CARGO_PKG_NAME"))
        // Nothing runs for longer than the request it belongs to, and nothing that was forgotten keeps locks.
        .options([
            // Each start would be told that the table of migrations is already there.
            ("client_min_messages", "warning"),
            ("statement_timeout", "10s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "60s"),
        ])
        .disable_statement_logging();
    // Once by hand: the pool goes on trying, and then says no more than that the time was over.
    let first = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await;
    let first = first.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(open)?;
    first.close().await.map_err(open)?;
    let pool = PgPoolOptions::new()
        .max_connections(most)
        .idle_timeout(Duration::from_secs(600))
        .max_lifetime(Duration::from_secs(1800))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, seen| {
            Box::pin(async move {
                if seen.idle_for >= TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        });
    Ok(pool.connect_lazy_with(options))
}
