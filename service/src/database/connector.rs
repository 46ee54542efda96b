//! Attempts to connect, each in a task of its own.
//!
//! A client that gives up while its connection is made does not end the attempt: the next one that needs a connection takes
//! it over. Otherwise a database that is slower to connect to than its clients are patient would never be reached, and each
//! attempt that is given up would leave one more session at the server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleResult};
use sqlx::{ConnectOptions as _, Database};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::backend::{Backend, Options};

/// A connection with its age and the time of its last use.
pub(super) struct Opened<B: Backend> {
    pub(super) connection: <B as Database>::Connection,
    pub(super) opened: Instant,
    pub(super) used: Instant,
}

/// Opens connections.
pub(super) struct Connector<B: Backend> {
    options: Mutex<Options<B>>,
    limit: Duration,
    attempts: Arc<Attempts<B>>,
}

/// The attempts to connect and those who wait for them.
struct Attempts<B: Backend> {
    state: Mutex<State<B>>,
    /// A permit for each result.
    results: Semaphore,
}

struct State<B: Backend> {
    /// With the start of each attempt.
    results: Vec<(Instant, Result<Opened<B>, sqlx::Error>)>,
    running: usize,
    waiting: usize,
}

impl<B: Backend> Attempts<B> {
    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends an attempt. An error that nobody waits for is forgotten.
    fn end(&self, began: Instant, result: Result<Opened<B>, sqlx::Error>) {
        let mut state = self.state();
        state.running -= 1;
        if result.is_ok() || state.waiting > state.results.len() {
            state.results.push((began, result));
            self.results.add_permits(1);
        }
    }
}

/// One who waits for an attempt.
struct Waiting<'a, B: Backend>(&'a Attempts<B>);

impl<B: Backend> Drop for Waiting<'_, B> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl<B: Backend> Connector<B> {
    /// Creates a connector whose attempts end within a limit.
    pub(super) fn new(options: Options<B>, limit: Duration) -> Self {
        let state = State { results: Vec::new(), running: 0, waiting: 0 };
        let attempts = Attempts { state: Mutex::new(state), results: Semaphore::new(0) };
        Self { options: Mutex::new(options), limit, attempts: Arc::new(attempts) }
    }

    /// Returns the options of new connections.
    pub(super) fn options(&self) -> MutexGuard<'_, Options<B>> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the attempts that run, and the results that nobody has taken.
    #[cfg(test)]
    pub(super) fn unused(&self) -> (usize, usize) {
        let state = self.attempts.state();
        (state.running, state.results.len())
    }

    /// Closes connections that nobody has taken over for so long.
    pub(super) fn close_unused(&self, age: Duration) {
        // Who holds a permit already gets a result.
        self.attempts
            .state()
            .results
            .retain(|(began, _)| began.elapsed() < age || self.attempts.results.forget_permits(1) == 0);
    }

    /// Waits for the result of an attempt, which another may have begun.
    async fn next_result(&self) -> (Instant, Result<Opened<B>, sqlx::Error>) {
        let _waiting = self.join();
        // The semaphore is never closed, and there is a result for each permit.
        if let Ok(permit) = self.attempts.results.acquire().await {
            permit.forget();
        }
        let result = self.attempts.state().results.pop();
        result.unwrap_or_else(|| (Instant::now(), Err(sqlx::Error::PoolClosed)))
    }

    /// Counts one more who waits, and begins an attempt unless there is one for each.
    fn join(&self) -> Waiting<'_, B> {
        let mut state = self.attempts.state();
        state.waiting += 1;
        if state.running + state.results.len() < state.waiting {
            state.running += 1;
            self.begin();
        }
        Waiting(&self.attempts)
    }

    fn begin(&self) {
        let (options, limit, attempts) = (self.options().clone(), self.limit, Arc::clone(&self.attempts));
        tokio::spawn(async move {
            let began = Instant::now();
            let connection =
                timeout(limit, options.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
            let now = Instant::now();
            attempts.end(began, connection.map(|connection| Opened { connection, opened: now, used: now }));
        });
    }
}

impl<B: Backend> Manager for Connector<B> {
    type Type = Opened<B>;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Opened<B>, sqlx::Error> {
        let since = Instant::now();
        loop {
            match self.next_result().await {
                // The failure of an earlier attempt: the server may be back meanwhile.
                (began, Err(_)) if began < since => {}
                (_, result) => return result,
            }
        }
    }

    /// The pool looks at a connection itself, since one that is silent says something about all others.
    async fn recycle(&self, _: &mut Opened<B>, _: &Metrics) -> RecycleResult<sqlx::Error> {
        Ok(())
    }
}
