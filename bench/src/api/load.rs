//! Keeping a server busy: as fast as it answers on so many connections, or at a rate of our own.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::wire::{self, Wire};

/// Connections over which a fixed rate is spread.
const AT_A_RATE: u32 = 16;
/// The delay of the last answers that is tolerated.
const SLACK: Duration = Duration::from_secs(10);

/// The schedule of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// On so many connections, each as soon as the one before was answered.
    Closed(u32),
    /// So many per second, whether the server keeps up or not.
    Rate(u32),
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(connections) => write!(f, "{connections} connections"),
            Self::Rate(rate) => write!(f, "{rate} requests/s"),
        }
    }
}

/// Requests for one server, with their pace.
pub(super) struct Load<'a> {
    pub(super) address: SocketAddr,
    /// In turn, each connection from a place of its own on.
    pub(super) paths: &'a [String],
    pub(super) pace: Pace,
}

/// Result of a load.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) answers: u64,
    /// Answers whose status was not 200.
    pub(super) refused: u64,
    pub(super) took: Duration,
    /// Sorted, in microseconds.
    latencies: Vec<u32>,
}

impl Outcome {
    /// Milliseconds that so many percent of the answers did not exceed.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.latencies.len() * percent).div_ceil(100).max(1);
        self.latencies.get(rank - 1).map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
    }

    fn note(&mut self, status: u16, since: Instant) {
        self.answers += 1;
        self.refused += u64::from(status != 200);
        self.latencies.push(u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
}

impl Load<'_> {
    /// Connects first and counts from then on.
    pub(super) async fn run(&self, time: Duration) -> Result<Outcome> {
        ensure!(!self.paths.is_empty(), "there is nothing to ask for");
        let connections = match self.pace {
            Pace::Closed(connections) => connections,
            Pace::Rate(_) => AT_A_RATE,
        };
        let mut wires = Vec::new();
        for _ in 0..connections {
            wires.push(Wire::open(self.address).await?);
        }
        let since = Instant::now();
        let mut tasks = JoinSet::new();
        for (place, wire) in (0..connections).zip(wires) {
            let start = self.paths.len() * place as usize / connections as usize;
            let requests: Vec<_> = self
                .paths
                .iter()
                .cycle()
                .skip(start)
                .take(self.paths.len())
                .map(|path| wire::request(path))
                .collect();
            match self.pace {
                Pace::Closed(_) => tasks.spawn(as_fast_as_answered(wire, requests, since + time)),
                Pace::Rate(rate) => {
                    let step = Duration::from_secs(1) * connections / rate;
                    tasks.spawn(evenly(
                        wire,
                        requests,
                        since + step * place / connections,
                        step,
                        since + time,
                    ))
                }
            };
        }
        let mut whole = Outcome::default();
        let joined = tokio::time::timeout(time + SLACK, async {
            while let Some(part) = tasks.join_next().await {
                let part = part.context("a connection's task")??;
                whole.answers += part.answers;
                whole.refused += part.refused;
                whole.latencies.extend(part.latencies);
            }
            anyhow::Ok(())
        });
        joined.await.with_context(|| format!("{} stopped answering", self.address))??;
        whole.took = since.elapsed();
        whole.latencies.sort_unstable();
        Ok(whole)
    }
}

async fn as_fast_as_answered(mut wire: Wire, requests: Vec<Vec<u8>>, end: Instant) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for request in requests.iter().cycle() {
        let since = Instant::now();
        if since >= end {
            break;
        }
        let status = wire.ask(request).await?;
        outcome.note(status, since);
    }
    Ok(outcome)
}

/// A request that could not be sent in time, because the one before was still to be answered, has been waiting since then:
/// it would otherwise be forgotten that its client had to wait. What oversleeps is our own clock, and not the server.
async fn evenly(
    mut wire: Wire,
    requests: Vec<Vec<u8>>,
    first: Instant,
    step: Duration,
    end: Instant,
) -> Result<Outcome> {
    let (mut outcome, mut due) = (Outcome::default(), first);
    for request in requests.iter().cycle() {
        if due >= end || Instant::now() >= end {
            break;
        }
        let since = if Instant::now() < due {
            sleep_until(due).await;
            Instant::now()
        } else {
            due
        };
        let status = wire.ask(request).await?;
        outcome.note(status, since);
        due += step;
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use axum::http::{StatusCode, Uri};

    use super::*;

    async fn server() -> (SocketAddr, Arc<AtomicU64>) {
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let route = axum::routing::get(async move |uri: Uri| {
            count.fetch_add(1, Ordering::Relaxed);
            if uri.path() == "/bad" { StatusCode::NOT_FOUND } else { StatusCode::OK }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(route);
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, asked)
    }

    #[tokio::test]
    async fn every_answer_is_counted_and_every_refusal_is_told() {
        let (address, asked) = server().await;
        let paths = ["/good".to_owned(), "/bad".to_owned()];
        let load = Load { address, paths: &paths, pace: Pace::Closed(4) };
        let outcome = load.run(Duration::from_millis(200)).await.unwrap();
        assert_eq!(outcome.answers, asked.load(Ordering::Relaxed));
        assert_eq!(outcome.latencies.len() as u64, outcome.answers);
        // Each of the four ends with either.
        assert!(outcome.refused.abs_diff(outcome.answers / 2) <= 4, "{outcome:?}");
        assert!(outcome.percentile(50) <= outcome.percentile(99));
    }

    #[tokio::test]
    async fn a_rate_is_not_exceeded() {
        let (address, _) = server().await;
        let load = Load { address, paths: &["/".to_owned()], pace: Pace::Rate(160) };
        let outcome = load.run(Duration::from_millis(500)).await.unwrap();
        assert!((1..=80).contains(&outcome.answers), "{outcome:?}");
    }
}
