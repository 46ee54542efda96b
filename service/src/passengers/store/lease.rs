//! Connections that stay with us from one statement to the next.
//!
//! The pool asks a connection for a sign of life whenever it is given back: one more round trip for every statement. A
//! connection whose last statement came to its end needs no such question. It is kept here, where the next statement
//! finds it. One that was left in the middle is asked first, beside the requests, and closed when it does not answer in
//! time: its peer may be gone without a word. After a while each goes back to the pool, which lets connections end when
//! they are old.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Database, Pool};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::{ACQUIRE_TIMEOUT, TRUSTED};

/// How long a connection stays before it goes through the pool again.
const TERM: Duration = Duration::from_secs(30);

/// Whether the other end of a connection may be gone without our noticing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A file does not hang up.
    File,
    /// It must give a sign of life within this time.
    Server(Duration),
}

/// The connections to a database: those that are kept, and the pool where all of them come from.
#[derive(Debug)]
pub(super) struct Leases<DB: Database> {
    pool: Pool<DB>,
    peer: Peer,
    /// As many as the pool has connections, so that nobody waits for the pool while connections are kept here.
    seats: Semaphore,
    /// The one used last is the first to be used again.
    kept: Mutex<Vec<Kept<DB>>>,
}

#[derive(Debug)]
struct Kept<DB: Database> {
    connection: PoolConnection<DB>,
    /// When it came from the pool.
    since: Instant,
    /// When it was last used.
    used: Instant,
}

/// A right to one connection, given back when it is dropped.
pub(super) struct Seat<DB: Database>(Arc<Leases<DB>>);

impl<DB: Database> Drop for Seat<DB> {
    fn drop(&mut self) {
        self.0.seats.add_permits(1);
    }
}

/// A connection for one statement.
pub(super) struct Lease<DB: Database>(Option<Held<DB>>);

struct Held<DB: Database> {
    connection: PoolConnection<DB>,
    since: Instant,
    /// After the connection, so that whoever gets this finds that.
    seat: Seat<DB>,
}

impl<DB: Database> Leases<DB> {
    pub(super) fn new(pool: Pool<DB>, peer: Peer) -> Arc<Self> {
        let seats = Semaphore::new(pool.options().get_max_connections() as usize);
        Arc::new(Self { pool, peer, seats, kept: Mutex::default() })
    }

    /// The pool, with what was kept here on its way back to it: for what takes a connection from nowhere else, before
    /// there is other work.
    pub(super) fn whole_pool(&self) -> &Pool<DB> {
        self.kept().clear();
        &self.pool
    }

    /// Connections without work.
    pub(super) fn idle(&self) -> usize {
        self.pool.num_idle() + self.kept().len()
    }

    /// Waits for a connection. Kept ones come first, without a question if they were used a moment ago.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Lease<DB>, sqlx::Error> {
        if let Some(seat) = self.free_seat()
            && let Some(Kept { connection, since, .. }) = self.trusted()
        {
            return Ok(Lease(Some(Held { connection, since, seat })));
        }
        // In a box: this is rare and its state is large, and without one every request would carry it along.
        let taken = Box::pin(timeout(ACQUIRE_TIMEOUT, self.take_slowly())).await;
        taken.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn take_slowly(self: &Arc<Self>) -> Result<Lease<DB>, sqlx::Error> {
        self.seats.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?.forget();
        let seat = Seat(Arc::clone(self));
        while let Some(Kept { mut connection, since, used }) = self.newest() {
            if self.may_trust(used) || self.is_well(&mut connection).await {
                return Ok(Lease(Some(Held { connection, since, seat })));
            }
            drop(connection.detach());
        }
        let (connection, since) = (self.pool.acquire().await?, Instant::now());
        Ok(Lease(Some(Held { connection, since, seat })))
    }

    fn free_seat(self: &Arc<Self>) -> Option<Seat<DB>> {
        self.seats.try_acquire().ok()?.forget();
        Some(Seat(Arc::clone(self)))
    }

    fn newest(&self) -> Option<Kept<DB>> {
        self.kept().pop()
    }

    fn trusted(&self) -> Option<Kept<DB>> {
        self.kept().pop_if(|kept| self.may_trust(kept.used))
    }

    fn may_trust(&self, used: Instant) -> bool {
        self.peer == Peer::File || used.elapsed() < TRUSTED
    }

    async fn is_well(&self, connection: &mut DB::Connection) -> bool {
        match self.peer {
            Peer::File => connection.ping().await.is_ok(),
            Peer::Server(limit) => timeout(limit, connection.ping()).await.is_ok_and(|sign| sign.is_ok()),
        }
    }

    /// Takes a connection back, unless its term is over.
    fn keep(&self, connection: PoolConnection<DB>, since: Instant) {
        let used = Instant::now();
        let mut kept = self.kept();
        if used.duration_since(since) < TERM && !self.pool.is_closed() {
            kept.push(Kept { connection, since, used });
        }
    }

    /// Gives back those whose term is over while nobody needed them.
    pub(super) fn tidy(self: &Arc<Self>) {
        let now = Instant::now();
        let over: Vec<_> = {
            let mut kept = self.kept();
            kept.extract_if(.., |kept| now.duration_since(kept.since) >= TERM).collect()
        };
        for Kept { mut connection, .. } in over {
            let leases = Arc::clone(self);
            tokio::spawn(async move {
                // The pool asks once more, but without a limit.
                if !leases.is_well(&mut connection).await {
                    drop(connection.detach());
                }
            });
        }
    }

