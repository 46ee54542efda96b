//! Incidents and deliveries in progress: loaded at the start, and stored again after a time without a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::{FromRow, SqliteConnection, SqlitePool};

use super::incident_rows::{TRANSITIONS, TransitionRow};
use super::query;
use crate::LedgerError;
use crate::working::{Entry, State, WorkingSet};
use lookout_model::{Timestamp, TransitionRecord};
use lookout_runtime::events::chain;

/// Incidents that are open, were resolved lately, or have a delivery that waits or was refused within a day.
const IN_PROGRESS: &str = "incident.resolved_at_ms is null or incident.resolved_at_ms >= $1 or exists \
     (select 1 from delivery where delivery.incident_id = incident.id and (delivery.state = 'waiting' \
      or delivery.state = 'failed' and delivery.ended_at_ms >= $1 - 86400000))";

#[derive(FromRow)]
struct DeliveryRow {
    transition_id: i64,
    destination: String,
    state: String,
    attempts: u32,
    attempting: bool,
    unsure: bool,
    last_error: Option<String>,
    ended_at_ms: Option<i64>,
    thread: Option<String>,
}

impl DeliveryRow {
    fn into_entry(self, transition: Arc<TransitionRecord>) -> Entry {
        Entry {
            transition,
            destination: self.destination,
            attempts: self.attempts,
            attempting: self.attempting,
            unsure: self.unsure,
            // a restart retries at once: the clock may have been set in between
            due_at: Timestamp::EPOCH,
            ended_at: self.ended_at_ms.map(Timestamp::from_millis),
            last_error: self.last_error,
            state: match self.state.as_str() {
                "delivered" => State::Delivered(self.thread),
                "failed" => State::Failed,
                _ => State::Waiting,
            },
        }
    }
}

/// Reads everything in progress. A transition that cannot be read back is left out: it must not hide the others.
pub(super) async fn read(pool: &SqlitePool, since: Timestamp) -> Result<WorkingSet, LedgerError> {
    const DOING: &str = "reading incidents in progress";
    let transitions: Vec<TransitionRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{TRANSITIONS} join transition on transition.incident_id = incident.id where {IN_PROGRESS} \
         order by transition.id"
    )))
    .bind(since.as_millis())
    .fetch_all(pool)
    .await
    .map_err(query(DOING))?;
    let deliveries: Vec<DeliveryRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select delivery.* from incident join delivery on delivery.incident_id = incident.id \
         where {IN_PROGRESS} order by delivery.id"
    )))
    .bind(since.as_millis())
    .fetch_all(pool)
    .await
    .map_err(query(DOING))?;
    let mut of_transition: BTreeMap<i64, Vec<DeliveryRow>> = BTreeMap::new();
    for row in deliveries {
        of_transition.entry(row.transition_id).or_default().push(row);
    }
    let mut working = WorkingSet::default();
    for row in transitions {
        let (id, incident) = (row.transition_id, row.incident.id.clone());
        match row.into_record() {
            Ok(transition) => {
                let transition = Arc::new(transition);
                let rows = of_transition.remove(&id).unwrap_or_default();
                let entries = rows.into_iter().map(|row| row.into_entry(Arc::clone(&transition))).collect();
                working.load(transition, entries);
            }
            Err(error) => tracing::error!(incident.id = %incident, transition.id = id, error = chain(&error),
                "a transition cannot be read back from the ledger; its deliveries are given up"),
        }
    }
    Ok(working)
}

/// Stores the state of a delivery whose transition is stored. A destination that was added later is stored too.
pub(super) async fn write(connection: &mut SqliteConnection, entry: &Entry) -> sqlx::Result<()> {
    let (state, thread) = match &entry.state {
        State::Waiting => ("waiting", None),
        State::Delivered(thread) => ("delivered", thread.as_deref()),
        State::Failed => ("failed", None),
    };
    sqlx::query(
        "insert into delivery (transition_id, incident_id, destination, state, attempts, due_at_ms, attempting, \
         unsure, last_error, ended_at_ms, thread) \
         select id, incident_id, $4, $5, $6, $7, $8, $9, $10, $11, $12 from transition \
         where incident_id = $1 and change = $2 and at_ms = $3 \
         on conflict (transition_id, destination) do update set state = excluded.state, \
         attempts = excluded.attempts, due_at_ms = excluded.due_at_ms, attempting = excluded.attempting, \
         unsure = excluded.unsure, last_error = excluded.last_error, ended_at_ms = excluded.ended_at_ms, \
         thread = excluded.thread",
    )
    .bind(&entry.transition.incident.id)
    .bind(entry.transition.change.as_str())
    .bind(entry.transition.at.as_millis())
    .bind(&entry.destination)
    .bind(state)
    .bind(entry.attempts)
    .bind(entry.due_at.as_millis())
    .bind(entry.attempting)
    .bind(entry.unsure)
    .bind(&entry.last_error)
    .bind(entry.ended_at.map(Timestamp::as_millis))
    .bind(thread)
    .execute(connection)
    .await?;
    Ok(())
}
