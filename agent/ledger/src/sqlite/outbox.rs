//! Deliveries that wait, and dead letters.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection, SqlitePool};

use super::writer::Writer;
use super::{SqliteLedger, conversation, decode, json, letters, query};
use crate::{DeadLetter, DeliveryState, DeliveryStore, Discard, LedgerError};
use lookout_model::{Delivery, DeliveryResult, Notice, Timestamp, TransitionRecord};
use lookout_runtime::events::{chain, names};

#[derive(FromRow)]
struct DueRow {
    id: i64,
    destination: String,
    attempts: u32,
    unsure: bool,
    notice: String,
    thread: Option<String>,
}

/// Returns the deliveries that are due. One whose notice cannot be read back is given up: it must not block the
/// others.
pub(super) async fn due(
    readers: &SqlitePool,
    writer: &Writer,
    destination: &str,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Delivery>, LedgerError> {
    let rows: Vec<DueRow> = sqlx::query_as(
        "select delivery.id, delivery.destination, delivery.attempts, \
         (delivery.unsure or delivery.attempting) as unsure, transition.notice, \
         (select first.thread from delivery as first where first.incident_id = delivery.incident_id \
          and first.destination = delivery.destination and first.state = 'delivered' \
          and first.thread is not null order by first.id limit 1) as thread \
         from delivery join transition on transition.id = delivery.transition_id \
         join incident on incident.id = delivery.incident_id \
         where delivery.destination = $1 and delivery.state = 'waiting' and delivery.due_at_ms <= $2 \
         and not exists (select 1 from delivery as earlier where earlier.incident_id = delivery.incident_id \
          and earlier.destination = delivery.destination and earlier.state = 'waiting' \
          and earlier.id < delivery.id) \
         order by incident.severity = 'page' desc, delivery.id limit $3",
    )
    .bind(destination)
    .bind(now.as_millis())
    .bind(limit)
    .fetch_all(readers)
    .await
    .map_err(query("reading due deliveries"))?;
    let mut deliveries = Vec::with_capacity(rows.len());
    for row in rows {
        match decode::<Notice>("reading a notice back", &row.notice) {
            Ok(notice) => deliveries.push(Delivery {
                id: row.id,
                destination: row.destination,
                notice,
                attempts: row.attempts,
                unsure: row.unsure,
                thread: row.thread,
            }),
            Err(error) => refuse_unreadable(writer, &row, now, &error).await?,
        }
    }
    Ok(deliveries)
}

async fn refuse_unreadable(
    writer: &Writer,
    row: &DueRow,
    now: Timestamp,
    error: &LedgerError,
) -> Result<(), LedgerError> {
    let result = DeliveryResult::Failed { error: "cannot be read back".to_owned() };
    let mut work = writer.begin("giving up a delivery").await?;
    end(&mut work.connection, row.id, now, &result).await.map_err(query("giving up a delivery"))?;
    work.commit().await?;
    tracing::error!(
        destination.name = %row.destination,
        delivery.id = row.id,
        error = chain(error),
        "a delivery cannot be read back from the ledger and is given up",
    );
    metrics::counter!(names::DELIVERIES, "destination" => row.destination.clone(), "outcome" => "failed")
        .increment(1);
    Ok(())
}

pub(super) async fn waiting(pool: &SqlitePool, destination: &str) -> sqlx::Result<(Option<Timestamp>, u64)> {
    // only the first delivery of each incident can be due: the others wait for it
    let (next, count): (Option<i64>, i64) = sqlx::query_as(
        "select (select min(delivery.due_at_ms) from delivery \
          where delivery.destination = $1 and delivery.state = 'waiting' \
          and not exists (select 1 from delivery as earlier where earlier.incident_id = delivery.incident_id \
           and earlier.destination = delivery.destination and earlier.state = 'waiting' \
           and earlier.id < delivery.id)), \
         (select count(*) from delivery where destination = $1 and state = 'waiting')",
    )
    .bind(destination)
    .fetch_one(pool)
    .await?;
    Ok((next.map(Timestamp::from_millis), u64::try_from(count).unwrap_or(0)))
}

pub(super) async fn begin(connection: &mut SqliteConnection, delivery: i64) -> sqlx::Result<()> {
    sqlx::query(
        "update delivery set attempts = attempts + 1, unsure = (unsure or attempting), attempting = 1 \
         where id = $1 and state = 'waiting'",
    )
    .bind(delivery)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn end(
    connection: &mut SqliteConnection,
    delivery: i64,
    now: Timestamp,
    result: &DeliveryResult,
) -> sqlx::Result<()> {
    let statement = match result {
        DeliveryResult::Delivered { thread } => sqlx::query(
            "update delivery set state = 'delivered', attempting = 0, ended_at_ms = $2, thread = $3 \
             where id = $1 and state = 'waiting'",
        )
        .bind(delivery)
        .bind(now.as_millis())
        .bind(thread),
        DeliveryResult::Retry { at, error } => sqlx::query(
            "update delivery set attempting = 0, due_at_ms = $2, last_error = $3 \
             where id = $1 and state = 'waiting'",
        )
        .bind(delivery)
        .bind(at.as_millis())
        .bind(error),
        DeliveryResult::Unsure { at, error } => sqlx::query(
            "update delivery set attempting = 0, unsure = 1, due_at_ms = $2, last_error = $3 \
             where id = $1 and state = 'waiting'",
        )
        .bind(delivery)
        .bind(at.as_millis())
        .bind(error),
        DeliveryResult::Failed { error } => sqlx::query(
            "update delivery set state = 'failed', attempting = 0, ended_at_ms = $2, last_error = $3 \
             where id = $1 and state = 'waiting'",
        )
        .bind(delivery)
        .bind(now.as_millis())
        .bind(error),
    };
    let ended = statement.execute(&mut *connection).await?;
    if ended.rows_affected() > 0 && matches!(result, DeliveryResult::Delivered { .. }) {
        repeat_later(connection, delivery).await?;
    }
    Ok(())
}

/// Makes later transitions of the incident wait again that the destination has already: a refused one was delivered after
/// them, and the last word must be the newest state.
async fn repeat_later(connection: &mut SqliteConnection, delivery: i64) -> sqlx::Result<()> {
    sqlx::query(
        "update delivery set state = 'waiting', unsure = 1, due_at_ms = 0, ended_at_ms = null, thread = null \
         where incident_id = (select incident_id from delivery where id = $1) \
         and destination = (select destination from delivery where id = $1) \
         and id > $1 and state = 'delivered'",
    )
    .bind(delivery)
    .execute(connection)
    .await?;
    Ok(())
}

async fn has_accepted(pool: &SqlitePool, destination: &str, since: Timestamp) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select 1 from delivery where destination = $1 and state = 'delivered' and ended_at_ms >= $2)",
    )
    .bind(destination)
    .bind(since.as_millis())
    .fetch_one(pool)
    .await
}

