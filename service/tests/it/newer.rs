//! A version that is taken back: the older one works on the tables the newer one left, as far as it can.

use std::path::Path;

use axum::http::Method;
use serde_json::json;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, PgPool, SqlSafeStr as _, SqlitePool};
use tempfile::TempDir;
use titanic::database::{Database, Opening};
use titanic::{Config, api};

use crate::app::App;
use crate::program::{Program, command};

on_both_databases!(
    an_older_version_serves_on_newer_tables_and_keeps_what_they_added,
    a_version_that_runs_stays_ready_while_a_newer_one_migrates,
    a_backup_and_a_restore_are_refused_on_newer_tables,
    tables_of_another_past_are_refused,
);

/// The number of a migration that a newer version has.
const NEWER: i64 = 9000;
/// A migration as a newer version may have it: it adds, and takes nothing away.
const EXPANDS: &str = "create table decks (name text primary key not null); \
     alter table passengers add column deck text; \
     alter table passengers add column boarded integer not null default 1";

/// A database that can be opened more than once.
struct Reopenable {
    url: String,
    folder: TempDir,
}

impl Reopenable {
    /// That of the application, or a file when it is in memory; up to date and loaded.
    async fn of(app: App) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = app.shared.config.database_url.expose().to_owned();
        app.database.close().await;
        if url.starts_with("postgres") {
            return Self { url, folder };
        }
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("titanic.db").display());
        App::on(&url).await.database.close().await;
        Self { url, folder }
    }

    async fn open_for(&self, opening: Opening) -> Result<Database, String> {
        let variables = std::collections::HashMap::from([("DATABASE_URL", self.url.as_str())]);
        let config = Config::from_variables(&variables, api::SCOPES).unwrap();
        api::open(opening, &config, 1).await.map_err(|error| error.to_string())
    }

    async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.url.starts_with("postgres") {
            let pool = PgPool::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&pool).await.unwrap();
            pool.close().await;
        } else {
            let pool = SqlitePool::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&pool).await.unwrap();
            pool.close().await;
        }
    }

    async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.url.starts_with("postgres") {
            let pool = PgPool::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap()
        } else {
            let pool = SqlitePool::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap()
        }
    }

    /// Starts as a newer version does: all that we know, and one migration more.
    async fn start_newer(&self) {
        let postgres = self.url.starts_with("postgres");
        let ours = if postgres { "migrations/postgres" } else { "migrations/sqlite" };
        let mut all: Vec<Migration> = Migrator::new(Path::new(ours)).await.unwrap().iter().cloned().collect();
        let sql = EXPANDS.into_sql_str();
        all.push(Migration::new(NEWER, "decks".into(), MigrationType::Simple, sql, false));
        let newer = Migrator::with_migrations(all);
        if postgres {
            let pool = PgPool::connect(&self.url).await.unwrap();
            newer.run(&pool).await.unwrap();
            pool.close().await;
        } else {
            let pool = SqlitePool::connect(&self.url).await.unwrap();
            newer.run(&pool).await.unwrap();
            pool.close().await;
        }
    }
}

async fn an_older_version_serves_on_newer_tables_and_keeps_what_they_added(app: App) {
    let place = Reopenable::of(app).await;
    place.start_newer().await;
    let app = App::on(&place.url).await;
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["checks"]["migrations"]), (200, &json!("ok")));
    assert_eq!(app.get("/api/v1/passengers?total=true").await.json()["total"], 1309);

    let person = json!({"name": "Ödegård, Miss. Åsa", "class": 3, "sex": "female", "survived": true});
    let (made, her) = app.board(&person).await;
    place
        .execute(&format!("update passengers set deck = 'B' where id = '{}'", made["id"].as_str().unwrap()))
        .await;
    let patched = app.call(Method::PATCH, &her, Some(&json!({"age": 22}))).await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    let found = app.get("/api/v1/passengers?name=asa").await.json();
    assert_eq!(found["items"][0]["age"], 22.0);
    assert_eq!(place.number("select count(*) from passengers where deck = 'B' and age = 22").await, 1);

    let (_, gone) = app.board(&person).await;
    assert_eq!(app.call(Method::DELETE, &gone, None).await.status, 204);
    app.database.close().await;
    // And forward again, as if nothing had been between.
    place.start_newer().await;
    assert_eq!(place.number("select count(*) from passengers where deck = 'B' and boarded = 1").await, 1);
    assert_eq!(place.number("select count(*) from passengers").await, 1310);
}

