//! The database: one interface to SQLite and PostgreSQL. It knows no table but that of the migrations.
//!
//! - `pool` holds connections within bounds, `connector` opens them, `backend` is what it needs of a driver.
//! - `statement` is written once for both databases, `connection` runs it, `columns` are types that differ.
//! - `migrations` keeps the tables up to date, `meter` measures, `error` tells what may pass by itself.

mod backend;
mod columns;
mod connection;
mod connector;
mod error;
mod health;
mod meter;
mod migrations;
mod pool;
mod pool_state;
mod statement;

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Postgres, Sqlite};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::connection::{Connection, Pools};
use self::meter::{AdmissionPermit, Meter};
use self::migrations::Standing;
use self::pool::{Bounds, Pool};
use crate::config::{DatabaseUrl, Pooling};

pub(crate) use self::backend::Readable;
pub(crate) use self::columns::{Key, Moment};
pub(crate) use self::connection::{Purpose, Tx, readable};
pub(crate) use self::error::doing;
pub use self::error::{DatabaseError, WriteFault};
pub use self::health::Health;
pub use self::pool_state::PoolState;
pub(crate) use self::statement::{Statement, Value};

/// Time limit for a checkout.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit for the first connection.
const FIRST_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for a writer of SQLite that waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit for a writer of SQLite that waits for its turn in this service. With [`BUSY_TIMEOUT`] it is less than the limit
/// of a request.
const WRITE_TURN_TIMEOUT: Duration = Duration::from_secs(6);
/// Time limit for a health check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for a statement that changes a whole table.
const BATCH_STATEMENT_LIMIT: Duration = Duration::from_secs(600);
/// The page cache of each connection to SQLite, in KiB after a minus sign. The system caches the file once; ten times
/// SQLite's own choice of 2 MiB would be more than the rest of the service needs.
const CACHE: &str = "-512";

/// The bounds of connections to PostgreSQL. A request waits 3 s for a connection and 6 s for its statement, which is less
/// than its limit of 10 s.
const POSTGRES_BOUNDS: Bounds = Bounds {
    acquire: ACQUIRE_TIMEOUT,
    connect: Duration::from_secs(2),
    liveness: Duration::from_secs(1),
    trusted: Duration::from_secs(1),
    // One second more than `statement_timeout`, so that the server's own error comes first.
    statement: Duration::from_secs(6),
    recovery: Duration::from_secs(1),
    idle: Duration::from_secs(600),
    lifetime: Duration::from_secs(1800),
};

/// The bounds of connections to SQLite. A file does not fall silent, and an interrupted statement runs to its end.
const SQLITE_BOUNDS: Bounds = Bounds {
    acquire: ACQUIRE_TIMEOUT,
    connect: ACQUIRE_TIMEOUT,
    liveness: Duration::from_secs(30),
    trusted: Duration::MAX,
    statement: Duration::from_secs(30),
    recovery: Duration::from_secs(30),
    idle: Duration::from_secs(600),
    lifetime: Duration::from_secs(1800),
};

/// The purpose for which a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// To serve: it is created and migrated where necessary.
    Serve,
    /// To be filled by a restore: created and migrated. Tables of a newer version are refused, because a restore would
    /// lose their additions.
    Fill,
    /// To be read by a backup: it must exist with exactly the tables of this version, and nothing is changed.
    Read,
}

/// A part of a login to PostgreSQL.
pub(crate) enum Login {
    /// The user.
    User(String),
    /// The password.
    Password(String),
}

/// A database and the metrics of its use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    pools: Pools,
    meter: Arc<Meter>,
}

