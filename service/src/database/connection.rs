//! Running statements on either database.
//!
//! Not `sqlx::Any`, which knows neither UUIDs nor points in time, and not code that is generic over the database, whose
//! bounds would spread through every signature.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, FromRow, Postgres, Sqlite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::columns::{Key, Moment};
use super::meter::{AdmissionPermit, Meter};
use super::pool::{Pool, Pooled};
use super::statement::{Statement, Value};
use super::{ACQUIRE_TIMEOUT, WRITE_TURN_TIMEOUT};
use super::{BATCH_STATEMENT_LIMIT, Database};
use crate::config::Pooling;

/// The pool of one of the two databases.
#[derive(Debug, Clone)]
pub(super) enum Pools {
    Sqlite(Arc<Pool<Sqlite>>),
    /// With whether a pooler in front shares server connections between transactions.
    Postgres(Arc<Pool<Postgres>>, Pooling),
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

/// Rows that can be read from either database.
pub(crate) trait Readable:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
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

impl<T> Readable for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

macro_rules! arguments {
    ($name:ident, $arguments:ty) => {
        fn $name(values: Vec<Value>) -> Result<$arguments, BoxDynError> {
            let mut arguments = <$arguments>::default();
            for value in values {
                match value {
                    Value::Key(id) => arguments.add(Key(id)),
                    Value::Text(text) => arguments.add(text),
                    Value::Small(number) => arguments.add(number),
                    Value::Whole(number) => arguments.add(number),
                    Value::Real(number) => arguments.add(number),
                    Value::Flag(flag) => arguments.add(flag),
                    Value::Moment(time) => arguments.add(Moment(time)),
                }?;
            }
            Ok(arguments)
        }
    };
}
arguments!(for_sqlite, SqliteArguments);
arguments!(for_postgres, PgArguments);

/// Runs a statement on a connection. `AssertSqlSafe` holds because a [`Statement`] is made of text of our own and of
/// placeholders.
macro_rules! rows {
    ($on:expr, $arguments:ident, $statement:expr) => {{
        let Statement { sql, values, persistent } = $statement;
        let arguments = $arguments(values).map_err(sqlx::Error::Encode)?;
        sqlx::query_as_with(AssertSqlSafe(sql), arguments).persistent(persistent).fetch_all(&mut *$on).await
    }};
}
macro_rules! execute {
    ($on:expr, $arguments:ident, $statement:expr) => {{
        let Statement { sql, values, persistent } = $statement;
        let arguments = $arguments(values).map_err(sqlx::Error::Encode)?;
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(persistent);
        query.execute(&mut *$on).await.map(|done| done.rows_affected())
    }};
}

impl Pools {
    pub(super) async fn connection(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => pool.checkout().await.map(Connection::Sqlite),
            Self::Postgres(pool, pooling) => {
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
        match self {
            Self::Sqlite(pooled) => pooled.run(async |on| rows!(on, for_sqlite, statement)).await,
            Self::Postgres(pooled, _) => pooled.run(async |on| rows!(on, for_postgres, statement)).await,
        }
    }

    async fn execute_within(&mut self, mut statement: Statement) -> Result<u64, sqlx::Error> {
        statement.persistent &= !self.is_shared();
        match self {
            Self::Sqlite(pooled) => pooled.run(async |on| execute!(on, for_sqlite, statement)).await,
            Self::Postgres(pooled, _) => pooled.run(async |on| execute!(on, for_postgres, statement)).await,
        }
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
        match self {
            Self::Sqlite(pooled) => pooled.allow(BATCH_STATEMENT_LIMIT),
            Self::Postgres(pooled, _) => {
                pooled.allow(BATCH_STATEMENT_LIMIT);
                self.execute_within(Statement::begin("set local statement_timeout = 0")).await?;
            }
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
        let Some(writers) = &self.writers else { return Ok(None) };
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
            (Pools::Sqlite(_), Purpose::Change | Purpose::Replace) => "begin immediate",
            (Pools::Postgres(_, Pooling::Transaction), Purpose::Read) => BEGIN_POOLED_READ,
            (Pools::Postgres(_, Pooling::Transaction), _) => BEGIN_POOLED,
            (Pools::Postgres(..), Purpose::Read) => "begin isolation level repeatable read read only",
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
