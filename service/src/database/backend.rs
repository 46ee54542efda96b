//! The operations of a driver that sqlx does not offer for all databases in one form.

use sqlx::{Connection, Database, Postgres, Sqlite};

use super::error::{WriteFault, write_fault};

/// The options of a backend's connections.
pub(super) type Options<B> = <<B as Database>::Connection as Connection>::Options;

/// A database that a pool can hold connections to.
pub(super) trait Backend: Database {
    /// Runs statements of our own, without preparing them.
    fn execute_raw(
        connection: &mut Self::Connection,
        sql: &'static str,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Brings a connection that was left in the middle back into use.
    fn recover(
        connection: &mut Self::Connection,
        in_transaction: bool,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Returns whether the server takes no changes, so that another one may have taken over.
    fn has_become_read_only(error: &sqlx::Error) -> bool;

    /// Returns whether the server refused a connection because it has no more.
    fn has_no_connection_left(error: &sqlx::Error) -> bool;
}

impl Backend for Sqlite {
    async fn execute_raw(connection: &mut Self::Connection, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(connection).await.map(|_| ())
    }

    async fn recover(connection: &mut Self::Connection, in_transaction: bool) -> Result<(), sqlx::Error> {
        if in_transaction {
            // SQLite rolls back by itself after some errors, such as a full disk. Then there is nothing to roll back.
            let _rolled_back_already = Self::execute_raw(connection, "rollback").await;
        }
        connection.ping().await
    }

    fn has_become_read_only(_: &sqlx::Error) -> bool {
        false
    }

    fn has_no_connection_left(_: &sqlx::Error) -> bool {
        false
    }
}

impl Backend for Postgres {
    async fn execute_raw(connection: &mut Self::Connection, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(connection).await.map(|_| ())
    }

    async fn recover(connection: &mut Self::Connection, in_transaction: bool) -> Result<(), sqlx::Error> {
        // Both read the rest of the interrupted statement first.
        if in_transaction { Self::execute_raw(connection, "rollback").await } else { connection.ping().await }
    }

    fn has_become_read_only(error: &sqlx::Error) -> bool {
        write_fault(error) == Some(WriteFault::ReadOnly)
    }

    fn has_no_connection_left(error: &sqlx::Error) -> bool {
        let sqlx::Error::Database(error) = error else { return false };
        error.code().is_some_and(|code| code == "53300")
    }
}
