//! Attempts to connect, each in a task of its own.
//!
//! A client that gives up while its connection is made does not end the attempt: the next one that needs a connection takes
//! it over. Otherwise a database that is slower to connect to than its clients are patient would never be reached, and each
//! attempt that is given up would leave one more session at the server.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleResult};
use sqlx::{ConnectOptions as _, Database};
use tokio::task::JoinHandle;
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
    /// The attempts that were given up by those who waited for them.
    left: Mutex<Vec<Attempt<B>>>,
}

/// An attempt to connect.
struct Attempt<B: Backend> {
    began: Instant,
    result: JoinHandle<Result<Opened<B>, sqlx::Error>>,
}

/// One who waits for an attempt, and leaves it to the next when it gives up.
struct Waiting<'a, B: Backend> {
    connector: &'a Connector<B>,
    attempt: Option<Attempt<B>>,
}

impl<B: Backend> Drop for Waiting<'_, B> {
    fn drop(&mut self) {
        self.connector.left().extend(self.attempt.take());
    }
}

impl<B: Backend> Connector<B> {
    /// Creates a connector whose attempts end within a limit.
    pub(super) fn new(options: Options<B>, limit: Duration) -> Self {
        Self { options: Mutex::new(options), limit, left: Mutex::default() }
    }

    /// Returns the options of new connections.
    pub(super) fn options(&self) -> MutexGuard<'_, Options<B>> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of attempts that nobody has taken over.
    #[cfg(test)]
    pub(super) fn unused(&self) -> usize {
        self.left().len()
    }

    /// Closes connections that nobody has taken over for so long.
    pub(super) fn close_unused(&self, age: Duration) {
        self.left().retain(|attempt| attempt.began.elapsed() < age);
    }

    fn left(&self) -> MutexGuard<'_, Vec<Attempt<B>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Attempt<B> {
        let (options, limit, began) = (self.options().clone(), self.limit, Instant::now());
        let result = tokio::spawn(async move {
            let connection =
                timeout(limit, options.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
            let now = Instant::now();
            Ok(Opened { connection, opened: now, used: now })
        });
        Attempt { began, result }
    }
}

impl<B: Backend> Manager for Connector<B> {
    type Type = Opened<B>;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Opened<B>, sqlx::Error> {
        let since = Instant::now();
        loop {
            let left = self.left().pop();
            let mut waiting = Waiting { connector: self, attempt: left };
            let attempt = waiting.attempt.get_or_insert_with(|| self.begin());
            let (began, result) = (attempt.began, (&mut attempt.result).await);
            waiting.attempt = None;
            match result.unwrap_or(Err(sqlx::Error::PoolClosed)) {
                // The failure of an earlier attempt: the server may be back meanwhile.
                Err(_) if began < since => {}
                result => return result,
            }
        }
    }

    /// The pool looks at a connection itself, since one that is silent says something about all others.
    async fn recycle(&self, _: &mut Opened<B>, _: &Metrics) -> RecycleResult<sqlx::Error> {
        Ok(())
    }
}
