//! The server of one port: connections of HTTP/1.1 and HTTP/2, and the time limits of heads and of slow readers.
//!
//! A client of HTTP/2 begins with its preface ("prior knowledge"): TLS and the choice of a version end at the proxy.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Version, header};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::PeerAddress;
use super::connections::{Busy, ConnectionLimits, Connections, Slot};
use super::in_flight::ProbesOnly;
use super::startup_gate::StartupGate;
use super::write_timeout::WriteTimeout;

/// The limits of a port.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once.
    pub connections: ConnectionLimits,
    /// Time limit for the head of a request, also of the next one on the same connection. It ends idle connections.
    pub head: Duration,
    /// Time in which a client must read some of each response. It ends clients that do not read.
    pub write: Duration,
}

impl Limits {
    /// Creates limits with the usual times for so many connections from anywhere.
    #[must_use]
    pub fn of(connections: usize) -> Self {
        Self::with(ConnectionLimits { total: connections, per_address: connections, exempt: Vec::new() })
    }

    /// Creates limits with the usual times.
    #[must_use]
    pub fn with(connections: ConnectionLimits) -> Self {
        Self { connections, head: Duration::from_secs(30), write: Duration::from_secs(30) }
    }
}

/// The bytes that are held of one connection, which is also the most that a head may have. Beyond that, and beyond the 100
/// fields that can be read without asking for memory, a request is refused with 431 by the connection itself, which has no
/// way to say more.
const MOST_HEAD_BYTES: u32 = 32 * 1024;
/// Requests at once on a connection of HTTP/2.
const STREAMS: u32 = 100;
/// Bytes of a body that a client of HTTP/2 may send before they are read, and of all bodies of its connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Bytes of a response that are held for a client of HTTP/2 beside the body itself.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that a client of HTTP/2 may reset before they were looked at.
const RESETS: usize = 20;
/// The interval of pings to a client of HTTP/2, and the time for its answer.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);
/// The longest interval of checks of a connection of HTTP/2.
const CHECK: Duration = Duration::from_secs(1);
/// Time for an idle client of HTTP/2 to confirm the end of its connection.
const FAREWELL: Duration = Duration::from_secs(1);
/// The pause after a failed accept, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// Time for the last connections to send their request.
const SETTLE: Duration = Duration::from_millis(500);

/// Serves until `stop` is cancelled. Then no connection is accepted any more, idle ones are closed, and the others after
/// their response. Returns when all have ended.
pub async fn serve(listener: TcpListener, gate: Arc<StartupGate>, limits: Limits, stop: CancellationToken) {
    let connections = Connections::new(limits.connections.clone());
    let (http, connected, end) = (protocol(&limits), TaskTracker::new(), CancellationToken::new());
    let start = |stream: TcpStream, peer: SocketAddr, slot: Slot| {
        let _slower_but_served = stream.set_nodelay(true);
        let (http, gate, limits, end) = (http.clone(), Arc::clone(&gate), limits.clone(), end.clone());
        connected.spawn(async move { attend(&http, gate, &limits, (stream, peer, slot), end).await });
    };
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        match connections.enter(peer.ip()) {
            Some(slot) => start(stream, peer, slot),
            None => tracing::debug!(%peer, "a connection was refused"),
        }
    }
    // The order matters: first the backlog is accepted, then the listener closes, and only then are the connections asked
    // to end. In any other order somebody is cut off although others are still accepted.
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        if let Some(slot) = connections.enter(peer.ip()) {
            start(stream, peer, slot);
        }
    }
    drop(listener);
    // Each response says that the connection is closed behind it: most are gone by then.
    tokio::time::sleep(SETTLE).await;
    end.cancel();
    connected.close();
    connected.wait().await;
}

fn protocol(limits: &Limits) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MOST_HEAD_BYTES as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MOST_HEAD_BYTES)
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    http
}

