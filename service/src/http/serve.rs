//! The server of one port: connections, and the time limits of heads and of slow readers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::client::PeerAddress;
use super::connections::{Busy, ConnectionLimits, Connections, Refused, Slot};
use super::startup_gate::StartupGate;
use super::write_timeout::WriteTimeout;

/// The limits of a port.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once.
    pub connections: ConnectionLimits,
    /// Time limit for the head of a request, also of the next one on the same connection. It ends idle connections.
    pub head: Duration,
    /// Time in which a client must read some of its response. It ends clients that do not read.
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

/// The bytes that are held of one connection, which is also the most that a head may have before it is read. Beyond that,
/// and beyond the 100 fields that can be read without asking for memory, a request is refused with 431 by the connection
/// itself, which has no way to say more; what is merely too much for us is refused as a problem (`head`).
const MOST_HEAD_BYTES: usize = 32 * 1024;
/// The pause after a failed accept, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// Time for the last connections to send their request.
const SETTLE: Duration = Duration::from_millis(500);

/// Serves until `stop` is cancelled. Then no connection is accepted any more, idle ones are closed, and the others after
/// their response. Returns when all have ended.
pub async fn serve(listener: TcpListener, gate: Arc<StartupGate>, limits: Limits, stop: CancellationToken) {
    let connections = Connections::new(limits.connections.clone());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    http.max_buf_size(MOST_HEAD_BYTES);
    let graceful = GracefulShutdown::new();
    let start = |graceful: &GracefulShutdown, stream: TcpStream, peer: SocketAddr, slot: Slot| {
        let _slower_but_served = stream.set_nodelay(true);
        let (gate, close) = (Arc::clone(&gate), slot.close());
        let slot = Arc::new(slot);
        let of_requests = Arc::clone(&slot);
        let service =
            service_fn(move |request| answer(Arc::clone(&gate), request, peer, of_requests.begin()));
        let stream = TokioIo::new(WriteTimeout::new(stream, limits.write));
        let connection = graceful.watch(http.serve_connection(stream, service));
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, %peer, "a connection ended");
                    }
                }
                () = close.cancelled() => tracing::debug!(%peer, "an idle connection was closed to make room"),
            }
            drop(slot);
        });
    };
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        let slot = tokio::select! {
            biased;
            slot = connections.enter_when_free(peer.ip()) => slot,
            () = stop.cancelled() => Err(Refused::Full),
        };
        match slot {
            Ok(slot) => start(&graceful, stream, peer, slot),
            Err(refused) => tracing::debug!(?refused, %peer, "a connection was refused"),
        }
    }
    // The order matters: first the backlog is accepted, then the listener closes, and only then are the connections asked
    // to end. In any other order somebody is cut off although others are still accepted.
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        if let Ok(slot) = connections.enter(peer.ip()) {
            start(&graceful, stream, peer, slot);
        }
    }
    drop(listener);
    // Each response says that the connection is closed behind it: most are gone by then.
    tokio::time::sleep(SETTLE).await;
    graceful.shutdown().await;
}

async fn answer(
    gate: Arc<StartupGate>,
    mut request: Request<Incoming>,
    peer: SocketAddr,
    busy: Busy,
) -> Result<axum::response::Response, Infallible> {
    request.extensions_mut().insert(PeerAddress(peer));
    let response = gate.answer(request.map(Body::new)).await;
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

    const REQUEST: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    async fn start(
        limits: Limits,
        routes: Router<Shared>,
    ) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let gate = Arc::new(StartupGate::default());
        let variables = HashMap::from([("DATABASE_URL", "sqlite::memory:")]);
        let config = Config::from_variables(&variables).unwrap();
        let url = &config.database_url;
        let database = Database::open(Opening::Serve, url, Pooling::Session, 1).await.unwrap();
        let shared = Shared::new(config, database, Arc::new(SystemClock), Vec::new());
        gate.open(PortService::new(&shared, Port::Public, [], routes.with_state(shared.clone())));
        (address, stop.clone(), tokio::spawn(serve(listener, gate, limits, stop)))
    }

    async fn say(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn heard(mut stream: TcpStream) -> String {
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
        let large = "x".repeat(32 << 20);
        let router =
            Router::new().route("/", get(async || "aboard")).route("/large", get(async move || large));
        let limits = Limits { write: Duration::from_secs(1), ..Limits::of(1) };
        let (address, _stop, _serving) = start(limits, router).await;
        let deaf = say(address, &REQUEST.replacen('/', "/large", 1)).await;
        // The only place is taken until the deaf one is given up; not reading is all that it does wrong.
        assert!(heard(say(address, REQUEST).await).await.ends_with("aboard"));
        assert!(heard(deaf).await.len() < 32 << 20, "the answer was cut");
    }

    #[tokio::test]
    async fn a_head_that_is_far_too_much_is_refused_without_a_word() {
        let (address, _stop, _serving) =
            start(Limits::of(4), Router::new().route("/", get(async || "aboard"))).await;
        let many: String = (0..100).map(|number| format!("x-{number}: 1\r\n")).collect();
        let long = format!("x-long: {}\r\n", "x".repeat(4 * MOST_HEAD_BYTES));
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
