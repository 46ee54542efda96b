//! The time limit of everything that asks the disk.
//!
//! A disk that hangs answers with no error: a call on it ends when the disk answers again, and until then nothing can
//! end it. Each write therefore runs on a thread of its own, and its caller waits for a limited time only. While one
//! write is late no other begins, so a disk that hangs holds one thread.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lookout_runtime::events::chain;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use crate::{LedgerError, SqliteLedger};

/// Time after which a disk counts as hanging. Disks of clouds pause for a second or two under load; a page can wait for five.
pub(super) const LIMIT: Duration = Duration::from_secs(5);
/// The same for the removal of old rows, which takes seconds on a healthy disk when there are many.
pub(super) const PRUNE_LIMIT: Duration = Duration::from_secs(15);

/// Limits for the calls of one ledger.
#[derive(Debug)]
pub(super) struct TimeLimit {
    limit: Duration,
    /// Instants at which the writes that run are late, by their number.
    deadlines: Arc<Mutex<BTreeMap<u64, Instant>>>,
    /// True from a read that was late until another one is answered.
    reads_hang: Arc<AtomicBool>,
}

/// A write that is late.
#[derive(Debug)]
pub(super) struct Late<T>(JoinHandle<Result<T, LedgerError>>);

impl<T> Late<T> {
    /// Waits for the result.
    pub(super) async fn result(self) -> Result<T, LedgerError> {
        self.0.await.unwrap_or_else(|error| Err(crashed(&error)))
    }
}

/// An entry of the writes that run. The end of a write, however it ends, removes it.
struct Running {
    deadlines: Arc<Mutex<BTreeMap<u64, Instant>>>,
    number: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        locked(&self.deadlines).remove(&self.number);
    }
}

impl TimeLimit {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, deadlines: Arc::default(), reads_hang: Arc::default() }
    }

    /// Returns the time after which a call is late.
    pub(super) const fn limit(&self) -> Duration {
        self.limit
    }

    /// Returns whether a write is late and still runs.
    pub(super) fn is_overdue(&self) -> bool {
        let now = Instant::now();
        locked(&self.deadlines).values().any(|deadline| *deadline <= now)
    }

    /// Returns the error of a call that is late.
    pub(super) const fn no_answer(&self) -> LedgerError {
        LedgerError::NoAnswer { within: self.limit }
    }

    /// Runs a write, and returns its result or the write itself when it is late. It runs on, whether or not anybody waits.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        write: impl Future<Output = Result<T, LedgerError>> + Send + 'static,
    ) -> Result<Result<T, LedgerError>, Late<T>> {
        let running = self.enter(limit);
        let runtime = Handle::current();
        let write = write.in_current_span();
        // names and sizes of files are looked up without a driver: not on a thread that others share
        let mut thread = tokio::task::spawn_blocking(move || {
            let result = runtime.block_on(write);
            drop(running);
            result
        });
        match timeout(limit, &mut thread).await {
            Ok(ended) => Ok(ended.unwrap_or_else(|error| Err(crashed(&error)))),
            Err(_) => Err(Late(thread)),
        }
    }

    /// Runs a write whose result nobody needs once it is late.
    ///
    /// # Errors
    /// Fails as the write does, or when it is late. It may be stored all the same then.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        write: impl Future<Output = Result<T, LedgerError>> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.run(self.limit, write).await.unwrap_or_else(|_| Err(self.no_answer()))
    }

    /// Waits for what is read from a file. After a read that is late, further ones fail at once until the file answers.
    ///
    /// # Errors
    /// Fails as the read does, or when it is late.
    pub(super) async fn read<T>(
        &self,
        file: &Arc<SqliteLedger>,
        read: impl Future<Output = Result<T, LedgerError>> + Send,
    ) -> Result<T, LedgerError> {
        if self.reads_hang.load(Ordering::Relaxed) {
            return Err(self.no_answer());
        }
        if let Ok(answer) = timeout(self.limit, read).await {
            return answer;
        }
        if !self.reads_hang.swap(true, Ordering::Relaxed) {
            let (file, reads_hang) = (Arc::clone(file), Arc::clone(&self.reads_hang));
            tokio::spawn(async move {
                while let Err(error) = file.version().await
                    && error.is_without_connection()
                {
                    tracing::warn!(error = chain(&error), "the disk of the ledger answers no reads");
                }
                reads_hang.store(false, Ordering::Relaxed);
            });
        }
        Err(self.no_answer())
    }

    fn enter(&self, limit: Duration) -> Running {
        let mut deadlines = locked(&self.deadlines);
        let number = deadlines.last_key_value().map_or(0, |(number, _)| number + 1);
        deadlines.insert(number, Instant::now() + limit);
        Running { deadlines: Arc::clone(&self.deadlines), number }
    }
}

fn locked(deadlines: &Mutex<BTreeMap<u64, Instant>>) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
    deadlines.lock().unwrap_or_else(PoisonError::into_inner)
}

fn crashed(error: &JoinError) -> LedgerError {
    LedgerError::NotRecording { reason: format!("a write was broken off: {error}") }
}
