//! An API with many routes that answers at once and counts who asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

type Counts = Arc<Mutex<Vec<u32>>>;

/// The running API: `/{group}/{number}` for each group of askers.
pub(super) struct Neighbour {
    pub(super) address: SocketAddr,
    counts: [Counts; 2],
}

/// A client; each is counted apart.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asker {
    Agent,
    Peer,
}

impl Neighbour {
    pub(super) async fn start(routes: usize) -> Result<Self> {
        let counts: [Counts; 2] = std::array::from_fn(|_| Arc::new(Mutex::new(vec![0; routes])));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("opening a port")?;
        let address = listener.local_addr().context("reading the port")?;
        let [agent, peer] = counts.clone();
        let router = axum::Router::new()
            .route("/agent/{number}", get(count).with_state(agent))
            .route("/peer/{number}", get(count).with_state(peer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, counts })
    }

    /// The URL of one route.
    pub(super) fn url(&self, asker: Asker, number: usize) -> String {
        let group = match asker {
            Asker::Agent => "agent",
            Asker::Peer => "peer",
        };
        format!("http://{}/{group}/{number}", self.address)
    }

    /// Returns the requests for the least requested route.
    pub(super) fn least(&self, asker: Asker) -> u32 {
        let [agent, peer] = &self.counts;
        let counts = match asker {
            Asker::Agent => agent,
            Asker::Peer => peer,
        };
        counts.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().min().unwrap_or_default()
    }
}

async fn count(State(counts): State<Counts>, Path(number): Path<usize>) -> (StatusCode, &'static str) {
    match counts.lock().unwrap_or_else(PoisonError::into_inner).get_mut(number) {
        Some(count) => {
            *count += 1;
            (StatusCode::OK, "ok")
        }
        None => (StatusCode::NOT_FOUND, "no such route"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_least_asked_route_decides() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let neighbour = Neighbour::start(2).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for number in [0, 0, 1] {
            let answer = client.get(neighbour.url(Asker::Agent, number)).send().await.unwrap();
            assert_eq!(answer.status(), 200);
        }
        assert_eq!((neighbour.least(Asker::Agent), neighbour.least(Asker::Peer)), (1, 0));
        assert_eq!(client.get(neighbour.url(Asker::Peer, 2)).send().await.unwrap().status(), 404);
    }
}
