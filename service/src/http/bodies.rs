//! The request bodies that are being read. Beyond the limit the body that has waited longest is given up, so that clients
//! that send slowly keep nobody out.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;
use tokio::sync::oneshot;

use super::error::Problem;

/// The bodies of a port that are being read, in the order in which reading began.
#[derive(Debug)]
pub struct Bodies {
    most: usize,
    /// Dropping one gives its body up. Those of bodies that have been read stay until there are too many.
    open: Mutex<VecDeque<oneshot::Sender<()>>>,
}

impl Bodies {
    /// Creates the table of at most so many bodies.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, open: Mutex::default() }
    }

    /// Reads a body, unless it is given up in favour of a later one.
    pub(super) async fn read<T>(&self, body: impl Future<Output = T>) -> Result<T, Problem> {
        let (given_up, body) = (self.enter(), pin!(body));
        tokio::select! {
            biased;
            read = body => Ok(read),
            _ = given_up => {
                let detail = "the body did not come while many others were sent";
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "Request timeout", detail))
            }
        }
    }

    fn enter(&self) -> oneshot::Receiver<()> {
        let (entry, given_up) = oneshot::channel();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= self.most {
            open.retain(|entry| !entry.is_closed());
        }
        if open.len() >= self.most {
            open.pop_front();
        }
        open.push_back(entry);
        given_up
    }
}
