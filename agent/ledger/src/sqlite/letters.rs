//! Messages that a destination refused for good.

use std::collections::BTreeMap;

use sqlx::{FromRow, SqliteConnection, SqlitePool};

use crate::{DEAD_LETTER_RETENTION, DEAD_LETTERS_KEPT, DeadLetter, Discard, NO_DESTINATION};
use lookout_model::Timestamp;

/// The columns of [`LetterRow`].
const LETTERS: &str = "select delivery.destination, incident.id as incident_id, incident.slo_id, \
     coalesce(news, transition.change) as change, transition.at_ms, coalesce(delivery.ended_at_ms, 0) as refused_at_ms, \
     coalesce(delivery.last_error, '') as error \
     from delivery join transition on transition.id = delivery.transition_id \
     join incident on incident.id = delivery.incident_id";

#[derive(FromRow)]
struct LetterRow {
    destination: String,
    incident_id: String,
    slo_id: String,
    change: String,
    at_ms: i64,
    refused_at_ms: i64,
    error: String,
}

impl From<LetterRow> for DeadLetter {
    fn from(row: LetterRow) -> Self {
        let LetterRow { destination, incident_id, slo_id, change, at_ms, refused_at_ms, error } = row;
        let (at, refused_at) = (Timestamp::from_millis(at_ms), Timestamp::from_millis(refused_at_ms));
        Self { destination, incident_id, slo_id, change, at, refused_at, error }
    }
}

/// Returns the deliveries that were refused for good and have not expired, oldest first.
pub(super) async fn dead_letters(pool: &SqlitePool) -> sqlx::Result<Vec<DeadLetter>> {
    let rows: Vec<LetterRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{LETTERS} where delivery.state = 'failed' and not delivery.expired order by delivery.id"
    )))
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(DeadLetter::from).collect())
}

/// Returns the newest of them, the newest first.
pub(super) async fn newest(pool: &SqlitePool, limit: u32) -> sqlx::Result<Vec<DeadLetter>> {
    let rows: Vec<LetterRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{LETTERS} where delivery.state = 'failed' and not delivery.expired order by delivery.id desc limit $1"
    )))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(DeadLetter::from).collect())
}

/// Returns their number by destination.
pub(super) async fn counts(pool: &SqlitePool) -> sqlx::Result<BTreeMap<String, u64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select destination, count(*) from delivery where state = 'failed' and not expired group by destination",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(destination, letters)| (destination, letters.unsigned_abs())).collect())
}

/// Marks dead letters of incidents that are over as expired: those that are too old, and the oldest of too many. Returns
/// them.
pub(super) async fn expire(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> sqlx::Result<Vec<DeadLetter>> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select id from (select delivery.id, max(delivery.ended_at_ms, incident.resolved_at_ms) as over_at_ms, \
          row_number() over (order by delivery.id desc) as place \
          from delivery join incident on incident.id = delivery.incident_id \
          where delivery.state = 'failed' and not delivery.expired and incident.resolved_at_ms is not null) \
         where over_at_ms <= $1 or place > $2 order by id",
    )
    .bind((now - DEAD_LETTER_RETENTION).as_millis())
    .bind(i64::try_from(DEAD_LETTERS_KEPT).unwrap_or(i64::MAX))
    .fetch_all(&mut *connection)
    .await?;
    mark_expired(connection, ids, now, "").await
}

/// Marks what waits or was refused at destinations that are not in a list as expired. Returns it.
pub(super) async fn expire_all_but(
    connection: &mut SqliteConnection,
    listed: &str,
    now: Timestamp,
) -> sqlx::Result<Vec<DeadLetter>> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select id from delivery where destination not in (select value from json_each($1)) \
         and (state = 'waiting' or state = 'failed' and not expired) order by id",
    )
    .bind(listed)
    .fetch_all(&mut *connection)
    .await?;
    mark_expired(connection, ids, now, NO_DESTINATION).await
}

/// Marks deliveries as expired, with the reason of those that waited. Returns them.
async fn mark_expired(
    connection: &mut SqliteConnection,
    ids: Vec<i64>,
    now: Timestamp,
    reason: &str,
) -> sqlx::Result<Vec<DeadLetter>> {
    let mut expired = Vec::with_capacity(ids.len());
    for id in ids {
        sqlx::query(
            "update delivery set expired = 1, last_error = iif(state = 'waiting', $3, last_error), state = 'failed', \
             ended_at_ms = coalesce(ended_at_ms, $2) where id = $1",
        )
        .bind(id)
        .bind(now.as_millis())
        .bind(reason)
        .execute(&mut *connection)
        .await?;
        let letter: LetterRow =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("{LETTERS} where delivery.id = $1")))
                .bind(id)
                .fetch_one(&mut *connection)
                .await?;
        expired.push(letter.into());
    }
    Ok(expired)
}

/// Marks the dead letters that a person gives up as expired. Returns them.
pub(super) async fn discard(
    connection: &mut SqliteConnection,
    which: &Discard,
) -> sqlx::Result<Vec<DeadLetter>> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select id from delivery where state = 'failed' and not expired and destination = coalesce($1, destination) \
         and incident_id = coalesce($2, incident_id) order by id",
    )
    .bind(&which.destination)
    .bind(&which.incident)
    .fetch_all(&mut *connection)
    .await?;
    for id in &ids {
        sqlx::query("update delivery set last_error = $2 || coalesce(last_error, '') where id = $1")
            .bind(id)
            .bind(which.reason(""))
            .execute(&mut *connection)
            .await?;
    }
    mark_expired(connection, ids, Timestamp::EPOCH, "").await
}
