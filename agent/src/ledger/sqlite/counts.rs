//! Counts: slots while they are young, minutes afterwards.

use std::collections::BTreeSet;

use lookout_engine::Counts;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use crate::ledger::retention::{COUNT_CEILING, Cutoffs};
use crate::ledger::{CountRow, StoredCounts};

/// Rows per statement: far below SQLite's limit of bound values, and most of a statement's cost is its round trip.
const ROWS_PER_STATEMENT: usize = 500;

/// Adds rows to what is stored for their slots. The statements are as long as the tick has rows, so that keeping them
/// prepared would only fill the cache.
pub(super) async fn add(connection: &mut SqliteConnection, rows: &[CountRow]) -> sqlx::Result<()> {
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        let names: BTreeSet<&str> = rows.iter().map(|row| row.slo_id.as_str()).collect();
        let mut known = QueryBuilder::<Sqlite>::new("insert or ignore into slo (name) ");
        known.push_values(names, |mut tuple, name| {
            tuple.push_bind(name.to_owned());
        });
        known.build().persistent(false).execute(&mut *connection).await?;

        let mut counts = QueryBuilder::<Sqlite>::new(
            "insert into slot (slo, start_s, width_s, good, bad) \
             select slo.id, new.column2, new.column3, new.column4, new.column5 from (",
        );
        counts.push_values(rows, |mut tuple, row| {
            tuple
                .push_bind(row.slo_id.clone())
                .push_bind(row.start_s)
                .push_bind(row.width_s)
                .push_bind(stored(row.good))
                .push_bind(stored(row.bad));
        });
        counts.push(
            ") as new join slo on slo.name = new.column1 where true \
             on conflict (slo, start_s, width_s) do update set \
             good = min(good + excluded.good, 9007199254740992), \
             bad = min(bad + excluded.bad, 9007199254740992)",
        );
        counts.build().persistent(false).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn read(pool: &SqlitePool, slo_id: &str, since_ms: i64) -> sqlx::Result<StoredCounts> {
    // one transaction, so that a roll-up in between neither hides a slot nor shows it twice
    let mut view = pool.begin().await?;
    let slots: Vec<(i64, u32, i64, i64)> = sqlx::query_as(
        "select start_s, width_s, good, bad from slot \
         where slo = (select id from slo where name = $1) and start_s * 1000 >= $2 order by start_s, width_s",
    )
    .bind(slo_id)
    .bind(since_ms)
    .fetch_all(&mut *view)
    .await?;
    let minutes: Vec<(i64, i64, i64)> = sqlx::query_as(
        "select minute, good, bad from minute \
         where slo = (select id from slo where name = $1) and minute * 60000 >= $2 order by minute",
    )
    .bind(slo_id)
    .bind(since_ms)
    .fetch_all(&mut *view)
    .await?;
    view.commit().await?;
    Ok(StoredCounts {
        slots: slots
            .into_iter()
            .map(|(start, width, good, bad)| (start, width, counted(good, bad)))
            .collect(),
        minutes: minutes.into_iter().map(|(minute, good, bad)| (minute, counted(good, bad))).collect(),
    })
}

/// Rolls old slots up to minutes and forgets old minutes.
pub(super) async fn prune(connection: &mut SqliteConnection, cutoffs: &Cutoffs) -> sqlx::Result<()> {
    sqlx::query(
        "insert into minute (slo, minute, good, bad) \
         select slo, start_s / 60, min(sum(good), 9007199254740992), min(sum(bad), 9007199254740992) \
         from slot where start_s + width_s <= $1 \
         group by slo, start_s / 60 \
         on conflict (slo, minute) do update set \
         good = min(good + excluded.good, 9007199254740992), \
         bad = min(bad + excluded.bad, 9007199254740992)",
    )
    .bind(cutoffs.slots_before_s)
    .execute(&mut *connection)
    .await?;
    sqlx::query("delete from slot where start_s + width_s <= $1")
        .bind(cutoffs.slots_before_s)
        .execute(&mut *connection)
        .await?;
    sqlx::query("delete from minute where minute < $1")
        .bind(cutoffs.minutes_before)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

fn stored(count: u64) -> i64 {
    i64::try_from(count.min(COUNT_CEILING)).unwrap_or(i64::MAX)
}

fn counted(good: i64, bad: i64) -> Counts {
    Counts { good: u64::try_from(good).unwrap_or(0), bad: u64::try_from(bad).unwrap_or(0) }
}
