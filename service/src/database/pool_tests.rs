use std::str::FromStr as _;

use sqlx::Sqlite;
use sqlx::sqlite::SqliteConnectOptions;

use super::super::{ACQUIRE_TIMEOUT, SQLITE_BOUNDS};
use super::*;
use deadpool::managed::Manager as _;

const QUICK: Bounds = Bounds { idle: Duration::MAX, lifetime: Duration::MAX, ..SQLITE_BOUNDS };

async fn pool_of(max: u32, bounds: Bounds) -> Arc<Pool<Sqlite>> {
    let pool = Pool::new(SqliteConnectOptions::from_str("sqlite::memory:").unwrap(), bounds, max).unwrap();
    pool.open_first(ACQUIRE_TIMEOUT).await.unwrap();
    pool
}

async fn select(mut pooled: Pooled<Sqlite>, sql: &'static str) -> Result<i64, sqlx::Error> {
    pooled.run(async |on| sqlx::query_scalar(sql).fetch_one(on).await).await
}

async fn until(pool: &Pool<Sqlite>, holds: impl Fn(PoolState) -> bool) {
    let waiting = async {
        while !holds(pool.state_now()) {
            tokio::task::yield_now().await;
        }
    };
    let held = timeout(Duration::from_secs(5), waiting).await;
    assert!(held.is_ok(), "it never holds: {:?}", pool.state_now());
}

fn counts(pool: &Pool<Sqlite>) -> (u32, u32) {
    let state = pool.state_now();
    (state.idle, state.available)
}

#[tokio::test]
async fn a_connection_is_idle_at_once_after_success_and_else_after_its_recovery() {
    let pool = pool_of(2, QUICK).await;
    assert_eq!(select(pool.checkout().await.unwrap(), "select 1").await.unwrap(), 1);
    assert_eq!(counts(&pool), (1, 2));
    assert!(select(pool.checkout().await.unwrap(), "select from").await.is_err());
    assert_eq!(counts(&pool), (0, 1), "it is being recovered");
    until(&pool, |state| (state.idle, state.available, state.recovering) == (1, 2, 0)).await;
    let mut pooled = pool.checkout().await.unwrap();
    let never = pooled.run(async |_| std::future::pending::<Result<(), sqlx::Error>>().await);
    assert!(timeout(Duration::from_millis(10), never).await.is_err());
    drop(pooled);
    until(&pool, |state| (state.idle, state.available) == (1, 2)).await;
    assert_eq!(
        pool.state_now().discarded_failed + pool.state_now().discarded_silent,
        0,
        "it is still the first one"
    );
}

#[tokio::test]
async fn an_operation_beyond_its_limit_closes_every_idle_connection() {
    let pool = pool_of(3, Bounds { statement: Duration::from_millis(20), ..QUICK }).await;
    let (mut one, other) = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
    select(other, "select 1").await.unwrap();
    assert_eq!(pool.state_now().idle, 1);
    let silent = one.run(async |_| std::future::pending::<Result<(), sqlx::Error>>().await).await;
    assert!(matches!(silent, Err(sqlx::Error::Io(_))), "{silent:?}");
    let state = pool.state_now();
    assert_eq!((state.idle, state.available, state.discarded_silent), (0, 3, 2));
    drop(one);
    assert_eq!(select(pool.checkout().await.unwrap(), "select 2").await.unwrap(), 2);
}

#[tokio::test]
async fn an_operation_that_outlasts_its_recovery_closes_its_own_connection_alone() {
    let pool = pool_of(2, Bounds { recovery: Duration::from_millis(10), ..QUICK }).await;
    for round in 1..=2 {
        let (one, other) = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
        select(other, "select 1").await.unwrap();
        let long = "with recursive c(n) as (select 1 union all select n + 1 from c where n < 3000000) select count(*) from c";
        assert!(timeout(Duration::from_millis(5), select(one, long)).await.is_err());
        until(&pool, |state| state.discarded_silent == round).await;
        assert_eq!(counts(&pool), (1, 2));
    }
}

#[tokio::test]
async fn who_gives_up_while_a_connection_is_made_leaves_it_to_the_next() {
    let options = SqliteConnectOptions::from_str("sqlite::memory:").unwrap();
    let connector = Connector::<Sqlite>::new(options, QUICK.connect);
    for _ in 0..2 {
        let mut asked = Box::pin(connector.create());
        assert!(futures_util::poll!(&mut asked).is_pending());
        drop(asked);
        let since = Instant::now();
        let opened = connector.create().await.unwrap();
        assert!(opened.opened.elapsed() <= since.elapsed());
        assert_eq!(connector.unused(), 0, "one attempt served both");
    }
}

#[tokio::test]
async fn a_transaction_that_is_dropped_is_rolled_back_before_the_connection_is_used_again() {
    let pool = pool_of(1, QUICK).await;
    let mut pooled = pool.checkout().await.unwrap();
    pooled.run(async |on| Sqlite::execute_raw(on, "create table t (n integer)").await).await.unwrap();
    for commits in [false, true] {
        pooled.begin("begin immediate").await.unwrap();
        pooled.run(async |on| Sqlite::execute_raw(on, "insert into t values (1)").await).await.unwrap();
        if commits {
            pooled.commit().await.unwrap();
        }
        drop(pooled);
        pooled = pool.checkout().await.unwrap();
        let rows =
            pooled.run(async |on| sqlx::query_scalar("select count(*) from t").fetch_one(on).await).await;
        let rows: i64 = rows.unwrap();
        assert_eq!(rows, i64::from(commits));
    }
}

#[tokio::test]
async fn a_checkout_waits_for_a_permit_and_stops_waiting_at_its_limit() {
    let pool = pool_of(2, Bounds { acquire: Duration::from_millis(50), ..QUICK }).await;
    let (one, other) = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
    assert!(matches!(pool.checkout().await.err(), Some(sqlx::Error::PoolTimedOut)));
    let waiting = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { select(pool.checkout().await?, "select 3").await }
    });
    tokio::task::yield_now().await;
    assert_eq!(select(one, "select 1").await.unwrap(), 1);
    assert_eq!(waiting.await.unwrap().unwrap(), 3);
    drop(other);
    assert_eq!(counts(&pool), (2, 2));
}

#[tokio::test]
async fn old_connections_are_closed_in_use_and_when_idle() {
    let pool = pool_of(2, Bounds { lifetime: Duration::ZERO, ..QUICK }).await;
    select(pool.checkout().await.unwrap(), "select 1").await.unwrap();
    assert_eq!(counts(&pool), (0, 2));
    let pool = pool_of(2, Bounds { idle: Duration::ZERO, ..QUICK }).await;
    assert_eq!(pool.state_now().idle, 1);
    pool.close_expired();
    assert_eq!(counts(&pool), (0, 2));
    assert_eq!(select(pool.checkout().await.unwrap(), "select 2").await.unwrap(), 2);
}

#[tokio::test]
async fn close_waits_for_checkouts_and_refuses_new_ones() {
    let pool = pool_of(2, QUICK).await;
    let pooled = pool.checkout().await.unwrap();
    let closing = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { pool.close().await }
    });
    while !pool.connections.is_closed() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(pool.checkout().await.err(), Some(sqlx::Error::PoolClosed)));
    assert!(!closing.is_finished());
    assert_eq!(select(pooled, "select 1").await.unwrap(), 1);
    closing.await.unwrap();
    assert_eq!(pool.state_now().idle, 0);
}
