//! The service behind `PgBouncer` in transaction mode, with `DB_POOLING=transaction`.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::{App, TOKEN};
use crate::program::{Program, until};
use crate::server::{Postgres, as_postgres};

const ALL: &str = "/api/v1/passengers";

/// A real `PgBouncer` that gives every transaction another server connection of very few.
struct PgBouncer {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl PgBouncer {
    async fn start(server: &Postgres) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 4\nunix_socket_dir =\n\
             server_round_robin = 1\n",
            server.port()
        );
        let config = config.replace("* = host=127.0.0.1", "* = user=titanic host=127.0.0.1");
        std::fs::write(folder.path().join("pgbouncer.ini"), config).unwrap();
        let own = Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path()).status().unwrap();
        assert!(own.success());
        let mut bouncer = Self { folder, port, process: None };
        bouncer.resume().await;
        bouncer
    }

    async fn resume(&mut self) {
        let program = Path::new("/usr/sbin/pgbouncer");
        assert!(program.is_file(), "`pgbouncer` is missing: install the Debian package pgbouncer");
        let process = as_postgres(program)
            .arg("--quiet")
            .arg(self.folder.path().join("pgbouncer.ini"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
        until("PgBouncer listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.ok().map(|_| ())
        })
        .await;
    }

    fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let _already_gone = process.kill();
        let _status = process.wait();
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn statuses(program: &Program, ids: &[String], count: usize) -> Vec<u16> {
    let asked = ids.iter().cycle().take(count).map(async |id| {
        let answer = program.http.get(format!("{}{ALL}/{id}", program.address)).send().await;
        answer.map_or(0, |answer| answer.status().as_u16())
    });
    join_all(asked).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_behind_a_pooler_of_transactions_and_after_its_restart() {
    let server = Postgres::start().await;
    server.execute("create database empty").await;
    let mut bouncer = PgBouncer::start(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://titanic@127.0.0.1:{}/empty", bouncer.port);
    let variables = [("DATABASE_URL", url.as_str()), ("DB_POOLING", "transaction"), ("DRAIN_SECONDS", "0")];
    // Two at once: both migrate and load, and one finds the work done.
    let other = tempfile::tempdir().unwrap();
    let (mut program, second) =
        tokio::join!(Program::start(&folder, &variables), Program::start(&other, &variables));
    assert_eq!(second.status("/readyz").await, Some(200));
    let page = program.http.get(format!("{}{ALL}?limit=60&total=true", program.address)).send().await;
    let page: Value = page.unwrap().json().await.unwrap();
    assert_eq!(page["total"], 1309);
    let ids: Vec<String> =
        page["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();

    for _ in 0..2 {
        assert!(statuses(&program, &ids, 200).await.iter().all(|status| *status == 200));
        let writes = (0..40).map(async |number: u32| {
            let person =
                json!({"name": format!("Visitor {number}"), "class": 3, "sex": "male", "survived": true});
            let url = format!("{}{ALL}", program.address);
            let key = uuid::Uuid::now_v7().to_string();
            let made =
                program.http.post(&url).header("idempotency-key", key).json(&person).send().await.unwrap();
            assert_eq!(made.status(), 201);
            let made: Value = made.json().await.unwrap();
            let one = format!("{url}/{}", made["id"].as_str().unwrap());
            assert_eq!(program.http.get(&one).send().await.unwrap().json::<Value>().await.unwrap(), made);
            assert_eq!(program.http.delete(&one).send().await.unwrap().status(), 204);
        });
        join_all(writes).await;

        bouncer.stop();
        assert!(statuses(&program, &ids, 12).await.iter().all(|status| *status == 503));
        bouncer.resume().await;
        until("60 of 60 are served", async || {
            statuses(&program, &ids, 60).await.iter().all(|status| *status == 200).then_some(())
        })
        .await;
    }
    program.signal("TERM").await;
    assert!(program.ended().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_setting_the_start_says_what_is_wrong() {
    let server = Postgres::start().await;
    let bouncer = PgBouncer::start(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://titanic@127.0.0.1:{}/crew", bouncer.port);
    let variables = [("DATABASE_URL", url.as_str()), ("ADMIN_TOKEN", TOKEN), ("START_SECONDS", "0")];
    let output = crate::program::command(&folder, &variables).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("DB_POOLING=transaction"), "{said}");
    // The same database without the pooler needs no setting.
    App::on(&format!("postgres://titanic@127.0.0.1:{}/crew", server.port())).await;
}
