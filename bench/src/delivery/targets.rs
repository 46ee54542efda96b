//! The services that the agent probes: some always answer and note when they were asked, some fail when they are told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Services on this machine.
#[derive(Clone)]
pub(super) struct Targets {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    began: Instant,
    failing: AtomicBool,
    /// Seconds since the begin at which each of the steady services was asked.
    arrivals: Mutex<Vec<Vec<f64>>>,
}

impl Targets {
    /// Starts services, of which so many are `/steady/N`; all others are `/failing/N`.
    pub(super) async fn start(steady: usize) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("opening a port")?;
        let address = listener.local_addr().context("reading the port")?;
        let shared = Arc::new(Shared {
            began: Instant::now(),
            failing: AtomicBool::new(false),
            arrivals: Mutex::new(vec![Vec::new(); steady]),
        });
        let router = axum::Router::new()
            .route("/steady/{number}", get(note))
            .route("/failing/{number}", get(fail))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, shared })
    }

    pub(super) fn fail(&self, fails: bool) {
        self.shared.failing.store(fails, Ordering::SeqCst);
    }

    /// Returns the arrivals since the last call.
    pub(super) fn take(&self) -> Vec<Vec<f64>> {
        let mut arrivals = self.shared.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.iter_mut().map(std::mem::take).collect()
    }
}

async fn note(State(shared): State<Arc<Shared>>, Path(number): Path<usize>) -> StatusCode {
    let at = shared.began.elapsed().as_secs_f64();
    let mut arrivals = shared.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    match arrivals.get_mut(number) {
        Some(arrivals) => arrivals.push(at),
        None => return StatusCode::NOT_FOUND,
    }
    StatusCode::OK
}

async fn fail(State(shared): State<Arc<Shared>>) -> StatusCode {
    if shared.failing.load(Ordering::SeqCst) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

/// Punctuality of probes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Punctuality {
    pub(super) probes: usize,
    /// Share of the probes that were due.
    pub(super) achieved: f64,
    pub(super) median_ms: f64,
    /// 99th percentile of the deviation from the grid.
    pub(super) p99_ms: f64,
}

impl Punctuality {
    /// Compares arrivals with a grid of one second. The phase of a service is the median of its arrivals, which a few late
    /// ones do not move.
    pub(super) fn of(arrivals: &[Vec<f64>], lasted: Duration) -> Self {
        let mut deviations: Vec<f64> = arrivals.iter().flat_map(|times| deviations_ms(times)).collect();
        deviations.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (deviations.len() as f64 * share) as usize;
            deviations.get(index.min(deviations.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
        };
        let due = lasted.as_secs_f64() * arrivals.len() as f64;
        let probes = arrivals.iter().map(Vec::len).sum();
        Self { probes, achieved: probes as f64 / due, median_ms: at(0.5), p99_ms: at(0.99) }
    }
}

fn deviations_ms(times: &[f64]) -> Vec<f64> {
    let Some(first) = times.first() else { return Vec::new() };
    // around the first one, so that no phase is torn at the end of a second
    let offset = |time: &f64| {
        let offset = (time - first).rem_euclid(1.0);
        if offset > 0.5 { offset - 1.0 } else { offset }
    };
    let mut offsets: Vec<f64> = times.iter().map(offset).collect();
    offsets.sort_by(f64::total_cmp);
    let phase = offsets.get(offsets.len() / 2).copied().unwrap_or_default();
    offsets.iter().map(|offset| (offset - phase).abs() * 1e3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_probe_is_a_deviation_and_moves_no_grid() {
        let times: Vec<f64> = (0..100).map(|n| f64::from(n) + if n == 0 { 0.95 } else { 0.9 }).collect();
        let found = Punctuality::of(&[times], Duration::from_secs(100));
        assert_eq!(
            (found.probes, found.achieved, found.median_ms.round(), found.p99_ms.round()),
            (100, 1.0, 0.0, 50.0)
        );
    }
}