/// Returns the deliveries of an incident, oldest first.
async fn of_incident(pool: &SqlitePool, incident: &str) -> sqlx::Result<Vec<DeliveryState>> {
    let rows: Vec<(String, String, i64, String, u32, Option<String>)> = sqlx::query_as(
        "select delivery.destination, coalesce(news, transition.change), transition.at_ms, delivery.state, delivery.attempts, \
         delivery.last_error from delivery join transition on transition.id = delivery.transition_id \
         where delivery.incident_id = $1 order by delivery.id",
    )
    .bind(incident)
    .fetch_all(pool)
    .await?;
    let state =
        |(destination, change, at_ms, state, attempts, error): (_, _, _, String, _, _)| DeliveryState {
            destination,
            change,
            at: Timestamp::from_millis(at_ms),
            state: match state.as_str() {
                "delivered" => "delivered",
                "failed" => "failed",
                _ => "waiting",
            },
            attempts,
            error,
        };
    Ok(rows.into_iter().map(state).collect())
}

/// Adds a delivery of a stored transition for another destination, unless it has one.
pub(super) async fn forward(
    connection: &mut SqliteConnection,
    notice: &Notice,
    destination: &str,
) -> sqlx::Result<bool> {
    let added = sqlx::query(
        "insert into delivery (transition_id, incident_id, destination) \
         select id, incident_id, $4 from transition where incident_id = $1 and change = $2 and at_ms = $3 \
         on conflict (transition_id, destination) do nothing",
    )
    .bind(&notice.incident.id)
    .bind(notice.change.as_str())
    .bind(notice.at.as_millis())
    .bind(destination)
    .execute(connection)
    .await?;
    Ok(added.rows_affected() > 0)
}

/// Makes dead letters wait again, and all that waits due. Returns how many dead letters there were.
pub(super) async fn retry(connection: &mut SqliteConnection, destination: Option<&str>) -> sqlx::Result<u64> {
    sqlx::query(
        "update delivery set due_at_ms = 0 where state = 'waiting' and due_at_ms <> 0 and ($1 is null or destination = $1)",
    )
    .bind(destination)
    .execute(&mut *connection)
    .await?;
    let retried = sqlx::query(
        "update delivery set state = 'waiting', due_at_ms = 0, ended_at_ms = null \
         where state = 'failed' and not expired and ($1 is null or destination = $1)",
    )
    .bind(destination)
    .execute(connection)
    .await?;
    Ok(retried.rows_affected())
}

