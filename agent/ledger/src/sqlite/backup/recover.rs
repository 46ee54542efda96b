//! The content of a damaged ledger, as far as it can be read, in a new one.
//!
//! Each table is read from its beginning until a damaged page, and from its end back to one. The damaged file is copied
//! first and stays as it is.

use std::path::Path;

use futures_util::TryStreamExt as _;
use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{
    Column as _, ConnectOptions as _, Connection as _, QueryBuilder, Row as _, Sqlite, SqliteConnection,
};
use sqlx::{TypeInfo as _, ValueRef as _};

use super::super::{BUSY, SqliteLedger};
use super::{BackupError, Partial, database, failed, with_suffix};
use crate::Ledger as _;

/// Tables with their keys, in an order in which no row comes before the one it points to.
const TABLES: [(&str, &str); 21] = [
    ("slo", "id"),
    ("slot", "slo, start_s, width_s"),
    ("minute", "slo, minute"),
    ("hour", "slo, hour"),
    ("quarter_hour", "slo, quarter_hour"),
    ("objective", "slo_id, from_ms"),
    ("heartbeat", "name"),
    ("pause", "target"),
    ("probe_target", "id"),
    ("probe_hour", "hour, target"),
    ("probe_old_hour", "hour, target"),
    ("evaluator_state", "slo_id"),
    ("incident", "id"),
    ("transition", "id"),
    ("delivery", "id"),
    ("deploy", "id"),
    ("decision", "sequence"),
    ("decision_anchor", "sequence"),
    ("correction", "sequence"),
    ("correction_revocation", "sequence"),
    ("silence", "sequence"),
];
/// Rows that are written at once.
const ROWS: usize = 500;

/// Result of reading one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// The table.
    pub table: &'static str,
    /// Rows in the new ledger.
    pub rows: u64,
    /// True if all of it could be read.
    pub whole: bool,
}

/// Reads a damaged ledger into a new one at `to`, which must not exist.
///
/// # Errors
/// Fails when `to` exists, or the new ledger cannot be written. The result lists the rows that cannot be read.
pub async fn recover(from: &Path, to: &Path) -> Result<Vec<Recovered>, BackupError> {
    let to = std::path::absolute(to).map_err(failed("finding", to))?;
    if std::fs::symlink_metadata(&to).is_ok() {
        return Err(BackupError::Exists { path: to });
    }
    // SQLite changes what lies beside a database that it opens
    let copy = Partial::create(&to, "damaged")?;
    for suffix in ["", "-wal"] {
        let part = with_suffix(from, suffix);
        if suffix.is_empty() || part.exists() {
            std::fs::copy(&part, with_suffix(&copy.0, suffix)).map_err(failed("copying", &part))?;
        }
    }
    let made = SqliteLedger::open(&to).await;
    made.map_err(|error| BackupError::Damaged { path: to.clone(), faults: vec![error.to_string()] })?
        .close()
        .await;
    let open =
        |path: &Path| SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).foreign_keys(false);
    let doing = |source| database("writing", &to, source);
    let mut target = open(&to).connect().await.map_err(doing)?;
    let mut recovered = Vec::with_capacity(TABLES.len());
    for (table, key) in TABLES {
        let mut whole = true;
        for direction in ["asc", "desc"] {
            // a connection of its own for each: one that met damage may not go on
            let Ok(mut source) = open(&copy.0).connect().await else {
                whole = false;
                break;
            };
            let read = copy_rows(&mut source, &mut target, table, key, direction).await.map_err(doing)?;
            drop(source.close().await);
            whole = read;
            if read {
                break;
            }
        }
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        let rows: i64 = sqlx::query_scalar(count).fetch_one(&mut target).await.map_err(doing)?;
        recovered.push(Recovered { table, rows: rows.unsigned_abs(), whole });
    }
    forget_orphans(&mut target).await.map_err(doing)?;
    target.close().await.map_err(doing)?;
    Ok(recovered)
}

/// Copies rows in the order of the key until the end or a damaged page. Returns whether it was the end.
async fn copy_rows(
    source: &mut SqliteConnection,
    target: &mut SqliteConnection,
    table: &str,
    key: &str,
    direction: &str,
) -> sqlx::Result<bool> {
    let order = key.split(", ").map(|column| format!("{column} {direction}")).collect::<Vec<_>>().join(", ");
    let select = sqlx::AssertSqlSafe(format!("select * from {table} order by {order}"));
    let mut rows = sqlx::query(select).fetch(source);
    let mut batch: Vec<SqliteRow> = Vec::with_capacity(ROWS);
    loop {
        let next = rows.try_next().await;
        let ended = !matches!(next, Ok(Some(_)));
        let whole = matches!(next, Ok(None));
        batch.extend(next.ok().flatten());
        if batch.len() == ROWS || ended {
            insert(target, table, &batch).await?;
            batch.clear();
        }
        if ended {
            return Ok(whole);
        }
    }
}

async fn insert(target: &mut SqliteConnection, table: &str, rows: &[SqliteRow]) -> sqlx::Result<()> {
    sqlx::query("begin").execute(&mut *target).await?;
    for row in rows {
        let columns: Vec<&str> = row.columns().iter().map(|column| column.name()).collect();
        let mut put = QueryBuilder::<Sqlite>::new(format!(
            "insert or ignore into {table} ({}) values (",
            columns.join(", ")
        ));
        let mut values = put.separated(", ");
        for index in 0..columns.len() {
            let value = row.try_get_raw(index)?;
            match value.type_info().name() {
                "INTEGER" | "BOOLEAN" => values.push_bind(row.try_get_unchecked::<Option<i64>, _>(index)?),
                "BLOB" => values.push_bind(row.try_get_unchecked::<Option<Vec<u8>>, _>(index)?),
                "NULL" => values.push_bind(None::<String>),
                _ => values.push_bind(row.try_get_unchecked::<Option<String>, _>(index)?),
            };
        }
        put.push(")");
        put.build().persistent(false).execute(&mut *target).await?;
    }
    sqlx::query("commit").execute(&mut *target).await?;
    Ok(())
}

/// Removes rows that point to something that could not be read.
async fn forget_orphans(target: &mut SqliteConnection) -> sqlx::Result<()> {
    for statement in [
        "delete from transition where incident_id not in (select id from incident)",
        "delete from delivery where transition_id not in (select id from transition)",
        "delete from slot where slo not in (select id from slo)",
        "delete from minute where slo not in (select id from slo)",
        "delete from hour where slo not in (select id from slo)",
        "delete from quarter_hour where slo not in (select id from slo)",
        "delete from probe_hour where target not in (select id from probe_target)",
        "delete from probe_old_hour where target not in (select id from probe_target)",
        "delete from correction_revocation where correction_id not in (select id from correction)",
    ] {
        sqlx::query(statement).execute(&mut *target).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_table_of_a_ledger_is_recovered_or_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        SqliteLedger::open(&path).await.unwrap().close().await;
        let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        let there: Vec<String> =
            sqlx::query_scalar("select name from sqlite_master where type = 'table' order by name")
                .fetch_all(&mut connection)
                .await
                .unwrap();
        // a new ledger has its own id and tick, and SQLite and sqlx keep their own tables
        let own = |name: &str| {
            ["identity", "tick"].contains(&name) || name.starts_with("sqlite_") || name.starts_with("_sqlx")
        };
        let mut known: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
        known.sort_unstable();
        let there: Vec<&str> = there.iter().map(String::as_str).filter(|name| !own(name)).collect();
        assert_eq!(there, known);
    }
}
