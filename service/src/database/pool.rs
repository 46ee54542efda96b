//! The connection pool.
//!
//! Every await on a connection is bounded, and every drop gives its permit back within a bound. A PostgreSQL that falls
//! silent therefore costs each permit at most one bound, and never strands it. sqlx's own pool pings a returned connection
//! without a limit while it holds the permit (sqlx issue 4349), and it pings after every statement, which is one more round
//! trip.
//!
//! - A connection whose last statement succeeded is idle at once, without a ping.
//! - A connection that was idle for longer than `Bounds::trusted` is pinged before it is used.
//! - A connection that was dropped in the middle of a statement or a transaction is recovered in a task of its own, which
//!   holds the permit for at most `Bounds::recovery`. Then the connection is idle again, or it is closed.
//! - A connection that does not answer in time is closed, and all idle ones with it: they lead to the same peer.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use sqlx::{ConnectOptions as _, Connection as _, Database};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::backend::{Backend, Options};

/// The time limits of a pool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Time limit for a checkout: waiting for a permit, pinging and connecting together.
    pub(super) acquire: Duration,
    /// Time limit for one attempt to connect.
    pub(super) connect: Duration,
    /// Time limit for a ping before use.
    pub(super) liveness: Duration,
    /// Idle time up to which a connection is used without a ping. Pinging each time would cost every request a round
    /// trip; never pinging would hand out connections that a restart of the database has cut.
    pub(super) trusted: Duration,
    /// Time limit for a statement, longer than the one that the server enforces.
    pub(super) statement: Duration,
    /// Time limit for the recovery of a connection that was dropped in the middle.
    pub(super) recovery: Duration,
    /// Idle time after which a connection is closed; never where the database ends with its last connection.
    pub(super) idle: Option<Duration>,
    /// Age after which a connection is closed.
    pub(super) lifetime: Option<Duration>,
}

/// Time limit for closing a connection in good order, and for waiting until all are returned at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause before another attempt when the server has no connection to give.
const RETRY: Duration = Duration::from_millis(100);
/// A permit that is held for longer is stranded: no bound of a request allows it.
const STRANDED: Duration = Duration::from_secs(30);

/// The connections to one database.
pub(super) struct Pool<B: Backend> {
    options: Mutex<Options<B>>,
    bounds: Bounds,
    max: u32,
    permits: Arc<Semaphore>,
    state: Mutex<State<B>>,
    returned: Notify,
    recovering: AtomicU32,
    discarded: Discarded,
}

struct State<B: Backend> {
    /// The connection used last is the first to be used again.
    idle: Vec<Idle<B>>,
    /// The start of each checkout; `None` is a free slot or a checkout without a limit.
    checkouts: Vec<Option<Instant>>,
    free_slots: Vec<usize>,
}

struct Idle<B: Backend> {
    connection: <B as Database>::Connection,
    opened: Instant,
    used: Instant,
}

/// Counts of connections that were closed before their time, by reason.
#[derive(Debug, Default)]
struct Discarded {
    silent: AtomicU64,
    failed: AtomicU64,
}

/// The state of a pool at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolState {
    /// Idle connections.
    pub idle: u32,
    /// Permits that are free.
    pub available: u32,
    /// Permits whose connection is being recovered.
    pub recovering: u32,
    /// Permits that were held for longer than any request may last. This is a defect.
    pub stranded: u32,
    /// All permits.
    pub max: u32,
    /// Age of the oldest checkout.
    pub oldest_checkout: Duration,
    /// Connections that were closed because they did not answer.
    pub discarded_silent: u64,
    /// Connections that were closed after an error.
    pub discarded_failed: u64,
}

/// A permit for one connection and its slot in the table of checkouts.
struct Permit<B: Backend> {
    pool: Arc<Pool<B>>,
    slot: usize,
    permit: Option<OwnedSemaphorePermit>,
}

/// A connection that is checked out. Dropped, it goes back to the pool: at once if its last statement succeeded, else
/// after recovery.
pub(super) struct Pooled<B: Backend>(Option<CheckedOut<B>>);

struct CheckedOut<B: Backend> {
    connection: <B as Database>::Connection,
    opened: Instant,
    condition: Condition,
    in_transaction: bool,
    statement_limit: Duration,
    /// After the connection: the task that gets the permit finds the connection.
    permit: Permit<B>,
}

/// The condition of a connection after its last operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// The last operation succeeded.
    Clean,
    /// An operation failed, or was dropped in the middle.
    Unknown,
    /// The connection is lost.
    Broken,
}

impl<B: Backend> fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.state_now()).finish()
    }
}

impl<B: Backend> Pool<B> {
    /// Creates a pool without a connection.
    pub(super) fn new(options: Options<B>, bounds: Bounds, max: u32) -> Arc<Self> {
        let state = State {
            idle: Vec::new(),
            checkouts: vec![None; max as usize],
            free_slots: (0..max as usize).rev().collect(),
        };
        Arc::new(Self {
            options: Mutex::new(options),
            bounds,
            max,
            permits: Arc::new(Semaphore::new(max as usize)),
            state: Mutex::new(state),
            returned: Notify::new(),
            recovering: AtomicU32::new(0),
            discarded: Discarded::default(),
        })
    }

