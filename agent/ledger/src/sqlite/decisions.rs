//! The audit chain of the gate.

use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection, SqlitePool};

use super::{SqliteLedger, query};
use crate::chain::{self, Chain, Link};
use crate::retention::DECISIONS_KEPT;
use crate::{DecisionStore, LedgerError};
use lookout_model::{DecisionRecord, Timestamp};

#[derive(FromRow)]
struct DecisionRow {
    sequence: i64,
    id: String,
    at_ms: i64,
    service: String,
    answer: String,
    previous_hash: String,
    hash: String,
}

impl From<DecisionRow> for DecisionRecord {
    fn from(row: DecisionRow) -> Self {
        Self {
            id: row.id,
            sequence: row.sequence,
            at: Timestamp::from_millis(row.at_ms),
            service: row.service,
            answer: row.answer,
            previous_hash: row.previous_hash,
            hash: row.hash,
        }
    }
}

pub(super) async fn append(
    connection: &mut SqliteConnection,
    decision: DecisionRecord,
) -> sqlx::Result<DecisionRecord> {
    let last: Option<(i64, String)> =
        sqlx::query_as("select sequence, hash from decision order by sequence desc limit 1")
            .fetch_optional(&mut *connection)
            .await?;
    let last = match last {
        Some((sequence, hash)) => Some(Link { sequence, hash }),
        None => anchor(connection).await?,
    };
    let linked = chain::link(decision, last.as_ref());
    sqlx::query(
        "insert into decision (sequence, id, at_ms, service, answer, previous_hash, hash) \
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(linked.sequence)
    .bind(&linked.id)
    .bind(linked.at.as_millis())
    .bind(&linked.service)
    .bind(&linked.answer)
    .bind(&linked.previous_hash)
    .bind(&linked.hash)
    .execute(&mut *connection)
    .await?;
    Ok(linked)
}

/// Forgets decisions of before an instant and those beyond the most that are kept, some at a time. The chain stays whole:
/// its anchor is the last one that was forgotten.
pub(super) async fn prune(connection: &mut SqliteConnection, before: Timestamp) -> sqlx::Result<()> {
    const PORTION: i64 = 5000;
    // no later one goes before an earlier one, even if the clock was set
    let last: Option<(i64, String)> = sqlx::query_as(
        "select sequence, hash from decision where sequence < (select min(sequence) from decision) + $3 and \
         (sequence <= (select max(sequence) from decision) - $2 or sequence < \
          (select coalesce(min(sequence), 9223372036854775807) from decision where at_ms >= $1)) \
         order by sequence desc limit 1",
    )
    .bind(before.as_millis())
    .bind(DECISIONS_KEPT)
    .bind(PORTION)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((sequence, hash)) = last else { return Ok(()) };
    sqlx::query("delete from decision_anchor").execute(&mut *connection).await?;
    sqlx::query("insert into decision_anchor (sequence, hash) values ($1, $2)")
        .bind(sequence)
        .bind(hash)
        .execute(&mut *connection)
        .await?;
    sqlx::query("delete from decision where sequence <= $1").bind(sequence).execute(connection).await?;
    Ok(())
}

/// Returns the last decision that was forgotten. A ledger of an older lookout has forgotten none.
async fn anchor(connection: &mut SqliteConnection) -> sqlx::Result<Option<Link>> {
    let exists: bool =
        sqlx::query_scalar("select exists (select 1 from sqlite_master where name = 'decision_anchor')")
            .fetch_one(&mut *connection)
            .await?;
    if !exists {
        return Ok(None);
    }
    let row: Option<(i64, String)> =
        sqlx::query_as("select sequence, hash from decision_anchor").fetch_optional(connection).await?;
    Ok(row.map(|(sequence, hash)| Link { sequence, hash }))
}

pub(super) async fn by_id(pool: &SqlitePool, id: &str) -> sqlx::Result<Option<DecisionRecord>> {
    let row: Option<DecisionRow> =
        sqlx::query_as("select * from decision where id = $1").bind(id).fetch_optional(pool).await?;
    Ok(row.map(Into::into))
}

/// Follows the chain from its first link.
pub(super) async fn verify(pool: &SqlitePool) -> sqlx::Result<Chain> {
    follow(&mut *pool.acquire().await?).await
}

/// As [`verify`], within a transaction of the caller's; a page at a time.
pub(super) async fn follow(connection: &mut SqliteConnection) -> sqlx::Result<Chain> {
    const PAGE: u32 = 500;
    let mut verifier = chain::Verifier::after(anchor(connection).await?);
    let mut after = i64::MIN;
    loop {
        let rows: Vec<DecisionRow> =
            sqlx::query_as("select * from decision where sequence > $1 order by sequence limit $2")
                .bind(after)
                .bind(PAGE)
                .fetch_all(&mut *connection)
                .await?;
        let Some(last) = rows.last() else { return Ok(verifier.finish()) };
        after = last.sequence;
        for row in rows {
            verifier.take(&row.into());
        }
    }
}

#[async_trait]
impl DecisionStore for SqliteLedger {
    async fn record_decision(&self, decision: DecisionRecord) -> Result<DecisionRecord, LedgerError> {
        let mut work = self.writer.begin("storing a decision").await?;
        let stored = append(&mut work.connection, decision).await.map_err(query("storing a decision"))?;
        work.commit().await?;
        Ok(stored)
    }

    async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, LedgerError> {
        by_id(&self.readers, id).await.map_err(query("reading a decision"))
    }
}
