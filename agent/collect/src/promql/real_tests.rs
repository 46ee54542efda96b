//! The contract with a real Prometheus: what it scraped from a target is what the target counted, also when it was
//! killed in between.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use lookout_engine::{Counts, Grid, Window};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::Observation;
use lookout_config::{Credentials, Prometheus, Queries, Ratio};
use lookout_promql::query::{Dialect, EventQuery, Query};
use lookout_runtime::clock::{Clock as _, SystemClock};

/// Counts about a hundred requests a second, every tenth of them failed, while it is told to.
#[derive(Default)]
struct Target {
    requests: AtomicU64,
    failed: AtomicU64,
    scrapes: AtomicU64,
    counting: AtomicBool,
}

impl Target {
    async fn start() -> (Arc<Self>, SocketAddr) {
        let target = Arc::new(Self::default());
        let scraped = Arc::clone(&target);
        let metrics = move || {
            scraped.scrapes.fetch_add(1, Ordering::SeqCst);
            let (requests, failed) =
                (scraped.requests.load(Ordering::SeqCst), scraped.failed.load(Ordering::SeqCst));
            // the series of failures appears with the first one, as it does in real life
            let code = |code: &str, n: u64| {
                if n == 0 { String::new() } else { format!("http_total{{code=\"{code}\"}} {n}\n") }
            };
            let text = format!("up_and_well 1\n{}{}", code("200", requests - failed), code("500", failed));
            async move { text }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/metrics", get(metrics));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let counts = Arc::clone(&target);
        tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(10));
            loop {
                pace.tick().await;
                if counts.counting.load(Ordering::SeqCst) {
                    let number = counts.requests.load(Ordering::SeqCst) + 1;
                    // a failure is never seen without its request
                    counts.requests.store(number, Ordering::SeqCst);
                    counts.failed.fetch_add(u64::from(number % 10 == 0), Ordering::SeqCst);
                }
            }
        });
        (target, address)
    }

    fn truth(&self) -> Counts {
        let (failed, requests) = (self.failed.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst));
        Counts { good: requests - failed, bad: failed }
    }
}

/// Debian's Prometheus on a port and a folder of its own.
struct Server {
    address: SocketAddr,
    folder: TempDir,
    child: Child,
}