    /// Returns the options of new connections.
    pub(super) fn options(&self) -> Options<B> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the options of new connections. Those that are open stay as they are.
    pub(super) fn change_options(&self, change: impl FnOnce(Options<B>) -> Options<B>) {
        let mut options = self.options.lock().unwrap_or_else(PoisonError::into_inner);
        *options = change(options.clone());
    }

    /// Opens the first connection, within a limit of its own. Its error says why the database cannot be used.
    pub(super) async fn open_first(&self, limit: Duration) -> Result<(), sqlx::Error> {
        let connection = timeout(limit, async { self.options().connect().await }).await;
        let connection = connection.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        let now = Instant::now();
        self.state().idle.push(Idle { connection, opened: now, used: now });
        Ok(())
    }

    /// Waits for a connection.
    pub(super) async fn checkout(self: &Arc<Self>) -> Result<Pooled<B>, sqlx::Error> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            let permit = self.register(permit);
            if let Some(idle) = self.pop_trusted() {
                return Ok(Pooled(Some(CheckedOut::new(idle.connection, idle.opened, permit))));
            }
        }
        // In a box: this is rare and its state is large, and without one every request would carry it along.
        let checkout = Box::pin(timeout(self.bounds.acquire, self.checkout_slowly())).await;
        checkout.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn checkout_slowly(self: &Arc<Self>) -> Result<Pooled<B>, sqlx::Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let permit = self.register(permit);
        loop {
            while let Some(Idle { mut connection, opened, used }) = self.pop() {
                if self.trusts(used) || self.is_alive(&mut connection).await {
                    return Ok(Pooled(Some(CheckedOut::new(connection, opened, permit))));
                }
                drop(connection);
                self.discard_silent();
            }
            let options = self.options();
            match timeout(self.bounds.connect, options.connect()).await {
                Ok(Ok(connection)) => {
                    return Ok(Pooled(Some(CheckedOut::new(connection, Instant::now(), permit))));
                }
                // Another of our connections may become idle, or another client may leave.
                Ok(Err(error)) if B::has_no_connection_left(&error) => sleep(RETRY).await,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(sqlx::Error::PoolTimedOut),
            }
        }
    }

    fn register(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Permit<B> {
        let mut state = self.state();
        let slot = state.free_slots.pop().unwrap_or_default();
        if let Some(checkout) = state.checkouts.get_mut(slot) {
            *checkout = Some(Instant::now());
        }
        drop(state);
        Permit { pool: Arc::clone(self), slot, permit: Some(permit) }
    }

    fn pop(&self) -> Option<Idle<B>> {
        self.state().idle.pop()
    }

    fn pop_trusted(&self) -> Option<Idle<B>> {
        self.state().idle.pop_if(|idle| self.trusts(idle.used))
    }

    fn trusts(&self, used: Instant) -> bool {
        used.elapsed() < self.bounds.trusted
    }

    async fn is_alive(&self, connection: &mut <B as Database>::Connection) -> bool {
        timeout(self.bounds.liveness, connection.ping()).await.is_ok_and(|pong| pong.is_ok())
    }

    /// Counts a silent connection, and closes all idle ones: they lead to the same peer.
    fn discard_silent(&self) {
        self.discarded.silent.fetch_add(1, Ordering::Relaxed);
        let suspects = std::mem::take(&mut self.state().idle);
        self.discarded.silent.fetch_add(suspects.len() as u64, Ordering::Relaxed);
    }

    /// Closes connections that are too old or were idle for too long.
    pub(super) fn close_expired(&self) {
        let Bounds { idle, lifetime, .. } = self.bounds;
        let is_over =
            |since: Instant, limit: Option<Duration>| limit.is_some_and(|limit| since.elapsed() >= limit);
        let expired: Vec<_> = {
            let mut state = self.state();
            state
                .idle
                .extract_if(.., |one| is_over(one.used, idle) || is_over(one.opened, lifetime))
                .collect()
        };
        for Idle { connection, .. } in expired {
            close_in_background::<B>(connection);
        }
    }

    /// Refuses new checkouts, waits for the connections in use, and closes all, each step within a limit.
    pub(super) async fn close(&self) {
        self.permits.close();
        let all_returned = async {
            loop {
                let returned = self.returned.notified();
                if self.permits.available_permits() >= self.max as usize {
                    return;
                }
                returned.await;
            }
        };
        if timeout(CLOSE_TIMEOUT, all_returned).await.is_err() {
            tracing::warn!("database connections are still in use and are cut");
        }
        let idle = std::mem::take(&mut self.state().idle);
        let closing = idle.into_iter().map(|one| timeout(CLOSE_TIMEOUT, one.connection.close()));
        let _closed_or_cut = futures_util::future::join_all(closing).await;
    }

    /// Returns the counts that metrics show.
    pub(super) fn state_now(&self) -> PoolState {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let state = self.state();
        let ages = || state.checkouts.iter().flatten().map(Instant::elapsed);
        PoolState {
            idle: count(state.idle.len()),
            available: count(self.permits.available_permits()),
            recovering: self.recovering.load(Ordering::Relaxed),
            stranded: count(ages().filter(|age| *age > STRANDED).count()),
            max: self.max,
            oldest_checkout: ages().max().unwrap_or_default(),
            discarded_silent: self.discarded.silent.load(Ordering::Relaxed),
            discarded_failed: self.discarded.failed.load(Ordering::Relaxed),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Backend> Drop for Permit<B> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        if let Some(checkout) = state.checkouts.get_mut(self.slot) {
            *checkout = None;
        }
        state.free_slots.push(self.slot);
        drop(state);
        drop(self.permit.take());
        if self.pool.permits.is_closed() {
            self.pool.returned.notify_waiters();
        }
    }
}

impl<B: Backend> CheckedOut<B> {
    fn new(connection: <B as Database>::Connection, opened: Instant, permit: Permit<B>) -> Self {
        let statement_limit = permit.pool.bounds.statement;
        Self {
            connection,
            opened,
            condition: Condition::Clean,
            in_transaction: false,
            statement_limit,
            permit,
        }
    }

    fn check_in(self) {
        let Self { connection, opened, permit, .. } = self;
        let is_old = permit.pool.bounds.lifetime.is_some_and(|limit| opened.elapsed() >= limit);
        if is_old || permit.pool.permits.is_closed() {
            close_in_background::<B>(connection);
        } else {
            permit.pool.state().idle.push(Idle { connection, opened, used: Instant::now() });
        }
    }

    fn discard(self) {
        self.permit.pool.discarded.failed.fetch_add(1, Ordering::Relaxed);
    }

    async fn recover(mut self) {
        let pool = Arc::clone(&self.permit.pool);
        let _recovering = Recovering::begin(&pool.recovering);
        let recovery = B::recover(&mut self.connection, self.in_transaction);
        match timeout(pool.bounds.recovery, recovery).await {
            Ok(Ok(())) => self.check_in(),
            Ok(Err(_)) => self.discard(),
            Err(_) => {
                drop(self);
                pool.discard_silent();
            }
        }
    }
}

impl<B: Backend> Pooled<B> {
    /// Runs one operation within the limit of a statement. After that the connection is given up: it is silent.
    pub(super) async fn run<T>(
        &mut self,
        operation: impl AsyncFnOnce(&mut <B as Database>::Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let Some(out) = &mut self.0 else { return Err(sqlx::Error::PoolClosed) };
        out.condition = Condition::Unknown;
        let Ok(done) = timeout(out.statement_limit, operation(&mut out.connection)).await else {
            if let Some(out) = self.0.take() {
                let pool = Arc::clone(&out.permit.pool);
                drop(out);
                pool.discard_silent();
            }
            return Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
        };
        out.condition = match &done {
            Ok(_) => Condition::Clean,
            Err(
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::WorkerCrashed,
            ) => Condition::Broken,
            Err(_) => Condition::Unknown,
        };
        done
    }

    /// Returns the connection for work that knows its own limits. It is checked when it is returned.
    pub(super) fn connection(&mut self) -> Option<&mut <B as Database>::Connection> {
        self.0.as_mut().map(|out| {
            out.condition = Condition::Unknown;
            &mut out.connection
        })
    }

    /// Begins a transaction. Until it is committed, a drop rolls it back.
    pub(super) async fn begin(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        if let Some(out) = &mut self.0 {
            out.in_transaction = true;
        }
        self.run(async |connection| B::execute_raw(connection, sql).await).await
    }

    /// Commits the transaction.
    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.run(async |connection| B::execute_raw(connection, "commit").await).await?;
        if let Some(out) = &mut self.0 {
            out.in_transaction = false;
        }
        Ok(())
    }

    /// Sets another limit for the statements of this checkout, which then does not count as stranded.
    pub(super) fn allow(&mut self, limit: Duration) {
        if let Some(out) = &mut self.0 {
            out.statement_limit = limit;
            let slot = out.permit.slot;
            if let Some(checkout) = out.permit.pool.state().checkouts.get_mut(slot) {
                *checkout = None;
            }
        }
    }
}

impl<B: Backend> Drop for Pooled<B> {
    fn drop(&mut self) {
        let Some(out) = self.0.take() else { return };
        match out.condition {
            Condition::Clean if !out.in_transaction => out.check_in(),
            Condition::Broken => out.discard(),
            Condition::Clean | Condition::Unknown => {
                // Without a runtime the connection is closed here, and its permit returned.
                if let Ok(runtime) = Handle::try_current() {
                    runtime.spawn(out.recover());
                }
            }
        }
    }
}

struct Recovering<'a>(&'a AtomicU32);

impl<'a> Recovering<'a> {
    fn begin(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Recovering<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Closes a connection in good order, within a limit.
fn close_in_background<B: Backend>(connection: <B as Database>::Connection) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            let _closed_or_cut = timeout(CLOSE_TIMEOUT, connection.close()).await;
        });
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
