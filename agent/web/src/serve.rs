//! The server of the agent: a thread of its own, so that a large answer delays no probe, and the limits of its clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http_server::{HeldBytes, Limits, ProbesOnly};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::error::Problem;
use super::health;

/// Niceness that the server's thread adds to that of the process: a third of the processor time of another thread where both want
/// it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

fn limits() -> Limits {
    let time = Duration::from_secs(10);
    Limits { head: time, behind: time, http2: false, ..Limits::new(256, 64) }
}

/// Binds an address for [`serve`].
///
/// # Errors
/// Fails when the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    http_server::bind(address)
}

/// Serves until told to stop; answers in flight are finished. The listener outlives it, so that after a failure it can be started
/// again on the same port.
///
/// # Errors
/// Fails when the thread cannot be started, or panics.
pub async fn serve(listener: &Arc<TcpListener>, router: Router, stop: CancellationToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (listener, stop) = (Arc::clone(listener), stop.child_token());
    // the caller may be dropped
    let _ends = stop.clone().drop_guard();
    let (done, ended) = tokio::sync::oneshot::channel();
    let answer = move |request| answer(router.clone(), request);
    let serving = move || {
        yield_to_probes();
        runtime.block_on(http_server::serve(listener, answer, limits(), stop));
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

async fn answer(router: Router, request: http::Request<Body>) -> Response {
    let is_reserved = request.extensions().get::<ProbesOnly>().is_some();
    if is_reserved && !health::PATHS.contains(&request.uri().path()) {
        let detail = "too many requests are worked on; try again shortly";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).into_response();
    }
    router.oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// Notes what an answer keeps in memory before it is compressed.
pub(crate) async fn note_held_bytes(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let held = HeldBytes::of(response.body());
    response.extensions_mut().insert(held);
    response
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::Semaphore;

    use super::*;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn while_a_client_uses_all_its_connections_it_gets_health_alone_and_the_listener_serves_again() {
        let (entered, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (inside, gate) = (Arc::clone(&entered), Arc::clone(&go_on));
        let handler = async move || {
            inside.add_permits(1);
            gate.acquire().await.unwrap().forget();
            "hello"
        };
        let router = Router::new().route("/", get(handler)).route("/livez", get(health::live));
        let listener = Arc::new(bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let address = listener.local_addr().unwrap();
        for _ in 0..2 {
            let stop = CancellationToken::new();
            let (served, routes, token) = (Arc::clone(&listener), router.clone(), stop.clone());
            let serving = tokio::spawn(async move { serve(&served, routes, token).await });
            let busy: Vec<_> = (0..64).map(|_| tokio::spawn(ask(address, "/"))).collect();
            entered.acquire_many(64).await.unwrap().forget();
            assert!(ask(address, "/livez").await.ends_with("ok\n"));
            let refused = ask(address, "/").await;
            assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\"busy\""), "{refused}");
            stop.cancel();
            go_on.add_permits(64);
            for answer in busy {
                assert!(answer.await.unwrap().ends_with("hello"));
            }
            serving.await.unwrap().unwrap();
        }
    }
}
