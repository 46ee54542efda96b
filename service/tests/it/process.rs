//! Start, stop and telemetry of the real program.

use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::collector::{Collector, contains};
use crate::program::{Program, command, until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn told_to_stop_it_withdraws_readiness_first_and_finishes_what_it_began() {
    let folder = folder();
    let mut program = Program::start(&folder, &[("DRAIN_SECONDS", "1")]).await;
    program.delay_hello(3000).await;
    let (http, url) = (program.http.clone(), format!("{}/api/hello", program.address));
    let in_flight = tokio::spawn(async move { http.get(url).send().await.unwrap().status() });
    program.busy(1).await;

    program.signal("TERM").await;
    // Not ready, yet still serving: that is what lets a balancer turn away before anyone is refused.
    until("/readyz is 503", async || (program.status("/readyz").await == Some(503)).then_some(())).await;
    assert_eq!(program.status("/health").await, Some(200));
    program.line("no longer accepting connections; finishing requests in flight").await;
    until("connections are refused", async || {
        let stranger = reqwest::Client::builder().build().unwrap();
        stranger.get(format!("{}/livez", program.address)).send().await.is_err().then_some(())
    })
    .await;
    assert_eq!(in_flight.await.unwrap(), 200);
    assert!(program.ended().await.success());
    program.line("stopped").await;

    let story = program.story();
    let at = |message: &str, route: &str| {
        story
            .iter()
            .position(|(m, r)| m == message && r == route)
            .unwrap_or_else(|| panic!("{message}: {story:?}"))
    };
    let order = [
        at("told to stop", ""),
        at("no longer ready; still serving", ""),
        at("no longer accepting connections; finishing requests in flight", ""),
        at("request", "/api/hello"),
        at("stopped", ""),
    ];
    assert!(order.is_sorted(), "{story:?}");
}

#[tokio::test]
async fn told_twice_it_does_not_wait() {
    let folder = folder();
    let mut program = Program::start(&folder, &[("DRAIN_SECONDS", "0")]).await;
    program.delay_hello(9000).await;
    let (http, url) = (program.http.clone(), format!("{}/api/hello", program.address));
    let in_flight = tokio::spawn(async move { http.get(url).send().await.is_ok() });
    program.busy(1).await;
    let since = Instant::now();
    program.signal("INT").await;
    program.line("no longer accepting connections; finishing requests in flight").await;
    program.signal("TERM").await;
    program.ended().await;
    assert!(since.elapsed() < Duration::from_secs(8), "it took {:?}", since.elapsed());
    assert!(!in_flight.await.unwrap(), "the request was cut");
}

#[tokio::test]
async fn spans_reach_the_collector_before_the_end_under_the_trace_of_the_client() {
    let collector = Collector::start().await;
    let folder = folder();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("DRAIN_SECONDS", "0")];
    let mut program = Program::start(&folder, &variables).await;
    let request = program.http.get(format!("{}/api/hello", program.address));
    let request = request.header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let line = program.line("request").await;
    assert_eq!((&line["trace_id"], &line["route"]), (&TRACE.into(), &"/api/hello".into()));

    program.signal("TERM").await;
    assert!(program.ended().await.success());
    let ours = collector.trace(TRACE).expect("the span of the request has arrived");
    for part in ["GET /api/hello", "titanic", "http.response.status_code"] {
        assert!(contains(&ours, part.as_bytes()), "{part}");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_is_reported_and_holds_nobody_up() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let folder = folder();
    let endpoint = format!("http://{closed}");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("DRAIN_SECONDS", "0")];
    let mut program = Program::start(&folder, &variables).await;
    assert_eq!(program.status("/api/hello").await, Some(200));
    program.signal("TERM").await;
    assert!(program.ended().await.success());
    until("the log complains", async || program.warned().then_some(())).await;
}

#[tokio::test]
async fn without_a_collector_lines_still_carry_trace_ids() {
    let folder = folder();
    let program = Program::start(&folder, &[]).await;
    assert_eq!(program.status("/api/hello").await, Some(200));
    let line = program.line("request").await;
    let id = line["trace_id"].as_str().unwrap();
    assert!(id.len() == 32 && id != "0".repeat(32), "{line}");
    assert_eq!(line["span_id"].as_str().map(str::len), Some(16));
    for field in ["method", "status", "duration_seconds", "request_id", "timestamp", "level"] {
        assert_ne!(line[field], Value::Null, "{field} in {line}");
    }
}

#[tokio::test]
async fn passengers_outlive_the_program_and_are_loaded_once() {
    let folder = folder();
    let mut program = Program::start(&folder, &[("DRAIN_SECONDS", "0"), ("LOG_LEVEL", "error")]).await;
    let person =
        serde_json::json!({"name": "Brown, Mrs. Margaret", "class": 1, "sex": "female", "survived": true});
    let created = program.http.post(format!("{}/api/v1/passengers", program.address)).json(&person).send();
    assert_eq!(created.await.unwrap().status(), 201);
    program.signal("TERM").await;
    assert!(program.ended().await.success());

    let program = Program::start(&folder, &[]).await;
    let list =
        program.http.get(format!("{}/api/v1/passengers?total=true", program.address)).send().await.unwrap();
    assert_eq!(list.json::<Value>().await.unwrap()["total"], 1310);
}

