//! Counts: first as slots, then as minutes, which are stored by the hour, and at last as quarters of an hour.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use lookout_engine::Counts;
use sqlx::{Connection as _, QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use super::hours::{Hour, Hours};
use super::{SqliteLedger, query};
use crate::retention::{COUNT_CEILING, Cutoffs, MINUTES_PER_QUARTER};
use crate::{CountSeries, CountSpan, CountStore, LedgerError, Resolution};
use lookout_model::{CountRow, Timestamp};

/// Rows per statement: far below SQLite's limit of bound values, and most of a statement's cost is its round trip.
const ROWS_PER_STATEMENT: usize = 500;

/// Rows that are rolled up at once, so that a long backlog does not fill the memory.
const ROWS_PER_PART: i64 = 20_000;
/// Hours that become quarters of an hour at once.
const HOURS_PER_PART: i64 = 500;
/// Number of such parts of an older lookout's minutes that one call moves. Later calls move the rest.
const MOVED_PARTS: usize = 20;

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

/// Returns all counts of an SLO since an instant.
pub(super) async fn read(pool: &SqlitePool, slo_id: &str, since: Timestamp) -> sqlx::Result<CountSeries> {
    let mut connection = pool.acquire().await?;
    let read = read_at_once(&mut connection, slo_id, since).await;
    if read.is_err() {
        // SQLite may have ended the transaction by itself: the next one must not begin inside it
        connection.close_on_drop();
    }
    read
}

/// Reads in one transaction, so that a roll-up in between neither hides a count nor shows it twice.
async fn read_at_once(
    connection: &mut SqliteConnection,
    slo_id: &str,
    since: Timestamp,
) -> sqlx::Result<CountSeries> {
    let mut view = connection.begin().await?;
    let mut spans = slots(&mut view, slo_id, since).await?;
    for (minute, counts) in minutes(&mut view, slo_id, since).await? {
        spans.push(CountSpan { start_s: minute.saturating_mul(60), resolution: Resolution::Minute, counts });
    }
    let mut first_s = None;
    // a file that only an older lookout has opened has neither table
    if has_table(&mut view, "quarter_hour").await? {
        spans.extend(quarters(&mut view, slo_id, since).await?);
        first_s = first_second(&mut view, slo_id).await?;
    }
    view.commit().await?;
    Ok(CountSeries::new(spans, first_s))
}

async fn has_table(view: &mut SqliteConnection, name: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select 1 from sqlite_master where type = 'table' and name = $1)")
        .bind(name)
        .fetch_one(view)
        .await
}

async fn slots(view: &mut SqliteConnection, slo_id: &str, since: Timestamp) -> sqlx::Result<Vec<CountSpan>> {
    let slots: Vec<(i64, u32, i64, i64)> = sqlx::query_as(
        "select start_s, width_s, good, bad from slot \
         where slo = (select id from slo where name = $1) and start_s * 1000 >= $2 order by start_s, width_s",
    )
    .bind(slo_id)
    .bind(since.as_millis())
    .fetch_all(view)
    .await?;
    let span = |(start_s, width_s, good, bad)| CountSpan {
        start_s,
        resolution: Resolution::Slot(width_s),
        counts: counted(good, bad),
    };
    Ok(slots.into_iter().map(span).collect())
}

/// Returns minutes: those of hours, and those that an older lookout stored one by one. A file that only an older
/// lookout has opened has no hours.
async fn minutes(
    view: &mut SqliteConnection,
    slo_id: &str,
    since: Timestamp,
) -> sqlx::Result<BTreeMap<i64, Counts>> {
    let mut minutes: BTreeMap<i64, Counts> = BTreeMap::new();
    let alone: Vec<(i64, i64, i64)> = sqlx::query_as(
        "select minute, good, bad from minute where slo = (select id from slo where name = $1)",
    )
    .bind(slo_id)
    .fetch_all(&mut *view)
    .await?;
    for (minute, good, bad) in alone {
        *minutes.entry(minute).or_default() += counted(good, bad);
    }
    let hours: Vec<(i64, Vec<u8>)> = if has_table(view, "hour").await? {
        sqlx::query_as(
            "select hour, counts from hour where slo = (select id from slo where name = $1) and hour >= $2",
        )
        .bind(slo_id)
        .bind(since.as_seconds().div_euclid(3600))
        .fetch_all(&mut *view)
        .await?
    } else {
        Vec::new()
    };
    for (hour, counts) in hours {
        for (minute, counts) in Hour::decode(&counts)?.minutes(hour) {
            *minutes.entry(minute).or_default() += counts;
        }
    }
    minutes.retain(|minute, _| Timestamp::from_seconds(minute.saturating_mul(60)) >= since);
    Ok(minutes)
}

