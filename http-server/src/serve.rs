//! Accepting connections, and serving each until it ends, is told to end, or must make room.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
#[cfg(feature = "http2")]
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::{Busy, Connections, Slot};
use super::limits::Limits;
use super::pace::Paced;
use super::request::{PeerAddress, ProbesOnly};

#[cfg(feature = "http2")]
type Protocol = hyper_util::server::conn::auto::Builder<TokioExecutor>;
#[cfg(not(feature = "http2"))]
type Protocol = hyper::server::conn::http1::Builder;

/// The bytes that are held of one connection, which is also the most that a head may have. Beyond that, and beyond the 100
/// fields that can be read without asking for memory, a request is refused with 431 by the connection itself, which has no
/// way to say more.
const MAX_HEAD_BYTES: u32 = 32 * 1024;
/// The longest interval of checks of a connection of HTTP/2.
const CHECK: Duration = Duration::from_secs(1);
/// Time for an idle client of HTTP/2 to confirm the end of its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time for the last connections to send their request.
const LAST_REQUESTS: Duration = Duration::from_millis(500);
/// Connections that are accepted before their tasks run: fewer than the limits, so that a request which has arrived is seen
/// before later connections close its own.
const ACCEPTS_IN_A_ROW: usize = 8;

/// Connections that the system keeps until they are accepted, at most; its own limit may be lower. With a short backlog a burst
/// of clients makes it drop the packets of a probe, which come again only after a second.
const BACKLOG: u32 = 4096;
/// Bytes of a response that the system keeps for a client. Left to itself it keeps megabytes for one that does not read, and
/// counts them as memory of the program.
const SOCKET_BUFFER: u32 = 128 * 1024;

