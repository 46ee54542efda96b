//! Silences.

use async_trait::async_trait;
use lookout_model::{Matcher, SilenceRecord, Timestamp};
use sqlx::{FromRow, SqliteConnection};

use super::{SqliteLedger, decode, json, query, word};
use crate::{LedgerError, MAX_SILENCES, SilenceStore};

const DOING: &str = "reading a silence back";

#[derive(FromRow)]
struct Row {
    id: String,
    matcher: String,
    severity: Option<String>,
    reason: String,
    actor: String,
    created_at_ms: i64,
    ends_at_ms: i64,
    expired_by: Option<String>,
}

impl Row {
    fn into_record(self) -> Result<SilenceRecord, LedgerError> {
        let matcher: Matcher = decode(DOING, &self.matcher)?;
        Ok(SilenceRecord {
            id: self.id,
            matcher,
            severity: self.severity.map(|severity| word(DOING, &severity)).transpose()?,
            reason: self.reason,
            actor: self.actor,
            created_at: Timestamp::from_millis(self.created_at_ms),
            ends_at: Timestamp::from_millis(self.ends_at_ms),
            expired_by: self.expired_by,
        })
    }
}

/// Stores a silence, unless as many are in force as may be.
async fn record(connection: &mut SqliteConnection, silence: &SilenceRecord) -> Result<bool, LedgerError> {
    let stored = sqlx::query(
        "insert into silence (id, matcher, severity, reason, actor, created_at_ms, ends_at_ms) \
         select $1, $2, $3, $4, $5, $6, $7 where (select count(*) from silence where ends_at_ms > $6) < $8",
    )
    .bind(&silence.id)
    .bind(json("storing a silence", &silence.matcher)?)
    .bind(silence.severity.map(|severity| severity.as_str()))
    .bind(&silence.reason)
    .bind(&silence.actor)
    .bind(silence.created_at.as_millis())
    .bind(silence.ends_at.as_millis())
    .bind(i64::try_from(MAX_SILENCES).unwrap_or(i64::MAX))
    .execute(connection)
    .await
    .map_err(query("storing a silence"))?;
    Ok(stored.rows_affected() > 0)
}

async fn expire(
    connection: &mut SqliteConnection,
    id: &str,
    actor: &str,
    now: Timestamp,
) -> sqlx::Result<Option<Row>> {
    sqlx::query("update silence set ends_at_ms = $3, expired_by = $2 where id = $1 and ends_at_ms > $3")
        .bind(id)
        .bind(actor)
        .bind(now.as_millis())
        .execute(&mut *connection)
        .await?;
    sqlx::query_as("select * from silence where id = $1").bind(id).fetch_optional(connection).await
}

/// Deletes silences that have been over for as long as incidents are kept.
pub(super) async fn prune(connection: &mut SqliteConnection, before: Timestamp) -> sqlx::Result<()> {
    sqlx::query("delete from silence where ends_at_ms < $1")
        .bind(before.as_millis())
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl SilenceStore for SqliteLedger {
    async fn record_silence(&self, silence: &SilenceRecord) -> Result<bool, LedgerError> {
        let mut work = self.writer.begin("storing a silence").await?;
        let stored = record(&mut work.connection, silence).await?;
        work.commit().await?;
        Ok(stored)
    }

    async fn expire_silence(
        &self,
        id: &str,
        actor: &str,
        now: Timestamp,
    ) -> Result<Option<SilenceRecord>, LedgerError> {
        const DOING: &str = "ending a silence";
        let mut work = self.writer.begin(DOING).await?;
        let row = expire(&mut work.connection, id, actor, now).await.map_err(query(DOING))?;
        work.commit().await?;
        row.map(Row::into_record).transpose()
    }

    async fn silences(&self, since: Timestamp) -> Result<Vec<SilenceRecord>, LedgerError> {
        let rows: Vec<Row> = sqlx::query_as("select * from silence where ends_at_ms > $1 order by sequence")
            .bind(since.as_millis())
            .fetch_all(&self.readers)
            .await
            .map_err(query("reading silences"))?;
        rows.into_iter().map(Row::into_record).collect()
    }
}