async fn quarters(
    view: &mut SqliteConnection,
    slo_id: &str,
    since: Timestamp,
) -> sqlx::Result<Vec<CountSpan>> {
    let quarters: Vec<(i64, i64, i64)> = sqlx::query_as(
        "select quarter_hour, good, bad from quarter_hour \
         where slo = (select id from slo where name = $1) and quarter_hour * 900000 >= $2 order by quarter_hour",
    )
    .bind(slo_id)
    .bind(since.as_millis())
    .fetch_all(view)
    .await?;
    let span = |(quarter, good, bad): (i64, i64, i64)| CountSpan {
        start_s: quarter.saturating_mul(900),
        resolution: Resolution::QuarterHour,
        counts: counted(good, bad),
    };
    Ok(quarters.into_iter().map(span).collect())
}

/// Returns the first second that was ever counted. It is kept with the name; late counts may be older.
async fn first_second(view: &mut SqliteConnection, slo_id: &str) -> sqlx::Result<Option<i64>> {
    let first_s: Option<Option<i64>> = sqlx::query_scalar(
        "select min(coalesce(slo.first_s, oldest.start_s), coalesce(oldest.start_s, slo.first_s)) \
         from slo cross join (select (select min(start_s) from slot where slot.slo = \
         (select id from slo where name = $1)) as start_s) as oldest where slo.name = $1",
    )
    .bind(slo_id)
    .fetch_optional(view)
    .await?;
    Ok(first_s.flatten())
}

