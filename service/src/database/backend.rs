//! The operations of a driver that sqlx does not offer for all databases in one form.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Connection, Database, FromRow, Postgres, Sqlite};

use super::columns::{Key, Moment};
use super::statement::{Statement, Value};

/// The options of a backend's connections.
pub(super) type Options<B> = <<B as Database>::Connection as Connection>::Options;

/// Rows that can be read from either database.
pub(crate) trait Readable:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Readable for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// A database that a pool can hold connections to.
pub(super) trait Backend: Database {
    /// Runs statements of our own, without preparing them.
    fn execute_raw(
        connection: &mut Self::Connection,
        sql: &'static str,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Turns the values of a statement into those of the driver.
    fn arguments(values: Vec<Value>) -> Result<<Self as Database>::Arguments, sqlx::Error>;

    /// Runs a statement and returns its rows.
    fn rows<R: Readable>(
        connection: &mut Self::Connection,
        statement: Statement,
    ) -> impl Future<Output = Result<Vec<R>, sqlx::Error>> + Send;

    /// Runs a statement and returns the number of changed rows.
    fn execute(
        connection: &mut Self::Connection,
        statement: Statement,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;
}

/// `AssertSqlSafe` holds because a [`Statement`] is made of text of our own and of placeholders.
macro_rules! backend {
    ($database:ident, $arguments:ident) => {
        impl Backend for $database {
            async fn execute_raw(on: &mut Self::Connection, sql: &'static str) -> Result<(), sqlx::Error> {
                sqlx::raw_sql(sql).execute(on).await.map(|_| ())
            }

            fn arguments(values: Vec<Value>) -> Result<$arguments, sqlx::Error> {
                let mut arguments = $arguments::default();
                for value in values {
                    let added = match value {
                        Value::Key(id) => arguments.add(Key(id)),
                        Value::Text(text) => arguments.add(text),
                        Value::Small(number) => arguments.add(number),
                        Value::Whole(number) => arguments.add(number),
                        Value::Real(number) => arguments.add(number),
                        Value::Flag(flag) => arguments.add(flag),
                        Value::Moment(time) => arguments.add(Moment(time)),
                    };
                    added.map_err(sqlx::Error::Encode)?;
                }
                Ok(arguments)
            }

            async fn rows<R: Readable>(
                on: &mut Self::Connection,
                Statement { sql, values, persistent }: Statement,
            ) -> Result<Vec<R>, sqlx::Error> {
                let query = sqlx::query_as_with(AssertSqlSafe(sql), Self::arguments(values)?);
                query.persistent(persistent).fetch_all(on).await
            }

            async fn execute(
                on: &mut Self::Connection,
                Statement { sql, values, persistent }: Statement,
            ) -> Result<u64, sqlx::Error> {
                let query = sqlx::query_with(AssertSqlSafe(sql), Self::arguments(values)?);
                query.persistent(persistent).execute(on).await.map(|done| done.rows_affected())
            }
        }
    };
}
backend!(Sqlite, SqliteArguments);
backend!(Postgres, PgArguments);
