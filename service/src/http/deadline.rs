//! The time limit of a request. Reading the body and working are timed apart: a slow client gets 408, slow work 503.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::error::Problem;

/// Time limit for a request until its response is ready, without the time of reading its body.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Time limit for reading a body, except of an import.
pub const BODY_TIME_LIMIT: Duration = Duration::from_secs(10);

/// The moment at which a request has taken too long. Shared between the limit and the reader of the body.
#[derive(Debug, Clone)]
pub struct Deadline {
    limit: Duration,
    at: Arc<Mutex<Instant>>,
}

impl Deadline {
    /// Starts the time limit of a request.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { limit, at: Arc::new(Mutex::new(Instant::now() + limit)) }
    }

    /// Reads a body within its own limit. After that the limit of the work starts again.
    pub(super) async fn read<T>(&self, limit: Duration, body: impl Future<Output = T>) -> Result<T, Problem> {
        self.set(limit + self.limit);
        let read = timeout(limit, body).await;
        self.set(self.limit);
        read.map_err(|_| Problem::slow_body(limit))
    }

    /// Returns when the deadline has passed.
    pub(super) async fn passed(&self) {
        loop {
            let at = self.at();
            sleep_until(at).await;
            if self.at() <= at {
                return;
            }
        }
    }

    fn at(&self) -> Instant {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, from_now: Duration) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + from_now;
    }
}