/// Binds an address for [`serve`].
///
/// # Errors
/// Fails when the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // after a restart, connections of before may still be closing
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` is cancelled. Then no connection is accepted any more, idle ones are closed, and the others after
/// their response. Returns when all have ended. A listener that others hold stays open, and can be served again.
pub async fn serve<H, F>(listener: Arc<TcpListener>, handler: H, limits: Limits, stop: CancellationToken)
where
    H: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    serve_table(listener, handler, &Connections::new(limits.clone()), limits, stop).await;
}

pub(crate) async fn serve_table<H, F>(
    listener: Arc<TcpListener>,
    handler: H,
    connections: &Arc<Connections>,
    limits: Limits,
    stop: CancellationToken,
) where
    H: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (http, connected, end) = (protocol(&limits), TaskTracker::new(), CancellationToken::new());
    let limits = Arc::new(limits);
    let start = |stream: TcpStream, peer: SocketAddr| {
        let slot = connections.enter(peer.ip());
        // without it the connection is slower, but served
        let _ = stream.set_nodelay(true);
        let (http, handler, limits, end) = (http.clone(), handler.clone(), Arc::clone(&limits), end.clone());
        connected.spawn(async move { attend(&http, handler, &limits, (stream, peer, slot), end).await });
    };
    let mut accepted: usize = 0;
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = accept(&listener) => next,
        };
        start(stream, peer);
        let_others_run(&mut accepted).await;
    }
    // The order matters: first the backlog is accepted, then the listener closes, and only then are the connections asked
    // to end. In any other order somebody is cut off although others are still accepted. Clients that connect without a pause do
    // not put off the end.
    for _ in 0..BACKLOG {
        let Ok(Ok((stream, peer))) = timeout(Duration::ZERO, listener.accept()).await else { break };
        start(stream, peer);
        let_others_run(&mut accepted).await;
    }
    drop(listener);
    // Each response says that the connection is closed behind it: most are gone by then.
    tokio::time::sleep(LAST_REQUESTS).await;
    end.cancel();
    connected.close();
    connected.wait().await;
}

#[cfg(feature = "http2")]
fn protocol(limits: &Limits) -> Protocol {
    /// Requests at once on a connection.
    const STREAMS: u32 = 100;
    /// Bytes of a body that a client may send before they are read, and of all bodies of its connection.
    const STREAM_WINDOW: u32 = 64 * 1024;
    const CONNECTION_WINDOW: u32 = 256 * 1024;
    /// Bytes of a response that are held for a client beside the body itself.
    const SEND_BUFFER: usize = 64 * 1024;
    /// Streams that a client may reset before they were looked at.
    const RESETS: usize = 20;
    /// The interval of pings to a client, and the time for its answer.
    const PING: Duration = Duration::from_secs(20);
    const PONG: Duration = Duration::from_secs(10);

    let mut http = Protocol::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MAX_HEAD_BYTES as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD_BYTES)
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    if limits.http2 { http } else { http.http1_only() }
}

#[cfg(not(feature = "http2"))]
fn protocol(limits: &Limits) -> Protocol {
    let mut http = Protocol::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(MAX_HEAD_BYTES as usize);
    http
}

/// Serves one connection until it ends, is told to end, or must make room.
async fn attend<H, F>(
    http: &Protocol,
    handler: H,
    limits: &Limits,
    (stream, peer, slot): (TcpStream, SocketAddr, Slot),
    end: CancellationToken,
) where
    H: Fn(Request<Body>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (close, slot) = (slot.close(), Arc::new(slot));
    let requests = Arc::clone(&slot);
    let service = service_fn(move |request: Request<Incoming>| {
        let busy = requests.begin(request.version());
        answer(handler.clone(), peer, (busy, requests.is_reserved()), request)
    });
    let stream = TokioIo::new(Paced::new(stream, limits.behind));
    let mut connection = pin!(http.serve_connection(stream, service));
    let (mut closed, mut ended) = (pin!(close.cancelled()), pin!(end.cancelled()));
    let period = (limits.head.min(limits.behind) / 4).clamp(Duration::from_millis(1), CHECK);
    let mut check = interval_at(Instant::now() + period, period);
    let (mut told, mut checked) = (None, limits.http2);
    loop {
        tokio::select! {
            done = connection.as_mut() => {
                if let Err(error) = done {
                    // a client may close a connection at any time
                    tracing::debug!(%error, %peer, "a connection ended");
                }
                return;
            }
            () = closed.as_mut() => {
                tracing::debug!(%peer, "a connection made room for another one, or its client cancelled most requests");
                return;
            }
            () = ended.as_mut(), if told.is_none() => {
                connection.as_mut().graceful_shutdown();
                told = Some(Instant::now());
            }
            // HTTP/1 has one request at a time: hyper and `Paced` time its heads and its responses.
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
        _ if slot.has_stalled(limits.behind) => Progress::Stalled,
        Some(at) if idle.is_some() && at.elapsed() > CLOSE_TIMEOUT => Progress::Stalled,
        None if idle.is_some_and(|idle| idle > limits.head) => Progress::Idle,
        _ => Progress::Fine,
    }
}

async fn answer<H, F>(
    handler: H,
    peer: SocketAddr,
    (busy, is_reserved): (Busy, bool),
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible>
where
    H: Fn(Request<Body>) -> F + Send,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let version = request.version();
    request.extensions_mut().insert(PeerAddress(peer));
    if is_reserved {
        request.extensions_mut().insert(ProbesOnly);
    }
    let mut response = handler(request.map(Body::new)).await;
    if is_reserved {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if version == Version::HTTP_2 {
        // A connection of HTTP/2 is told with a frame (RFC 9113, section 8.2.2).
        response.headers_mut().remove(header::CONNECTION);
    }
    Ok(busy.end_with(response))
}

/// Counts an accepted connection, and lets the tasks of connections run after each few.
async fn let_others_run(accepted: &mut usize) {
    *accepted = accepted.wrapping_add(1);
    if accepted.is_multiple_of(ACCEPTS_IN_A_ROW) {
        tokio::task::yield_now().await;
    }
}

/// Accepts the next connection. It waits while the system reports errors such as "too many open files".
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