#[async_trait]
impl DeliveryStore for SqliteLedger {
    async fn due_deliveries(
        &self,
        destination: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError> {
        due(&self.readers, &self.writer, destination, now, limit).await
    }

    async fn waiting(&self, destination: &str) -> Result<(Option<Timestamp>, u64), LedgerError> {
        waiting(&self.readers, destination).await.map_err(query("counting what waits"))
    }

    async fn begin_attempt(&self, delivery: i64, _now: Timestamp) -> Result<(), LedgerError> {
        let mut work = self.writer.begin("noting that an attempt begins").await?;
        begin(&mut work.connection, delivery).await.map_err(query("noting that an attempt begins"))?;
        work.commit().await
    }

    async fn end_attempt(
        &self,
        delivery: i64,
        now: Timestamp,
        result: &DeliveryResult,
    ) -> Result<(), LedgerError> {
        let mut work = self.writer.begin("noting the outcome of an attempt").await?;
        end(&mut work.connection, delivery, now, result)
            .await
            .map_err(query("noting the outcome of an attempt"))?;
        work.commit().await
    }

    async fn begin_attempts(&self, deliveries: &[i64], _now: Timestamp) -> Result<(), LedgerError> {
        const DOING: &str = "noting that attempts begin";
        let mut work = self.writer.begin(DOING).await?;
        for &delivery in deliveries {
            begin(&mut work.connection, delivery).await.map_err(query(DOING))?;
        }
        work.commit().await
    }

    async fn end_attempts(
        &self,
        deliveries: &[i64],
        now: Timestamp,
        result: &DeliveryResult,
    ) -> Result<(), LedgerError> {
        const DOING: &str = "noting the outcome of attempts";
        let mut work = self.writer.begin(DOING).await?;
        for &delivery in deliveries {
            end(&mut work.connection, delivery, now, result).await.map_err(query(DOING))?;
        }
        work.commit().await
    }

    async fn conversation(&self, destination: &str, thread: &str) -> Result<Vec<Notice>, LedgerError> {
        conversation::members(&self.readers, destination, thread).await
    }

    async fn newest_conversation(
        &self,
        destination: &str,
        service: &str,
        since: Timestamp,
    ) -> Result<Option<String>, LedgerError> {
        conversation::newest(&self.readers, destination, service, since)
            .await
            .map_err(query("looking for a message about a service"))
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, LedgerError> {
        letters::dead_letters(&self.readers).await.map_err(query("reading dead letters"))
    }

    async fn newest_dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, LedgerError> {
        letters::newest(&self.readers, limit).await.map_err(query("reading the newest dead letters"))
    }

    async fn dead_letter_counts(&self) -> Result<BTreeMap<String, u64>, LedgerError> {
        letters::counts(&self.readers).await.map_err(query("counting dead letters"))
    }

    async fn expire_dead_letters(&self, now: Timestamp) -> Result<Vec<DeadLetter>, LedgerError> {
        const DOING: &str = "expiring dead letters";
        let mut work = self.writer.begin(DOING).await?;
        let expired = letters::expire(&mut work.connection, now).await.map_err(query(DOING))?;
        work.commit().await?;
        Ok(expired)
    }

    async fn expire_all_but(
        &self,
        destinations: &[String],
        now: Timestamp,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        const DOING: &str = "expiring what no destination takes";
        let mut work = self.writer.begin(DOING).await?;
        let listed = json(DOING, &destinations)?;
        let expired =
            letters::expire_all_but(&mut work.connection, &listed, now).await.map_err(query(DOING))?;
        work.commit().await?;
        Ok(expired)
    }

    async fn discard_dead_letters(&self, which: &Discard) -> Result<Vec<DeadLetter>, LedgerError> {
        const DOING: &str = "giving up dead letters";
        let mut work = self.writer.begin(DOING).await?;
        let discarded = letters::discard(&mut work.connection, which).await.map_err(query(DOING))?;
        work.commit().await?;
        Ok(discarded)
    }

    async fn latest_of_waiting(&self, destination: &str) -> Result<Vec<TransitionRecord>, LedgerError> {
        Ok(self.in_progress(Timestamp::MAX, usize::MAX).await?.latest_of_waiting(destination))
    }

    async fn has_accepted(&self, destination: &str, since: Timestamp) -> Result<bool, LedgerError> {
        let accepted = has_accepted(&self.readers, destination, since).await;
        accepted.map_err(query("looking for accepted messages"))
    }

    async fn deliveries_of(&self, incident: &str) -> Result<Vec<DeliveryState>, LedgerError> {
        of_incident(&self.readers, incident).await.map_err(query("reading the deliveries of an incident"))
    }

    async fn forward(&self, notice: &Notice, destination: &str) -> Result<bool, LedgerError> {
        const DOING: &str = "adding a destination";
        let mut work = self.writer.begin(DOING).await?;
        let added = forward(&mut work.connection, notice, destination).await.map_err(query(DOING))?;
        work.commit().await?;
        Ok(added)
    }

    async fn retry_dead_letters(
        &self,
        destination: Option<&str>,
        _now: Timestamp,
    ) -> Result<u64, LedgerError> {
        const DOING: &str = "trying dead letters again";
        let mut work = self.writer.begin(DOING).await?;
        let retried = retry(&mut work.connection, destination).await;
        let retried = retried.map_err(query(DOING))?;
        work.commit().await?;
        Ok(retried)
    }
}
