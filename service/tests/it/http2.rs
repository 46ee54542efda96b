//! HTTP/2 with prior knowledge, as a proxy speaks it to the service.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, Response};
use futures_util::future::join_all;
use h2::client::{self, SendRequest};
use h2::{Reason, RecvStream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::program::{DEADLINE, Program, until};

type Client = SendRequest<Bytes>;
type Served = JoinHandle<Result<(), h2::Error>>;

async fn connect(program: &Program) -> (Client, Served) {
    let stream = TcpStream::connect(program.address.trim_start_matches("http://")).await.unwrap();
    let (client, connection) = client::handshake(stream).await.unwrap();
    (client, tokio::spawn(connection))
}

fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(format!("http://titanic{path}"))
}

/// Sends the head of a request, and returns its stream with the response that is to come.
async fn begin(
    client: &Client,
    request: Request<()>,
    end: bool,
) -> Result<(client::ResponseFuture, h2::SendStream<Bytes>), h2::Error> {
    client.clone().ready().await?.send_request(request, end)
}

async fn call(client: &Client, request: Request<()>, body: Option<Bytes>) -> (Response<()>, Value) {
    let (response, mut stream) = begin(client, request, body.is_none()).await.unwrap();
    if let Some(body) = body {
        stream.send_data(body, true).unwrap();
    }
    read(timeout(DEADLINE, response).await.unwrap().unwrap()).await
}

