//! Incidents, their transitions, and the deliveries that are stored with them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use sqlx::{SqliteConnection, SqlitePool};

use super::incident_rows::{IncidentRow, TRANSITIONS, TransitionRow};
use super::{SqliteLedger, decode, json, query};
use crate::working::add_told;
use crate::{IncidentStore, LedgerError};
use lookout_model::{Acknowledgement, Followed, IncidentRecord, News, Notice, Timestamp, TransitionRecord};
use lookout_runtime::events::chain;

/// Stores a transition, the incident after it and its deliveries, unless it is stored already. News about an incident that
/// has changed since, or is over, are not stored.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    transition: &TransitionRecord,
) -> Result<(), LedgerError> {
    const DOING: &str = "storing a transition";
    let incident = &transition.incident;
    let known: Option<i64> =
        sqlx::query_scalar("select id from transition where incident_id = $1 and change = $2 and at_ms = $3")
            .bind(&incident.id)
            .bind(transition.change.as_str())
            .bind(transition.at.as_millis())
            .fetch_optional(&mut *connection)
            .await
            .map_err(query(DOING))?;
    if known.is_some() {
        return Ok(());
    }
    let mut notice = transition.notice.clone();
    match notice.changed_at {
        None => upsert(connection, incident).await.map_err(query("storing an incident"))?,
        Some(changed_at)
            if !is_last_change(connection, &incident.id, changed_at).await.map_err(query(DOING))? =>
        {
            return Ok(());
        }
        Some(_) => {}
    }
    if notice.acknowledgement.is_none() {
        notice.acknowledgement = acknowledgement(&mut *connection, &incident.id).await?;
    }
    let id: i64 = sqlx::query_scalar(
        "insert into transition (incident_id, change, at_ms, notice, destinations, news) \
         values ($1, $2, $3, $4, $5, $6) returning id",
    )
    .bind(&incident.id)
    .bind(transition.change.as_str())
    .bind(transition.at.as_millis())
    .bind(json("storing a notice", &notice)?)
    .bind(json("storing the destinations of a transition", &transition.destinations)?)
    .bind(notice.news.as_ref().map(News::as_str))
    .fetch_one(&mut *connection)
    .await
    .map_err(query(DOING))?;
    for destination in &transition.destinations {
        sqlx::query(
            "insert into delivery (transition_id, incident_id, destination) values ($1, $2, $3) \
             on conflict do nothing",
        )
        .bind(id)
        .bind(&incident.id)
        .bind(destination)
        .execute(&mut *connection)
        .await
        .map_err(query("storing a delivery"))?;
    }
    Ok(())
}

/// Returns whether an open incident has not changed since an instant.
async fn is_last_change(
    connection: &mut SqliteConnection,
    incident: &str,
    changed_at: Timestamp,
) -> sqlx::Result<bool> {
    let last: Option<i64> = sqlx::query_scalar(
        "select transition.at_ms from transition join incident on incident.id = transition.incident_id \
         where incident_id = $1 and news is null and incident.resolved_at_ms is null \
         order by transition.id desc limit 1",
    )
    .bind(incident)
    .fetch_optional(connection)
    .await?;
    Ok(last == Some(changed_at.as_millis()))
}

/// Returns the last acknowledgement of an incident.
async fn acknowledgement<'c>(
    executor: impl sqlx::SqliteExecutor<'c>,
    incident: &str,
) -> Result<Option<Acknowledgement>, LedgerError> {
    let notice: Option<String> = sqlx::query_scalar(
        "select notice from transition where incident_id = $1 and news = 'acknowledged' order by id desc limit 1",
    )
    .bind(incident)
    .fetch_optional(executor)
    .await
    .map_err(query("reading an acknowledgement"))?;
    let notice: Option<Notice> =
        notice.map(|text| decode("reading an acknowledgement", &text)).transpose()?;
    Ok(notice.and_then(|notice| notice.acknowledgement))
}