/// Serves one connection until it ends, is told to end, or must make room.
async fn attend(
    http: &Builder<TokioExecutor>,
    gate: Arc<StartupGate>,
    limits: &Limits,
    (stream, peer, slot): (TcpStream, SocketAddr, Slot),
    end: CancellationToken,
) {
    let (close, slot) = (slot.close(), Arc::new(slot));
    let requests = Arc::clone(&slot);
    let service = service_fn(move |request: Request<Incoming>| {
        let busy = requests.begin(request.version());
        answer(Arc::clone(&gate), peer, (busy, requests.is_reserved()), request)
    });
    let stream = TokioIo::new(WriteTimeout::new(stream, limits.write));
    let mut connection = pin!(http.serve_connection(stream, service));
    let (mut closed, mut ended) = (pin!(close.cancelled()), pin!(end.cancelled()));
    let period = (limits.head.min(limits.write) / 4).clamp(Duration::from_millis(1), CHECK);
    let mut check = interval_at(Instant::now() + period, period);
    let (mut told, mut checked) = (None, true);
    loop {
        tokio::select! {
            done = connection.as_mut() => {
                if let Err(error) = done {
                    tracing::debug!(%error, %peer, "a connection ended");
                }
                return;
            }
            () = closed.as_mut() => {
                tracing::debug!(%peer, "a connection was closed: idle in a full table, or most requests cancelled");
                return;
            }
            () = ended.as_mut(), if told.is_none() => {
                connection.as_mut().graceful_shutdown();
                told = Some(Instant::now());
            }
            // HTTP/1 has one request at a time: hyper and `WriteTimeout` time its heads and its responses.
            _ = check.tick(), if checked => match progress(&slot, limits, told) {
                Progress::OfHttp1 => checked = false,
                Progress::Fine => {}
                Progress::Idle => {
                    connection.as_mut().graceful_shutdown();
                    told = Some(Instant::now());
                }
                Progress::Stalled => {
                    tracing::debug!(%peer, "a client was timed out");
                    return;
                }
            },
        }
    }
}

/// The state of a connection that is checked.
enum Progress {
    /// It is timed elsewhere.
    OfHttp1,
    Fine,
    /// It has had no request for too long.
    Idle,
    /// The client takes nothing of a response, or does not confirm the end.
    Stalled,
}

fn progress(slot: &Slot, limits: &Limits, told: Option<Instant>) -> Progress {
    if slot.is_http1() {
        return Progress::OfHttp1;
    }
    let idle = slot.idle();
    match told {
        _ if slot.has_stalled(limits.write) => Progress::Stalled,
        Some(at) if idle.is_some() && at.elapsed() > FAREWELL => Progress::Stalled,
        None if idle.is_some_and(|idle| idle > limits.head) => Progress::Idle,
        _ => Progress::Fine,
    }
}

