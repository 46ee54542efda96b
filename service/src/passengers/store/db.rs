//! Two databases behind one face: statements are written once, with `$1` placeholders, and run on either.
//!
//! Not `sqlx::Any`, which knows neither UUIDs nor points in time, and not code that is generic over the database, whose
//! bounds would spread through every signature. What differs in SQL stands here and in the migrations, nowhere else.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, FromRow, Postgres, SqlSafeStr as _, Sqlite, Transaction};
use uuid::Uuid;

use super::ACQUIRE_TIMEOUT;
use super::columns::{Key, Moment};
use super::lease::{Lease, Leases, Seat};
use super::meter::{Meter, Pass};

/// One of the two, with what measures its use.
#[derive(Debug, Clone)]
pub(super) struct Db {
    pub(super) pool: Pool,
    pub(super) meter: Arc<Meter>,
}

/// The connections to one of the two.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    Sqlite(Arc<Leases<Sqlite>>),
    Postgres(Arc<Leases<Postgres>>),
}

/// A connection for one statement.
enum Connection {
    Sqlite(Lease<Sqlite>),
    Postgres(Lease<Postgres>),
}

/// A transaction. Dropped without a commit, it never was.
pub(super) struct Tx {
    at: At,
    meter: Arc<Meter>,
    /// After the transaction, so that its connection is given back first.
    _pass: Pass,
}

enum At {
    Sqlite(Transaction<'static, Sqlite>, Seat<Sqlite>),
    Postgres(Transaction<'static, Postgres>, Seat<Postgres>),
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Several looks at one and the same moment.
    Look,
    /// A change that needs nobody else to hold still.
    Change,
    /// A change of everything: other writers wait until it has ended, readers see the state before.
    Replace,
}

/// A statement and the values for its placeholders.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    sql: Cow<'static, str>,
    values: Vec<Value>,
    /// Whether connections should remember how it is carried out.
    kept: bool,
}

/// A value for a placeholder.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Key(Uuid),
    Text(String),
    Small(i16),
    Whole(i64),
    Real(Option<f64>),
    Flag(bool),
    Moment(Timestamp),
}

impl Statement {
    /// A statement that never changes.
    pub(super) fn fixed(sql: &'static str, values: impl Into<Vec<Value>>) -> Self {
        Self { sql: Cow::Borrowed(sql), values: values.into(), kept: true }
    }

    /// The beginning of a statement that is put together.
    pub(super) fn begin(sql: &'static str) -> Self {
        Self::fixed(sql, Vec::new())
    }

    /// Goes on with text of our own. The type keeps out whatever came from a client.
    pub(super) fn text(&mut self, sql: &'static str) -> &mut Self {
        self.sql.to_mut().push_str(sql);
        self
    }

    /// Goes on with a placeholder for a value.
    pub(super) fn value(&mut self, value: Value) -> &mut Self {
        self.values.push(value);
        let placeholder = format!("${}", self.values.len());
        self.sql.to_mut().push_str(&placeholder);
        self
    }

    /// Goes on with all of another statement that has no values of its own.
    pub(super) fn again(&mut self, sql: &str) -> &mut Self {
        self.sql.to_mut().push_str(sql);
        self
    }

    /// What was put together so far, from a place on.
    pub(super) fn since(&self, place: usize) -> String {
        self.sql.get(place..).unwrap_or_default().to_owned()
    }

    /// How much was put together so far.
    pub(super) fn length(&self) -> usize {
        self.sql.len()
    }

    /// The same with something in front.
    pub(super) fn behind(mut self, sql: &'static str) -> Self {
        self.sql.to_mut().insert_str(0, sql);
        self
    }

    /// A statement that is long and rare: not worth remembering.
    pub(super) fn once(mut self) -> Self {
        self.kept = false;
        self
    }
}

/// What can be read from a row of either.
pub(super) trait Readable:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

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

/// Runs a statement on whatever takes it: the pool, or the connection of a transaction. `AssertSqlSafe` holds because a
/// [`Statement`] is made of text of our own and of placeholders.
macro_rules! rows {
    ($on:expr, $arguments:ident, $statement:expr) => {{
        let Statement { sql, values, kept } = $statement;
        let arguments = $arguments(values).map_err(sqlx::Error::Encode)?;
        sqlx::query_as_with(AssertSqlSafe(sql), arguments).persistent(kept).fetch_all($on).await
    }};
}
/// The first row. SQLite stops there; PostgreSQL is heard to the end, which comes with the row.
macro_rules! row {
    ($on:expr, $arguments:ident, $statement:expr) => {{
        let Statement { sql, values, kept } = $statement;
        let arguments = $arguments(values).map_err(sqlx::Error::Encode)?;
        sqlx::query_as_with(AssertSqlSafe(sql), arguments).persistent(kept).fetch_optional($on).await
    }};
}
macro_rules! execute {
    ($on:expr, $arguments:ident, $statement:expr) => {{
        let Statement { sql, values, kept } = $statement;
        let arguments = $arguments(values).map_err(sqlx::Error::Encode)?;
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(kept);
        query.execute($on).await.map(|done| done.rows_affected())
    }};
}

impl Pool {
    async fn connection(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Self::Sqlite(leases) => leases.take().await.map(Connection::Sqlite),
            Self::Postgres(leases) => leases.take().await.map(Connection::Postgres),
        }
    }
}

impl Connection {
    async fn rows<R: Readable>(self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        match self {
            Self::Sqlite(lease) => lease.run(async |on| rows!(on, for_sqlite, statement)).await,
            Self::Postgres(lease) => lease.run(async |on| rows!(on, for_postgres, statement)).await,
        }
    }

