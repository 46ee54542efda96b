//! The last call of every job.

use async_trait::async_trait;
use sqlx::{SqliteConnection, SqlitePool};

use super::{SqliteLedger, query};
use crate::{HeartbeatStore, LedgerError};
use lookout_model::Timestamp;

/// Stores a call, unless a later one is known.
pub(super) async fn record(connection: &mut SqliteConnection, name: &str, at: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "insert into heartbeat (name, at_ms) values ($1, $2) \
         on conflict (name) do update set at_ms = max(at_ms, excluded.at_ms)",
    )
    .bind(name)
    .bind(at.as_millis())
    .execute(&mut *connection)
    .await?;
    Ok(())
}

pub(super) async fn read(pool: &SqlitePool) -> sqlx::Result<Vec<(String, Timestamp)>> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select name, at_ms from heartbeat order by name").fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(name, at_ms)| (name, Timestamp::from_millis(at_ms))).collect())
}

#[async_trait]
impl HeartbeatStore for SqliteLedger {
    async fn record_heartbeat(&self, name: &str, at: Timestamp) -> Result<(), LedgerError> {
        const DOING: &str = "storing a heartbeat";
        let mut work = self.writer.begin(DOING).await?;
        record(&mut work.connection, name, at).await.map_err(query(DOING))?;
        work.commit().await
    }

    async fn heartbeats(&self) -> Result<Vec<(String, Timestamp)>, LedgerError> {
        read(&self.readers).await.map_err(query("reading heartbeats"))
    }
}
