//! Connections: how many, how long each may take to say what it wants, how much it may say before that, and how slowly it
//! may take its answer.

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
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::client::PeerAddress;
use super::startup_gate::StartupGate;
use super::write_timeout::WriteTimeout;

/// What is granted to those who connect.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. Who comes later waits in the backlog until one of them ends.
    pub connections: usize,
    /// Until the head of a request has come, also of the next one on the same connection: what ends idle ones.
    pub head: Duration,
    /// In which some of what waits to be sent must be taken: what ends those who ask and do not read.
    pub write: Duration,
}

impl Limits {
    /// For so many connections, with the patience that clients are used to.
    #[must_use]
    pub const fn of(connections: usize) -> Self {
        Self { connections, head: Duration::from_secs(30), write: Duration::from_secs(30) }
    }
}

/// The bytes that are held of one connection, which is also the most that a head may have before it is read. Beyond that,
/// and beyond the 100 fields that can be read without asking for memory, a request is refused with 431 by the connection
/// itself, which has no way to say more; what is merely too much for us is refused as a problem (`head`).
const MOST_HEAD_BYTES: usize = 32 * 1024;
/// How long to wait when no connection can be taken in, for want of files perhaps.
const PAUSE: Duration = Duration::from_millis(100);
/// How long those who came in last may take to say what they want.
const SETTLE: Duration = Duration::from_millis(500);

/// Serves until told to stop. Then no connection is taken in any more, idle ones are closed, and the others when they have
/// had their answer. Returns when all have ended.
pub async fn serve(listener: TcpListener, gate: Arc<StartupGate>, limits: Limits, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    http.max_buf_size(MOST_HEAD_BYTES);
    let graceful = GracefulShutdown::new();
    let welcome = |graceful: &GracefulShutdown, stream: TcpStream, peer: SocketAddr, place| {
        let _slower_but_served = stream.set_nodelay(true);
        let gate = Arc::clone(&gate);
        let service = service_fn(move |request| answer(Arc::clone(&gate), request, peer));
        let stream = TokioIo::new(WriteTimeout::new(stream, limits.write));
        let connection = graceful.watch(http.serve_connection(stream, service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Clients come and go as they like.
                tracing::debug!(%error, %peer, "a connection ended");
            }
            drop(place);
        });
    };
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (accept(&listener).await, place)
        };
        let ((stream, peer), place) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = next => next,
        };
        welcome(&graceful, stream, peer, Some(place));
    }
    // Whoever is in the backlog is still let in, then the listener closes, and only then are those inside asked to leave:
    // in any other order somebody is cut off although others still come in.
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        welcome(&graceful, stream, peer, None);
    }
    drop(listener);
    // Each answer says that the connection is closed behind it: most are gone by then.
    tokio::time::sleep(SETTLE).await;
    graceful.shutdown().await;
}

async fn answer(
    gate: Arc<StartupGate>,
    mut request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<axum::response::Response, Infallible> {
    request.extensions_mut().insert(PeerAddress(peer));
    Ok(gate.answer(request.map(Body::new)).await)
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
    use tokio::task::JoinHandle;

    use super::super::middleware::Port;
    use super::super::{PortService, Shared};
    use super::*;
    use crate::Config;
    use crate::clock::SystemClock;
    use crate::passengers::Store;

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
        let store = Store::open(&config.database_url, 1).await.unwrap();
        let shared = Shared::new(config, store, Arc::new(SystemClock));
        gate.open(PortService::new(&shared, Port::Public, [], routes));
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
