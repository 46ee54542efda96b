//! Databases that can be read and not written, or not read for a while: requests fail with their reason, and no replica
//! is taken out for a fault that all of them share.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::program::{Program, until};
use crate::server::Postgres;

const ALL: &str = "/api/v1/passengers";
const RECOVERED: Duration = Duration::from_secs(10);

async fn ready(program: &Program) -> (u16, Value) {
    let answer = program.http.get(format!("{}/readyz", program.address)).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn add(program: &Program, name: &str) -> (u16, Value, Option<String>) {
    let person = json!({"name": name, "class": 3, "sex": "male", "survived": true});
    let answer = program.http.post(format!("{}{ALL}", program.address)).json(&person).send().await.unwrap();
    let wait = answer.headers().get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
    (answer.status().as_u16(), answer.json().await.unwrap(), wait)
}

async fn is_well_again(program: &Program) {
    let since = Instant::now();
    until("it takes changes and is ready", async || {
        let added = add(program, "Visitor").await.0 == 201;
        let (status, report) = ready(program).await;
        (added && status == 200 && report["status"] == "ok").then_some(())
    })
    .await;
    assert!(since.elapsed() < RECOVERED, "{:?}", since.elapsed());
}

/// A file system of its own with very little room.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.unwrap().success(), "this test mounts a tmpfs and needs root");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let filled =
            Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", path.display())).output().unwrap();
        assert!(!filled.status.success(), "the disk is full");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone_with_the_machine = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_is_over_when_there_is_room() {
    let disk = SmallDisk::mount();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/titanic.db", disk.path().display());
    let program = Program::start(&folder, &[("DATABASE_URL", &url)]).await;
    for _ in 0..2 {
        let filler = disk.fill();
        // The last pages of the log may still have room.
        until("the disk is full for the database too", async || {
            (add(&program, &"x".repeat(200)).await.0 != 201).then_some(())
        })
        .await;
        let (status, problem, _) = add(&program, "Visitor").await;
        assert_eq!(
            (status, &problem["code"], &problem["title"]),
            (507, &json!("insufficient_storage"), &json!("Insufficient storage"))
        );
        assert_eq!(program.status(ALL).await, Some(200));
        let (status, report) = ready(&program).await;
        assert_eq!(
            (status, &report["status"], &report["checks"]["writes"]),
            (200, &json!("degraded"), &json!("full"))
        );
        let scrape = program.http.get(format!("{}/metrics", program.admin_address)).send().await.unwrap();
        let metrics = scrape.text().await.unwrap();
        assert!(metrics.contains("titanic_readiness_checks{check=\"writes\",state=\"full\"} 1"), "{metrics}");
        std::fs::remove_file(filler).unwrap();
        is_well_again(&program).await;
    }
}

/// SQLite gets `EFBIG` for each write to its file, which it reports as an I/O error.
#[tokio::test]
async fn a_disk_that_refuses_writes_is_said_so_and_is_over_when_it_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    let limit = |bytes: &str| {
        let pid = program.id().to_string();
        let set =
            Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")]).status();
        assert!(set.unwrap().success(), "this test needs prlimit of util-linux");
    };
    for _ in 0..2 {
        limit("0");
        let (status, problem, wait) = add(&program, "Visitor").await;
        assert_eq!(
            (status, &problem["code"], wait.as_deref()),
            (503, &json!("database_unavailable"), Some("1"))
        );
        assert_eq!(program.status(ALL).await, Some(200), "readers are served");
        let (status, report) = ready(&program).await;
        assert_eq!(
            (status, &report["status"], &report["checks"]["writes"]),
            (200, &json!("degraded"), &json!("io_error"))
        );
        limit("unlimited");
        is_well_again(&program).await;
    }
}

#[tokio::test]
async fn a_read_only_database_serves_readers_and_keeps_its_replicas() {
    let server = Postgres::start().await;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[("DATABASE_URL", &server.database("leader").await)]).await;
    for _ in 0..2 {
        server.execute("alter database leader set default_transaction_read_only = on").await;
        server
            .execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'leader'")
            .await;
        until("readers are served", async || (program.status(ALL).await == Some(200)).then_some(())).await;
        let (status, problem, wait) = add(&program, "Visitor").await;
        assert_eq!(
            (status, &problem["code"], wait.as_deref()),
            (503, &json!("database_read_only"), Some("5"))
        );
        until("the report says so", async || {
            let (status, report) = ready(&program).await;
            let said = report["checks"]["writes"] == "read_only" && report["status"] == "degraded";
            (status == 200 && said).then_some(())
        })
        .await;
        server.execute("alter database leader reset default_transaction_read_only").await;
        server
            .execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'leader'")
            .await;
        is_well_again(&program).await;
    }
}

#[tokio::test]
async fn a_lock_that_everyone_waits_for_takes_no_replica_out() {
    let server = Postgres::start().await;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[("DATABASE_URL", &server.database("locked").await)]).await;
    for _ in 0..2 {
        let mut session = server.options("locked").connect().await.unwrap();
        session
            .execute(AssertSqlSafe("begin; lock table passengers in access exclusive mode"))
            .await
            .unwrap();
        let since = Instant::now();
        let answer = program.http.get(format!("{}{ALL}", program.address)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (503, true));
        assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
        let (status, report) = ready(&program).await;
        assert_eq!((status, &report["status"]), (200, &json!("degraded")), "{report}");
        assert_eq!(
            (&report["checks"]["reads"], &report["checks"]["migrations"]),
            (&json!("locked"), &json!("ok"))
        );
        session.execute(AssertSqlSafe("rollback")).await.unwrap();
        is_well_again(&program).await;
    }
}

/// Writers of SQLite wait for one another and for other programs. Readers and probes do not.
#[tokio::test]
async fn a_foreign_write_lock_on_a_file_takes_no_reader_and_no_replica_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.db");
    let program = Program::start(&folder, &[("DATABASE_URL", &format!("sqlite://{}", path.display()))]).await;
    for _ in 0..2 {
        let mut session = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        session.execute("begin immediate").await.unwrap();
        let writers = futures_util::future::join_all((0..20).map(|_| add(&program, "Waits")));
        let readers = async {
            // Longer than a writer waits for the lock.
            let since = Instant::now();
            while since.elapsed() < Duration::from_secs(4) {
                let asked = Instant::now();
                assert_eq!(program.status(ALL).await, Some(200));
                assert_eq!(ready(&program).await.0, 200);
                assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
            }
        };
        let (written, ()) = futures_util::join!(writers, readers);
        assert!(written.iter().all(|(status, _, wait)| *status == 503 && wait.is_some()), "{written:?}");
        session.execute("rollback").await.unwrap();
        is_well_again(&program).await;
    }
}
