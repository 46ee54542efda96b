//! The connection pool: `deadpool` with bounds for every await on a connection.
//!
//! A PostgreSQL that falls silent costs each permit at most one bound, and never strands it. sqlx's own pool pings a returned
//! connection without a limit while it holds the permit (sqlx issue 4349), and it pings after every statement, which is one
//! more round trip. `deadpool` leaves to its user what becomes of a connection that comes back:
//!
//! - A connection whose last statement succeeded is idle at once, without a ping.
//! - A connection that was idle for longer than `Bounds::trusted` is pinged before it is used.
//! - A connection that was dropped in the middle of a statement or a transaction is recovered in a task of its own, which
//!   holds the permit for at most `Bounds::recovery`. Then the connection is idle again, or it is closed.
//! - A connection that does not answer a ping or a statement in time is closed, and all idle ones with it: they lead to the
//!   same peer. One whose interrupted statement takes longer than its recovery is closed alone; the idle ones are pinged
//!   before they are used.
//! - A server that has become read-only is left: its connections are closed, and new ones may lead to another one.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use deadpool::Runtime;
use deadpool::managed::{self, Object, ObjectId, PoolError, QueueMode, Timeouts};
use sqlx::{Connection as _, Database};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::backend::{Backend, Options, Readable};
use super::connector::{Connector, Opened};
use super::error::{has_become_read_only, has_no_connection_left, is_lost};
use super::pool_state::PoolState;
use super::statement::Statement;

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
    pub(super) idle: Duration,
    /// Age after which a connection is closed.
    pub(super) lifetime: Duration,
}

/// Time limit for closing a connection in good order, and for waiting until all are returned at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause before another attempt when the server has no connection to give.
const RETRY: Duration = Duration::from_millis(100);
/// The shortest interval between two renewals of all connections: each of them costs every request a connect.
const RENEWAL: Duration = Duration::from_secs(1);
/// A permit that is held for longer is stranded: no bound of a request allows it.
const STRANDED: Duration = Duration::from_secs(30);

/// The connections to one database.
pub(super) struct Pool<B: Backend> {
    connections: managed::Pool<Connector<B>>,
    bounds: Bounds,
    max: u32,
    /// The start of each checkout; `None` for one without a limit.
    checkouts: Mutex<HashMap<ObjectId, Option<Instant>>>,
    /// Counts the checkouts at the end, which waits for them.
    checked_out: TaskTracker,
    /// Idle connections that were used before are pinged first.
    suspected: Mutex<Option<Instant>>,
    /// Connections that were opened before are closed when they come back.
    renewed: Mutex<Option<Instant>>,
    recovering: AtomicU32,
    discarded_silent: AtomicU64,
    discarded_failed: AtomicU64,
}

/// The entry of a checkout in the table.
struct Checkout<B: Backend> {
    pool: Arc<Pool<B>>,
    id: ObjectId,
    _counted: TaskTrackerToken,
}

/// A connection that is checked out. Dropped, it goes back to the pool: at once if its last statement succeeded, else
/// after recovery.
pub(super) struct Pooled<B: Backend>(Option<CheckedOut<B>>);

struct CheckedOut<B: Backend> {
    /// Before the connection: the next checkout of it has the same entry.
    checkout: Checkout<B>,
    object: Object<Connector<B>>,
    condition: Condition,
    in_transaction: bool,
    statement_limit: Duration,
}

/// The condition of a connection after its last operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// The last operation succeeded.
    Clean,
    /// An operation failed, or was dropped in the middle.
    Unknown,
    /// A ping was dropped in the middle.
    Pinged,
    /// The connection is lost.
    Broken,
}

impl<B: Backend> fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.state_now()).finish()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error_of(error: PoolError<sqlx::Error>) -> sqlx::Error {
    match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(_) => sqlx::Error::PoolTimedOut,
        _ => sqlx::Error::PoolClosed,
    }
}

