//! Beginning and ending under load, and what an operator may do in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use crate::app::{App, TOKEN};
use crate::collector::Collector;
use crate::program::{Program, command, until};
use crate::server::Postgres;

/// Clients that keep their connections and ask again and again.
#[derive(Default)]
struct Load {
    served: AtomicU32,
    served_while_draining: AtomicU32,
    draining: AtomicBool,
}

/// The requests of one client until it was refused.
struct Fared {
    last_trace: String,
    failed: Vec<String>,
}

impl Load {
    async fn client(self: Arc<Self>, number: u64, address: String) -> Fared {
        let mut fared = Fared { last_trace: String::new(), failed: Vec::new() };
        let mut turn = 0_u64;
        // What a client sees that had connected when the listener closed, but had not been let in yet: it counts as refused
        // if whoever comes next is.
        let mut turned_away = None;
        while let Ok(mut connection) = TcpStream::connect(&address).await {
            fared.failed.extend(turned_away.take());
            let mut first = true;
            loop {
                turn += 1;
                let trace = format!("{:016x}{turn:016x}", number + 1);
                match ask(&mut connection, &trace).await {
                    Ok(closes) => {
                        self.served.fetch_add(1, Ordering::AcqRel);
                        let draining = u32::from(self.draining.load(Ordering::Acquire));
                        self.served_while_draining.fetch_add(draining, Ordering::AcqRel);
                        fared.last_trace = trace;
                        first = false;
                        if closes {
                            break;
                        }
                    }
                    Err(why) if first && why.is_empty() => {
                        turned_away =
                            Some(String::from("a new connection was cut, and the next one was not refused"));
                        break;
                    }
                    Err(why) => {
                        fared.failed.push(format!("turn {turn}: {why}"));
                        break;
                    }
                }
                sleep(Duration::from_millis(5)).await;
            }
        }
        fared
    }
}

/// One request; whether the server will close the connection. An empty error when it closed it without a word.
async fn ask(connection: &mut TcpStream, trace: &str) -> Result<bool, String> {
    let request = format!(
        "GET /api/hello HTTP/1.1\r\nhost: titanic\r\ntraceparent: 00-{trace}-b7ad6b7169203331-01\r\n\r\n"
    );
    let mut read = Vec::new();
    if connection.write_all(request.as_bytes()).await.is_err() {
        return Err(String::new());
    }
    loop {
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.and_then(|length| length.parse().ok()).unwrap_or(usize::MAX) {
                let well = head.starts_with("http/1.1 200 ");
                return if well { Ok(head.contains("connection: close")) } else { Err(text) };
            }
        }
        match connection.read_buf(&mut read).await {
            Ok(0) | Err(_) if read.is_empty() => return Err(String::new()),
            Ok(0) | Err(_) => return Err(format!("cut after {text:?}")),
            Ok(_) => {}
        }
    }
}

#[tokio::test]
async fn sixty_four_clients_lose_no_request_when_it_is_told_to_stop() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("DRAIN_SECONDS", "2"),
        ("LOG_LEVEL", "warn"),
    ];
    let mut program = Program::start(&folder, &variables).await;
    let load = Arc::new(Load::default());
    let address = program.address.trim_start_matches("http://").to_owned();
    let clients: Vec<_> =
        (0..64).map(|number| tokio::spawn(load.clone().client(number, address.clone()))).collect();
    until("they are served", async || (load.served.load(Ordering::Acquire) > 640).then_some(())).await;
    program.signal("TERM").await;
    load.draining.store(true, Ordering::Release);
    assert!(program.ended().await.success());
    let (mut failed, mut lost) = (Vec::new(), Vec::new());
    for client in clients {
        let fared = client.await.unwrap();
        failed.extend(fared.failed);
        lost.extend(Some(fared.last_trace).filter(|trace| collector.trace(trace).is_none()));
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(lost.is_empty(), "the last spans of {} clients were lost: {lost:#?}", lost.len());
    assert!(load.served_while_draining.load(Ordering::Acquire) > 64);
}

