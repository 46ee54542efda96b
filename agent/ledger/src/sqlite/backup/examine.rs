//! Examination of a ledger by its file alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use futures_util::TryStreamExt as _;
use serde::Serialize;
use sqlx::{Connection as _, SqliteConnection};

use super::super::hours::Hour;
use super::super::inspect::{APPLICATION_ID, MAGIC};
use super::super::{MIGRATIONS, decisions};
use super::{BackupError, database, failed, reading, size};
use crate::Chain;

/// Number of faults of one kind that are listed.
const MAX_LISTED: i64 = 5;

/// Extent of an examination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The checks of an agent before it opens a ledger.
    Startup,
    /// All of it.
    Full,
}

/// Contents of a ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of its tables.
    pub schema_version: i64,
    /// The size of the file.
    pub bytes: u64,
    /// True if the file carries the seal of a backup. A seal that does not fit is an error.
    pub sealed: bool,
    /// The end of the newest slot, in seconds since the epoch: as far as its counts go.
    pub counted_until_s: Option<i64>,
    /// Counts by SLO, in the order of their names.
    pub slos: Vec<SloTotals>,
    /// Incidents.
    pub incidents: i64,
    /// Those of them that are not resolved.
    pub open_incidents: i64,
    /// Changes of incidents.
    pub transitions: i64,
    /// Deliveries.
    pub deliveries: i64,
    /// Those of them that wait to be sent.
    pub waiting_deliveries: i64,
    /// Deploys.
    pub deploys: i64,
    /// Decisions of the gate.
    pub decisions: i64,
    /// The hash of the last decision, which stands for all of them.
    pub decisions_hash: Option<String>,
    /// Corrections, revoked ones too.
    pub corrections: i64,
    /// Objectives by the time they came into force.
    pub objectives: i64,
    /// Contradictions in a file that can be read: a broken chain of decisions, rows that point to nothing.
    pub faults: Vec<String>,
}

/// The counts of an SLO.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SloTotals {
    /// `Slo::id`.
    pub id: String,
    /// Slots, minutes and quarters of an hour that are known.
    pub rows: u64,
    /// Good events in all of them.
    pub good: u64,
    /// Bad events in all of them.
    pub bad: u64,
}

/// Opens the file, which may be in use, and examines it as it is at one instant.
pub(super) async fn examine(path: &Path, depth: Depth) -> Result<Report, BackupError> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(failed("opening", path))?;
    file.take(MAGIC.len() as u64).read_to_end(&mut head).map_err(failed("reading", path))?;
    if head != MAGIC {
        return Err(damaged(path, vec!["it is not an SQLite file".to_owned()]));
    }
    let mut connection = reading(path).await.map_err(|error| database("opening", path, error))?;
    let examined = look(path, depth, &mut connection).await;
    // a failure to close a file after reading says nothing about it
    drop(connection.close().await);
    examined
}

async fn look(path: &Path, depth: Depth, connection: &mut SqliteConnection) -> Result<Report, BackupError> {
    let reading = |error| database("reading", path, error);
    let mut view = connection.begin().await.map_err(reading)?;
    let application: i64 =
        sqlx::query_scalar("pragma application_id").fetch_one(&mut *view).await.map_err(reading)?;
    if application != APPLICATION_ID {
        return Err(damaged(path, vec!["it is no ledger of lookout's".to_owned()]));
    }
    let check = match depth {
        Depth::Startup => "pragma quick_check(1)",
        Depth::Full => "pragma integrity_check(5)",
    };
    let mut faults: Vec<String> = sqlx::query_scalar(check).fetch_all(&mut *view).await.map_err(reading)?;
    faults.retain(|line| line != "ok");
    if !faults.is_empty() {
        // the contents of damaged tables mean nothing
        return Err(damaged(path, faults));
    }
    let schema_version = schema(path, &mut view, &mut faults).await?;
    if !faults.is_empty() {
        return Err(damaged(path, faults));
    }
    let mut report = Report { schema_version, bytes: size(path)?, ..Report::default() };
    if depth == Depth::Full {
        let read = async {
            faults.extend(contradictions(&mut view).await?);
            faults.extend(counts(&mut view, &mut report).await?);
            faults.extend(records(&mut view, &mut report).await?);
            sqlx::Result::Ok(())
        };
        read.await.map_err(reading)?;
    }
    Ok(Report { faults: plain(faults), ..report })
}

