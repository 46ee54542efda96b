//! Incidents and deliveries in progress: loaded at the start, and stored again after a time without a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::{FromRow, SqliteConnection};

use super::incident_rows::{TRANSITIONS, TransitionRow};
use super::{SqliteLedger, json, query};
use crate::LedgerError;
use crate::working::{Entry, InProgress, State, WorkingSet};
use lookout_model::{Timestamp, TransitionRecord};
use lookout_runtime::events::chain;

/// Incidents that are open, were resolved lately, or have a dead letter or a delivery that waits; at most `$2`
/// of those that were resolved lately, and of those that wait for one destination.
const IN_PROGRESS: &str = "select id from incident where resolved_at_ms is null \
     union select id from (select id from incident where resolved_at_ms >= $1 order by resolved_at_ms desc limit $2) \
     union select incident_id from delivery where state = 'failed' and not expired \
     union select incident_id from (select incident_id, row_number() over \
      (partition by destination order by min(id)) as place from delivery where state = 'waiting' \
      group by destination, incident_id) where place <= $2";

#[derive(FromRow)]
struct DeliveryRow {
    transition_id: i64,
    destination: String,
    state: String,
    attempts: u32,
    attempting: bool,
    unsure: bool,
    due_at_ms: i64,
    last_error: Option<String>,
    ended_at_ms: Option<i64>,
    thread: Option<String>,
    expired: bool,
}

impl DeliveryRow {
    fn into_entry(self, transition: Arc<TransitionRecord>) -> Entry {
        Entry {
            transition,
            destination: self.destination,
            attempts: self.attempts,
            attempting: self.attempting,
            unsure: self.unsure,
            due_at: Timestamp::from_millis(self.due_at_ms),
            ended_at: self.ended_at_ms.map(Timestamp::from_millis),
            last_error: self.last_error,
            state: match self.state.as_str() {
                "delivered" => State::Delivered(self.thread),
                "failed" => State::Failed,
                _ => State::Waiting,
            },
            expired: self.expired,
        }
    }
}

impl SqliteLedger {
    /// Reads what is in progress: of incidents that are over at most `most`, and as many for each destination.
    pub(crate) async fn in_progress(&self, since: Timestamp, most: usize) -> Result<WorkingSet, LedgerError> {
        let ids: Vec<String> = sqlx::query_scalar(IN_PROGRESS)
            .bind(since.as_millis())
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(query("looking for incidents in progress"))?;
        let mut working = WorkingSet::default();
        working.load_incidents(&ids, self.read_incidents(&ids).await?);
        Ok(working)
    }

    /// Reads the transitions of incidents, in the order in which they were stored. One that cannot be read back is left out: it
    /// must not hide the others.
    pub(crate) async fn read_incidents(&self, ids: &[String]) -> Result<Vec<InProgress>, LedgerError> {
        const DOING: &str = "reading incidents in progress";
        let ids = json(DOING, &ids)?;
        let transitions: Vec<TransitionRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{TRANSITIONS} join transition on transition.incident_id = incident.id \
             where incident.id in (select value from json_each($1)) order by transition.id"
        )))
        .bind(&ids)
        .fetch_all(&self.readers)
        .await
        .map_err(query(DOING))?;
        let deliveries: Vec<DeliveryRow> = sqlx::query_as(
            "select * from delivery where incident_id in (select value from json_each($1)) order by id",
        )
        .bind(&ids)
        .fetch_all(&self.readers)
        .await
        .map_err(query(DOING))?;
        let mut of_transition: BTreeMap<i64, Vec<DeliveryRow>> = BTreeMap::new();
        for row in deliveries {
            of_transition.entry(row.transition_id).or_default().push(row);
        }
        let mut read = Vec::with_capacity(transitions.len());
        for row in transitions {
            let (id, incident) = (row.transition_id, row.incident.id.clone());
            match row.into_record() {
                Ok(transition) => {
                    let transition = Arc::new(transition);
                    let rows = of_transition.remove(&id).unwrap_or_default();
                    let entries =
                        rows.into_iter().map(|row| row.into_entry(Arc::clone(&transition))).collect();
                    read.push((transition, entries));
                }
                Err(error) => {
                    tracing::error!(incident.id = %incident, transition.id = id, error = chain(&error),
                    "a transition cannot be read back from the ledger; its deliveries are given up")
                }
            }
        }
        Ok(read)
    }

    /// Returns incidents whose first waiting delivery at a destination is due, pages first, then the oldest, without those of
    /// a list.
    pub(crate) async fn due_elsewhere(
        &self,
        destination: &str,
        now: Timestamp,
        known: &[String],
        limit: usize,
    ) -> Result<Vec<String>, LedgerError> {
        const DOING: &str = "looking for deliveries that are due";
        sqlx::query_scalar(
            "select incident_id from delivery join incident on incident.id = incident_id \
             where delivery.id in (select min(id) from delivery where destination = $1 and state = 'waiting' \
             and incident_id not in (select value from json_each($3)) group by incident_id) \
             and due_at_ms <= $2 order by severity = 'page' desc, delivery.id limit $4",
        )
        .bind(destination)
        .bind(now.as_millis())
        .bind(json(DOING, &known)?)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(query(DOING))
    }

    /// Counts by destination the deliveries that wait, without those of a list of incidents.
    pub(crate) async fn waiting_elsewhere(
        &self,
        known: &[String],
    ) -> Result<BTreeMap<String, u64>, LedgerError> {
        const DOING: &str = "counting what waits";
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select destination, count(*) from delivery where state = 'waiting' \
             and incident_id not in (select value from json_each($1)) group by destination",
        )
        .bind(json(DOING, &known)?)
        .fetch_all(&self.readers)
        .await
        .map_err(query(DOING))?;
        Ok(rows.into_iter().map(|(name, count)| (name, u64::try_from(count).unwrap_or(0))).collect())
    }

    /// Makes all that waits due. A restart retries at once: the clock may have been set in between.
    pub(crate) async fn make_due(&self) -> Result<(), LedgerError> {
        const DOING: &str = "making deliveries due";
        let mut work = self.writer.begin(DOING).await?;
        sqlx::query("update delivery set due_at_ms = 0 where state = 'waiting' and due_at_ms <> 0")
            .execute(&mut work.connection)
            .await
            .map_err(query(DOING))?;
        work.commit().await
    }
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
         unsure, last_error, ended_at_ms, thread, expired) \
         select id, incident_id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 from transition \
         where incident_id = $1 and change = $2 and at_ms = $3 \
         on conflict (transition_id, destination) do update set state = excluded.state, \
         attempts = excluded.attempts, due_at_ms = excluded.due_at_ms, attempting = excluded.attempting, \
         unsure = excluded.unsure, last_error = excluded.last_error, ended_at_ms = excluded.ended_at_ms, \
         thread = excluded.thread, expired = excluded.expired",
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
    .bind(entry.expired)
    .execute(connection)
    .await?;
    Ok(())
}
