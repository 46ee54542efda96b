//! The audit chain of the gate.

use sqlx::{FromRow, SqliteConnection, SqlitePool};

use crate::chain::{self, Chain};
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
    let last: Option<DecisionRow> = sqlx::query_as("select * from decision order by sequence desc limit 1")
        .fetch_optional(&mut *connection)
        .await?;
    let linked = chain::link(decision, last.map(Into::into).as_ref());
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
    let mut verifier = chain::Verifier::default();
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