/// All connections, withheld from requests until this is dropped.
#[derive(Debug)]
pub struct Exhausted(#[expect(dead_code, reason = "held, not used")] AdmissionPermit);

impl Database {
    /// Opens a database and its tables for a purpose.
    pub async fn open(
        opening: Opening,
        url: &DatabaseUrl,
        pooling: Pooling,
        max_connections: u32,
    ) -> Result<Self, DatabaseError> {
        let database = if url.is_postgres() {
            Self::postgres(url, pooling, max_connections).await?
        } else {
            Self::sqlite(url, max_connections, opening != Opening::Read).await?
        };
        let url = url.to_string();
        let standing = if opening == Opening::Read {
            migrations::standing(&database).await.map_err(doing("reading which migrations were applied"))?
        } else {
            migrations::migrate(&database, &url).await?
        };
        let state = match standing {
            Standing::Ours => return Ok(database),
            Standing::Newer(unknown) if opening == Opening::Serve => {
                tracing::warn!(
                    migrations.unknown = unknown,
                    "the tables are of a newer version; its additions are left alone"
                );
                return Ok(database);
            }
            Standing::Newer(unknown) => format!(
                "has the tables of a newer version (migrations {unknown} are unknown to this one): a backup or a restore \
                 would lose what that one added, so take the newer `titanic` for it"
            ),
            Standing::Behind => {
                String::from("lacks tables of this version; start the service once to bring them up to date")
            }
            Standing::Unfit(reason) => {
                format!("has tables that this version cannot use: {reason}; it was left as it is")
            }
        };
        Err(DatabaseError::Tables { url, state })
    }

    async fn sqlite(url: &DatabaseUrl, max: u32, may_create: bool) -> Result<Self, DatabaseError> {
        let advice = if may_create { "its folder must exist and be writable" } else { "it must exist" };
        let open = |source| DatabaseError::Open { url: url.to_string(), advice, source };
        let in_memory = url.expose().contains(":memory:") || url.expose().contains("mode=memory");
        let options = SqliteConnectOptions::from_str(url.expose())
            .map_err(open)?
            .create_if_missing(may_create)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("cache_size", CACHE)
            // Each statement has a span and a measurement of ours; sqlx would format a line that nobody reads.
            .disable_statement_logging();
        // A database in memory ends with its last connection, and shares locks among several: it gets exactly one.
        let (bounds, max) = if in_memory {
            (Bounds { idle: Duration::MAX, lifetime: Duration::MAX, ..SQLITE_BOUNDS }, 1)
        } else {
            (SQLITE_BOUNDS, max)
        };
        let pool = Pool::<Sqlite>::new(options, bounds, max).map_err(open)?;
        pool.open_first(FIRST_CONNECT_TIMEOUT).await.map_err(open)?;
        let meter = Arc::new(Meter::new("sqlite", max));
        Ok(Self { pools: Pools::Sqlite { pool, writers: Arc::new(Semaphore::new(1)) }, meter })
    }

    async fn postgres(url: &DatabaseUrl, pooling: Pooling, max: u32) -> Result<Self, DatabaseError> {
        let advice = "it must be running and reachable, and let this user in with this password; behind PgBouncer or RDS \
             Proxy set DB_POOLING=transaction";
        let open = |source| DatabaseError::Open { url: url.to_string(), advice, source };
        let options = postgres_options(url, pooling).map_err(open)?;
        let pool = Pool::<Postgres>::new(options.clone(), POSTGRES_BOUNDS, max).map_err(open)?;
        pool.open_first(FIRST_CONNECT_TIMEOUT).await.map_err(open)?;
        let checks = Pool::new(options, POSTGRES_BOUNDS, 1).map_err(open)?;
        let meter = Arc::new(Meter::new("postgresql", max));
        Ok(Self { pools: Pools::Postgres { pool, checks, pooling }, meter })
    }

    /// Applies missing migrations on a connection of their own, which has no limit for a statement.
    async fn run_migrations(&self, sqlite: &Migrator, postgres: &Migrator) -> Result<(), MigrateError> {
        match &self.pools {
            Pools::Sqlite { pool, .. } => {
                let mut pooled = pool.checkout().await?;
                pooled.allow(BATCH_STATEMENT_LIMIT);
                let connection = pooled.connection().ok_or(sqlx::Error::PoolClosed)?;
                // A file does not fall silent, and a migration that is given up would leave half of it.
                sqlite.run_direct(None, connection, false).await
            }
            Pools::Postgres { pool, .. } => {
                let options = pool.options();
                let mut connection = timeout(FIRST_CONNECT_TIMEOUT, options.connect())
                    .await
                    .unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
                let migrated =
                    timeout(BATCH_STATEMENT_LIMIT, migrate_in_transaction(postgres, &mut connection)).await;
                let _closed_or_cut = timeout(FIRST_CONNECT_TIMEOUT, connection.close()).await;
                migrated.unwrap_or(Err(MigrateError::Execute(sqlx::Error::PoolTimedOut)))
            }
        }
    }

    /// Runs a statement of a health check, which must not wait behind requests.
    async fn check_rows<R: Readable>(&self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        let connection = match &self.pools {
            Pools::Sqlite { .. } => self.pools.connection().await?,
            Pools::Postgres { checks, pooling, .. } => {
                Connection::Postgres(checks.checkout().await?, *pooling)
            }
        };
        connection.rows(statement).await
    }

    /// Returns whether this is PostgreSQL; else it is SQLite.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.pools, Pools::Postgres { .. })
    }

    /// Returns the state of the pool.
    #[must_use]
    pub fn pool_state(&self) -> PoolState {
        match &self.pools {
            Pools::Sqlite { pool, .. } => pool.state_now(),
            Pools::Postgres { pool, .. } => pool.state_now(),
        }
    }

    /// Withholds every connection from requests, as they become free, until the result is dropped. Health checks go on.
    pub async fn exhaust(&self) -> Option<Exhausted> {
        self.meter.exhaust().await.map(Exhausted)
    }

    /// Measures a statement that is shared by several requests.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Records the present state of the connections.
    pub(crate) fn record(&self) {
        self.meter.record(&self.pool_state());
    }

    /// Returns what was measured of statements, as Prometheus reads it.
    pub(crate) fn render(&self) -> String {
        self.meter.recorder().render()
    }

    /// Changes the login of new connections to PostgreSQL. Open ones stay until they are too old.
    pub(crate) fn change_login(&self, login: &Login) {
        let Pools::Postgres { pool, checks, .. } = &self.pools else { return };
        for pool in [pool, checks] {
            pool.change_options(|options| match login {
                Login::User(user) => options.username(user),
                Login::Password(password) => options.password(password),
            });
        }
    }

    /// Changes the URL of new connections. Another server or database needs a restart: until the last open connection is
    /// too old, changes would go to both. Returns what was expected of a URL that cannot be used.
    pub(crate) fn change_url(&self, url: &DatabaseUrl) -> Result<(), String> {
        let (pool, checks, pooling) = match &self.pools {
            Pools::Postgres { pool, checks, pooling } => (pool, checks, *pooling),
            Pools::Sqlite { pool, .. } => {
                let new = SqliteConnectOptions::from_str(url.expose()).ok().filter(|_| !url.is_postgres());
                let same = new.is_some_and(|new| new.get_filename() == pool.options().get_filename());
                let expected = || String::from("a URL of the same file: another one needs a restart");
                return if same { Ok(()) } else { Err(expected()) };
            }
        };
        let place = |options: &PgConnectOptions| {
            let (host, socket) = (options.get_host().to_owned(), options.get_socket().cloned());
            (host, socket, options.get_port(), options.get_database().map(str::to_owned))
        };
        let new = postgres_options(url, pooling).ok().filter(|_| url.is_postgres());
        let new = new.filter(|new| place(new) == place(&pool.options()));
        let expected = || String::from("a URL of the same server and database: others need a restart");
        let new = new.ok_or_else(expected)?;
        for pool in [pool, checks] {
            pool.change_options(|_| new.clone());
        }
        Ok(())
    }

    /// Closes connections that are too old or were idle for too long, and merges measurements.
    pub fn maintain(&self) {
        self.meter.recorder().upkeep();
        match &self.pools {
            Pools::Sqlite { pool, .. } => pool.close_expired(),
            Pools::Postgres { pool, checks, .. } => {
                pool.close_expired();
                checks.close_expired();
            }
        }
    }

    /// Waits for running statements, within a limit, and closes all connections.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { pool, .. } => pool.close().await,
            Pools::Postgres { pool, checks, .. } => {
                futures_util::join!(pool.close(), checks.close());
            }
        }
    }
}