impl<B: Backend> Pool<B> {
    /// Creates a pool without a connection.
    pub(super) fn new(options: Options<B>, bounds: Bounds, max: u32) -> Result<Arc<Self>, sqlx::Error> {
        let connections = managed::Pool::builder(Connector::new(options, bounds.connect))
            .max_size(max as usize)
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| sqlx::Error::Configuration(error.into()))?;
        Ok(Arc::new(Self {
            connections,
            bounds,
            max,
            checkouts: Mutex::default(),
            checked_out: TaskTracker::new(),
            suspected: Mutex::default(),
            renewed: Mutex::default(),
            recovering: AtomicU32::new(0),
            discarded_silent: AtomicU64::new(0),
            discarded_failed: AtomicU64::new(0),
        }))
    }

    /// Returns the options of new connections.
    pub(super) fn options(&self) -> Options<B> {
        self.connections.manager().options().clone()
    }

    /// Changes the options of new connections. Those that are open stay as they are.
    pub(super) fn change_options(&self, change: impl FnOnce(Options<B>) -> Options<B>) {
        let mut options = self.connections.manager().options();
        *options = change(options.clone());
    }

    /// Opens the first connection, within a limit of its own. Its error says why the database cannot be used.
    pub(super) async fn open_first(&self, limit: Duration) -> Result<(), sqlx::Error> {
        let timeouts = Timeouts { wait: Some(limit), create: Some(limit), recycle: None };
        self.connections.timeout_get(&timeouts).await.map(drop).map_err(error_of)
    }

    /// Waits for a connection.
    pub(super) async fn checkout(self: &Arc<Self>) -> Result<Pooled<B>, sqlx::Error> {
        timeout(self.bounds.acquire, pin!(self.next_alive())).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn next_alive(self: &Arc<Self>) -> Result<Pooled<B>, sqlx::Error> {
        loop {
            let object = match self.connections.get().await {
                Ok(object) => object,
                // Another of our connections may become idle, or another client may leave.
                Err(PoolError::Backend(error)) if has_no_connection_left(&error) => {
                    sleep(RETRY).await;
                    continue;
                }
                Err(error) => return Err(error_of(error)),
            };
            let (id, _counted) = (Object::id(&object), self.checked_out.token());
            let checkout = Checkout { pool: Arc::clone(self), id, _counted };
            self.checkouts().insert(checkout.id, Some(Instant::now()));
            let used = object.used;
            let (condition, statement_limit) = (Condition::Clean, self.bounds.statement);
            let out = CheckedOut { checkout, object, condition, in_transaction: false, statement_limit };
            let mut pooled = Pooled(Some(out));
            if used.elapsed() < self.bounds.trusted && !self.is_suspected(used) || pooled.is_alive().await {
                return Ok(pooled);
            }
        }
    }

    fn is_suspected(&self, used: Instant) -> bool {
        locked(&self.suspected).is_some_and(|suspected| used <= suspected)
    }

    /// Counts a silent connection, and closes all idle ones: they lead to the same peer.
    fn discard_silent(&self) {
        let suspects = self.connections.retain(|_, _| false).removed;
        self.discarded_silent.fetch_add(suspects.len() as u64 + 1, Ordering::Relaxed);
    }

    /// Closes all connections, those in use when they come back: a new one may lead to another server.
    pub(super) fn renew(&self) {
        let mut renewed = locked(&self.renewed);
        if renewed.is_none_or(|renewed| renewed.elapsed() >= RENEWAL) {
            *renewed = Some(Instant::now());
            drop(renewed);
            drop(self.connections.retain(|_, _| false));
        }
    }

    /// Closes connections that are too old or were idle for too long.
    pub(super) fn close_expired(&self) {
        let Bounds { idle, lifetime, .. } = self.bounds;
        let expired =
            self.connections.retain(|one, _| one.used.elapsed() < idle && one.opened.elapsed() < lifetime);
        expired.removed.into_iter().for_each(close_in_background::<B>);
        self.connections.manager().close_unused(idle);
    }

    /// Refuses new checkouts, waits for the connections in use, and closes all, each step within a limit.
    pub(super) async fn close(&self) {
        let idle = self.connections.retain(|_, _| false).removed;
        self.connections.close();
        self.connections.manager().close_unused(Duration::ZERO);
        self.checked_out.close();
        if timeout(CLOSE_TIMEOUT, self.checked_out.wait()).await.is_err() {
            tracing::warn!("database connections are still in use and are cut");
        }
        let closing = idle.into_iter().map(|one| timeout(CLOSE_TIMEOUT, one.connection.close()));
        let _closed_or_cut = futures_util::future::join_all(closing).await;
    }

    /// Returns the counts that metrics show.
    pub(super) fn state_now(&self) -> PoolState {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let connections = self.connections.status();
        let in_use = connections.size + connections.waiting - connections.available;
        let checkouts = self.checkouts();
        let ages = || checkouts.values().flatten().map(Instant::elapsed);
        PoolState {
            idle: count(connections.available),
            available: self.max.saturating_sub(count(in_use)),
            recovering: self.recovering.load(Ordering::Relaxed),
            stranded: count(ages().filter(|age| *age > STRANDED).count()),
            max: self.max,
            oldest_checkout: ages().max().unwrap_or_default(),
            discarded_silent: self.discarded_silent.load(Ordering::Relaxed),
            discarded_failed: self.discarded_failed.load(Ordering::Relaxed),
        }
    }

    fn checkouts(&self) -> MutexGuard<'_, HashMap<ObjectId, Option<Instant>>> {
        locked(&self.checkouts)
    }
}

impl<B: Backend> Drop for Checkout<B> {
    fn drop(&mut self) {
        self.pool.checkouts().remove(&self.id);
    }
}

impl<B: Backend> CheckedOut<B> {
    fn check_in(mut self) {
        let pool = &self.checkout.pool;
        let opened = self.object.opened;
        let is_old = opened.elapsed() >= pool.bounds.lifetime
            || locked(&pool.renewed).is_some_and(|renewed| opened < renewed);
        if is_old || pool.connections.is_closed() {
            close_in_background::<B>(Object::take(self.object));
        } else {
            self.object.used = Instant::now();
        }
    }