async fn upsert(connection: &mut SqliteConnection, incident: &IncidentRecord) -> sqlx::Result<()> {
    sqlx::query(
        "insert into incident \
         (id, slo_id, service, slo, cause, severity, peak, opened_at_ms, resolved_at_ms, started_at_ms, \
         recovered_at_ms, reopens_until_ms) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         on conflict (id) do update set severity = excluded.severity, peak = excluded.peak, \
         resolved_at_ms = excluded.resolved_at_ms, recovered_at_ms = excluded.recovered_at_ms, \
         reopens_until_ms = excluded.reopens_until_ms",
    )
    .bind(&incident.id)
    .bind(&incident.slo_id)
    .bind(&incident.service)
    .bind(&incident.slo)
    .bind(incident.cause.as_str())
    .bind(incident.severity.as_str())
    .bind(incident.peak.as_str())
    .bind(incident.detected_at.as_millis())
    .bind(incident.resolved_at.map(Timestamp::as_millis))
    .bind(incident.started_at.map(Timestamp::as_millis))
    .bind(incident.recovered_at.map(Timestamp::as_millis))
    .bind(incident.reopens_until.map(Timestamp::as_millis))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn open(pool: &SqlitePool) -> sqlx::Result<Vec<IncidentRecord>> {
    let rows: Vec<IncidentRow> =
        sqlx::query_as("select * from incident where resolved_at_ms is null order by opened_at_ms, id")
            .fetch_all(pool)
            .await?;
    Ok(readable(rows))
}

/// Returns an incident. One that cannot be read back counts as missing.
pub(super) async fn by_id(pool: &SqlitePool, id: &str) -> sqlx::Result<Option<IncidentRecord>> {
    let rows: Vec<IncidentRow> =
        sqlx::query_as("select * from incident where id = $1").bind(id).fetch_all(pool).await?;
    Ok(readable(rows).pop())
}

/// Returns incidents, newest first: all, or those that follow one of them.
async fn newest(pool: &SqlitePool, before: Option<&str>, limit: u32) -> sqlx::Result<Vec<IncidentRecord>> {
    let rows: Vec<IncidentRow> = sqlx::query_as(
        "select * from incident where $1 is null or exists (select 1 from incident cursor where cursor.id = $1 \
         and (incident.opened_at_ms < cursor.opened_at_ms \
         or incident.opened_at_ms = cursor.opened_at_ms and incident.id > cursor.id)) \
         order by opened_at_ms desc, id limit $2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(readable(rows))
}

/// Returns the incidents that can be read back. One that cannot is logged and must not hide the others.
fn readable(rows: Vec<IncidentRow>) -> Vec<IncidentRecord> {
    let read = |row: IncidentRow| {
        let id = row.id.clone();
        row.into_record().inspect_err(|error| {
            tracing::error!(incident.id = %id, error = chain(error),
                "an incident cannot be read back from the ledger and is left out");
        })
    };
    rows.into_iter().filter_map(|row| read(row).ok()).collect()
}

/// Returns the latest transitions, without those that cannot be read back: they are logged once and must not hide the
/// others.
pub(super) async fn latest_transitions(
    pool: &SqlitePool,
    since: Timestamp,
    unreadable: &Mutex<BTreeSet<i64>>,
) -> Result<Vec<TransitionRecord>, LedgerError> {
    let rows: Vec<TransitionRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{TRANSITIONS} join transition on transition.id = \
         (select max(id) from transition where incident_id = incident.id and news is null) \
         where incident.resolved_at_ms is null or incident.resolved_at_ms >= $1 \
         order by incident.opened_at_ms, incident.id"
    )))
    .bind(since.as_millis())
    .fetch_all(pool)
    .await
    .map_err(query("reading the latest transitions"))?;
    let readable = rows.into_iter().filter_map(|row| {
        let (id, incident) = (row.transition_id, row.incident.id.clone());
        let error = match row.into_record() {
            Ok(transition) => return Some(transition),
            Err(error) => error,
        };
        if unreadable.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            tracing::error!(incident.id = %incident, transition.id = id, error = chain(&error),
                "a transition cannot be read back from the ledger and is left out");
        }
        None
    });
    let mut latest: Vec<TransitionRecord> = readable.collect();
    for transition in &mut latest {
        let incident = &transition.incident.id;
        let told: Vec<String> =
            sqlx::query_scalar("select destination from delivery where incident_id = $1 order by id")
                .bind(incident)
                .fetch_all(pool)
                .await
                .map_err(query("reading the destinations of an incident"))?;
        transition.notice.acknowledgement = acknowledgement(pool, incident).await?;
        add_told(&mut transition.destinations, told);
    }
    Ok(latest)
}

/// Forgets incidents resolved long ago, and with them their transitions and deliveries.
pub(super) async fn prune(connection: &mut SqliteConnection, before: Timestamp) -> sqlx::Result<()> {
    sqlx::query("delete from incident where resolved_at_ms < $1")
        .bind(before.as_millis())
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl IncidentStore for SqliteLedger {
    async fn open_incidents(&self) -> Result<Vec<IncidentRecord>, LedgerError> {
        open(&self.readers).await.map_err(query("reading open incidents"))
    }

    async fn incidents(&self, before: Option<&str>, limit: u32) -> Result<Vec<IncidentRecord>, LedgerError> {
        newest(&self.readers, before, limit).await.map_err(query("reading incidents"))
    }

    async fn latest_transitions(&self, since: Timestamp) -> Result<Vec<TransitionRecord>, LedgerError> {
        latest_transitions(&self.readers, since, &self.unreadable).await
    }

    async fn followed(&self, since: Timestamp) -> Result<Vec<Followed>, LedgerError> {
        Ok(self.in_progress(since, usize::MAX).await?.followed(since))
    }
}
