//! A server on a listener that outlives it, so that after a failure it can be started again on the same port.
//!
//! Every connection is accepted at once, so that the backlog never fills. Limits keep the file descriptors that probes
//! need: connections in all, connections of one address, the time of a head, and the speed at which a client reads. Another
//! one bounds the memory of answers that are not read yet. A connection beyond the limits replaces the one that waits for its client longest. Without such a one it gets health
//! only, from a reserve of its own, so that nobody keeps the liveness probe out.

mod connections;
mod pace;
mod unread;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use super::error::Problem;
use super::health;
use connections::{Access, Connections, Slot};
use pace::Paced;
use unread::Connection;

pub(crate) use unread::count;

/// Limits of a server.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// The connections that may ask for everything, in all and of one address.
    connections: usize,
    per_address: usize,
    /// The connections beyond these limits, which may ask for health only.
    health_only: usize,
    /// The bytes of answers that clients have not read yet.
    unread: usize,
    /// The time until the head of a request has arrived, also for later requests on a connection.
    head: Duration,
    /// The time for which a client may fall behind [`pace::MIN_BYTES_PER_SECOND`] while it reads an answer.
    behind: Duration,
}

const LIMITS: Limits = Limits {
    connections: 256,
    per_address: 64,
    health_only: 16,
    unread: 16 << 20,
    head: Duration::from_secs(10),
    behind: Duration::from_secs(10),
};

/// Bytes of a connection that are kept in memory, and the largest head.
const BUFFER: usize = 32 * 1024;

/// Connections that are accepted before their tasks run: fewer than the limits, so that a request which has arrived is seen
/// before later connections replace its own.
const ACCEPTS_IN_A_ROW: usize = 8;

/// Niceness that the server's thread adds to that of the process: a third of the processor time of another thread where both want
/// it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;
/// Connections that the system keeps until they are accepted, at most; the system's own limit may be lower.
const BACKLOG: u32 = 4096;

/// Bytes of an answer that the system keeps for a client. Left to itself it keeps megabytes for one that does not read,
/// and counts them as memory of the agent.
const SEND_BUFFER: u32 = 128 * 1024;

/// Pause after a failed accept, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(250);

/// Binds an address for [`serve`].
///
/// # Errors
/// Fails when the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // after a restart, connections of before may still be closing
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until told to stop; answers in flight are finished. It has a thread of its own, so that a large answer delays no
/// probe.
///
/// # Errors
/// Fails when the thread cannot be started, or panics.
pub async fn serve(listener: &Arc<TcpListener>, router: Router, stop: CancellationToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (listener, stop) = (Arc::clone(listener), stop.child_token());
    // the caller may be dropped
    let _ends = stop.clone().drop_guard();
    let (done, ended) = tokio::sync::oneshot::channel();
    let serving = move || {
        yield_to_probes();
        let connections = Connections::new(LIMITS);
        runtime.block_on(serve_within(LIMITS, &connections, &listener, router, stop));
        // nobody may wait any more
        let _ = done.send(());
    };
    std::thread::Builder::new().name("web".to_owned()).spawn(serving)?;
    ended.await.map_err(|_| io::Error::other("the thread of the server panicked"))
}

/// Lowers the priority of this thread: a flood of requests takes what probes and evaluation leave.
fn yield_to_probes() {
    // on Linux it is that of the calling thread, elsewhere of a whole process (nice(2), "C library/kernel differences")
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(error = %error, "the server keeps the priority of the process");
    }
}

async fn serve_within(
    limits: Limits,
    connections: &Arc<Connections>,
    listener: &TcpListener,
    router: Router,
    stop: CancellationToken,
) {
    let router = TowerToHyperService::new(router);
    let graceful = GracefulShutdown::new();
    let mut accepted: usize = 0;
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = accept(listener) => next,
        };
        let slot = Arc::new(connections.enter(peer.ip()));
        let stream = TokioIo::new(Paced::new(stream, limits.behind));
        let (requests, router) = (Arc::clone(&slot), router.clone());
        let service = service_fn(move |request| answer(Arc::clone(&requests), router.clone(), request));
        let connection = graceful.watch(protocol(limits, slot.access()).serve_connection(stream, service));
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        // a client may close a connection at any time
                        tracing::debug!(%error, %peer, "a connection ended");
                    }
                }
                () = slot.replaced() => tracing::debug!(%peer, "a connection made room for another one"),
            }
        });
        accepted = accepted.wrapping_add(1);
        if accepted.is_multiple_of(ACCEPTS_IN_A_ROW) {
            tokio::task::yield_now().await;
        }
    }
    graceful.shutdown().await;
}

fn protocol(limits: Limits, access: Access) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(BUFFER);
    http.keep_alive(access == Access::Everything);
    http
}

async fn answer(
    slot: Arc<Slot>,
    router: TowerToHyperService<Router>,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let _working = slot.work();
    if slot.access() == Access::HealthOnly && !health::PATHS.contains(&request.uri().path()) {
        let detail = "too many requests are worked on; try again shortly";
        return Ok(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).into_response());
    }
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Connection(Arc::clone(&slot)));
    let Ok(answer) = router.call(request).await;
    Ok(unread::count_compression(&slot, answer))
}

/// Accepts the next connection. It waits while the system reports errors such as "too many open files".
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
