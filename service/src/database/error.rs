//! Errors of the database, and whether they may pass by themselves.

use std::borrow::Cow;
use std::sync::Arc;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::SqliteError;

/// A failure of the database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database cannot be opened or made.
    #[error("opening the database {url} ({advice})")]
    Open {
        /// The URL, without credentials.
        url: String,
        /// The first thing to check.
        advice: &'static str,
        /// The error of the driver.
        #[source]
        source: sqlx::Error,
    },
    /// Its tables cannot be brought up to date.
    #[error("migrating the database {url}; it was left as it is")]
    Migrate {
        /// The URL, without credentials.
        url: String,
        /// The error of the driver.
        #[source]
        source: MigrateError,
    },
    /// Its tables are not those of this version.
    #[error("the database {url} {state}")]
    Tables {
        /// The URL, without credentials.
        url: String,
        /// Their state, and what to do about it.
        state: String,
    },
    /// A statement failed.
    #[error("{doing}")]
    Query {
        /// The attempted operation.
        doing: &'static str,
        /// The error of the driver, perhaps shared by several requests.
        #[source]
        source: Arc<sqlx::Error>,
    },
}

impl DatabaseError {
    /// Returns whether a start that failed like this may succeed a little later: the server does not listen yet, or is starting.
    #[must_use]
    pub fn may_still_come(&self) -> bool {
        match self {
            // A wrong certificate stays, and so does a file that cannot be opened.
            Self::Open { source: sqlx::Error::Tls(_), .. } => false,
            Self::Open { source, .. } => !matches!(code_of(source), Some(Code::Sqlite(_))) && passes(source),
            other => other.is_temporary(),
        }
    }

    /// Returns the reason for which the database takes no changes, if that is the failure.
    #[must_use]
    pub fn write_fault(&self) -> Option<WriteFault> {
        if let Self::Query { source, .. } = self { write_fault(source) } else { None }
    }

    /// Returns whether the same request may well succeed a little later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Query { source, .. } if passes(source))
    }
}

/// The code of an error, by the database that gave it: both speak in digits, and `53300` is no code of SQLite's.
enum Code<'a> {
    /// Without the extension of an extended code.
    Sqlite(u32),
    Postgres(Cow<'a, str>),
}

fn code_of(error: &sqlx::Error) -> Option<Code<'_>> {
    let error = error.as_database_error()?;
    let code = error.code()?;
    if error.try_downcast_ref::<SqliteError>().is_some() {
        return Some(Code::Sqlite(code.parse::<u32>().ok()? & 0xff));
    }
    Some(Code::Postgres(code))
}

/// The reason for which a database takes no changes while it may still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// The disk is full.
    Full,
    /// The file or the server is read-only, such as a primary after a failover.
    ReadOnly,
    /// The disk refuses to write, such as a broken one.
    Io,
}

impl WriteFault {
    /// Returns its name in a health report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Io => "io_error",
        }
    }
}

/// Returns the reason for which a statement could not change anything.
pub(super) fn write_fault(error: &sqlx::Error) -> Option<WriteFault> {
    match code_of(error)? {
        Code::Sqlite(8) => Some(WriteFault::ReadOnly),
        Code::Sqlite(10) => Some(WriteFault::Io),
        Code::Sqlite(13) => Some(WriteFault::Full),
        Code::Sqlite(_) => None,
        Code::Postgres(code) => match &*code {
            "25006" => Some(WriteFault::ReadOnly),
            "58030" => Some(WriteFault::Io),
            "53100" => Some(WriteFault::Full),
            _ => None,
        },
    }
}

/// Returns whether the server takes no changes, so that another one may have taken over.
pub(super) fn has_become_read_only(error: &sqlx::Error) -> bool {
    matches!(code_of(error), Some(Code::Postgres(code)) if code == "25006")
}

/// Returns whether the server refused a connection because it has no more.
pub(super) fn has_no_connection_left(error: &sqlx::Error) -> bool {
    matches!(code_of(error), Some(Code::Postgres(code)) if code == "53300")
}

/// Returns whether the connection is lost, or the peer ended in the middle of a handshake or a message.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Io, Protocol, Tls, WorkerCrashed};
    matches!(error, Io(_) | Tls(_) | Protocol(_) | WorkerCrashed)
}

/// Returns whether what failed may well succeed a little later.
fn passes(error: &sqlx::Error) -> bool {
    use sqlx::Error::{BeginFailed, PoolClosed, PoolTimedOut};
    match code_of(error) {
        Some(Code::Sqlite(code)) => passes_in_sqlite(code),
        Some(Code::Postgres(code)) => passes_in_postgres(&code),
        None => is_lost(error) || matches!(error, PoolTimedOut | PoolClosed | BeginFailed),
    }
}

/// SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_CANTOPEN.
fn passes_in_sqlite(code: u32) -> bool {
    matches!(code, 5 | 6 | 10 | 14)
}

/// The classes of a lost connection (08), of too few resources (53), of an operator who stops the server or a statement
/// (57) and of a system failure (58); conflicts and deadlocks (40), a lock that is not to be had (55P03), and a server
/// that takes no writes because another has just taken over (25006).
fn passes_in_postgres(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "40" | "53" | "57" | "58")) || matches!(code, "55P03" | "25006")
}

/// Adds the attempted operation to the error of a failed statement.
pub(crate) fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> DatabaseError {
    move |source| DatabaseError::Query { doing, source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        for code in ["08006", "40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03", "57014", "25006"]
        {
            assert!(passes_in_postgres(code), "{code}");
        }
        // A violated rule, a missing table, a wrong password, a wrong statement.
        for code in ["23505", "23514", "42P01", "28P01", "42601", "", "0", "é1"] {
            assert!(!passes_in_postgres(code), "{code}");
        }
        for (code, passes) in
            [(5, true), (6, true), (10, true), (14, true), (19, false), (1, false), (11, false)]
        {
            assert_eq!(passes_in_sqlite(code), passes, "{code}");
        }
    }
}
