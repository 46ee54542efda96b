//! The request bodies that are being read. Beyond the limit the body that has waited longest is given up, so that clients
//! that send slowly keep nobody out.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::error::Problem;

/// The bodies of a port that are being read, in the order in which reading began.
#[derive(Debug)]
pub struct Bodies {
    most: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    open: BTreeMap<u64, CancellationToken>,
}

/// The entry of one body, removed when it is dropped.
struct Entry<'a> {
    number: u64,
    bodies: &'a Bodies,
    given_up: CancellationToken,
}

impl Bodies {
    /// Creates the table of at most so many bodies.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, waiting: Mutex::default() }
    }

    /// Reads a body, unless it is given up in favour of a later one.
    pub(super) async fn read<T>(&self, body: impl Future<Output = T>) -> Result<T, Problem> {
        let (entry, body) = (self.enter(), pin!(body));
        tokio::select! {
            biased;
            read = body => Ok(read),
            () = entry.given_up.cancelled() => {
                let detail = "the body did not come while many others were sent";
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "Request timeout", detail))
            }
        }
    }

    fn enter(&self) -> Entry<'_> {
        let (mut waiting, given_up) = (self.waiting(), CancellationToken::new());
        waiting.next += 1;
        let number = waiting.next;
        waiting.open.insert(number, given_up.clone());
        if waiting.open.len() > self.most
            && let Some((_, oldest)) = waiting.open.pop_first()
        {
            oldest.cancel();
        }
        drop(waiting);
        Entry { number, bodies: self, given_up }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.bodies.waiting().open.remove(&self.number);
    }
}