async fn read(response: Response<RecvStream>) -> (Response<()>, Value) {
    let (parts, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend(piece);
    }
    (Response::from_parts(parts, ()), serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn get(path: &str) -> Request<()> {
    request(Method::GET, path).body(()).unwrap()
}

/// The requests that were counted with this method and status.
async fn counted(program: &Program, method: &str, status: &str) -> u64 {
    let scrape = program.http.get(format!("{}/metrics", program.admin_address)).send().await.unwrap();
    let metrics = scrape.text().await.unwrap();
    let labels =
        [format!("http_request_method=\"{method}\""), format!("http_response_status_code=\"{status}\"")];
    let lines = metrics.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count"));
    let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test]
async fn one_port_speaks_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    for (flag, version) in [("--http2-prior-knowledge", "2"), ("--http1.1", "1.1"), ("--http1.0", "1")] {
        for base in [&program.address, &program.admin_address] {
            let output = Command::new("curl")
                .args([
                    "--silent",
                    "--show-error",
                    "--output",
                    "/dev/null",
                    "--write-out",
                    "%{http_version} %{http_code}",
                ])
                .args([flag, &format!("{base}/livez")])
                .output();
            let output = output.await.unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{version} 200"), "{output:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests_at_once_and_each_is_counted_as_ever() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    let (client, _served) = connect(&program).await;
    let person = json!({"name": "Brown, Mrs. Margaret", "class": 1, "sex": "female", "survived": true});
    let post =
        || request(Method::POST, "/api/v1/passengers").header("content-type", "application/json").body(());
    let bring = || call(&client, post().unwrap(), Some(Bytes::from(person.to_string())));
    // Its settings have come with the first answer.
    assert_eq!(call(&client, get("/api/v1/voyages"), None).await.0.status(), 200);
    let made = join_all((0..250).map(|_| bring())).await;
    assert!(made.iter().all(|(response, _)| response.status() == 201));
    let path = format!("/api/v1/passengers/{}", made[0].1["id"].as_str().unwrap());
    let read = join_all((0..250).map(|_| call(&client, get(&path), None))).await;
    assert!(read.iter().all(|(response, found)| response.status() == 200 && *found == made[0].1));
    assert_eq!(client.current_max_send_streams(), 100);
    assert_eq!((counted(&program, "POST", "201").await, counted(&program, "GET", "200").await), (250, 251));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408_and_its_connection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    let (client, _served) = connect(&program).await;
    let post = || {
        let post = request(Method::POST, "/api/v1/passengers").header("content-type", "application/json");
        post.header("content-length", "500").body(()).unwrap()
    };
    let half = join_all((0..20).map(|_| async {
        let (response, mut stream) = begin(&client, post(), false).await.unwrap();
        stream.send_data(Bytes::from_static(b"{"), false).unwrap();
        let answer = read(timeout(DEADLINE, response).await.unwrap().unwrap()).await;
        drop(stream);
        answer
    }));
    let others = async {
        for _ in 0..20 {
            assert_eq!(call(&client, get("/api/hello"), None).await.0.status(), 200);
        }
    };
    let (half, ()) = tokio::join!(half, others);
    for (response, problem) in half {
        assert_eq!((response.status().as_u16(), &problem["code"]), (408, &json!("request_timeout")));
        assert_eq!(response.headers().get("connection"), None);
    }
    assert_eq!(call(&client, get("/api/hello"), None).await.0.status(), 200);
    assert_eq!((counted(&program, "POST", "408").await, counted(&program, "POST", "503").await), (20, 0));
}

#[tokio::test]
async fn a_request_that_its_client_cancels_is_a_499() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    program.delay_hello(20_000).await;
    let (client, _served) = connect(&program).await;
    let (response, mut stream) = begin(&client, get("/api/hello"), true).await.unwrap();
    program.busy(1).await;
    stream.send_reset(Reason::CANCEL);
    drop(response);
    program.busy(0).await;
    assert_eq!(counted(&program, "GET", "499").await, 1);
    assert_eq!(call(&client, get("/livez"), None).await.0.status(), 200);
}

#[tokio::test]
async fn a_head_that_is_too_large_and_a_host_that_differs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    let (client, _served) = connect(&program).await;
    for (length, status) in [(20_000, 200), (60_000, 431)] {
        let large = request(Method::GET, "/api/hello").header("x-long", "x".repeat(length)).body(()).unwrap();
        assert_eq!(call(&client, large, None).await.0.status(), status, "{length}");
    }
    for (host, status) in [("carpathia", 400), ("a b", 400), ("Titanic", 200)] {
        let named = request(Method::GET, "/api/hello").header("host", host).body(()).unwrap();
        assert_eq!(call(&client, named, None).await.0.status(), status, "{host}");
    }
}

#[tokio::test]
async fn a_service_with_names_answers_under_these_alone() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("ALLOWED_HOSTS", "titanic, *.titanic.example, [::1]")];
    let program = Program::start(&folder, &variables).await;
    let (client, _served) = connect(&program).await;
    for (host, path, status) in [
        ("titanic", "/api/hello", 200),
        ("API.titanic.example:8080", "/api/hello", 200),
        ("[::1]:1", "/api/hello", 200),
        ("titanic.example", "/api/hello", 421),
        ("carpathia", "/nowhere", 421),
        ("[::2]", "/", 421),
        ("10.0.0.7:8080", "/readyz", 200),
    ] {
        let other = Request::get(format!("http://{host}{path}")).body(()).unwrap();
        let (response, problem) = call(&client, other, None).await;
        let code = if status == 421 { json!("unknown_host") } else { problem["code"].clone() };
        assert_eq!((response.status().as_u16(), &problem["code"]), (status, &code), "{host}");
        let named = program.http.get(format!("{}{path}", program.address)).header("host", host);
        assert_eq!(named.send().await.unwrap().status(), status, "{host}");
    }
    // The target counts, not the field beside it.
    let mut stream = TcpStream::connect(program.address.trim_start_matches("http://")).await.unwrap();
    let request = "GET http://carpathia/api/hello HTTP/1.1\r\nhost: titanic\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 421 "), "{text}");
    let admin = program.http.get(format!("{}/metrics", program.admin_address)).send().await.unwrap();
    assert_eq!(admin.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_cancelled_requests_ends_its_connection_and_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    program.delay_hello(20_000).await;
    for round in 0..2 {
        // Each is begun before it is cancelled in one round, and cancelled before it is seen in the other.
        let (client, served) = connect(&program).await;
        let mut sent = 0_u32;
        while sent < 10_000 {
            let Ok((_response, mut stream)) = begin(&client, get("/api/hello"), true).await else { break };
            sent += 1;
            if round == 0 && sent <= 200 {
                until("it is begun", async || {
                    (counted(&program, "GET", "499").await + 1 >= u64::from(sent)).then_some(())
                })
                .await;
            }
            stream.send_reset(Reason::CANCEL);
        }
        let since = Instant::now();
        assert_eq!(program.status("/livez").await, Some(200));
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
        let most = if round == 0 { 110 } else { 9_999 };
        assert!(sent <= most, "the connection is closed after {sent}");
        let _reset_or_closed = timeout(DEADLINE, served).await.expect("it ends").unwrap();
    }
    let (client, _served) = connect(&program).await;
    assert_eq!(call(&client, get("/livez"), None).await.0.status(), 200);
}

#[tokio::test]
async fn told_to_stop_it_answers_what_was_asked_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(&folder, &[("DRAIN_SECONDS", "1")]).await;
    program.delay_hello(3000).await;
    let (client, served) = connect(&program).await;
    let (_idle, _idle_served) = connect(&program).await;
    let (response, _) = begin(&client, get("/api/hello"), true).await.unwrap();
    program.busy(1).await;
    let since = Instant::now();
    program.signal("TERM").await;
    let (response, _) = read(timeout(DEADLINE, response).await.unwrap().unwrap()).await;
    assert_eq!((response.status().as_u16(), response.headers().get("connection")), (200, None));
    assert!(program.ended().await.success());
    assert!(since.elapsed() < Duration::from_secs(10), "no connection was waited for: {:?}", since.elapsed());
    let _ended = timeout(DEADLINE, served).await.expect("it ends").unwrap();
}