    async fn row<R: Readable>(self, statement: Statement) -> Result<Option<R>, sqlx::Error> {
        match self {
            Self::Sqlite(lease) => lease.run(async |on| row!(on, for_sqlite, statement)).await,
            Self::Postgres(_) => self.rows(statement).await.map(|rows| rows.into_iter().next()),
        }
    }

    async fn execute(self, statement: Statement) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(lease) => lease.run(async |on| execute!(on, for_sqlite, statement)).await,
            Self::Postgres(lease) => lease.run(async |on| execute!(on, for_postgres, statement)).await,
        }
    }
}

impl Db {
    pub(super) fn new(pool: Pool, most: u32) -> Self {
        let system = if matches!(pool, Pool::Sqlite(_)) { "sqlite" } else { "postgresql" };
        Self { pool, meter: Arc::new(Meter::new(system, most)) }
    }

    /// All rows that a statement answers with.
    pub(super) async fn rows<R: Readable>(&self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        self.meter.watch(&statement.sql).over(self.rows_in_turn(statement)).await
    }

    async fn rows_in_turn<R: Readable>(&self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        let (_pass, connection) = self.meter.wait_for(ACQUIRE_TIMEOUT, self.pool.connection()).await?;
        connection.rows(statement).await
    }

    /// All rows of a statement that several requests share, none of which it belongs to more than to the others.
    pub(super) async fn rows_for_many<R: Readable>(
        &self,
        statement: Statement,
    ) -> Result<Vec<R>, sqlx::Error> {
        let watch = self.meter.watch_unseen(&statement.sql);
        watch.over(self.rows_in_turn(statement)).await
    }

    /// The first row that a statement answers with.
    pub(super) async fn row<R: Readable>(&self, statement: Statement) -> Result<Option<R>, sqlx::Error> {
        let watch = self.meter.watch(&statement.sql);
        watch
            .over(async {
                let (_pass, connection) =
                    self.meter.wait_for(ACQUIRE_TIMEOUT, self.pool.connection()).await?;
                connection.row(statement).await
            })
            .await
    }

    /// The rows of a statement that stands in no queue: whether the database is well must not depend on how many ask it
    /// for something else.
    pub(super) async fn rows_at_once<R: Readable>(
        &self,
        statement: Statement,
    ) -> Result<Vec<R>, sqlx::Error> {
        self.pool.connection().await?.rows(statement).await
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(&self, statement: Statement) -> Result<u64, sqlx::Error> {
        let watch = self.meter.watch(&statement.sql);
        watch
            .over(async {
                let (_pass, connection) =
                    self.meter.wait_for(ACQUIRE_TIMEOUT, self.pool.connection()).await?;
                connection.execute(statement).await
            })
            .await
    }

    pub(super) async fn begin(&self, purpose: Purpose) -> Result<Tx, sqlx::Error> {
        let begin = match (&self.pool, purpose) {
            // The lock for writing is taken at once: a reader that becomes a writer may find that it cannot.
            (Pool::Sqlite(_), Purpose::Change | Purpose::Replace) => "begin immediate",
            (Pool::Postgres(_), Purpose::Look) => "begin isolation level repeatable read read only",
            _ => "begin",
        };
        let meter = self.meter.clone();
        let (pass, at) = self.meter.watch(begin).over(self.begin_with(begin, purpose)).await?;
        Ok(Tx { at, meter, _pass: pass })
    }

    async fn begin_with(&self, begin: &'static str, purpose: Purpose) -> Result<(Pass, At), sqlx::Error> {
        // Only the connection is waited for within the limit: locks have limits of their own.
        let (pass, connection) = self.meter.wait_for(ACQUIRE_TIMEOUT, self.pool.connection()).await?;
        let at = match connection {
            Connection::Sqlite(lease) => {
                let (connection, seat) = lease.into_parts()?;
                At::Sqlite(Transaction::begin(connection, Some(begin.into_sql_str())).await?, seat)
            }
            Connection::Postgres(lease) => {
                let (connection, seat) = lease.into_parts()?;
                let mut transaction = Transaction::begin(connection, Some(begin.into_sql_str())).await?;
                if purpose == Purpose::Replace {
                    sqlx::query("set local statement_timeout = 0").execute(&mut *transaction).await?;
                    let lock = "lock table passengers in share row exclusive mode";
                    sqlx::query(lock).execute(&mut *transaction).await?;
                }
                At::Postgres(transaction, seat)
            }
        };
        Ok((pass, at))
    }
}

impl Tx {
    /// All rows that a statement answers with.
    pub(super) async fn rows<R: Readable>(&mut self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        let watch = self.meter.watch(&statement.sql);
        let at = &mut self.at;
        let rows = async {
            match at {
                At::Sqlite(transaction, _) => rows!(&mut **transaction, for_sqlite, statement),
                At::Postgres(transaction, _) => rows!(&mut **transaction, for_postgres, statement),
            }
        };
        watch.over(rows).await
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, sqlx::Error> {
        let watch = self.meter.watch(&statement.sql);
        let at = &mut self.at;
        let execute = async {
            match at {
                At::Sqlite(transaction, _) => execute!(&mut **transaction, for_sqlite, statement),
                At::Postgres(transaction, _) => execute!(&mut **transaction, for_postgres, statement),
            }
        };
        watch.over(execute).await
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        let at = self.at;
        let commit = async {
            match at {
                At::Sqlite(transaction, _seat) => transaction.commit().await,
                At::Postgres(transaction, _seat) => transaction.commit().await,
            }
        };
        self.meter.watch("commit").over(commit).await
    }
}