    /// Gives everything back and closes the pool, as soon as all who use a connection have ended.
    pub(super) async fn close(&self) {
        let closed = self.pool.close();
        self.kept().clear();
        closed.await;
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept<DB>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<DB: Database> Lease<DB> {
    /// Runs something on the connection, which is kept if that comes to a good end.
    pub(super) async fn run<T>(
        mut self,
        what: impl AsyncFnOnce(&mut DB::Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let Some(held) = &mut self.0 else { return Err(sqlx::Error::PoolClosed) };
        let done = what(&mut held.connection).await?;
        if let Some(Held { connection, since, seat }) = self.0.take() {
            seat.0.keep(connection, since);
        }
        Ok(done)
    }

    /// For more than one statement: the connection goes back to the pool afterwards.
    pub(super) fn into_parts(mut self) -> Result<(PoolConnection<DB>, Seat<DB>), sqlx::Error> {
        let Held { connection, seat, .. } = self.0.take().ok_or(sqlx::Error::PoolClosed)?;
        Ok((connection, seat))
    }
}

/// Left in the middle, or after an error: nobody gets the connection or its seat before it has given a sign of life.
impl<DB: Database> Drop for Lease<DB> {
    fn drop(&mut self) {
        let (Some(held), Ok(runtime)) = (self.0.take(), Handle::try_current()) else { return };
        runtime.spawn(async move {
            let Held { mut connection, since, seat } = held;
            if seat.0.is_well(&mut connection).await {
                seat.0.keep(connection, since);
            } else {
                drop(connection.detach());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use sqlx::Sqlite;
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    use super::*;

    async fn two() -> Arc<Leases<Sqlite>> {
        let options = SqliteConnectOptions::from_str("sqlite::memory:").unwrap();
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
        Leases::new(pool, Peer::File)
    }

    async fn look(lease: Lease<Sqlite>, sql: &'static str) -> Result<i64, sqlx::Error> {
        lease.run(async |on| sqlx::query_scalar(sql).fetch_one(on).await).await
    }

    async fn until(leases: &Leases<Sqlite>, holds: impl Fn(&Leases<Sqlite>) -> bool) {
        let waiting = async {
            while !holds(leases) {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(5), waiting).await.expect("it never holds");
    }

    #[tokio::test]
    async fn a_connection_is_free_again_after_a_good_end_at_once_and_else_when_it_has_given_a_sign_of_life() {
        let leases = two().await;
        assert_eq!(look(leases.take().await.unwrap(), "select 1").await.unwrap(), 1);
        assert_eq!((leases.kept().len(), leases.seats.available_permits()), (1, 2));
        assert!(look(leases.take().await.unwrap(), "select from").await.is_err());
        assert_eq!((leases.kept().len(), leases.seats.available_permits()), (0, 1), "it is looked after");
        until(&leases, |leases| leases.kept().len() == 1 && leases.seats.available_permits() == 2).await;
        let lease = leases.take().await.unwrap();
        let never = lease.run(async |_| std::future::pending::<Result<(), sqlx::Error>>().await);
        assert!(timeout(Duration::from_millis(10), never).await.is_err());
        assert_eq!((leases.kept().len(), leases.seats.available_permits()), (0, 1), "as it is when left");
        until(&leases, |leases| leases.kept().len() == 1 && leases.seats.available_permits() == 2).await;
        assert_eq!(leases.pool.size(), 1, "it was the same one all the time");
    }

    #[tokio::test]
    async fn as_many_are_in_use_as_there_may_be_and_the_next_waits_for_one_of_them() {
        let leases = two().await;
        let (one, _other) = (leases.take().await.unwrap(), leases.take().await.unwrap());
        let waiting = tokio::spawn({
            let leases = Arc::clone(&leases);
            async move { look(leases.take().await?, "select 3").await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert_eq!(look(one, "select 1").await.unwrap(), 1);
        assert_eq!(waiting.await.unwrap().unwrap(), 3);
        assert_eq!(leases.pool.size(), 2);
    }

    #[tokio::test]
    async fn a_term_ends_whether_a_connection_is_used_or_not() {
        let leases = two().await;
        let (one, other) = (leases.take().await.unwrap(), leases.take().await.unwrap());
        for lease in [one, other] {
            look(lease, "select 1").await.unwrap();
        }
        assert_eq!(leases.idle(), 2);
        let long_ago = Instant::now().checked_sub(TERM).unwrap();
        leases.kept().iter_mut().for_each(|kept| kept.since = long_ago);
        assert_eq!(look(leases.take().await.unwrap(), "select 2").await.unwrap(), 2);
        assert_eq!(leases.kept().len(), 1, "the one that was used went back to the pool");
        leases.tidy();
        assert_eq!(leases.kept().len(), 0);
        assert_eq!(look(leases.take().await.unwrap(), "select 3").await.unwrap(), 3, "the pool has them");
    }

    #[tokio::test]
    async fn to_close_waits_for_who_is_at_work_and_nothing_is_kept_afterwards() {
        let leases = two().await;
        let lease = leases.take().await.unwrap();
        let closing = tokio::spawn({
            let leases = Arc::clone(&leases);
            async move { leases.close().await }
        });
        tokio::task::yield_now().await;
        assert_eq!(look(lease, "select 1").await.unwrap(), 1);
        closing.await.unwrap();
        assert_eq!(leases.kept().len(), 0);
        assert!(matches!(leases.take().await, Err(sqlx::Error::PoolClosed)));
    }
}
