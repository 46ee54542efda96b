//! A server on a listener that outlives it, so that after a failure it can be started again on the same port.
//!
//! Connections are bounded in number and in the time until a request has begun: idle connections must not use up the
//! file descriptors that probes need.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Limits of a server.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// The number of connections at once; further clients wait.
    connections: usize,
    /// The time until the head of a request has arrived, also for later requests on a connection.
    head: Duration,
}

const LIMITS: Limits = Limits { connections: 256, head: Duration::from_secs(10) };

/// Serves until told to stop; answers in flight are finished.
///
/// # Errors
/// Fails when the listener fails for good.
pub async fn serve(listener: &Arc<TcpListener>, router: Router, stop: CancellationToken) -> io::Result<()> {
    serve_within(LIMITS, listener, router, stop).await;
    Ok(())
}

async fn serve_within(limits: Limits, listener: &TcpListener, router: Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let service = TowerToHyperService::new(router);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (accept(listener).await, place)
        };
        let (stream, place) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = next => next,
        };
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // a client may close a connection at any time
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
    graceful.shutdown().await;
}

/// Accepts the next connection. It waits while the system reports errors such as "too many open files".
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    async fn start(limits: Limits, router: Router) -> (Arc<TcpListener>, CancellationToken, JoinHandle<()>) {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let (stop, served) = (CancellationToken::new(), Arc::clone(&listener));
        let token = stop.clone();
        let task = tokio::spawn(async move { serve_within(limits, &served, router, token).await });
        (listener, stop, task)
    }

    async fn open(listener: &TcpListener, said: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        stream.write_all(said).await.unwrap();
        stream
    }

    /// Reads everything until the other side closes.
    async fn read_all(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        let reading = stream.read_to_end(&mut text);
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("it is closed").unwrap();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn whoever_says_nothing_is_shown_out_and_makes_room() {
        let router = Router::new().route("/", get(async || "hello"));
        let limits = Limits { connections: 2, head: Duration::from_millis(300) };
        let (listener, stop, task) = start(limits, router).await;
        let silent = open(&listener, b"").await;
        let slow = open(&listener, b"GET / HTTP/1.1\r\nhost: x\r\n").await;
        let third = open(&listener, REQUEST).await;
        assert!(read_all(third).await.ends_with("hello"), "served once a place is free");
        assert!(!read_all(silent).await.contains("hello"));
        assert!(!read_all(slow).await.contains("hello"));
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn no_more_than_so_many_are_served_at_once() {
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
        let limits = Limits { connections: 2, head: Duration::from_secs(10) };
        let (listener, _stop, _task) = start(limits, Router::new().route("/", get(answer))).await;
        let mut streams = Vec::new();
        for _ in 0..3 {
            streams.push(open(&listener, REQUEST).await);
        }
        entered.acquire_many(2).await.unwrap().forget();
        // the third is in the backlog: it is accepted only after one of the two has left
        let early = tokio::time::timeout(Duration::from_millis(200), entered.acquire()).await;
        assert!(early.is_err(), "a third was let in");
        go_on.add_permits(1);
        entered.acquire().await.unwrap().forget();
        go_on.add_permits(2);
        for stream in streams {
            assert!(read_all(stream).await.ends_with("hello"));
        }
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
        let (listener, stop, task) = start(LIMITS, Router::new().route("/", get(answer))).await;
        let stream = open(&listener, REQUEST).await;
        entered.notified().await;
        stop.cancel();
        go_on.notify_one();
        task.await.unwrap();
        assert!(read_all(stream).await.ends_with("hello"));
    }
}
