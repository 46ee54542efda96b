//! Errors of the database, and whether they may pass by themselves.

use std::sync::Arc;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::SqliteError;

use super::versions::{Unfit, Versions};

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
    /// Its tables are not made yet, or those of an older version.
    #[error(
        "the database {url} lacks tables of this version; start the service once to bring them up to date"
    )]
    Behind {
        /// The URL, without credentials.
        url: String,
    },
    /// Its tables hold more than this version could copy or put back.
    #[error(
        "the database {url} has the tables of a newer version (migrations {unknown} are unknown to this one): a backup or \
         a restore would lose what that one added, so take the newer `titanic` for it"
    )]
    Newer {
        /// The URL, without credentials.
        url: String,
        /// The unknown migrations.
        unknown: Versions,
    },
    /// Its tables come from a program with another past.
    #[error("the database {url} has tables that this version cannot use: {unfit}; it was left as it is")]
    Unfit {
        /// The URL, without credentials.
        url: String,
        /// The reason.
        unfit: Unfit,
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
    /// The database did not answer a health check in time.
    #[error("the database did not answer within {} s", super::CHECK_TIMEOUT.as_secs())]
    Silent,
}

impl DatabaseError {
    /// Returns whether a start that failed like this may succeed a little later: the server does not listen yet, or is starting.
    #[must_use]
    pub fn may_still_come(&self) -> bool {
        match self {
            Self::Open { source, .. } => match source {
                sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) | sqlx::Error::Io(_) => true,
                sqlx::Error::Database(error) if error.try_downcast_ref::<SqliteError>().is_none() => {
                    passes_in_postgres(&error.code().unwrap_or_default())
                }
                _ => false,
            },
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
        let Self::Query { source, .. } = self else { return matches!(self, Self::Silent) };
        match &**source {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            // A peer that ends in the middle of a handshake or a message.
            | sqlx::Error::Protocol(_)
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_) => true,
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                // Both speak in digits, and `53300` is no code of SQLite's: who spoke decides how it is read.
                if error.try_downcast_ref::<SqliteError>().is_some() {
                    code.parse().is_ok_and(passes_in_sqlite)
                } else {
                    passes_in_postgres(&code)
                }
            }
            _ => false,
        }
    }
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
    let sqlx::Error::Database(error) = error else { return None };
    let code = error.code()?;
    if error.try_downcast_ref::<SqliteError>().is_some() {
        return match code.parse::<u32>().ok()? & 0xff {
            8 => Some(WriteFault::ReadOnly),
            10 => Some(WriteFault::Io),
            13 => Some(WriteFault::Full),
            _ => None,
        };
    }
    match &*code {
        "53100" => Some(WriteFault::Full),
        "25006" => Some(WriteFault::ReadOnly),
        "58030" => Some(WriteFault::Io),
        _ => None,
    }
}

/// SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_CANTOPEN and their extended forms.
fn passes_in_sqlite(code: u32) -> bool {
    matches!(code & 0xff, 5 | 6 | 10 | 14)
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
            [(5, true), (261, true), (517, true), (14, true), (19, false), (1, false), (11, false)]
        {
            assert_eq!(passes_in_sqlite(code), passes, "{code}");
        }
    }
}
