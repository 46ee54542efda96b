//! Two databases behind one face: statements are written once, with `$1` placeholders, and run on either.
//!
//! Not `sqlx::Any`, which knows neither UUIDs nor points in time, and not code that is generic over the database, whose
//! bounds would spread through every signature. What differs in SQL stands here and in the migrations, nowhere else.

use std::borrow::Cow;

use jiff::Timestamp;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, FromRow, PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

use super::columns::{Key, Moment};

/// One of the two.
#[derive(Debug, Clone)]
pub(super) enum Db {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A transaction. Dropped without a commit, it never was.
pub(super) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
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
macro_rules! execute {
    ($on:expr, $arguments:ident, $statement:expr) => {{
        let Statement { sql, values, kept } = $statement;
        let arguments = $arguments(values).map_err(sqlx::Error::Encode)?;
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(kept);
        query.execute($on).await.map(|done| done.rows_affected())
    }};
}

impl Db {
    /// All rows that a statement answers with.
    pub(super) async fn rows<R: Readable>(&self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => rows!(pool, for_sqlite, statement),
            Self::Postgres(pool) => rows!(pool, for_postgres, statement),
        }
    }

    /// The first row that a statement answers with.
    pub(super) async fn row<R: Readable>(&self, statement: Statement) -> Result<Option<R>, sqlx::Error> {
        self.rows(statement).await.map(|rows| rows.into_iter().next())
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(&self, statement: Statement) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => execute!(pool, for_sqlite, statement),
            Self::Postgres(pool) => execute!(pool, for_postgres, statement),
        }
    }

    pub(super) async fn begin(&self, purpose: Purpose) -> Result<Tx, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => {
                // The lock for writing is taken at once: a reader that becomes a writer may find that it cannot.
                let begin = if purpose == Purpose::Look { "begin" } else { "begin immediate" };
                pool.begin_with(begin).await.map(Tx::Sqlite)
            }
            Self::Postgres(pool) => {
                let begin = match purpose {
                    Purpose::Look => "begin isolation level repeatable read read only",
                    Purpose::Change | Purpose::Replace => "begin",
                };
                let mut transaction = pool.begin_with(begin).await?;
                if purpose == Purpose::Replace {
                    sqlx::query("set local statement_timeout = 0").execute(&mut *transaction).await?;
                    let lock = "lock table passengers in share row exclusive mode";
                    sqlx::query(lock).execute(&mut *transaction).await?;
                }
                Ok(Tx::Postgres(transaction))
            }
        }
    }
}

impl Tx {
    /// All rows that a statement answers with.
    pub(super) async fn rows<R: Readable>(&mut self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => rows!(&mut **transaction, for_sqlite, statement),
            Self::Postgres(transaction) => rows!(&mut **transaction, for_postgres, statement),
        }
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => execute!(&mut **transaction, for_sqlite, statement),
            Self::Postgres(transaction) => execute!(&mut **transaction, for_postgres, statement),
        }
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }
}