fn postgres_options(url: &DatabaseUrl, pooling: Pooling) -> Result<PgConnectOptions, sqlx::Error> {
    let options = PgConnectOptions::from_str(url.expose())?
        .application_name(env!("CARGO_PKG_NAME"))
        .disable_statement_logging();
    Ok(match pooling {
        // A pooler takes neither settings of a session nor this one of sqlx's own.
        Pooling::Transaction => options.extra_float_digits(None).statement_cache_capacity(0),
        // No statement outlives its request, no forgotten transaction keeps locks, and the server notices a dead client.
        Pooling::Session => options.options([
            // Each start would be told that the table of migrations exists.
            ("client_min_messages", "warning"),
            ("statement_timeout", "5s"),
            ("lock_timeout", "3s"),
            ("idle_in_transaction_session_timeout", "60s"),
            ("tcp_user_timeout", "15s"),
            ("tcp_keepalives_idle", "30"),
        ]),
    })
}

/// The lock of migrations, for as long as their transaction.
const LOCK_MIGRATIONS: &str = "set local statement_timeout = 0; set local lock_timeout = 0; deallocate all; \
     select pg_advisory_xact_lock(20260414)";

/// Applies migrations to PostgreSQL: all in one transaction, because a pooler in front may change the session after it. Its
/// sessions would keep the statements that sqlx prepares, and refuse those of the next process, which have the same names.
async fn migrate_in_transaction(
    migrator: &Migrator,
    connection: &mut sqlx::PgConnection,
) -> Result<(), MigrateError> {
    let mut migrator = Migrator { migrations: migrator.migrations.clone(), ..Migrator::DEFAULT };
    migrator.set_ignore_missing(true).set_locking(false);
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(LOCK_MIGRATIONS).execute(&mut *transaction).await?;
    migrator.run_direct(None, &mut *transaction, false).await?;
    sqlx::raw_sql("deallocate all").execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}