async fn a_version_that_runs_stays_ready_while_a_newer_one_migrates(app: App) {
    let place = Reopenable::of(app).await;
    let app = App::on(&place.url).await;
    let person = json!({"name": "A", "class": 1, "sex": "male", "survived": false});
    for total in [1310, 1311] {
        assert_eq!(app.get("/readyz").await.status, 200);
        app.board(&person).await;
        assert_eq!(app.get("/api/v1/passengers?total=true").await.json()["total"], total);
        if total == 1310 {
            place.start_newer().await;
        }
    }
    app.database.close().await;
}

async fn a_backup_and_a_restore_are_refused_on_newer_tables(app: App) {
    let place = Reopenable::of(app).await;
    place.open_for(Opening::Read).await.unwrap().close().await;
    place.start_newer().await;
    for opening in [Opening::Read, Opening::Fill] {
        let said = place.open_for(opening).await.unwrap_err();
        assert!(
            said.contains("tables of a newer version (migrations 9000 are unknown to this one)"),
            "{said}"
        );
        assert!(said.contains("take the newer `titanic`"), "{said}");
    }
    assert_eq!(place.number("select count(*) from passengers").await, 1309);
}

async fn tables_of_another_past_are_refused(app: App) {
    let place = Reopenable::of(app).await;
    place.start_newer().await;
    place.execute("update _sqlx_migrations set version = 9001 where version = 3").await;
    let said = place.open_for(Opening::Serve).await.unwrap_err();
    assert!(said.contains("unknown migrations 9000, 9001 and lack 3"), "{said}");
    place.execute("update _sqlx_migrations set version = 3 where version = 9001").await;
    place.open_for(Opening::Serve).await.unwrap().close().await;

    let app = App::on(&place.url).await;
    place.execute("update _sqlx_migrations set checksum = substr(checksum, 2) where version = 2").await;
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["checks"]["migrations"]), (503, &json!("fail")));
    app.database.close().await;
    for opening in [Opening::Serve, Opening::Fill, Opening::Read] {
        let said = place.open_for(opening).await.unwrap_err();
        assert!(said.contains("migration 2 was applied with another text"), "{said}");
        assert!(said.contains("it was left as it is"), "{said}");
    }
}

#[tokio::test]
async fn the_program_says_once_what_it_does_not_know_and_backs_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(&folder, &[("DRAIN_SECONDS", "0")]).await;
    program.signal("TERM").await;
    assert!(program.ended().await.success());
    let url = format!("sqlite://{}", folder.path().join("titanic.db").display());
    let place = Reopenable { url, folder };
    place.start_newer().await;

    let program = Program::start(&place.folder, &[]).await;
    let told = "the tables are of a newer version; its additions are left alone";
    let line = program.line(told).await;
    assert_eq!((&line["level"], &line["migrations.unknown"]), (&json!("WARN"), &json!("9000")));
    for _ in 0..3 {
        assert_eq!(program.status("/readyz").await, Some(200));
    }
    assert_eq!(program.story().iter().filter(|(message, _)| message == told).count(), 1);

    let backup = command(&place.folder, &[]).args(["backup", "crew.ndjson"]).output().await.unwrap();
    let said = String::from_utf8(backup.stderr).unwrap();
    assert_eq!(backup.status.code(), Some(1));
    assert!(said.contains("the database sqlite://titanic.db has the tables of a newer version"), "{said}");
    assert!(!place.folder.path().join("crew.ndjson").exists());
}
