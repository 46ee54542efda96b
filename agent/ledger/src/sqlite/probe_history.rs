//! History of the probes of targets.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lookout_model::Timestamp;
use lookout_model::probe_history::{OLD_HOUR_BYTES, ProbeHour, ProbeMinute, RECENT_HOUR_BYTES};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use super::{SqliteLedger, query};
use crate::retention::Cutoffs;
use crate::{LedgerError, ProbeHistoryStore};

/// Targets per statement.
const ROWS: usize = 400;

/// Hours that one call makes old: as many as an hour of very many targets brings.
const AT_ONCE: u32 = 20_000;

const MINUTES: i64 = 60;

/// Hours by their number and the name of their target.
type Hours<'m> = BTreeMap<(i64, &'m str), ProbeHour>;

/// Adds minutes to what is stored.
async fn add(connection: &mut SqliteConnection, minutes: &[ProbeMinute]) -> sqlx::Result<()> {
    let mut hours = Hours::new();
    for minute in minutes {
        let hour = hours.entry((minute.minute.div_euclid(MINUTES), &minute.target)).or_default();
        // the remainder is below 60
        hour.add(minute.minute.rem_euclid(MINUTES) as u8, &minute.counts);
    }
    let mut hours: Vec<_> = hours.into_iter().collect();
    for hours in hours.chunks_mut(ROWS) {
        store(connection, hours).await?;
    }
    Ok(())
}

async fn store(
    connection: &mut SqliteConnection,
    hours: &mut [((i64, &str), ProbeHour)],
) -> sqlx::Result<()> {
    let mut names = QueryBuilder::<Sqlite>::new("insert into probe_target (last_hour, name) ");
    names.push_values(&*hours, |mut tuple, ((hour, name), _)| {
        tuple.push_bind(*hour).push_bind(*name);
    });
    names.push(
        " on conflict (name) do update set last_hour = max(last_hour, excluded.last_hour) returning name, id",
    );
    let ids: Vec<(String, i64)> =
        names.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
    let ids: BTreeMap<&str, i64> = ids.iter().map(|(name, id)| (name.as_str(), *id)).collect();
    let mut rows: BTreeMap<(i64, i64), &mut ProbeHour> = BTreeMap::new();
    for ((hour, name), probes) in hours {
        let id = ids.get(name).ok_or(sqlx::Error::RowNotFound)?;
        rows.insert((*hour, *id), probes);
    }
    let mut select = QueryBuilder::<Sqlite>::new("select known.hour, known.target, known.probes from (");
    select.push_values(rows.keys(), |mut tuple, (hour, target)| {
        tuple.push_bind(*hour).push_bind(*target);
    });
    select
        .push(") as new join probe_hour as known on known.hour = new.column1 and known.target = new.column2");
    let known: Vec<(i64, i64, Vec<u8>)> =
        select.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
    for (hour, target, bytes) in known {
        if let Some(probes) = rows.get_mut(&(hour, target)) {
            let mut sum = read(&bytes, hour);
            for (span, counts) in probes.spans() {
                sum.add(span.minute, counts);
            }
            **probes = sum;
        }
    }
    let mut put = QueryBuilder::<Sqlite>::new("insert into probe_hour (hour, target, probes) ");
    put.push_values(&rows, |mut tuple, ((hour, target), probes)| {
        tuple.push_bind(*hour).push_bind(*target).push_bind(probes.encode(RECENT_HOUR_BYTES));
    });
    put.push(" on conflict (hour, target) do update set probes = excluded.probes");
    put.build().persistent(false).execute(&mut *connection).await?;
    Ok(())
}

/// Reads an hour. No SLO is judged by it, so that a damaged one is an empty one and stops nothing.
fn read(bytes: &[u8], hour: i64) -> ProbeHour {
    ProbeHour::decode(bytes).unwrap_or_else(|| {
        tracing::warn!(hour, "an hour of the history of probes is damaged; it counts as empty");
        ProbeHour::default()
    })
}

async fn hours(
    pool: &SqlitePool,
    target: &str,
    from: Timestamp,
    until: Timestamp,
) -> sqlx::Result<Vec<(i64, ProbeHour)>> {
    // a seek for each hour: the key begins with it
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "with recursive wanted (hour) as (values ($2) union all select hour + 1 from wanted where hour < $3), \
         named (id) as (select id from probe_target where name = $1) \
         select wanted.hour, old.probes from named cross join wanted cross join probe_old_hour as old \
         on old.hour = wanted.hour and old.target = named.id \
         union all \
         select wanted.hour, recent.probes from named cross join wanted cross join probe_hour as recent \
         on recent.hour = wanted.hour and recent.target = named.id \
         order by 1",
    )
    .bind(target)
    .bind(from.as_seconds().div_euclid(3600))
    .bind(until.as_seconds().div_euclid(3600))
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(hour, bytes)| (hour, read(&bytes, hour))).collect())
}

/// Makes hours smaller once they are old, and forgets the oldest.
pub(super) async fn prune(connection: &mut SqliteConnection, cutoffs: &Cutoffs) -> sqlx::Result<()> {
    sqlx::query("delete from probe_old_hour where hour < $1")
        .bind(cutoffs.probe_hours_before)
        .execute(&mut *connection)
        .await?;
    let old: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "select hour, target, probes from probe_hour where hour < $1 order by hour, target limit $2",
    )
    .bind(cutoffs.recent_probe_hours_before)
    .bind(AT_ONCE)
    .fetch_all(&mut *connection)
    .await?;
    for rows in old.chunks(ROWS) {
        let mut put = QueryBuilder::<Sqlite>::new("insert into probe_old_hour (hour, target, probes) ");
        put.push_values(rows, |mut tuple, (hour, target, bytes)| {
            let smaller = read(bytes, *hour).encode(OLD_HOUR_BYTES);
            tuple.push_bind(*hour).push_bind(*target).push_bind(smaller);
        });
        put.push(" on conflict (hour, target) do update set probes = excluded.probes");
        put.build().persistent(false).execute(&mut *connection).await?;
    }
    if let Some((hour, target, _)) = old.last() {
        sqlx::query("delete from probe_hour where (hour, target) <= ($1, $2)")
            .bind(hour)
            .bind(target)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("delete from probe_target where last_hour < $1")
        .bind(cutoffs.probe_hours_before)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

#[async_trait]
impl ProbeHistoryStore for SqliteLedger {
    async fn add_probe_minutes(&self, minutes: &[ProbeMinute]) -> Result<(), LedgerError> {
        const DOING: &str = "storing the history of probes";
        let mut work = self.writer.begin(DOING).await?;
        add(&mut work.connection, minutes).await.map_err(query(DOING))?;
        work.commit().await
    }

    async fn probe_hours(
        &self,
        target: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(i64, ProbeHour)>, LedgerError> {
        let read = hours(&self.readers, target, from, until).await;
        read.map_err(query("reading the history of probes"))
    }
}
