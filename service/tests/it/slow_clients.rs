//! Clients that send slowly or never finish: they get their own errors, and keep nobody else out.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::program::{Program, until};

async fn send(address: &str, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_string(&mut text)).await;
    read.expect("it is answered").unwrap();
    text
}

#[tokio::test]
async fn a_body_that_does_not_come_is_the_clients_fault() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    let half = "POST /api/v1/passengers HTTP/1.1\r\nhost: titanic\r\ncontent-type: application/json\r\n\
        content-length: 500\r\n\r\n{";
    let streams = join_all((0..20).map(|_| send(&program.address, half))).await;
    for answer in join_all(streams.into_iter().map(read_to_end)).await {
        let head = answer.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 408 ") && head.contains("connection: close\r\n"), "{answer}");
        assert!(answer.contains("\"code\":\"request_timeout\""), "{answer}");
    }
    let scrape = program.http.get(format!("{}/metrics", program.admin_address)).send().await.unwrap();
    let metrics = scrape.text().await.unwrap();
    let counts =
        metrics.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count"));
    let counts: Vec<_> =
        counts.filter(|line| line.contains("method=\"POST\"") && !line.ends_with(" 0")).collect();
    assert!(
        counts.len() == 1 && counts[0].contains("code=\"408\"") && counts[0].ends_with(" 20"),
        "{counts:?}"
    );
}

/// Bodies that do not come take no permit of a request, and none is kept in favour of one that comes.
#[tokio::test]
async fn half_sent_bodies_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[("MAX_IN_FLIGHT", "8")]).await;
    let head = |path: &str, media: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: titanic\r\ncontent-type: {media}\r\ncontent-length: 500\r\n\r\n{{"
        )
    };
    let half = head("/api/v1/passengers", "application/json");
    let lines = head("/api/v1/passengers/import", "application/x-ndjson");
    let whole = json!({"name": "A", "class": 3, "sex": "male", "survived": false});
    let mut held = Vec::new();
    for _ in 0..2 {
        held.extend(join_all((0..8).map(|_| send(&program.address, &half))).await);
        // Each takes a permit for the moment until its body is waited for.
        until("the permits are back", async || {
            (program.status("/api/v1/passengers?limit=1").await == Some(200)).then_some(())
        })
        .await;
        for _ in 0..2 {
            assert_eq!(program.status("/api/v1/passengers?limit=1").await, Some(200));
            let url = format!("{}/api/v1/passengers", program.address);
            let made = program.http.post(url).json(&whole).send().await.unwrap();
            assert_eq!(made.status(), 201);
        }
    }
    // The first of them were given up in favour of later ones, long before their time was over.
    let first = timeout(Duration::from_secs(5), read_to_end(held.remove(0))).await.expect("it was given up");
    assert!(first.starts_with("HTTP/1.1 408 ") && first.contains("request_timeout"), "{first}");
    let url = format!("{}/api/v1/passengers/import", program.address);
    let import = || program.http.post(&url).header("content-type", "application/x-ndjson").body("");
    let refused = async || import().send().await.unwrap().status() == 503;
    let fill = async {
        while !refused().await {
            held.push(send(&program.address, &lines).await);
        }
    };
    timeout(Duration::from_secs(5), fill).await.expect("imports have a limit");
    assert_eq!(program.status("/api/v1/passengers?limit=1").await, Some(200));
    drop(held);
    timeout(Duration::from_secs(5), async { while refused().await {} }).await.expect("imports end");
}

/// A table full of busy connections keeps places for probes, and refuses other requests at once.
#[tokio::test]
async fn probes_are_answered_while_every_connection_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[("MAX_CLIENT_CONNECTIONS", "8")]).await;
    let half = "POST /api/v1/passengers HTTP/1.1\r\nhost: titanic\r\ncontent-type: application/json\r\n\
        content-length: 500\r\n\r\n{";
    let get = async |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: titanic\r\nconnection: close\r\n\r\n");
        let answer = read_to_end(send(&program.address, &request).await);
        timeout(Duration::from_secs(1), answer).await.unwrap_or_else(|_| panic!("{path} waits"))
    };
    for _ in 0..2 {
        let held = join_all((0..8).map(|_| send(&program.address, half))).await;
        program.busy(8).await;
        for _ in 0..20 {
            for probe in ["/livez", "/readyz"] {
                assert!(get(probe).await.starts_with("HTTP/1.1 200 "), "{probe}");
            }
        }
        let refused = get("/api/hello").await.to_ascii_lowercase();
        assert!(refused.starts_with("http/1.1 503 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
        drop(held);
        until("there is room again", async || {
            (program.status("/api/hello").await == Some(200)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_sent_heads_keep_no_probe_waiting_on_either_port() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    let half = "GET /api/hello HTTP/1.1\r\nhost: titanic\r\nx-slowly:";
    let mut held = Vec::new();
    for _ in 0..2 {
        held.extend(join_all((0..1100).map(|_| send(&program.address, half))).await);
        for base in [&program.address, &program.admin_address] {
            for probe in ["/livez", "/readyz"] {
                let since = Instant::now();
                // A connection of its own, as a kubelet's.
                let request = format!("GET {probe} HTTP/1.1\r\nhost: titanic\r\nconnection: close\r\n\r\n");
                let answer = read_to_end(send(base, &request).await).await;
                assert!(answer.starts_with("HTTP/1.1 200 "), "{probe}: {answer}");
                assert!(since.elapsed() < Duration::from_secs(1), "{probe} took {:?}", since.elapsed());
            }
        }
    }
    drop(held);
    assert_eq!(program.status("/api/hello").await, Some(200));
}
