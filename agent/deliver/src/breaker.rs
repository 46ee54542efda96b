//! A circuit breaker: after failures, no request is sent to a receiver for a growing time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(30);

/// A circuit breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
    /// The message of the last failure.
    failed: Option<i64>,
}

impl Breaker {
    /// Returns whether a request may be sent.
    pub(super) fn is_closed(&self) -> bool {
        self.open_until().is_none()
    }

    /// Returns the instant from which on a request may be sent, while none may be.
    pub(super) fn open_until(&self) -> Option<Instant> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.open_until.filter(|until| *until > Instant::now())
    }

    /// Notes that a message was not taken. It opens when another one was not taken before: a message that fails alone delays
    /// no other.
    pub(super) fn fail(&self, message: i64) {
        let before = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.failed.replace(message)
        };
        if before.is_some_and(|before| before != message) {
            self.open();
        }
    }

    /// Opens the breaker for a while. Failures of requests that were sent together count once.
    pub(super) fn open(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.open_until.is_some_and(|until| until > now) {
            return;
        }
        let pause = FIRST.saturating_mul(1 << state.failures.min(10)).min(LONGEST);
        state.failures = state.failures.saturating_add(1);
        state.open_until = Some(now + pause);
    }

    /// Closes the breaker.
    pub(super) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_one_success_ends_them() {
        let breaker = Breaker::default();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            breaker.open();
            breaker.open();
            let opened = Instant::now();
            while !breaker.is_closed() {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            pauses.push(opened.elapsed().as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
        breaker.open();
        breaker.close();
        assert!(breaker.is_closed());
    }
}