fn damaged(path: &Path, faults: Vec<String>) -> BackupError {
    BackupError::Damaged { path: path.to_owned(), faults: plain(faults) }
}

fn plain(faults: Vec<String>) -> Vec<String> {
    faults.into_iter().map(|fault| fault.replace(char::is_control, " ")).collect()
}

/// Returns the version of the tables. Tables that differ from those of our migrations are a fault.
async fn schema(
    path: &Path,
    view: &mut SqliteConnection,
    faults: &mut Vec<String>,
) -> Result<i64, BackupError> {
    let steps: Vec<(i64, bool, Vec<u8>)> =
        sqlx::query_as("select version, success, checksum from _sqlx_migrations order by version")
            .fetch_all(view)
            .await
            .map_err(|error| database("reading the schema version of", path, error))?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let found = steps.last().map_or(0, |(version, ..)| *version);
    if found > known {
        return Err(BackupError::Newer { path: path.to_owned(), found, known });
    }
    for (version, success, checksum) in &steps {
        let ours = MIGRATIONS.iter().find(|migration| migration.version == *version);
        if !success || ours.is_none_or(|ours| *ours.checksum != **checksum) {
            faults.push(format!("step {version} of its schema is not the one this lookout knows"));
        }
    }
    let ours = MIGRATIONS.iter().filter(|migration| migration.version <= found).count();
    if steps.len() < ours || steps.is_empty() {
        faults.push(format!("its schema has {} steps of {ours}", steps.len()));
    }
    Ok(found)
}

/// Returns the rows that point to nothing, or that contradict each other.
async fn contradictions(view: &mut SqliteConnection) -> sqlx::Result<Vec<String>> {
    let mut faults = Vec::new();
    let orphans: Vec<(String, String)> = sqlx::query_as(
        "select \"table\", parent from pragma_foreign_key_check group by \"table\", parent limit $1",
    )
    .bind(MAX_LISTED)
    .fetch_all(&mut *view)
    .await?;
    faults.extend(
        orphans.iter().map(|(table, parent)| format!("a {table} belongs to a {parent} that is not there")),
    );
    for (rule, broken) in [
        (
            "a delivery belongs to another incident than its transition",
            "select count(*) from delivery join transition on transition.id = delivery.transition_id \
             where delivery.incident_id <> transition.incident_id",
        ),
        (
            "an incident has no transition",
            "select count(*) from incident where id not in (select incident_id from transition)",
        ),
        (
            "a transition cannot be read back",
            "select count(*) from transition where not (json_valid(notice) and json_valid(destinations))",
        ),
    ] {
        let rows: i64 = sqlx::query_scalar(broken).fetch_one(&mut *view).await?;
        if rows > 0 {
            faults.push(format!("{rule} ({rows} times)"));
        }
    }
    Ok(faults)
}

/// Tables of counts, each with the first version of the schema that has it.
const COUNTS: [(i64, &str, &str); 3] = [
    (
        1,
        "slot",
        "select slo.name, slot.good, slot.bad, slot.start_s + slot.width_s from slot join slo on slo.id = slot.slo",
    ),
    (
        1,
        "minute",
        "select slo.name, minute.good, minute.bad, minute.minute * 60 + 60 from minute join slo on slo.id = minute.slo",
    ),
    (
        5,
        "quarter of an hour",
        "select slo.name, good, bad, quarter_hour * 900 + 900 from quarter_hour join slo on slo.id = quarter_hour.slo",
    ),
];

