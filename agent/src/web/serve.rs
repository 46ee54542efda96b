//! Serving on a listener that outlives the server, so that a server that failed can be started again on the same port.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Serves until told to stop; answers in flight are finished.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: &Arc<TcpListener>, router: Router, stop: CancellationToken) -> io::Result<()> {
    let shared = Shared(Arc::clone(listener));
    axum::serve(shared, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

struct Shared(Arc<TcpListener>);

impl axum::serve::Listener for Shared {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        // axum's own listener waits out errors such as "too many open files"
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