#[tokio::test]
async fn a_start_waits_for_its_database_alive_but_not_ready_and_can_be_called_off() {
    let mut server = Postgres::start().await;
    let url = server.database("late").await;
    server.stop();
    let folder = tempfile::tempdir().unwrap();
    let waits = "the database is not there yet";
    let variables = [("DATABASE_URL", url.as_str()), ("START_SECONDS", "120")];
    let mut called_off = Program::start_until(waits, &folder, &variables).await;
    let program = Program::start_until(waits, &folder, &variables).await;

    let ask = async |path: &str| program.http.get(format!("{}{path}", program.address)).send().await.unwrap();
    assert_eq!(program.status("/livez").await, Some(200));
    assert_eq!(program.status("/version").await, Some(200));
    for (path, checks) in [
        ("/health", json!({"database": "fail"})),
        ("/readyz", json!({"database": "fail", "migrations": "fail", "accepting": "starting"})),
    ] {
        let answer = ask(path).await;
        assert_eq!(answer.status(), 503, "{path}");
        assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["checks"], checks);
    }
    let refused = ask("/api/v1/passengers").await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["code"], "database_unavailable");

    // Told to stop while it waits, it stops.
    called_off.signal("TERM").await;
    assert_eq!(called_off.ended().await.code(), Some(0));
    server.resume().await;
    program.line("listening").await;
    assert_eq!(program.status("/readyz").await, Some(200));
    assert_eq!(program.status("/api/v1/passengers").await, Some(200));
}

