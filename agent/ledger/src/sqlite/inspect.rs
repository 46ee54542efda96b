//! Checks of the file before anything is written to it: it is a ledger, it is whole, and its version is known.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::{BUSY, MIGRATIONS, opening};
use crate::LedgerError;

/// The first bytes of every SQLite file.
pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";
/// Application id that the first migration writes into the header.
pub(super) const APPLICATION_ID: i64 = 1_280_266_059;

/// Refuses a file that this lookout must not write to. A missing or empty file is fine.
pub(super) async fn inspect(path: &Path) -> Result<(), LedgerError> {
    let mut head = Vec::new();
    match File::open(path) {
        Ok(file) => {
            file.take(MAGIC.len() as u64).read_to_end(&mut head).map_err(|e| opening(path)(e.into()))?
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(opening(path)(error.into())),
    };
    if head.is_empty() {
        return Ok(());
    }
    if head != MAGIC {
        return Err(corrupt(path, "it is not an SQLite file".to_owned()));
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY)
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(unreadable(path))?;
    let result = check_contents(path, &mut connection).await;
    // a failure to close a read-only connection says nothing about the file
    drop(connection.close().await);
    result
}

async fn check_contents(path: &Path, connection: &mut SqliteConnection) -> Result<(), LedgerError> {
    let application: i64 = sqlx::query_scalar("pragma application_id")
        .fetch_one(&mut *connection)
        .await
        .map_err(unreadable(path))?;
    if application != APPLICATION_ID {
        let tables: i64 =
            sqlx::query_scalar("select count(*) from sqlite_master where name not like '%sqlx_migrations%'")
                .fetch_one(&mut *connection)
                .await
                .map_err(unreadable(path))?;
        // no table of any kind: a start that was interrupted before the first migration
        return if tables == 0 {
            Ok(())
        } else {
            Err(LedgerError::Foreign { path: path.display().to_string() })
        };
    }
    let found: i64 = sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations")
        .fetch_one(&mut *connection)
        .await
        .map_err(unreadable(path))?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(LedgerError::Newer { path: path.display().to_string(), found, known });
    }
    quick_check(path, connection).await
}

/// Looks for damaged pages in a ledger that may be in use. The file is opened by SQLite alone: to close it in another way
/// would drop the locks of this process.
pub(super) async fn check_pages(path: &Path) -> Result<(), LedgerError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY);
    let mut connection = options.disable_statement_logging().connect().await.map_err(unreadable(path))?;
    let checked = quick_check(path, &mut connection).await;
    // a failure to close a read-only connection says nothing about the file
    drop(connection.close().await);
    checked
}

async fn quick_check(path: &Path, connection: &mut SqliteConnection) -> Result<(), LedgerError> {
    let check: String = sqlx::query_scalar("pragma quick_check(1)")
        .fetch_one(&mut *connection)
        .await
        .map_err(unreadable(path))?;
    if check == "ok" { Ok(()) } else { Err(corrupt(path, check.replace('\n', " "))) }
}

fn corrupt(path: &Path, what: String) -> LedgerError {
    LedgerError::Corrupt { path: path.display().to_string(), what }
}

/// Returns whether an error means damage. SQLite returns 11 for a malformed file and 26 for one that is no database;
/// every other code is a failure to read.
pub(crate) fn is_damage(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|cause| cause.code()?.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

fn unreadable(path: &Path) -> impl Fn(sqlx::Error) -> LedgerError {
    move |error| match &error {
        sqlx::Error::Database(cause) if is_damage(&error) => corrupt(path, cause.message().to_owned()),
        _ => opening(path)(error),
    }
}