#[tokio::test]
async fn a_backup_is_taken_and_restored_while_the_program_runs() {
    let folder = folder();
    let program = Program::start(&folder, &[]).await;
    let run = async |words: &[&str], variables: &[(&str, &str)]| {
        let output = command(&folder, variables).args(words).output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let url = format!("{}/api/v1/passengers", program.address);
    let total = async |program: &Program| {
        let page = program
            .http
            .get(format!("{url}?total=true"))
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap();
        (page["total"].as_u64().unwrap(), page["items"][0]["id"].as_str().unwrap().to_owned())
    };
    let (_, first) = total(&program).await;
    let (code, said) = run(&["backup", "crew.ndjson"], &[]).await;
    assert_eq!(
        (code, said.contains("3 calls, 1309 passengers, 1 voyages of sqlite://titanic.db backed up to")),
        (Some(0), true),
        "{said}"
    );
    assert_eq!(program.http.delete(format!("{url}/{first}")).send().await.unwrap().status(), 204);
    assert_eq!(total(&program).await.0, 1308);
    let (code, said) = run(&["restore", "crew.ndjson"], &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(total(&program).await, (1309, first));

    // Into a database that is yet to be made, which is not loaded with the list first.
    let other = [("DATABASE_URL", "sqlite://other.db")];
    assert_eq!(run(&["backup", "other.ndjson"], &other).await.0, Some(1), "there is nothing to back up");
    assert!(!folder.path().join("other.db").exists() && !folder.path().join("other.ndjson").exists());
    assert_eq!(run(&["restore", "crew.ndjson"], &other).await.0, Some(0));
    assert_eq!(run(&["backup", "other.ndjson"], &other).await.0, Some(0));

    for words in [&["backup"][..], &["restore"], &["backup", "a", "b"], &["scuttle"]] {
        let (code, said) = run(words, &[]).await;
        assert_eq!((code, said.contains("Usage: titanic")), (Some(2), true), "{words:?}: {said}");
    }
    let (code, said) = run(&["restore", "titanic.db"], &[]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("line 1 of titanic.db: expected"), "{said}");
}

#[tokio::test]
async fn a_database_of_yesterday_is_brought_up_to_date_and_one_of_another_past_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("titanic.db");
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let first = sqlx::migrate::Migrator::new(std::path::Path::new("migrations/sqlite")).await.unwrap();
    let first = sqlx::migrate::Migrator::with_migrations(first.iter().take(1).cloned().collect());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    first.run(&mut connection).await.unwrap();
    let old = "insert into passengers (id, name, name_folded, class, sex, age, siblings_or_spouses_aboard, \
        parents_or_children_aboard, survived) values ('01890000-0000-7000-8000-000000000001', 'Ödegård, Miss. Åsa', \
        'ödegård, miss. åsa', 3, 'female', 22, 0, 0, 1)";
    sqlx::query(old).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();

    assert_eq!(command(&folder, &[]).args(["backup", "crew.ndjson"]).status().await.unwrap().code(), Some(1));
    let mut program = Program::start(&folder, &[("DRAIN_SECONDS", "0")]).await;
    let found = program
        .http
        .get(format!("{}/api/v1/passengers?name=asa&total=true", program.address))
        .send()
        .await
        .unwrap();
    let found = found.json::<Value>().await.unwrap();
    assert_eq!((&found["total"], &found["items"][0]["name"]), (&1.into(), &"Ödegård, Miss. Åsa".into()));
    program.signal("TERM").await;
    assert!(program.ended().await.success());

    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let changed = "update _sqlx_migrations set checksum = x'00' where version = 3";
    sqlx::query(changed).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let output = command(&folder, &[]).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("sqlite://titanic.db has tables that this version cannot use: migration 3 was"),
        "{said}"
    );
}

#[tokio::test]
async fn what_cannot_start_says_why_on_stderr() {
    let folder = folder();
    let run = async |variables: &[(&str, &str)]| {
        let output = command(&folder, variables).output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = run(&[("PORT", "eighty"), ("DRAIN_SECONDS", "-1")]).await;
    assert_eq!(code, Some(2));
    assert!(
        text.contains("PORT is `eighty`: expected a port") && text.contains("DRAIN_SECONDS is `-1`"),
        "{text}"
    );

    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let holder = TcpListener::bind(taken).await.unwrap();
    let (code, text) = run(&[("PORT", &taken.port().to_string())]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains(&format!("listening on {taken} (PORT)")), "{text}");
    drop(holder);

    let (code, text) = run(&[("DATABASE_URL", "sqlite://no/such/folder/titanic.db")]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("opening the database sqlite://no/such/folder/titanic.db"), "{text}");
}
