//! One tick: counts and transitions in one transaction, read back by another connection.
//!
//! A commit that fails may have been stored all the same: the log was written and the disk failed at its end. Adding the
//! same counts again would double them. Every tick therefore has a number, and the next one looks which number is stored.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::{SqliteLedger, counts, incidents, progress, query, states};
use crate::working::Entry;
use crate::{LedgerError, Loss, Tick};
use lookout_model::CountRow;

const DOING: &str = "storing a tick";

/// Counts whose commit was reported as failed, although they are or may be stored.
#[derive(Debug, Default)]
pub(super) struct Unacknowledged {
    /// Counts that are stored.
    stored: Vec<CountRow>,
    /// Number and counts of a tick of unknown outcome.
    doubtful: Option<(i64, Vec<CountRow>)>,
}

/// Stores a tick, and the state of deliveries that made progress while nothing could be stored. After a failure the caller hands in the same counts again, with those that came since.
pub(super) async fn store(
    ledger: &SqliteLedger,
    tick: Tick<'_>,
    deliveries: &[Entry],
) -> Result<(), LedgerError> {
    let rows = tick.counts;
    let mut open = ledger.unacknowledged.lock().await;
    let mut work = ledger.writer.begin(DOING).await?;
    let last = number(&mut work.connection).await.map_err(query(DOING))?;
    if let Some((doubtful, counted)) = open.doubtful.take()
        && doubtful == last
    {
        open.stored = counted;
    }
    counts::add(&mut work.connection, &without(rows, &open.stored)).await.map_err(query("storing counts"))?;
    for transition in tick.transitions {
        incidents::record(&mut work.connection, transition).await?;
    }
    for record in tick.states {
        states::record(&mut work.connection, record).await?;
    }
    for delivery in deliveries {
        progress::write(&mut work.connection, delivery).await.map_err(query("storing a delivery"))?;
    }
    let next = last.wrapping_add(1);
    sqlx::query("update tick set number = $1")
        .bind(next)
        .execute(&mut work.connection)
        .await
        .map_err(query(DOING))?;
    open.doubtful = Some((next, rows.to_vec()));
    work.commit().await?;
    read_back(ledger, next).await?;
    *open = Unacknowledged::default();
    Ok(())
}

/// Checks over another connection that the tick is stored, in the file that has the ledger's name.
async fn read_back(ledger: &SqliteLedger, wanted: i64) -> Result<(), LedgerError> {
    const DOING: &str = "reading a tick back";
    let mut reader = ledger.readers.acquire().await.map_err(query(DOING))?;
    let found = number(&mut reader).await.map_err(|error| {
        reader.close_on_drop();
        query(DOING)(error)
    })?;
    ledger.writer.files().check()?;
    if found == wanted {
        return Ok(());
    }
    reader.close_on_drop();
    let path = ledger.writer.files().path().display().to_string();
    Err(LedgerError::Lost { path, what: Loss::Unread })
}

async fn number(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select number from tick").fetch_one(connection).await
}

/// Returns rows minus the counts that are stored already.
fn without<'a>(rows: &'a [CountRow], stored: &[CountRow]) -> Cow<'a, [CountRow]> {
    if stored.is_empty() {
        return Cow::Borrowed(rows);
    }
    let key = |row: &CountRow| (row.slo_id.clone(), row.start_s, row.width_s);
    let stored: BTreeMap<_, _> = stored.iter().map(|row| (key(row), (row.good, row.bad))).collect();
    let rest = rows.iter().map(|row| {
        let (good, bad) = stored.get(&key(row)).copied().unwrap_or_default();
        CountRow { good: row.good.saturating_sub(good), bad: row.bad.saturating_sub(bad), ..row.clone() }
    });
    Cow::Owned(rest.collect())
}
