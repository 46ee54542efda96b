//! Migrations: applied where they are missing, and compared with those that this version knows.
//!
//! A newer version may have been here and have been taken back. Its migrations leave its predecessor working (expand now,
//! contract a release later: `docs/decisions/0011`), so this version serves on tables that have more than it knows, as long
//! as all that it knows is there and as it knows it.

use std::sync::LazyLock;

use sqlx::migrate::Migrator;

use super::connection::Pools;
use super::error::doing;
use super::statement::Statement;
use super::{Database, DatabaseError};

static SQLITE: LazyLock<Migrator> = LazyLock::new(|| tolerant(sqlx::migrate!("migrations/sqlite")));
static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| tolerant(sqlx::migrate!("migrations/postgres")));

/// Makes the run ignore unknown migrations. This module decides which of them are acceptable, since the run would also
/// add to tables that another program has changed further.
fn tolerant(mut migrations: Migrator) -> Migrator {
    migrations.set_ignore_missing(true);
    migrations
}

/// The state of the tables, compared with this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Some migrations are missing.
    Behind,
    /// The tables are those of this version.
    Ours,
    /// A newer version has applied all that we know, and these.
    Newer(String),
    /// The tables come from a program with another history, for this reason.
    Unfit(String),
}

/// Applies missing migrations, and returns the state after that. Unusable tables are left as they are.
pub(super) async fn migrate(db: &Database, url: &str) -> Result<Standing, DatabaseError> {
    let before = standing(db).await.map_err(doing("reading which migrations were applied"))?;
    if before != Standing::Behind {
        return Ok(before);
    }
    let migrated = db.run_migrations(&SQLITE, &POSTGRES).await;
    migrated.map_err(|source| DatabaseError::Migrate { url: url.to_owned(), source })?;
    // Again: another version may have been at it meanwhile.
    standing(db).await.map_err(doing("reading which migrations were applied"))
}

/// Compares the tables with this version. A database without any is behind.
pub(super) async fn standing(db: &Database) -> Result<Standing, sqlx::Error> {
    let (known, there) = match &db.pools {
        Pools::Sqlite { .. } => {
            (&*SQLITE, "select count(*) from sqlite_master where name = '_sqlx_migrations'")
        }
        Pools::Postgres { .. } => (&*POSTGRES, "select count(to_regclass('_sqlx_migrations'))"),
    };
    let tables: Vec<(i64,)> = db.check_rows(Statement::begin(there)).await?;
    let applied: Vec<(i64, Vec<u8>)> = if tables.contains(&(0,)) {
        Vec::new()
    } else {
        let applied = "select version, checksum from _sqlx_migrations where success order by version";
        db.check_rows(Statement::begin(applied)).await?
    };
    let known: Vec<(i64, &[u8])> = known.iter().map(|known| (known.version, &*known.checksum)).collect();
    Ok(compare(&known, &applied))
}

fn compare(known: &[(i64, &[u8])], applied: &[(i64, Vec<u8>)]) -> Standing {
    let of = |version: i64| known.iter().find(|(known, _)| *known == version);
    let changed =
        |(version, checksum): &&(i64, Vec<u8>)| of(*version).is_some_and(|(_, ours)| ours != checksum);
    if let Some((version, _)) = applied.iter().find(changed) {
        return Standing::Unfit(format!(
            "migration {version} was applied with another text than this version has for it"
        ));
    }
    let versions = |versions: &[i64]| versions.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let unknown: Vec<i64> =
        applied.iter().map(|(version, _)| *version).filter(|v| of(*v).is_none()).collect();
    let is_there = |version: i64| applied.iter().any(|(applied, _)| *applied == version);
    let missing: Vec<i64> = known.iter().map(|(version, _)| *version).filter(|v| !is_there(*v)).collect();
    let newest = known.iter().map(|(version, _)| *version).max();
    match (unknown.first(), missing.is_empty()) {
        (None, true) => Standing::Ours,
        (None, false) => Standing::Behind,
        (Some(_), false) => Standing::Unfit(format!(
            "they have the unknown migrations {} and lack {}, which this version needs",
            versions(&unknown),
            versions(&missing)
        )),
        (Some(first), true) if Some(*first) < newest => Standing::Unfit(format!(
            "migration {first} is unknown and is older than the newest of this version"
        )),
        (Some(_), true) => Standing::Newer(versions(&unknown)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(i64, &[u8]); 3] = [(1, b"a"), (2, b"b"), (4, b"d")];

    fn stand(applied: &[(i64, &str)]) -> Standing {
        let applied: Vec<_> =
            applied.iter().map(|(version, sum)| (*version, sum.as_bytes().to_vec())).collect();
        compare(&KNOWN, &applied)
    }

    #[test]
    fn tables_are_told_apart_by_what_was_applied_to_them() {
        assert_eq!(stand(&[]), Standing::Behind);
        assert_eq!(stand(&[(1, "a"), (2, "b")]), Standing::Behind);
        assert_eq!(stand(&[(1, "a"), (2, "b"), (4, "d")]), Standing::Ours);
        let newer = stand(&[(1, "a"), (2, "b"), (4, "d"), (5, "?"), (7, "?")]);
        assert_eq!(newer, Standing::Newer(String::from("5, 7")));
        for (applied, why) in [
            (
                &[(1, "a"), (2, "x"), (4, "d"), (5, "?")][..],
                "migration 2 was applied with another text than this version has for it",
            ),
            (
                &[(1, "a"), (2, "b"), (5, "?"), (6, "?")],
                "they have the unknown migrations 5, 6 and lack 4, which this version needs",
            ),
            (
                &[(1, "a"), (2, "b"), (3, "?"), (4, "d")],
                "migration 3 is unknown and is older than the newest of this version",
            ),
        ] {
            let Standing::Unfit(unfit) = stand(applied) else { panic!("{:?}", stand(applied)) };
            assert_eq!(unfit, why);
        }
    }
}
