//! Running statements on either database.
//!
//! Not `sqlx::Any`, which knows neither UUIDs nor points in time, and not code that is generic over the database, whose
//! bounds would spread through every signature.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Postgres, Sqlite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::backend::Readable;
use super::meter::{AdmissionPermit, Meter};
use super::pool::{Pool, Pooled};
use super::statement::Statement;
use super::{ACQUIRE_TIMEOUT, BATCH_STATEMENT_LIMIT, Database, WRITE_TURN_TIMEOUT};
use crate::config::Pooling;

/// The connections to one of the two databases.
#[derive(Debug, Clone)]
pub(super) enum Pools {
    Sqlite {
        pool: Arc<Pool<Sqlite>>,
        /// The turn of writers: there is one at a time. They wait for it without a connection, which readers need.
        writers: Arc<Semaphore>,
    },
    Postgres {
        pool: Arc<Pool<Postgres>>,
        /// A connection of health checks, which must not wait behind requests. SQLite needs none: its statements are short.
        checks: Arc<Pool<Postgres>>,
        /// True if a pooler in front shares server connections between transactions.
        pooling: Pooling,
    },
}

/// The begin of a transaction behind a pooler. The limits are those that a session has from its start.
const BEGIN_POOLED: &str = "begin; set local statement_timeout = '5s'; set local lock_timeout = '3s'";
const BEGIN_POOLED_READ: &str = "begin isolation level repeatable read read only; \
     set local statement_timeout = '5s'; set local lock_timeout = '3s'";

/// A connection for one statement.
pub(super) enum Connection {
    Sqlite(Pooled<Sqlite>),
    Postgres(Pooled<Postgres>, Pooling),
}

/// A transaction. Dropped without a commit, it is rolled back.
pub(crate) struct Tx {
    connection: Connection,
    changes: bool,
    meter: Arc<Meter>,
    /// After the connection, which is returned first.
    _permit: AdmissionPermit,
    _turn: Option<OwnedSemaphorePermit>,
}

/// The purpose of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Several reads of one moment.
    Read,
    /// A change that excludes nobody else.
    Change,
    /// A change of whole tables, which [`Tx::lock_table`] locks. Other writers wait until it has ended; readers see the
    /// state before.
    Replace,
}

/// Makes a type readable from a row of either database. Columns are read by position, because a name is looked up in each
/// row.
macro_rules! readable {
    ($type:ty, $row:ident => $read:expr) => {
        impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for $type {
            fn from_row($row: &'r sqlx::sqlite::SqliteRow) -> Result<Self, sqlx::Error> {
                $read
            }
        }

        impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for $type {
            fn from_row($row: &'r sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
                $read
            }
        }
    };
}
pub(crate) use readable;

impl Pools {
    pub(super) async fn connection(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Self::Sqlite { pool, .. } => pool.checkout().await.map(Connection::Sqlite),
            Self::Postgres { pool, pooling, .. } => {
                let pooled = pool.checkout().await?;
                Ok(Connection::Postgres(pooled, *pooling))
            }
        }
    }
}

/// Does the same on a connection to either database.
macro_rules! on_either {
    ($connection:expr, $pooled:ident => $work:expr) => {
        match $connection {
            Connection::Sqlite($pooled) => $work,
            Connection::Postgres($pooled, _) => $work,
        }
    };
}

impl Connection {
    /// Returns whether a statement needs a transaction of its own, because the pooler may change the session in between.
    fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_, Pooling::Transaction))
    }

    async fn begin(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        on_either!(self, pooled => pooled.begin(sql).await)
    }

    async fn commit(&mut self) -> Result<(), sqlx::Error> {
        on_either!(self, pooled => pooled.commit().await)
    }

    async fn rows_within<R: Readable>(&mut self, mut statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        statement.persistent &= !self.is_shared();
        on_either!(self, pooled => pooled.rows(statement).await)
    }

    async fn execute_within(&mut self, mut statement: Statement) -> Result<u64, sqlx::Error> {
        statement.persistent &= !self.is_shared();
        on_either!(self, pooled => pooled.execute(statement).await)
    }

    pub(super) async fn rows<R: Readable>(mut self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        if !self.is_shared() {
            return self.rows_within(statement).await;
        }
        self.begin(BEGIN_POOLED).await?;
        let rows = self.rows_within(statement).await?;
        self.commit().await?;
        Ok(rows)
    }

    pub(super) async fn execute(mut self, statement: Statement) -> Result<u64, sqlx::Error> {
        if !self.is_shared() {
            return self.execute_within(statement).await;
        }
        self.begin(BEGIN_POOLED).await?;
        let changed = self.execute_within(statement).await?;
        self.commit().await?;
        Ok(changed)
    }

    /// Lifts the limit of statements that change a whole table.
    async fn allow_long_statements(&mut self) -> Result<(), sqlx::Error> {
        on_either!(self, pooled => pooled.allow(BATCH_STATEMENT_LIMIT));
        if matches!(self, Self::Postgres(..)) {
            self.execute_within(Statement::begin("set local statement_timeout = 0")).await?;
        }
        Ok(())
    }
}

