//! Corrections and their revocations: two tables that are only added to.

use async_trait::async_trait;
use lookout_model::Timestamp;
use sqlx::{FromRow, SqliteConnection, SqlitePool};

use super::{SqliteLedger, query};
use crate::{CorrectionStore, LedgerError};
use lookout_model::correction::IN_FORCE_FOR;
use lookout_model::{CorrectionKind, CorrectionRecord, CorrectionScope, MAX_IN_FORCE, MAX_KEPT, Revocation};

/// A correction with its revocation, if there is one.
const ROWS: &str = "select c.id, c.scope, c.scope_name, c.kind, c.from_ms, c.to_ms, c.recurrence, c.reason, c.actor, \
                    c.created_at_ms, r.at_ms as revoked_at_ms, r.actor as revoked_by, r.reason as revoked_why \
                    from correction c left join correction_revocation r on r.correction_id = c.id";

#[derive(FromRow)]
struct Row {
    id: String,
    scope: String,
    scope_name: String,
    kind: String,
    from_ms: i64,
    to_ms: Option<i64>,
    recurrence: Option<String>,
    reason: String,
    actor: String,
    created_at_ms: i64,
    revoked_at_ms: Option<i64>,
    revoked_by: Option<String>,
    revoked_why: Option<String>,
}

impl Row {
    /// Returns the correction. A row that cannot be read corrects nothing, and the log names it: a time zone that this
    /// machine does not know must not stop the agent.
    fn read(self) -> Option<CorrectionRecord> {
        let recurrence = match self.recurrence.map(|text| text.parse()).transpose() {
            Ok(recurrence) => recurrence,
            Err(error) => {
                tracing::error!(correction.id = self.id, %error, "a correction cannot be read and corrects nothing");
                return None;
            }
        };
        let scope = CorrectionScope::from_parts(&self.scope, self.scope_name);
        let kind: Result<CorrectionKind, String> = self.kind.parse();
        let (Some(scope), Ok(kind)) = (scope, kind) else {
            tracing::error!(correction.id = self.id, "a correction cannot be read and corrects nothing");
            return None;
        };
        let revoked = self.revoked_at_ms.map(|at_ms| Revocation {
            at: Timestamp::from_millis(at_ms),
            actor: self.revoked_by.unwrap_or_default(),
            reason: self.revoked_why.unwrap_or_default(),
        });
        Some(CorrectionRecord {
            id: self.id,
            scope,
            kind,
            from: Timestamp::from_millis(self.from_ms),
            to: self.to_ms.map(Timestamp::from_millis),
            recurrence,
            reason: self.reason,
            actor: self.actor,
            created_at: Timestamp::from_millis(self.created_at_ms),
            revoked,
        })
    }
}

fn read(rows: Vec<Row>) -> Vec<CorrectionRecord> {
    rows.into_iter().filter_map(Row::read).collect()
}

pub(super) async fn record(
    connection: &mut SqliteConnection,
    correction: &CorrectionRecord,
) -> sqlx::Result<bool> {
    let (scope, name) = correction.scope.parts();
    let stored = sqlx::query(
        "insert into correction \
         (id, scope, scope_name, kind, from_ms, to_ms, recurrence, reason, actor, created_at_ms) \
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 \
         where (select count(*) from correction c where coalesce(c.to_ms > $11, true) \
                and not exists (select 1 from correction_revocation r where r.correction_id = c.id)) < $12 \
         and (select count(*) from correction) < $13",
    )
    .bind(&correction.id)
    .bind(scope)
    .bind(name)
    .bind(correction.kind.as_str())
    .bind(correction.from.as_millis())
    .bind(correction.to.map(Timestamp::as_millis))
    .bind(correction.recurrence.as_ref().map(ToString::to_string))
    .bind(&correction.reason)
    .bind(&correction.actor)
    .bind(correction.created_at.as_millis())
    .bind((correction.created_at - IN_FORCE_FOR).as_millis())
    .bind(i64::try_from(MAX_IN_FORCE).unwrap_or(i64::MAX))
    .bind(i64::try_from(MAX_KEPT).unwrap_or(i64::MAX))
    .execute(connection)
    .await?;
    Ok(stored.rows_affected() > 0)
}

pub(super) async fn revoke(
    connection: &mut SqliteConnection,
    id: &str,
    revocation: &Revocation,
) -> sqlx::Result<Option<CorrectionRecord>> {
    sqlx::query(
        "insert into correction_revocation (correction_id, at_ms, actor, reason) \
         select id, $2, $3, $4 from correction where id = $1 \
         and not exists (select 1 from correction_revocation where correction_id = $1)",
    )
    .bind(id)
    .bind(revocation.at.as_millis())
    .bind(&revocation.actor)
    .bind(&revocation.reason)
    .execute(&mut *connection)
    .await?;
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!("{ROWS} where c.id = $1")))
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    Ok(row.and_then(Row::read))
}

pub(super) async fn newest(
    pool: &SqlitePool,
    before: Option<&str>,
    limit: u32,
) -> sqlx::Result<Vec<CorrectionRecord>> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{ROWS} where $1 is null or c.sequence < (select sequence from correction where id = $1) \
         order by c.sequence desc limit $2"
    )))
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(read(rows))
}

pub(super) async fn in_force(pool: &SqlitePool, since: Timestamp) -> sqlx::Result<Vec<CorrectionRecord>> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{ROWS} where r.at_ms is null and coalesce(c.to_ms > $1, true) order by c.sequence"
    )))
    .bind(since.as_millis())
    .fetch_all(pool)
    .await?;
    Ok(read(rows))
}

/// Returns the number of rows that either table ever had. It is read at every tick, so it uses the connection that
/// every tick needs.
pub(super) async fn version(pool: &SqlitePool) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select coalesce(sum(seq), 0) from sqlite_sequence where name in ('correction', 'correction_revocation')",
    )
    .fetch_one(pool)
    .await
}

/// Deletes corrections that have been over or revoked for as long as incidents are kept.
pub(super) async fn prune(connection: &mut SqliteConnection, before: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "delete from correction where \
         coalesce((select r.at_ms from correction_revocation r where r.correction_id = correction.id), to_ms) < $1",
    )
    .bind(before.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}

#[async_trait]
impl CorrectionStore for SqliteLedger {
    async fn record_correction(&self, correction: &CorrectionRecord) -> Result<bool, LedgerError> {
        let mut work = self.writer.begin("storing a correction").await?;
        let stored = record(&mut work.connection, correction).await.map_err(query("storing a correction"))?;
        work.commit().await?;
        Ok(stored)
    }

    async fn revoke_correction(
        &self,
        id: &str,
        revocation: &Revocation,
    ) -> Result<Option<CorrectionRecord>, LedgerError> {
        let mut work = self.writer.begin("revoking a correction").await?;
        let stored =
            revoke(&mut work.connection, id, revocation).await.map_err(query("revoking a correction"))?;
        work.commit().await?;
        Ok(stored)
    }

    async fn corrections(
        &self,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<CorrectionRecord>, LedgerError> {
        newest(&self.readers, before, limit).await.map_err(query("reading corrections"))
    }

    async fn corrections_in_force(&self, since: Timestamp) -> Result<Vec<CorrectionRecord>, LedgerError> {
        in_force(&self.readers, since).await.map_err(query("reading corrections"))
    }

    async fn corrections_version(&self) -> Result<i64, LedgerError> {
        version(&self.readers).await.map_err(query("looking for new corrections"))
    }
}