/// Rolls old slots up to minutes and old minutes up to quarters of an hour, and forgets old quarters.
pub(super) async fn prune(connection: &mut SqliteConnection, cutoffs: &Cutoffs) -> sqlx::Result<()> {
    while roll_up(connection, cutoffs.slots_before_s).await? {}
    for _ in 0..MOVED_PARTS {
        if !move_minutes(connection).await? {
            break;
        }
    }
    while roll_up_hours(connection, cutoffs.minutes_before.div_euclid(60)).await? {}
    sqlx::query("delete from quarter_hour where slo in (select id from slo) and quarter_hour < $1")
        .bind(cutoffs.quarters_before)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Rolls up the first old slots and returns whether there may be more. It searches SLO by SLO, so that it skips the
/// recent slots, which are most of them.
async fn roll_up(connection: &mut SqliteConnection, before_s: i64) -> sqlx::Result<bool> {
    let old: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(
        "select slot.slo, slot.start_s, slot.width_s, slot.good, slot.bad \
         from slo cross join slot on slot.slo = slo.id \
         where slot.start_s < $1 and slot.start_s + slot.width_s <= $1 \
         order by slo.id, slot.start_s, slot.width_s limit $2",
    )
    .bind(before_s)
    .bind(ROWS_PER_PART)
    .fetch_all(&mut *connection)
    .await?;
    let Some(&(last_slo, last_start_s, last_width_s, ..)) = old.last() else { return Ok(false) };
    let mut hours = Hours::default();
    for &(slo, start_s, _, good, bad) in &old {
        hours.add(slo, start_s.div_euclid(60), counted(good, bad));
    }
    hours.store(connection).await?;
    remember_first(connection, old.iter().map(|&(slo, start_s, ..)| (slo, start_s))).await?;
    sqlx::query(
        "delete from slot where slo in (select id from slo where id <= $1) \
         and start_s < $2 and start_s + width_s <= $2 and (slo, start_s, width_s) <= ($1, $3, $4)",
    )
    .bind(last_slo)
    .bind(before_s)
    .bind(last_start_s)
    .bind(last_width_s)
    .execute(&mut *connection)
    .await?;
    Ok(old.len() >= ROWS_PER_PART as usize)
}

/// Stores the first observed second of each SLO with its name, where no minute or later row contains it.
async fn remember_first(
    connection: &mut SqliteConnection,
    starts: impl Iterator<Item = (i64, i64)>,
) -> sqlx::Result<()> {
    let mut first: BTreeMap<i64, i64> = BTreeMap::new();
    for (slo, start_s) in starts {
        first.entry(slo).and_modify(|first_s| *first_s = start_s.min(*first_s)).or_insert(start_s);
    }
    let first: Vec<(i64, i64)> = first.into_iter().collect();
    for first in first.chunks(ROWS_PER_STATEMENT) {
        let mut update = QueryBuilder::<Sqlite>::new("update slo set first_s = new.column2 from (");
        update.push_values(first, |mut tuple, (slo, start_s)| {
            tuple.push_bind(*slo).push_bind(*start_s);
        });
        update.push(") as new where slo.id = new.column1 and coalesce(slo.first_s > new.column2, true)");
        update.build().persistent(false).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Rolls the minutes of the first old hours up to quarters of an hour and returns whether there may be more. Hours are
/// looked for SLO by SLO, as slots are.
async fn roll_up_hours(connection: &mut SqliteConnection, before: i64) -> sqlx::Result<bool> {
    let old: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "select hour.slo, hour.hour, hour.counts from slo cross join hour on hour.slo = slo.id \
         where hour.hour < $1 order by slo.id, hour.hour limit $2",
    )
    .bind(before)
    .bind(HOURS_PER_PART)
    .fetch_all(&mut *connection)
    .await?;
    let Some(&(last_slo, last_hour, _)) = old.last() else { return Ok(false) };
    let mut quarters: BTreeMap<(i64, i64), Counts> = BTreeMap::new();
    for (slo, hour, counts) in &old {
        for (minute, counts) in Hour::decode(counts)?.minutes(*hour) {
            *quarters.entry((*slo, minute.div_euclid(MINUTES_PER_QUARTER))).or_default() += counts;
        }
    }
    let quarters: Vec<((i64, i64), Counts)> = quarters.into_iter().collect();
    for quarters in quarters.chunks(ROWS_PER_STATEMENT) {
        let mut put = QueryBuilder::<Sqlite>::new("insert into quarter_hour (slo, quarter_hour, good, bad) ");
        put.push_values(quarters, |mut tuple, ((slo, quarter), counts)| {
            tuple.push_bind(*slo).push_bind(*quarter);
            tuple.push_bind(stored(counts.good)).push_bind(stored(counts.bad));
        });
        put.push(
            " on conflict (slo, quarter_hour) do update set \
             good = min(good + excluded.good, 9007199254740992), \
             bad = min(bad + excluded.bad, 9007199254740992)",
        );
        put.build().persistent(false).execute(&mut *connection).await?;
    }
    sqlx::query(
        "delete from hour where slo in (select id from slo where id <= $1) \
         and hour < $2 and (slo, hour) <= ($1, $3)",
    )
    .bind(last_slo)
    .bind(before)
    .bind(last_hour)
    .execute(&mut *connection)
    .await?;
    Ok(old.len() >= HOURS_PER_PART as usize)
}

/// Moves minutes of an older lookout into their hours and returns whether there may be more.
async fn move_minutes(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    let alone: Vec<(i64, i64, i64, i64)> =
        sqlx::query_as("select slo, minute, good, bad from minute order by slo, minute limit $1")
            .bind(ROWS_PER_PART)
            .fetch_all(&mut *connection)
            .await?;
    let Some(&(last_slo, last_minute, ..)) = alone.last() else { return Ok(false) };
    let mut hours = Hours::default();
    for &(slo, minute, good, bad) in &alone {
        hours.add(slo, minute, counted(good, bad));
    }
    hours.store(connection).await?;
    sqlx::query("delete from minute where (slo, minute) <= ($1, $2)")
        .bind(last_slo)
        .bind(last_minute)
        .execute(&mut *connection)
        .await?;
    Ok(alone.len() >= ROWS_PER_PART as usize)
}

fn stored(count: u64) -> i64 {
    i64::try_from(count.min(COUNT_CEILING)).unwrap_or(i64::MAX)
}

fn counted(good: i64, bad: i64) -> Counts {
    Counts { good: u64::try_from(good).unwrap_or(0), bad: u64::try_from(bad).unwrap_or(0) }
}

#[async_trait]
impl CountStore for SqliteLedger {
    async fn counts(&self, slo_id: &str, since: Timestamp) -> Result<CountSeries, LedgerError> {
        read(&self.readers, slo_id, since).await.map_err(query("reading counts"))
    }
}