impl Server {
    async fn start(target: SocketAddr) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for _ in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            let config = format!(
                "global: {{ scrape_interval: 1s, scrape_timeout: 900ms }}\nscrape_configs:\n  - job_name: api\n    \
                 static_configs: [{{ targets: [\"{target}\"] }}]\n"
            );
            std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
            let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let child = Self::spawn(&folder, address);
            let mut server = Self { address, folder, child };
            // somebody may have taken the port in between: then it is tried again
            if server.is_ready().await {
                return server;
            }
        }
        panic!("prometheus does not come up");
    }

    fn spawn(folder: &TempDir, address: SocketAddr) -> Child {
        Command::new("prometheus")
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("starting prometheus: {error}; install it with: apt-get install --no-install-recommends prometheus")
            })
    }

    async fn is_ready(&mut self) -> bool {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline && self.child.try_wait().unwrap().is_none() {
            let ready = client.get(format!("http://{}/-/ready", self.address)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    async fn start_again(&mut self) {
        self.child = Self::spawn(&self.folder, self.address);
        assert!(self.is_ready().await, "prometheus does not come up again");
    }

    fn spec(&self) -> Prometheus {
        Prometheus {
            name: "main".to_owned(),
            url: format!("http://{}/", self.address).parse().unwrap(),
            timeout: Duration::from_secs(5),
            scrape_interval: Duration::from_secs(1),
            delay: Duration::from_secs(1),
            window: Window::seconds(4),
            credentials: Credentials::None,
            headers: Vec::new(),
            ca: None,
            insecure: false,
            dialect: Dialect::PromQl,
        }
    }
}

/// A collector at work, and what it said about each of its objectives.
struct Collector {
    feed: mpsc::Receiver<Observation>,
    seen: [BTreeMap<i64, Counts>; 2],
    _stop: DropGuard,
}

impl Collector {
    fn start(server: &Server, queries: Vec<Queries>, progress: &Progress) -> Self {
        let spec = server.spec();
        let (sender, feed) = mpsc::channel(1000);
        let ports = Ports {
            query_api: Arc::new(HttpQueryApi::new(std::slice::from_ref(&spec)).unwrap()),
            clock: Arc::new(SystemClock),
            grid: Grid::try_new(1).unwrap(),
            feed: sender,
        };
        let job = |(stream, queries)| Job {
            stream,
            queries,
            reach: Duration::from_secs(300),
            progress: if stream == 0 { progress.clone() } else { Progress::default() },
        };
        let jobs: Vec<Job> = queries.into_iter().enumerate().map(job).collect();
        let (_, jobs) = tokio::sync::watch::channel(jobs);
        let stop = CancellationToken::new();
        tokio::spawn(watch(Arc::new(spec), jobs, ports, stop.clone()));
        Self { feed, seen: Default::default(), _stop: stop.drop_guard() }
    }

    fn sum(&self, slo: usize) -> Counts {
        self.seen[slo].values().fold(Counts::ZERO, |sum, counts| sum + *counts)
    }

    fn newest(&self) -> i64 {
        self.seen[0].last_key_value().map_or(0, |(slot, _)| *slot)
    }

    /// Takes in observations until a level is reached. No slot may be observed twice.
    async fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reached(self) {
            let seen = tokio::time::timeout_at(deadline, self.feed.recv()).await;
            let Ok(Some(seen)) = seen else {
                panic!("{what} is not reached: {:?} {:?}", self.sum(0), self.seen);
            };
            let twice = self.seen[seen.stream].insert(seen.slot.0, seen.counts);
            assert_eq!(twice, None, "slot {} is fed twice", seen.slot.0);
        }
    }
}

fn counters() -> Queries {
    let bad = "http_total{code=~\"5..\"}".parse().unwrap();
    Queries::Counters(Ratio::Bad { bad, total: "http_total{job=\"api\"}".parse().unwrap() })
}

fn windowed() -> Queries {
    let expression = |text: &str| EventQuery::try_new(Query::parse(text, Dialect::PromQl).unwrap()).unwrap();
    Queries::Windowed {
        part: expression("sum(rate(http_total{code=~\"5..\"}[{{.window}}]))"),
        part_is_bad: true,
        total: expression("sum(rate(http_total[{{.window}}]))"),
    }
}

async fn eventually(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !reached() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_a_prometheus_scraped_is_what_the_target_counted_even_when_it_was_killed() {
    let (target, address) = Target::start().await;
    target.requests.store(1, Ordering::SeqCst);
    let mut server = Server::start(address).await;
    // what a target counted before it was first scraped nobody can tell from what it counted last year
    eventually("a first scrape", || target.scrapes.load(Ordering::SeqCst) >= 2).await;
    let before = target.truth();
    target.counting.store(true, Ordering::SeqCst);
    let mut collector = Collector::start(&server, vec![counters(), windowed()], &Progress::default());
    collector.until("four seconds", |it| it.sum(0).total() > 400).await;

    server.kill().await;
    let failed_from = SystemClock.now().as_seconds();
    tokio::time::timeout(Duration::from_secs(4), async {
        while let Some(seen) = collector.feed.recv().await {
            assert!(seen.slot.0 <= failed_from, "nothing is known of {} s", seen.slot.0);
            collector.seen[seen.stream].insert(seen.slot.0, seen.counts);
        }
    })
    .await
    .unwrap_err();
    let stale_since = collector.newest();
    server.start_again().await;
    let again = SystemClock.now().as_seconds();
    assert!(stale_since <= failed_from && again - stale_since >= 4, "{stale_since} {failed_from} {again}");
    collector.until("a while after the start", |it| it.newest() >= again + 2).await;
    target.counting.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let truth = target.truth();
    let truth = Counts { good: truth.good - before.good, bad: truth.bad - before.bad };
    collector.until("all events", |it| it.sum(0).total() >= truth.total()).await;
    let end = collector.newest();
    collector.until("two seconds more", |it| it.newest() >= end + 2).await;
    assert_eq!(collector.sum(0), truth, "to the last event: {:?}", collector.seen[0]);
    let hole: Vec<i64> =
        (stale_since + 1..again).filter(|slot| collector.seen[0].contains_key(slot)).collect();
    assert!(hole.len() <= 3, "what nobody scraped was not observed: {hole:?}");

    // where the server counts, it does so to a few percent
    let both = |slo: usize| -> u64 {
        let common = collector.seen[slo].range(..=failed_from - 2);
        common
            .filter(|(slot, _)| collector.seen[1 - slo].contains_key(slot))
            .map(|(_, counts)| counts.total())
            .sum()
    };
    let (exact, extrapolated) = (both(0) as f64, both(1) as f64);
    assert!(exact > 100.0 && (extrapolated / exact - 1.0).abs() < 0.35, "{exact} {extrapolated}");

    // an agent that starts again counts nothing twice, one without a ledger reads all of it back
    let rows: Vec<(i64, u32, Counts)> =
        collector.seen[0].iter().map(|(slot, counts)| (*slot, 1, *counts)).collect();
    let known = Progress::of_ledger(Grid::try_new(1).unwrap(), SystemClock.now(), &rows, &[]);
    let end = collector.newest();
    drop(collector);
    let mut restarted = Collector::start(&server, vec![counters()], &known);
    restarted.until("two seconds more", |it| it.newest() >= end + 2).await;
    assert_eq!(restarted.sum(0), Counts::ZERO, "{:?}", restarted.seen);
    let mut fresh = Collector::start(&server, vec![counters()], &Progress::default());
    fresh.until("all events, from the start", |it| it.sum(0).total() >= truth.total()).await;
    assert_eq!(fresh.sum(0), truth);
}