async fn answer(
    gate: Arc<StartupGate>,
    peer: SocketAddr,
    (busy, is_reserved): (Busy, bool),
    mut request: Request<Incoming>,
) -> Result<axum::response::Response, Infallible> {
    let version = request.version();
    request.extensions_mut().insert(PeerAddress(peer));
    if is_reserved {
        request.extensions_mut().insert(ProbesOnly);
    }
    let mut response = gate.answer(request.map(Body::new)).await;
    if is_reserved {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if version == Version::HTTP_2 {
        // A connection of HTTP/2 is told with a frame (RFC 9113, section 8.2.2).
        response.headers_mut().remove(header::CONNECTION);
    }
    Ok(busy.end_with(response))
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken in");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
#[path = "serve_http2_tests.rs"]
mod http2_tests;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Semaphore;
    use tokio::task::JoinHandle;

    use super::super::middleware::Port;
    use super::super::{PortService, Shared};
    use super::*;
    use crate::Config;
    use crate::clock::SystemClock;
    use crate::config::Pooling;
    use crate::database::{Database, Opening};

    pub(super) const REQUEST: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    pub(super) async fn start(
        limits: Limits,
        routes: Router<Shared>,
    ) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let gate = Arc::new(StartupGate::default());
        let variables = HashMap::from([("DATABASE_URL", "sqlite::memory:")]);
        let config = Config::of_test(&variables).unwrap();
        let url = &config.database_url;
        let database = Database::open(Opening::Serve, url, Pooling::Session, 1).await.unwrap();
        let shared = Shared::new(config, database, Arc::new(SystemClock), Vec::new());
        gate.open(PortService::new(&shared, Port::Public, routes.with_state(shared.clone())));
        (address, stop.clone(), tokio::spawn(serve(listener, gate, limits, stop)))
    }

    pub(super) async fn say(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    pub(super) async fn heard(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await;
        // A connection that is cut while we still write is as good an end as any.
        let _cut = read.expect("it is closed in the end");
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn who_never_says_what_it_wants_makes_room_for_who_does() {
        let limits = Limits { head: Duration::from_millis(200), ..Limits::of(2) };
        let (address, _stop, _serving) =
            start(limits, Router::new().route("/", get(async || "aboard"))).await;
        let silent = say(address, "").await;
        let slow = say(address, "GET / HTTP/1.1\r\nhost: x\r\nx-slowly:").await;
        let third = say(address, REQUEST).await;
        assert!(heard(third).await.ends_with("aboard"));
        for stream in [silent, slow] {
            assert!(!heard(stream).await.contains("aboard"));
        }
    }

    #[tokio::test]
    async fn who_does_not_read_its_answer_makes_room_for_who_does() {
        // More than the system holds for a connection by itself.
        let large = "x".repeat(12 << 20);
        let router =
            Router::new().route("/", get(async || "aboard")).route("/large", get(async move || large));
        let limits = Limits { write: Duration::from_secs(1), ..Limits::of(1) };
        let (address, _stop, _serving) = start(limits, router).await;
        let mut deaf = say(address, &REQUEST.replacen('/', "/large", 1)).await;
        deaf.read_exact(&mut [0]).await.unwrap();
        // The only place is taken until the deaf one is given up; not reading is all that it does wrong. Meanwhile the
        // others are refused at once.
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut refused = 0;
        loop {
            let answer = heard(say(address, REQUEST).await).await;
            if answer.ends_with("aboard") {
                break;
            }
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("overloaded"), "{answer}");
            assert!(Instant::now() < deadline, "the deaf one keeps its place");
            refused += 1;
        }
        assert!(refused > 0, "the place was taken");
        assert!(heard(deaf).await.len() < 12 << 20, "the answer was cut");
    }

    #[tokio::test]
    async fn a_head_that_is_far_too_much_is_refused_without_a_word() {
        let (address, _stop, _serving) =
            start(Limits::of(4), Router::new().route("/", get(async || "aboard"))).await;
        let many: String = (0..100).map(|number| format!("x-{number}: 1\r\n")).collect();
        let long = format!("x-long: {}\r\n", "x".repeat(4 * MOST_HEAD_BYTES as usize));
        for fields in [many, long] {
            let stream =
                say(address, &format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{fields}\r\n"))
                    .await;
            let answer = heard(stream).await;
            assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
            assert!(
                answer.contains("content-length: 0\r\n") && answer.contains("connection: close\r\n"),
                "{answer}"
            );
        }
    }

    #[tokio::test]
    async fn told_to_stop_it_finishes_what_it_began_and_takes_in_nobody() {
        let (inside, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (entered, gate) = (Arc::clone(&inside), Arc::clone(&go_on));
        let handler = async move |request: Request<Body>| {
            entered.add_permits(1);
            gate.acquire().await.unwrap().forget();
            request.extensions().get::<PeerAddress>().unwrap().0.ip().to_string()
        };
        let (address, stop, serving) = start(Limits::of(4), Router::new().route("/", get(handler))).await;
        let busy = say(address, &REQUEST.replace("connection: close\r\n", "")).await;
        inside.acquire().await.unwrap().forget();
        let idle = say(address, "").await;
        stop.cancel();
        assert_eq!(heard(idle).await, "");
        assert!(TcpStream::connect(address).await.is_err());
        go_on.add_permits(1);
        assert!(heard(busy).await.ends_with("127.0.0.1"));
        serving.await.unwrap();
    }
}
