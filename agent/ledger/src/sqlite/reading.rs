//! A ledger opened for reading: no lock is taken and nothing is written, so its agent may be running.

use std::path::Path;

use lookout_model::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, SqlitePool};

use super::{ACQUIRE, BUSY, counts, inspect, opening, query};
use crate::{CountSeries, LedgerError};

/// An SQLite ledger opened for reading.
#[derive(Debug)]
pub struct LedgerFile {
    pool: SqlitePool,
}

impl LedgerFile {
    /// Opens the ledger at `path`.
    ///
    /// # Errors
    /// Fails when there is none, or it is damaged or of a newer version.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        std::fs::metadata(path).map_err(|source| opening(path)(source.into()))?;
        inspect::inspect(path).await?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE)
            .connect_with(options)
            .await
            .map_err(opening(path))?;
        Ok(Self { pool })
    }

    /// Returns the counts of an SLO that began at or after `since`, within retention.
    ///
    /// # Errors
    /// Fails when they cannot be read.
    pub async fn counts(&self, slo_id: &str, since: Timestamp) -> Result<CountSeries, LedgerError> {
        counts::read(&self.pool, slo_id, since).await.map_err(query("reading counts"))
    }

    /// Returns the ids of all SLOs that ever had counts.
    ///
    /// # Errors
    /// Fails when they cannot be read.
    pub async fn slo_ids(&self) -> Result<Vec<String>, LedgerError> {
        sqlx::query_scalar("select name from slo order by name")
            .fetch_all(&self.pool)
            .await
            .map_err(query("reading the names of SLOs"))
    }

    /// Closes the file.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests {
    use lookout_engine::Counts;

    use super::super::SqliteLedger;
    use super::*;
    use crate::Ledger as _;
    use lookout_model::CountRow;

    #[tokio::test]
    async fn a_ledger_is_read_while_its_agent_runs_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lookout.db");
        let agent = SqliteLedger::open(&path).await.unwrap();
        let row = |start_s| CountRow { slo_id: "api-up".to_owned(), start_s, width_s: 10, good: 5, bad: 1 };
        agent.commit(&[row(60), row(70)], &[]).await.unwrap();
        let before = std::fs::read(&path).unwrap();

        let file = LedgerFile::open(&path).await.unwrap();
        let counts = file.counts("api-up", Timestamp::from_seconds(65)).await.unwrap();
        assert_eq!(counts.slots(), [(70, 10, Counts { good: 5, bad: 1 })]);
        assert_eq!(file.slo_ids().await.unwrap(), ["api-up"]);
        file.close().await;
        assert_eq!(std::fs::read(&path).unwrap(), before);

        agent.commit(&[row(80)], &[]).await.unwrap();
        agent.close().await;
        let file = LedgerFile::open(&path).await.unwrap();
        assert_eq!(
            file.counts("api-up", Timestamp::EPOCH).await.unwrap().slots().len(),
            3,
            "without an agent, too"
        );
        file.close().await;
    }

    #[tokio::test]
    async fn what_is_no_ledger_is_refused_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lookout.db");
        let told = LedgerFile::open(&path).await.unwrap_err().to_string();
        assert!(told.contains("lookout.db"), "{told}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        std::fs::write(&path, "time,good,bad\n").unwrap();
        assert!(matches!(LedgerFile::open(&path).await, Err(LedgerError::Corrupt { .. })));
    }
}
