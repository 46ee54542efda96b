//! The server against clients that are slow, many, or both.

mod http1;
#[cfg(feature = "http2")]
mod http2;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::response::IntoResponse as _;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};
use tower::ServiceExt as _;

use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
const LIVE: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Usual limits.
const LIMITS: Limits = Limits::new(256, 64);

/// Usual limits, with shorter times.
const BRIEF: Limits = {
    let mut limits = LIMITS;
    (limits.head, limits.behind) = (Duration::from_secs(2), Duration::from_secs(3));
    limits
};

/// Answers with the routes of a router. While every connection has a request, it answers the probe alone.
fn handler(
    router: Router,
) -> impl Fn(Request<Body>) -> std::pin::Pin<Box<dyn Future<Output = Response<Body>> + Send>>
+ Clone
+ Send
+ Sync
+ 'static {
    move |request| {
        let router = router.clone();
        Box::pin(async move {
            let is_probe = request.uri().path() == "/livez";
            if request.extensions().get::<ProbesOnly>().is_some() && !is_probe {
                return (axum::http::StatusCode::SERVICE_UNAVAILABLE, "busy").into_response();
            }
            router.oneshot(request).await.unwrap()
        })
    }
}

struct Server {
    address: SocketAddr,
    connections: Arc<Connections>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
    runtime: Option<Runtime>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Server {
    /// Starts a server on threads of its own: its clients do not take their time.
    fn start(limits: Limits, router: Router) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let guard = runtime.enter();
        let listener = Arc::new(bind("127.0.0.1:0".parse().unwrap()).unwrap());
        drop(guard);
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let connections = Connections::new(limits.clone());
        let answer = handler(router.route("/livez", get(async || "ok\n")));
        let (shared, token) = (Arc::clone(&connections), stop.clone());
        let serving = async move { serve_table(listener, answer, &shared, limits, token).await };
        let task = Some(runtime.spawn(serving));
        Self { address, connections, stop, task, runtime: Some(runtime) }
    }

    async fn open_from(&self, client: Ipv4Addr, text: &[u8]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8192).unwrap();
        socket.bind((client, 0).into()).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        // the connection may have been replaced meanwhile
        let _ = stream.write_all(text).await;
        stream
    }

    async fn open(&self, text: &[u8]) -> TcpStream {
        self.open_from(HOME, text).await
    }

    /// Waits until every slot is free, although the clients still hold their ends.
    async fn all_slots_become_free(&self) {
        let free = async {
            while self.connections.count() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let freed = timeout(Duration::from_secs(20), free).await;
        assert!(freed.is_ok(), "{} connections are left", self.connections.count());
    }

    /// Asks for liveness again and again from two addresses. Returns the number of answers and the longest wait for one.
    fn watch_liveness(&self, until: &Arc<AtomicBool>, from: [Ipv4Addr; 2]) -> JoinHandle<(usize, Duration)> {
        let (address, until) = (self.address, Arc::clone(until));
        tokio::spawn(async move {
            let (mut answers, mut longest) = (0, Duration::ZERO);
            while !until.load(Ordering::Relaxed) {
                let began = Instant::now();
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind((from[answers % 2], 0).into()).unwrap();
                let mut stream = socket.connect(address).await.unwrap();
                stream.write_all(LIVE).await.unwrap();
                let text = read_all(stream).await;
                assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("ok\n"), "{text}");
                longest = longest.max(began.elapsed());
                answers += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (answers, longest)
        })
    }
}

/// Reads everything until the other side closes.
async fn read_all(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await.expect("it is closed");
    // a connection that was cut has an end, too
    let _ = read;
    String::from_utf8(text).unwrap()
}

