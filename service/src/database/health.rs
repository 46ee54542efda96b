//! Health checks: whether the database answers, can be read, and takes changes.

use std::time::Duration;

use tokio::time::timeout;

use super::connection::Pools;
use super::error::{WriteFault, doing};
use super::migrations::Standing;
use super::{CHECK_TIMEOUT, Database, DatabaseError, Statement, migrations};

/// Time after which a full or broken disk of PostgreSQL is no longer assumed: only a change can tell.
const FAULT_ASSUMED: Duration = Duration::from_secs(30);

/// One statement that waits for no lock: it asks the catalogue for them.
const POSTGRES: &str = "select pg_is_in_recovery() or current_setting('transaction_read_only') = 'on', \
     exists (select 1 from pg_locks l join pg_class c on c.oid = l.relation where l.granted \
     and l.mode = 'AccessExclusiveLock' and c.relkind = 'r' and l.pid <> pg_backend_pid() \
     and l.database = (select oid from pg_database where datname = current_database()))";
const SQLITE: &str = "select false, false";
/// A change without an effect that needs space on the disk.
const TRY_WRITE: &str = "pragma user_version = 0";

/// The health of a database that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// True while another session has locked a table against reading, such as a migration.
    pub locked: bool,
    /// The reason for which it takes no changes.
    pub write_fault: Option<WriteFault>,
    /// True if the migrations of this version are applied; unknown if that could not be read.
    pub migrated: Option<bool>,
}

impl Database {
    /// Checks the database. An error means that it does not answer.
    pub async fn health(&self) -> Result<Health, DatabaseError> {
        let checks = async {
            let statement = Statement::begin(if self.is_postgres() { POSTGRES } else { SQLITE });
            let rows = self.check_rows::<(bool, bool)>(statement).await?;
            let (read_only, locked) = rows.first().copied().unwrap_or_default();
            if let Pools::Postgres { checks, .. } = &self.pools
                && read_only
            {
                // The next check asks whichever server a new connection leads to.
                checks.renew();
            }
            let write_fault = if read_only { Some(WriteFault::ReadOnly) } else { self.write_fault().await };
            Ok((locked, write_fault))
        };
        let checked = timeout(CHECK_TIMEOUT, checks).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let (locked, write_fault) = checked.map_err(doing("checking the health of the database"))?;
        let standing = timeout(CHECK_TIMEOUT, migrations::standing(self)).await;
        let migrated = match standing {
            Ok(Ok(standing)) => Some(matches!(standing, Standing::Ours | Standing::Newer(_))),
            _ => None,
        };
        Ok(Health { locked, write_fault, migrated })
    }

    /// Returns whether a change has failed and none has succeeded since.
    #[must_use]
    pub fn has_known_write_fault(&self) -> bool {
        self.meter.last_write_fault().is_some()
    }

    /// Returns the fault of the last change, unless it has passed meanwhile.
    async fn write_fault(&self) -> Option<WriteFault> {
        let (fault, since) = self.meter.last_write_fault()?;
        let passed = if self.is_postgres() {
            // It says itself whether it is read-only.
            fault == WriteFault::ReadOnly || since.elapsed() > FAULT_ASSUMED
        } else {
            let tried = async { self.pools.connection().await?.execute(Statement::begin(TRY_WRITE)).await };
            tried.await.is_ok()
        };
        if passed {
            self.meter.set_write_fault(None);
        }
        (!passed).then_some(fault)
    }
}
