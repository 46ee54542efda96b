//! The services that the agent probes: each fails and recovers when it is told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

/// Services of one server, by number.
#[derive(Clone)]
pub(crate) struct Targets {
    pub(crate) address: SocketAddr,
    failing: Arc<Vec<AtomicBool>>,
}

impl Targets {
    pub(crate) async fn start(services: usize) -> Result<Self> {
        let failing: Arc<Vec<AtomicBool>> = Arc::new((0..services).map(|_| AtomicBool::new(false)).collect());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("opening a port")?;
        let address = listener.local_addr().context("reading the port")?;
        let router = axum::Router::new().route("/{service}", get(answer)).with_state(Arc::clone(&failing));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, failing })
    }

    pub(crate) fn set(&self, service: usize, fails: bool) {
        if let Some(failing) = self.failing.get(service) {
            failing.store(fails, Ordering::SeqCst);
        }
    }

    pub(crate) fn set_all(&self, fails: bool) {
        (0..self.failing.len()).for_each(|service| self.set(service, fails));
    }
}

async fn answer(State(failing): State<Arc<Vec<AtomicBool>>>, Path(service): Path<usize>) -> StatusCode {
    match failing.get(service).map(|failing| failing.load(Ordering::SeqCst)) {
        None => StatusCode::NOT_FOUND,
        Some(true) => StatusCode::SERVICE_UNAVAILABLE,
        Some(false) => StatusCode::OK,
    }
}