#[tokio::test]
async fn who_comes_before_the_database_is_let_in_with_it() {
    let gate = Arc::new(titanic::http::startup_gate::StartupGate::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let waiting = gate.clone();
    let answer = move |request| {
        let gate = waiting.clone();
        async move { gate.answer(request).await }
    };
    let limits = http_server::Limits::new(4, 4);
    tokio::spawn(http_server::serve(Arc::new(listener), answer, limits, Default::default()));
    let early = tokio::spawn(async move {
        let mut connection = TcpStream::connect(address).await.unwrap();
        ask(&mut connection, "0af7651916cd43dd8448eb211c80319c").await
    });
    sleep(Duration::from_millis(200)).await;
    assert!(!early.is_finished());
    gate.open(App::new().await.public);
    assert_eq!(early.await.unwrap(), Ok(false));
}

#[tokio::test]
async fn a_start_does_not_wait_for_a_database_that_says_no() {
    let server = Postgres::start().await;
    let url = server.options("nowhere").get_port();
    let url = format!("postgres://titanic@127.0.0.1:{url}/nowhere");
    let folder = tempfile::tempdir().unwrap();
    let since = Instant::now();
    let output =
        command(&folder, &[("DATABASE_URL", &url), ("START_SECONDS", "120")]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(since.elapsed() < Duration::from_secs(30), "it took {:?}", since.elapsed());
}

#[tokio::test]
async fn a_configuration_is_checked_without_touching_anything() {
    let folder = tempfile::tempdir().unwrap();
    let url = [("DATABASE_URL", "postgres://crew:berg@127.0.0.1:1/titanic")];
    let output = command(&folder, &url).arg("--check-config").output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("postgres://***@127.0.0.1:1/titanic")
            && said.lines().any(|line| line.split_whitespace().eq(["ADMIN_TOKEN", "set"])),
        "{said}"
    );
    assert!(!said.contains("berg"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let wrong = [("PORT", "many"), ("OTEL_TRACES_EXPORTER", "zipkin"), ("START_SECONDS", "-1")];
    let output = command(&folder, &wrong).arg("--check-config").output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    for variable in ["PORT is `many`", "OTEL_TRACES_EXPORTER is `zipkin`", "START_SECONDS is `-1`"] {
        assert!(said.contains(variable), "{variable}: {said}");
    }
}

#[tokio::test]
async fn requests_are_logged_as_the_level_says_and_acts_of_operators_always() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[("LOG_LEVEL", "error")]).await;
    assert_eq!(program.status("/api/hello").await, Some(200));
    program.delay_hello(1).await;
    let line = program.line("an operator acted").await;
    assert!(line["detail"].as_str().unwrap().contains("\"delay_ms\":1"), "{line}");
    assert!(line["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{line}");
    assert!(program.story().iter().all(|(message, _)| message != "request"));

    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[("LOG_LEVEL", "debug")]).await;
    // Probes are logged at debug only.
    assert_eq!(program.status("/livez").await, Some(200));
    until("the probe is logged", async || {
        program.story().contains(&(String::from("request"), String::from("/livez"))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_connection_is_dropped_without_a_byte_and_a_body_drips() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    let order = async |order: serde_json::Value| {
        let request = program.http.post(format!("{}/faults", program.admin_address)).bearer_auth(TOKEN);
        assert_eq!(request.json(&order).send().await.unwrap().status(), 201);
    };
    order(json!({"route": "/api/hello", "drop_percent": 100, "ttl_seconds": 60})).await;
    let address = program.address.trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).await.unwrap();
    let lost = ask(&mut connection, "0af7651916cd43dd8448eb211c80319c").await;
    assert_eq!(lost, Err(String::new()), "not one byte, and no status");
    order(json!({"route": "/api/hello", "slow_body_percent": 100, "slow_body_ms": 500, "ttl_seconds": 60}))
        .await;
    let since = Instant::now();
    let answer = program.http.get(format!("{}/api/hello", program.address)).send().await.unwrap();
    let head = since.elapsed();
    let body = answer.text().await.unwrap();
    assert!(
        body.contains("Titanic") && since.elapsed() >= Duration::from_millis(450),
        "{:?}",
        since.elapsed()
    );
    assert!(head < since.elapsed(), "the head came first");
}

#[tokio::test]
async fn an_exhausted_pool_fails_requests_but_not_health_and_ends_with_its_fault() {
    let app = App::new().await;
    app.order(json!({"exhaust_pool": true, "ttl_seconds": 60})).await;
    until("the pool is exhausted", async || {
        app.metrics().await.contains("db_client_connection_count{state=\"used\"} 1").then_some(())
    })
    .await;
    let (answer, pending) = tokio::join!(
        app.get("/api/v1/passengers?limit=1"),
        until("somebody waits", async || {
            app.metrics().await.contains("db_client_connection_pending_requests 1").then_some(true)
        })
    );
    assert_eq!(answer.problem(503).0, "database_unavailable");
    assert!(pending);
    for spared in ["/health", "/readyz", "/livez"] {
        assert_eq!(app.get(spared).await.status, 200, "{spared}");
    }
    let metrics = app.metrics().await;
    assert!(metrics.contains("db_client_connection_timeouts_total 1"), "{metrics}");
    assert!(metrics.contains("error_type=\"timeout\""), "{metrics}");
    app.faults(Method::DELETE, Some(TOKEN), None).await;
    assert_eq!(app.get("/api/v1/passengers?limit=1").await.status, 200);
}

#[tokio::test]
async fn readiness_is_withdrawn_on_order_and_comes_back() {
    let app = App::new().await;
    let fault = app.order(json!({"unready": true, "ttl_seconds": 60})).await;
    let ready = app.get("/readyz").await;
    assert_eq!(
        (ready.status.as_u16(), &ready.json()["checks"]["accepting"]),
        (503, &json!("fault_injected"))
    );
    assert_eq!(
        (app.get("/health").await.status, app.get("/livez").await.status),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
    let one = format!("/faults/{}", fault["id"].as_str().unwrap());
    assert_eq!(app.operate(Method::DELETE, &one, Some(TOKEN), None).await.status, 204);
    assert_eq!(app.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_port_that_is_not_ours_is_no_reason_to_wait() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = command(&folder, &[("PORT", &port), ("START_SECONDS", "120")]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!folder.path().join("titanic.db").exists(), "the database of another one is not touched");
}