    /// Closes the connection without another word to its peer.
    fn discard(self) {
        drop(Object::take(self.object));
    }

    /// Closes a connection that does not answer, and all idle ones with it.
    fn discard_silent(self) {
        let pool = Arc::clone(&self.checkout.pool);
        self.discard();
        pool.discard_silent();
    }

    async fn recover(mut self) {
        let pool = Arc::clone(&self.checkout.pool);
        pool.recovering.fetch_add(1, Ordering::Relaxed);
        let connection = &mut self.object.connection;
        let recovery = async {
            if self.in_transaction {
                // SQLite rolls back by itself after some errors, such as a full disk. Then there is nothing to roll back.
                let _rolled_back_already = B::execute_raw(connection, "rollback").await;
            }
            // Reads the rest of an interrupted statement first.
            connection.ping().await
        };
        let recovered = timeout(pool.bounds.recovery, recovery).await;
        pool.recovering.fetch_sub(1, Ordering::Relaxed);
        match recovered {
            Ok(Ok(())) => self.check_in(),
            Ok(Err(_)) => {
                self.discard();
                pool.discarded_failed.fetch_add(1, Ordering::Relaxed);
            }
            // Nothing but a pong was to come.
            Err(_) if self.condition == Condition::Pinged => self.discard_silent(),
            // Its statement may still run, and the others may be well.
            Err(_) => {
                self.discard();
                pool.discarded_silent.fetch_add(1, Ordering::Relaxed);
                *locked(&pool.suspected) = Some(Instant::now());
            }
        }
    }
}

impl<B: Backend> Pooled<B> {
    /// Pings a connection before it is used. One that is silent is closed, and all idle ones with it. Given up in the middle,
    /// it is recovered: back in the pool it would be the next to be taken.
    async fn is_alive(&mut self) -> bool {
        let Some(out) = &mut self.0 else { return false };
        out.condition = Condition::Pinged;
        let liveness = out.checkout.pool.bounds.liveness;
        // In a box: this is rare, and without one every request would carry its state along.
        let pong = Box::pin(timeout(liveness, out.object.connection.ping())).await;
        if pong.is_ok_and(|pong| pong.is_ok()) {
            out.condition = Condition::Clean;
            return true;
        }
        if let Some(out) = self.0.take() {
            out.discard_silent();
        }
        false
    }

    /// Runs one operation within the limit of a statement. After that the connection is given up: it is silent.
    pub(super) async fn run<T>(
        &mut self,
        operation: impl AsyncFnOnce(&mut <B as Database>::Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let Some(out) = &mut self.0 else { return Err(sqlx::Error::PoolClosed) };
        out.condition = Condition::Unknown;
        let Ok(done) = timeout(out.statement_limit, operation(&mut out.object.connection)).await else {
            if let Some(out) = self.0.take() {
                out.discard_silent();
            }
            return Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
        };
        if done.as_ref().is_err_and(has_become_read_only) {
            out.checkout.pool.renew();
        }
        out.condition = match &done {
            Ok(_) => Condition::Clean,
            Err(error) if is_lost(error) => Condition::Broken,
            Err(_) => Condition::Unknown,
        };
        done
    }

    /// Runs a statement and returns its rows.
    pub(super) async fn rows<R: Readable>(&mut self, statement: Statement) -> Result<Vec<R>, sqlx::Error> {
        self.run(async |connection| B::rows(connection, statement).await).await
    }

    /// Runs a statement and returns the number of changed rows.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, sqlx::Error> {
        self.run(async |connection| B::execute(connection, statement).await).await
    }

    /// Returns the connection for work that knows its own limits. It is checked when it is returned.
    pub(super) fn connection(&mut self) -> Option<&mut <B as Database>::Connection> {
        self.0.as_mut().map(|out| {
            out.condition = Condition::Unknown;
            &mut out.object.connection
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
            out.checkout.pool.checkouts().insert(out.checkout.id, None);
        }
    }
}

impl<B: Backend> Drop for Pooled<B> {
    fn drop(&mut self) {
        let Some(out) = self.0.take() else { return };
        match out.condition {
            Condition::Clean if !out.in_transaction => out.check_in(),
            Condition::Broken => {
                out.checkout.pool.discarded_failed.fetch_add(1, Ordering::Relaxed);
                out.discard();
            }
            // Without a runtime the connection is closed here, and its permit returned.
            Condition::Clean | Condition::Unknown | Condition::Pinged => match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(out.recover())),
                Err(_) => out.discard(),
            },
        }
    }
}

/// Closes a connection in good order, within a limit.
fn close_in_background<B: Backend>(opened: Opened<B>) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            let _closed_or_cut = timeout(CLOSE_TIMEOUT, opened.connection.close()).await;
        });
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