impl Database {
    /// Returns all rows of a statement.
    pub(crate) async fn rows<R: Readable>(&self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        self.meter.watch(&statement.sql).over(pin!(self.rows_admitted(statement))).await
    }

    async fn admitted(&self) -> Result<(AdmissionPermit, Connection), sqlx::Error> {
        self.meter.admit(ACQUIRE_TIMEOUT, pin!(self.pools.connection())).await
    }

    /// Waits until no other change of this service is under way, where the database takes one at a time.
    async fn turn_to_write(&self) -> Result<Option<OwnedSemaphorePermit>, sqlx::Error> {
        let Pools::Sqlite { writers, .. } = &self.pools else { return Ok(None) };
        let turn = timeout(WRITE_TURN_TIMEOUT, Arc::clone(writers).acquire_owned()).await;
        turn.map_err(|_| sqlx::Error::PoolTimedOut)?.map(Some).map_err(|_| sqlx::Error::PoolClosed)
    }

    async fn rows_admitted<R: Readable>(&self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        let (_permit, connection) = self.admitted().await?;
        connection.rows(statement).await
    }

    /// Returns all rows of a statement that several requests share. It gets no span, since it belongs to none of them
    /// more than to the others.
    pub(crate) async fn rows_for_many<R: Readable>(
        &self,
        statement: Statement,
    ) -> Result<Vec<R>, sqlx::Error> {
        let watch = self.meter.watch_unseen(&statement.sql);
        watch.over(pin!(self.rows_admitted(statement))).await
    }

    /// Returns the first row of a statement, which reads few.
    pub(crate) async fn row<R: Readable>(&self, statement: Statement) -> Result<Option<R>, sqlx::Error> {
        self.rows(statement).await.map(|rows| rows.into_iter().next())
    }

    /// Executes a statement and returns the number of changed rows.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<u64, sqlx::Error> {
        let watch = self.meter.watch(&statement.sql);
        let run = pin!(async {
            let _turn = self.turn_to_write().await?;
            let (_permit, connection) = self.admitted().await?;
            let changed = connection.execute(statement).await?;
            self.meter.set_write_fault(None);
            Ok(changed)
        });
        watch.over(run).await
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self, purpose: Purpose) -> Result<Tx, sqlx::Error> {
        let begin = match (&self.pools, purpose) {
            // The write lock is taken at once: a reader that becomes a writer may find that it cannot.
            (Pools::Sqlite { .. }, Purpose::Change | Purpose::Replace) => "begin immediate",
            (Pools::Postgres { pooling: Pooling::Transaction, .. }, Purpose::Read) => BEGIN_POOLED_READ,
            (Pools::Postgres { pooling: Pooling::Transaction, .. }, _) => BEGIN_POOLED,
            (Pools::Postgres { .. }, Purpose::Read) => "begin isolation level repeatable read read only",
            _ => "begin",
        };
        let meter = self.meter.clone();
        let changes = purpose != Purpose::Read;
        let begun = pin!(async {
            let turn = if changes { self.turn_to_write().await? } else { None };
            let (permit, mut connection) = self.admitted().await?;
            connection.begin(begin).await?;
            if purpose == Purpose::Replace {
                connection.allow_long_statements().await?;
            }
            Ok((turn, permit, connection))
        });
        let (turn, permit, connection) = self.meter.watch(begin).over(begun).await?;
        Ok(Tx { connection, changes, meter, _permit: permit, _turn: turn })
    }
}

impl Tx {
    /// Returns all rows of a statement.
    pub(crate) async fn rows<R: Readable>(&mut self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        let watch = self.meter.watch(&statement.sql);
        watch.over(pin!(self.connection.rows_within(statement))).await
    }

    /// Executes a statement and returns the number of changed rows.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64, sqlx::Error> {
        let watch = self.meter.watch(&statement.sql);
        watch.over(pin!(self.connection.execute_within(statement))).await
    }

    /// Keeps other writers out of a table until the end. SQLite did so for all tables at the beginning.
    pub(crate) async fn lock_table(&mut self, table: &'static str) -> Result<(), sqlx::Error> {
        if matches!(self.connection, Connection::Postgres(..)) {
            let mut lock = Statement::begin("lock table ");
            lock.text(table).text(" in share row exclusive mode");
            self.execute(lock).await?;
        }
        Ok(())
    }

    /// Commits the transaction.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.meter.watch("commit").over(pin!(self.connection.commit())).await?;
        if self.changes {
            self.meter.set_write_fault(None);
        }
        Ok(())
    }

    /// Excludes a long transaction, such as the export of a table, from the limit of a request.
    pub(crate) fn allow_long(&mut self) {
        on_either!(&mut self.connection, pooled => pooled.allow(Duration::from_secs(30)));
    }
}
