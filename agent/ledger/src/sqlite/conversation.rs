//! Incidents that share a message at a destination.

use sqlx::SqlitePool;

use super::{decode, query};
use crate::LedgerError;
use lookout_model::{Notice, Timestamp};
use lookout_runtime::events::chain;

/// Returns the newest notice of every incident whose message has this id, in the order in which they were told. What
/// still waits to be told is left out, and so is what cannot be read back: it must not hide the others.
pub(super) async fn members(
    pool: &SqlitePool,
    destination: &str,
    thread: &str,
) -> Result<Vec<Notice>, LedgerError> {
    const DOING: &str = "reading the incidents of a message";
    let notices: Vec<String> = sqlx::query_scalar(
        "select transition.notice from (select incident_id, min(id) as first from delivery \
          where destination = $1 and thread = $2 and state = 'delivered' group by incident_id) as told \
         join transition on transition.id = \
          (select max(id) from transition as one where one.incident_id = told.incident_id \
           and not exists (select 1 from delivery as pending where pending.transition_id = one.id \
            and pending.destination = $1 and pending.state = 'waiting')) \
         order by told.first",
    )
    .bind(destination)
    .bind(thread)
    .fetch_all(pool)
    .await
    .map_err(query(DOING))?;
    let mut members = Vec::with_capacity(notices.len());
    for notice in notices {
        match decode::<Notice>("reading a notice back", &notice) {
            Ok(notice) => members.push(notice),
            Err(error) => tracing::error!(error = chain(&error), "a notice cannot be read back"),
        }
    }
    Ok(members)
}

/// Returns the id of the newest message about an open incident of a service, of those told since an instant.
pub(super) async fn newest(
    pool: &SqlitePool,
    destination: &str,
    service: &str,
    since: Timestamp,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "select delivery.thread from incident join delivery on delivery.incident_id = incident.id \
         join transition on transition.id = delivery.transition_id \
         where incident.resolved_at_ms is null and incident.service = $2 and delivery.destination = $1 \
         and delivery.state = 'delivered' and delivery.thread is not null and transition.at_ms >= $3 \
         order by delivery.id desc limit 1",
    )
    .bind(destination)
    .bind(service)
    .bind(since.as_millis())
    .fetch_optional(pool)
    .await
}
