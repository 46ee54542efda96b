//! Pauses of targets.

use core::time::Duration;

use async_trait::async_trait;
use lookout_model::{PauseRecord, Timestamp};
use sqlx::{SqliteConnection, SqlitePool};

use super::{SqliteLedger, query};
use crate::{LedgerError, PauseStore};

/// Time for which an ended pause is kept.
pub(super) const RETENTION: Duration = Duration::from_secs(86_400);

/// Stores a pause in the place of an earlier one of the target.
async fn record(connection: &mut SqliteConnection, pause: &PauseRecord) -> sqlx::Result<()> {
    sqlx::query(
        "insert or replace into pause (target, from_ms, until_ms, reason, actor) values ($1, $2, $3, $4, $5)",
    )
    .bind(&pause.target)
    .bind(pause.from.as_millis())
    .bind(pause.until.as_millis())
    .bind(&pause.reason)
    .bind(&pause.actor)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Deletes the pauses that ended before an instant.
pub(super) async fn remove_before(connection: &mut SqliteConnection, before: Timestamp) -> sqlx::Result<()> {
    sqlx::query("delete from pause where until_ms < $1")
        .bind(before.as_millis())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

async fn read(pool: &SqlitePool) -> sqlx::Result<Vec<PauseRecord>> {
    let rows: Vec<(String, i64, i64, String, String)> =
        sqlx::query_as("select target, from_ms, until_ms, reason, actor from pause order by target")
            .fetch_all(pool)
            .await?;
    let pause = |(target, from, until, reason, actor)| PauseRecord {
        target,
        from: Timestamp::from_millis(from),
        until: Timestamp::from_millis(until),
        reason,
        actor,
    };
    Ok(rows.into_iter().map(pause).collect())
}

#[async_trait]
impl PauseStore for SqliteLedger {
    async fn record_pause(&self, pause: &PauseRecord) -> Result<(), LedgerError> {
        const DOING: &str = "storing a pause";
        let mut work = self.writer.begin(DOING).await?;
        record(&mut work.connection, pause).await.map_err(query(DOING))?;
        work.commit().await
    }

    async fn pauses(&self) -> Result<Vec<PauseRecord>, LedgerError> {
        read(&self.readers).await.map_err(query("reading pauses"))
    }
}