/// Returns one of the other addresses of this machine.
fn client(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, u8::try_from(number % 250 + 1).unwrap())
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// A handler that enters, and then waits until it may go on.
fn waiting() -> (Router, Arc<Semaphore>, Arc<Semaphore>) {
    let (entered, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (inside, gate) = (Arc::clone(&entered), Arc::clone(&go_on));
    let answer = move || {
        let (inside, gate) = (Arc::clone(&inside), Arc::clone(&gate));
        async move {
            inside.add_permits(1);
            gate.acquire().await.unwrap().forget();
            "hello"
        }
    };
    (Router::new().route("/", get(answer)), entered, go_on)
}

#[tokio::test]
async fn a_silent_client_and_a_slow_head_are_ended_in_time() {
    let server = Server::start(Limits { head: Duration::from_millis(300), ..LIMITS }, hello());
    let silent = server.open(b"").await;
    let slow = server.open(b"GET / HTTP/1.1\r\nhost: x\r\n").await;
    assert!(read_all(server.open(REQUEST).await).await.ends_with("hello"));
    assert!(!read_all(silent).await.contains("hello"));
    assert!(!read_all(slow).await.contains("hello"));
    server.all_slots_become_free().await;
}

#[tokio::test]
async fn while_all_are_worked_for_others_get_health_and_are_told_to_come_back() {
    let (router, entered, go_on) = waiting();
    let server = Server::start(Limits::new(2, 2), router);
    let busy = [server.open(REQUEST).await, server.open(REQUEST).await];
    entered.acquire_many(2).await.unwrap().forget();
    let idle: Vec<TcpStream> = {
        let mut idle = Vec::new();
        for number in 0..40 {
            idle.push(server.open_from(client(number), b"GET /li").await);
        }
        idle
    };
    for _ in 0..5 {
        assert!(read_all(server.open(LIVE).await).await.ends_with("ok\n"));
        let text = read_all(server.open(REQUEST).await).await;
        assert!(text.starts_with("HTTP/1.1 503 ") && text.ends_with("busy"), "{text}");
    }
    go_on.add_permits(2);
    for stream in busy {
        assert!(read_all(stream).await.ends_with("hello"), "what is worked for is not cut");
    }
    go_on.add_permits(1);
    assert!(read_all(server.open(REQUEST).await).await.ends_with("hello"));
    drop(idle);
    server.all_slots_become_free().await;
}

#[tokio::test]
async fn an_answer_in_flight_is_finished_before_it_ends() {
    let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (inside, gate) = (Arc::clone(&entered), Arc::clone(&go_on));
    let answer = move || async move {
        inside.notify_one();
        gate.notified().await;
        "hello"
    };
    let mut server = Server::start(LIMITS, Router::new().route("/", get(answer)));
    let stream = server.open(REQUEST).await;
    entered.notified().await;
    server.stop.cancel();
    go_on.notify_one();
    server.task.take().unwrap().await.unwrap();
    assert!(read_all(stream).await.ends_with("hello"));
}

/// Opens connections that ask for large answers one after the other and never read.
async fn standing_readers(server: &Arc<Server>, addresses: usize) -> Vec<TcpStream> {
    let mut opening = JoinSet::new();
    for number in 0..256 {
        let server = Arc::clone(server);
        opening.spawn(async move {
            let requests = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n".repeat(500);
            server.open_from(client(number % addresses), &requests).await
        });
    }
    opening.join_all().await
}

/// Memory of answers, counted by the answers themselves.
#[derive(Default)]
struct Memory {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Large {
    bytes: Vec<u8>,
    memory: Arc<Memory>,
}

impl Large {
    const BYTES: usize = 1 << 20;

    fn answer(memory: &Arc<Memory>) -> Body {
        let now = memory.now.fetch_add(Self::BYTES, Ordering::SeqCst) + Self::BYTES;
        memory.most.fetch_max(now, Ordering::SeqCst);
        Body::from(Bytes::from_owner(Self { bytes: vec![b'x'; Self::BYTES], memory: Arc::clone(memory) }))
    }
}

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        self.memory.now.fetch_sub(Self::BYTES, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_keep_little_memory_and_others_get_theirs() {
    let memory = Arc::new(Memory::default());
    let shared = Arc::clone(&memory);
    let router = Router::new().route("/large", get(async move || Large::answer(&shared)));
    let server = Arc::new(Server::start(Limits { behind: Duration::from_secs(30), ..LIMITS }, router));
    for addresses in [1, 50] {
        let readers = standing_readers(&server, addresses).await;
        for _ in 0..3 {
            let request = b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            let text = read_all(server.open_from(client(77), request).await).await;
            assert!(text.ends_with("xxx") && text.len() > Large::BYTES, "{}", text.len());
        }
        let most = memory.most.swap(0, Ordering::SeqCst);
        println!("{addresses} addresses: {most} bytes at most");
        // those that were ended a moment ago may still be there
        assert!(most as u64 <= 2 * LIMITS.unsent, "{addresses} addresses: {most} bytes");
        drop(readers);
        server.all_slots_become_free().await;
        assert_eq!(memory.now.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stand_still_keep_nobody_out_and_are_ended() {
    let large = "x".repeat(64 << 10);
    let router = hello().route("/large", get(async move || large));
    let server = Arc::new(Server::start(BRIEF, router));
    for addresses in [1, 50] {
        let over = Arc::new(AtomicBool::new(false));
        let liveness = server.watch_liveness(&over, [HOME, client(0)]);
        let readers = standing_readers(&server, addresses).await;
        assert!(server.connections.count() <= LIMITS.connections + LIMITS.reserved);
        tokio::time::sleep(2 * BRIEF.behind).await;
        assert!(read_all(server.open(REQUEST).await).await.ends_with("hello"));
        over.store(true, Ordering::Relaxed);
        let (answers, longest) = liveness.await.unwrap();
        println!("{addresses} addresses: {answers} answers, the slowest after {longest:?}");
        assert!(answers > 20 && longest < Duration::from_secs(1), "{answers} {longest:?}");
        server.all_slots_become_free().await;
        drop(readers);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_and_slow_heads_keep_nobody_out() {
    let server = Arc::new(Server::start(BRIEF, hello()));
    let over = Arc::new(AtomicBool::new(false));
    let liveness = server.watch_liveness(&over, [HOME, client(7)]);
    let mut opening = JoinSet::new();
    for first in 0..10 {
        let server = Arc::clone(&server);
        opening.spawn(async move {
            let mut streams = Vec::new();
            for number in 0..1000 {
                streams.push(server.open_from(client(first + number % 50), b"").await);
            }
            streams
        });
    }
    let idle = opening.join_all().await;
    assert!(server.connections.count() <= LIMITS.connections + LIMITS.reserved);
    let mut slow = JoinSet::new();
    for number in 0..400 {
        let (server, over) = (Arc::clone(&server), Arc::clone(&over));
        slow.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let mut stream = server.open_from(client(number % 50), b"GET / HTTP/1.1\r\n").await;
                while !over.load(Ordering::Relaxed) && stream.write_all(b"a: b\r\n").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        });
    }
    tokio::time::sleep(2 * BRIEF.head).await;
    over.store(true, Ordering::Relaxed);
    let (answers, longest) = liveness.await.unwrap();
    let opened = idle.iter().flatten().count();
    println!("{opened} idle connections: {answers} answers, the slowest after {longest:?}");
    assert!(opened == 10_000 && answers > 20 && longest < Duration::from_secs(1), "{answers} {longest:?}");
    slow.join_all().await;
    server.all_slots_become_free().await;
}
