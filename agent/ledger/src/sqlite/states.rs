//! The saved states of evaluators.

use sqlx::{SqliteConnection, SqlitePool};

use super::{decode, json, query};
use crate::LedgerError;
use lookout_model::StateRecord;
use lookout_runtime::events::chain;

/// Stores the state of an SLO's evaluator in the place of the one before.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    record: &StateRecord,
) -> Result<(), LedgerError> {
    const DOING: &str = "storing the state of an evaluator";
    sqlx::query(
        "insert into evaluator_state (slo_id, state) values ($1, $2) \
         on conflict (slo_id) do update set state = excluded.state",
    )
    .bind(&record.slo_id)
    .bind(json(DOING, record)?)
    .execute(connection)
    .await
    .map_err(query(DOING))?;
    Ok(())
}

/// Returns all states. One that cannot be read back is logged and left out: its incident goes on without it.
pub(super) async fn read(pool: &SqlitePool) -> sqlx::Result<Vec<StateRecord>> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("select slo_id, state from evaluator_state order by slo_id").fetch_all(pool).await?;
    let read = |(slo_id, state): (String, String)| {
        let read: Result<StateRecord, LedgerError> = decode("reading the state of an evaluator", &state);
        let log = |error: &LedgerError| {
            tracing::error!(slo.id = %slo_id, error = chain(error),
                "the state of an evaluator cannot be read back from the ledger and is left out");
        };
        read.inspect_err(log).ok()
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
