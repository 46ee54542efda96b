//! Objectives over time.

use async_trait::async_trait;
use sqlx::{SqliteConnection, SqlitePool};

use super::{SqliteLedger, query};
use crate::retention::OBJECTIVES_KEPT;
use crate::{LedgerError, ObjectiveStore};
use lookout_model::{ObjectiveRecord, Timestamp};

/// Stores an objective in the place of one that began at the same time, and forgets the oldest when there are many.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    slo_id: &str,
    objective: ObjectiveRecord,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into objective (slo_id, from_ms, good_ppb) values ($1, $2, $3) \
         on conflict (slo_id, from_ms) do update set good_ppb = excluded.good_ppb",
    )
    .bind(slo_id)
    .bind(objective.from.as_millis())
    .bind(objective.good_ppb)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "delete from objective where slo_id = $1 and from_ms not in \
         (select from_ms from objective where slo_id = $1 order by from_ms desc limit $2)",
    )
    .bind(slo_id)
    .bind(OBJECTIVES_KEPT)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

pub(super) async fn read(pool: &SqlitePool, slo_id: &str) -> sqlx::Result<Vec<ObjectiveRecord>> {
    let rows: Vec<(i64, u32)> =
        sqlx::query_as("select from_ms, good_ppb from objective where slo_id = $1 order by from_ms")
            .bind(slo_id)
            .fetch_all(pool)
            .await?;
    Ok(rows
        .into_iter()
        .map(|(from_ms, good_ppb)| ObjectiveRecord { from: Timestamp::from_millis(from_ms), good_ppb })
        .collect())
}

#[async_trait]
impl ObjectiveStore for SqliteLedger {
    async fn record_objective(&self, slo_id: &str, objective: ObjectiveRecord) -> Result<(), LedgerError> {
        let mut work = self.writer.begin("storing an objective").await?;
        record(&mut work.connection, slo_id, objective).await.map_err(query("storing an objective"))?;
        work.commit().await
    }

    async fn objectives(&self, slo_id: &str) -> Result<Vec<ObjectiveRecord>, LedgerError> {
        read(&self.readers, slo_id).await.map_err(query("reading objectives"))
    }
}