/// Adds up all counts, row by row, so that neither their number nor their size matters.
async fn counts(view: &mut SqliteConnection, report: &mut Report) -> sqlx::Result<Vec<String>> {
    let mut faults = Vec::new();
    let names: Vec<String> = sqlx::query_scalar("select name from slo").fetch_all(&mut *view).await?;
    let empty = |id: String| (id.clone(), SloTotals { id, ..SloTotals::default() });
    let mut totals: BTreeMap<String, SloTotals> = names.into_iter().map(empty).collect();
    let mut until_s = None;
    let mut add = |name: String, good: u64, bad: u64, end_s: i64| {
        let (id, mut slo) = totals.remove_entry(&name).unwrap_or_else(|| empty(name));
        slo.rows += 1;
        slo.good = slo.good.saturating_add(good);
        slo.bad = slo.bad.saturating_add(bad);
        totals.insert(id, slo);
        until_s = until_s.max(Some(end_s));
    };
    for (since, kind, query) in COUNTS {
        if report.schema_version < since {
            continue;
        }
        let mut wrong = 0;
        let mut rows = sqlx::query_as::<_, (String, i64, i64, i64)>(query).fetch(&mut *view);
        while let Some((name, good, bad, end_s)) = rows.try_next().await? {
            match (u64::try_from(good), u64::try_from(bad)) {
                (Ok(good), Ok(bad)) => add(name, good, bad, end_s),
                _ => wrong += 1,
            }
        }
        if wrong > 0 {
            faults.push(format!("a {kind} has fewer events than none ({wrong} times)"));
        }
    }
    if report.schema_version >= 4 {
        let mut wrong = 0;
        let mut hours = sqlx::query_as::<_, (String, i64, Vec<u8>)>(
            "select slo.name, hour.hour, hour.counts from hour join slo on slo.id = hour.slo",
        )
        .fetch(&mut *view);
        while let Some((name, hour, packed)) = hours.try_next().await? {
            match Hour::decode(&packed) {
                Ok(minutes) => minutes.minutes(hour).for_each(|(minute, counts)| {
                    add(name.clone(), counts.good, counts.bad, minute.saturating_add(1).saturating_mul(60));
                }),
                Err(_) => wrong += 1,
            }
        }
        if wrong > 0 {
            faults.push(format!("an hour of counts cannot be read back ({wrong} times)"));
        }
    }
    report.slos = totals.into_values().collect();
    report.counted_until_s = until_s;
    Ok(faults)
}

/// Counts everything else, and follows the decisions link by link.
async fn records(view: &mut SqliteConnection, report: &mut Report) -> sqlx::Result<Vec<String>> {
    for (since, into, query) in [
        (1, &mut report.incidents, "select count(*) from incident"),
        (1, &mut report.open_incidents, "select count(*) from incident where resolved_at_ms is null"),
        (1, &mut report.transitions, "select count(*) from transition"),
        (1, &mut report.deliveries, "select count(*) from delivery"),
        (1, &mut report.waiting_deliveries, "select count(*) from delivery where state = 'waiting'"),
        (1, &mut report.deploys, "select count(*) from deploy"),
        (1, &mut report.decisions, "select count(*) from decision"),
        (3, &mut report.corrections, "select count(*) from correction"),
        (5, &mut report.objectives, "select count(*) from objective"),
    ] {
        if report.schema_version >= since {
            *into = sqlx::query_scalar(query).fetch_one(&mut *view).await?;
        }
    }
    report.decisions_hash = sqlx::query_scalar("select hash from decision order by sequence desc limit 1")
        .fetch_optional(&mut *view)
        .await?;
    Ok(match decisions::follow(view).await? {
        Chain::Whole { .. } => Vec::new(),
        Chain::Broken { at } => {
            vec![format!("decision {at} does not follow from the ones before it: the record was changed")]
        }
    })
}
