//! The loop under simulated time, with a Prometheus that scrapes a target whose counters are computed from the time.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::promql::QueryApi;
use crate::test_clock::{Meter, START, WallClock};
use lookout_config::{Credentials, Ratio};
use lookout_promql::client::{Answer, ErrorType, Question, Series, When};
use lookout_promql::query::{Dialect, EventQuery, Query};
use lookout_promql::selector::Selector;
use lookout_runtime::clock::Clock;

const START_S: i64 = START.as_seconds();
const WIDTH_S: i64 = 10;
const FIRST: i64 = START_S / WIDTH_S;
const SCRAPE_S: i64 = 5;
/// The target has been counting and was scraped for two days; ten requests a second, one of ten fails.
const EPOCH_S: i64 = START_S - 2 * 86_400;

type Outage = Option<(i64, i64)>;

struct World {
    clock: Arc<WallClock>,
    /// Seconds since the start in which nobody answers, in which nothing is scraped, and in which the query is refused.
    unreachable: Mutex<Outage>,
    unscraped: Mutex<Outage>,
    refused: Mutex<Outage>,
    /// The instant of the restart of the target.
    restart: Mutex<Option<i64>>,
    /// Samples an answer may hold, as if its size were bounded.
    most_samples: AtomicI64,
    asked: Mutex<Vec<Question>>,
}

fn inside(outage: &Mutex<Outage>, second: i64) -> bool {
    outage.lock().unwrap().is_some_and(|(from, to)| (from..to).contains(&second))
}

impl World {
    fn now_s(&self) -> i64 {
        self.clock.now().as_seconds() - START_S
    }

    /// Requests since the target started, as a scrape at this second shows them.
    fn requests(&self, second: i64) -> i64 {
        let restart = self.restart.lock().unwrap().filter(|restart| second >= *restart);
        (second - restart.unwrap_or(EPOCH_S - START_S)) * 10
    }

    /// Returns the samples after one second and up to another.
    fn samples(&self, after: i64, upto: i64, per: i64) -> Vec<(i64, f64)> {
        let first = after.div_euclid(SCRAPE_S) + 1;
        (first..=upto.min(self.now_s()).div_euclid(SCRAPE_S))
            .map(|n| n * SCRAPE_S)
            .filter(|second| *second >= EPOCH_S - START_S && !inside(&self.unscraped, *second))
            .map(|second| ((START_S + second) * 1000, (self.requests(second) / per) as f64))
            .collect()
    }
}

#[async_trait]
impl QueryApi for World {
    async fn query(&self, _: &Prometheus, question: &Question) -> Result<Answer, Error> {
        self.asked.lock().unwrap().push(question.clone());
        tokio::time::sleep(Duration::from_millis(3)).await;
        if inside(&self.unreachable, self.now_s()) {
            return Err(Error::Connect("refused".to_owned()));
        }
        if inside(&self.refused, self.now_s()) {
            return Err(Error::Refused { kind: ErrorType::BadData, message: "no".to_owned() });
        }
        let per = if question.query.contains("failed") { 10 } else { 1 };
        let samples = match question.when {
            When::At(at) if question.query.starts_with("last_over_time") => {
                self.samples(at - START_S - 3600, at - START_S, per).pop().into_iter().collect()
            }
            When::At(at) => {
                let range = question.query.rsplit_once('[').unwrap().1.trim_end_matches("s]");
                self.samples(at - START_S - range.parse::<i64>().unwrap(), at - START_S, per)
            }
            When::Every { first, last, step } => {
                assert!((last - first) / step < MOST_POINTS);
                let rate = |at: i64| {
                    let samples = self.samples(at - START_S - step, at - START_S, per);
                    (samples.len() > 1).then_some((at * 1000, 10.0 / per as f64))
                };
                (0..=(last - first) / step).filter_map(|n| rate(first + n * step)).collect()
            }
        };
        if i64::try_from(samples.len()).unwrap() > self.most_samples.load(Ordering::Relaxed) {
            return Err(Error::BodyLimit);
        }
        let labels = BTreeMap::from([("instance".to_owned(), "a".to_owned())]);
        let series = if samples.is_empty() { Vec::new() } else { vec![Series { labels, samples }] };
        Ok(Answer { series, bytes: 1000, ..Answer::default() })
    }
}

struct Scene {
    world: Arc<World>,
    progress: Progress,
    queries: Queries,
    reach: Duration,
    seen: BTreeMap<i64, Counts>,
    running: Option<(mpsc::Receiver<Observation>, CancellationToken, JoinHandle<()>)>,
}

fn counters() -> Queries {
    let named = |metric: &str| Selector { metric: metric.to_owned(), matchers: Vec::new() };
    Queries::Counters(Ratio::Bad { bad: named("failed_total"), total: named("requests_total") })
}

fn windowed() -> Queries {
    let expression = |text: &str| EventQuery::try_new(Query::parse(text, Dialect::PromQl).unwrap()).unwrap();
    Queries::Windowed {
        part: expression("sum(rate(failed_total[{{.window}}]))"),
        part_is_bad: true,
        total: expression("sum(rate(requests_total[{{.window}}]))"),
    }
}

impl Scene {
    fn new(queries: Queries, reach: Duration) -> Self {
        let world = World {
            clock: WallClock::start(),
            unreachable: Mutex::default(),
            unscraped: Mutex::default(),
            refused: Mutex::default(),
            restart: Mutex::default(),
            most_samples: AtomicI64::new(i64::MAX),
            asked: Mutex::default(),
        };
        let progress = Progress::default();
        Self { world: Arc::new(world), progress, queries, reach, seen: BTreeMap::new(), running: None }
    }

    fn open(queries: Queries, reach: Duration) -> Self {
        let mut scene = Self::new(queries, reach);
        scene.start();
        scene
    }

    fn start(&mut self) {
        let (sender, feed) = mpsc::channel(100_000);
        let ports = Ports {
            query_api: Arc::clone(&self.world) as Arc<dyn QueryApi>,
            clock: Arc::clone(&self.world.clock) as Arc<dyn Clock>,
            grid: Grid::try_new(10).unwrap(),
            feed: sender,
        };
        let server = Prometheus {
            name: "main".to_owned(),
            url: "http://prometheus.test/".parse().unwrap(),
            timeout: Duration::from_secs(5),
            scrape_interval: Duration::from_secs(5),
            delay: Duration::from_secs(20),
            window: lookout_engine::Window::seconds(60),
            credentials: Credentials::None,
            headers: Vec::new(),
            ca: None,
            insecure: false,
            dialect: Dialect::PromQl,
        };
        let job = Job {
            stream: 3,
            queries: self.queries.clone(),
            reach: self.reach,
            progress: self.progress.clone(),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(watch(
            Arc::new(server),
            tokio::sync::watch::channel(vec![job]).1,
            ports,
            stop.clone(),
        ));
        self.running = Some((feed, stop, task));
    }

    async fn until(&mut self, second: i64) {
        let until = Timestamp::from_seconds(START_S + second);
        tokio::time::sleep(until.since(self.world.clock.now())).await;
        self.take();
    }

    /// Takes in what was fed; nothing may be said twice.
    fn take(&mut self) {
        let (feed, ..) = self.running.as_mut().unwrap();
        while let Ok(seen) = feed.try_recv() {
            assert_eq!(seen.stream, 3);
            let twice = self.seen.insert(seen.slot.0 - FIRST, seen.counts);
            assert_eq!(twice, None, "slot {} is fed twice", seen.slot.0 - FIRST);
        }
    }

    /// Ends the loop as a crash would; what is known afterwards is what a ledger would have.
    async fn crash(&mut self) {
        let (_, stop, task) = self.running.as_ref().unwrap();
        stop.cancel();
        tokio::task::yield_now().await;
        assert!(task.is_finished());
        self.take();
        let rows: Vec<(i64, u32, Counts)> =
            self.seen.iter().map(|(slot, counts)| ((FIRST + slot) * WIDTH_S, 10, *counts)).collect();
        let grid = Grid::try_new(10).unwrap();
        self.progress = Progress::of_ledger(grid, self.world.clock.now(), &rows, &[]);
        self.running = None;
    }

    fn sum(&self) -> (u64, u64) {
        self.seen.values().fold((0, 0), |(good, bad), counts| (good + counts.good, bad + counts.bad))
    }

    fn newest(&self) -> i64 {
        *self.seen.last_key_value().unwrap().0
    }
}

const SLOT: Counts = Counts { good: 90, bad: 10 };
/// No further back than the slots of this test.
const SHORT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn every_slot_is_counted_once_when_its_samples_had_time_to_arrive() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(counters(), SHORT);
    scene.until(29).await;
    assert_eq!(scene.newest(), -1, "the slot of 0 to 10 s is over, and its samples are given 20 s more");
    scene.until(31).await;
    assert_eq!(scene.newest(), 0);
    scene.until(3631).await;
    assert_eq!(scene.newest(), 360);
    // the minute in which the reach begins is asked for whole
    let first = *scene.seen.first_key_value().unwrap().0;
    assert!(scene.seen.iter().all(|(slot, counts)| *slot == first || *counts == SLOT), "{:?}", scene.seen);
    assert!(scene.seen.len() == usize::try_from(361 - first).unwrap(), "none is left out");
    let asked = scene.world.asked.lock().unwrap().len();
    assert!(asked < 360 * 2 + 20, "{asked} queries for 360 slots: the counters before them are remembered");
    let ok = meter.value(names::PROMQL, &[("source", "main"), ("outcome", "ok")]);
    assert_eq!(ok, Some(asked as f64));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_leaves_a_gap_that_is_filled_exactly() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(counters(), HOUR);
    scene.until(301).await;
    let before = scene.sum();
    *scene.world.unreachable.lock().unwrap() = Some((300, 1500));
    scene.until(1499).await;
    assert_eq!(scene.sum(), before, "it is stale, not idle");
    scene.until(1531).await;
    assert_eq!(scene.newest(), 150);
    assert!(
        (0..=150).all(|slot| scene.seen[&slot] == SLOT),
        "it was scraped all the time: nothing is smeared"
    );
    let failed = [("source", "main"), ("outcome", "fail"), ("reason", "connect")];
    assert_eq!(meter.value(names::PROMQL, &failed), Some(119.0), "once a round");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_was_not_scraped_is_no_observation_and_its_events_are_counted_later() {
    let mut scene = Scene::open(counters(), SHORT);
    scene.until(301).await;
    let before = scene.sum();
    *scene.world.unscraped.lock().unwrap() = Some((300, 1500));
    scene.until(1519).await;
    let seen: Vec<i64> = scene.seen.range(28..).map(|(slot, _)| *slot).collect();
    assert_eq!(seen, [28, 29], "no sample, no observation");
    scene.until(1541).await;
    let seen: Vec<i64> = scene.seen.range(30..).map(|(slot, _)| *slot).collect();
    assert_eq!(seen, [149, 150, 151], "the gap itself stays a gap");
    assert_eq!(scene.seen[&149], Counts { good: 1205 * 9, bad: 1205 });
    let lived = u64::try_from((1520 - 280) * 10).unwrap();
    assert_eq!(scene.sum(), (before.0 + lived * 9 / 10, before.1 + lived / 10));
    // and it is not asked for again and again
    scene.world.asked.lock().unwrap().clear();
    scene.until(1641).await;
    assert_eq!(scene.world.asked.lock().unwrap().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_starts_again_is_counted_on_both_sides() {
    let mut scene = Scene::open(counters(), SHORT);
    *scene.world.restart.lock().unwrap() = Some(307);
    scene.until(401).await;
    // 20 requests between the scrape at 305 s and the restart were never seen
    assert_eq!(scene.seen[&30], Counts { good: 45 + 27, bad: 5 + 3 });
    assert_eq!(scene.seen[&31], SLOT);
}

#[tokio::test(start_paused = true)]
async fn the_period_is_read_back_newest_first_and_every_minute_once() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(counters(), Duration::from_secs(3 * 86_400));
    scene.until(1).await;
    let (good, bad) = scene.sum();
    // from the first scrape on, which is the baseline; two slots are still waited for
    let lived = u64::try_from((START_S - 20 - EPOCH_S) * 10).unwrap();
    assert_eq!((good, bad), (lived * 9 / 10, lived / 10));
    let fine = 7 * 360 - 2;
    assert_eq!(scene.seen.range(-fine - 2..).count(), fine as usize, "the last hours slot by slot");
    // the very first scrape, on the boundary of a minute, is the baseline: an observation of nothing
    assert_eq!(scene.seen.len(), (fine + (48 - 7) * 60 + 1) as usize, "and the rest by the minute");
    assert!(meter.value(names::PROMQL_HISTORY, &[("source", "main")]).unwrap() > 1000.0);
    let first = scene.world.asked.lock().unwrap()[0].clone();
    assert_eq!((first.query.as_str(), first.when), ("failed_total[3640s]", When::At(START_S - 20)));
    scene.until(601).await;
    assert_eq!(scene.sum().1, bad + 600, "and on it goes");
}

#[tokio::test(start_paused = true)]
async fn wherever_it_crashes_nothing_is_counted_twice_or_left_out() {
    for (down_s, reach_s) in [(40, 3600), (3000, 86_400), (10 * 3600, 86_400), (40 * 3600, 2 * 86_400)] {
        let mut scene = Scene::open(counters(), Duration::from_secs(reach_s));
        scene.until(333).await;
        let first = *scene.seen.first_key_value().unwrap().0;
        scene.crash().await;
        tokio::time::sleep(Duration::from_secs(down_s)).await;
        scene.start();
        let end = 333 + i64::try_from(down_s).unwrap() + 100;
        scene.until(end).await;
        // old minutes are sent as one observation of their last slot
        let newest = scene.newest();
        let from = scene.seen[&first];
        let expected = u64::try_from(newest - first).unwrap() * 10;
        assert_eq!(scene.sum().1 - from.bad, expected, "down for {down_s} s");
        assert_eq!(newest, (end - 20) / 10 - 1);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_too_long_are_asked_for_in_shorter_parts() {
    let scene = Scene::new(counters(), Duration::from_secs(6 * 3600));
    scene.world.most_samples.store(100, Ordering::Relaxed);
    let mut scene = scene;
    scene.start();
    scene.until(601).await;
    assert!((-2000..=57).all(|slot| scene.seen.get(&slot) == Some(&SLOT)), "all of it came");
    let asked = scene.world.asked.lock().unwrap();
    assert!(asked.iter().any(|question| question.query == "failed_total[3640s]"), "first the usual part");
}

#[tokio::test(start_paused = true)]
async fn a_refused_query_makes_only_its_objective_stale_and_recovers() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(counters(), HOUR);
    *scene.world.refused.lock().unwrap() = Some((100, 200));
    scene.until(199).await;
    assert_eq!(scene.newest(), 6);
    let refused = [("source", "main"), ("outcome", "fail"), ("reason", "refused")];
    assert_eq!(meter.value(names::PROMQL, &refused), Some(10.0));
    scene.until(301).await;
    assert!((0..=27).all(|slot| scene.seen[&slot] == SLOT));
}

#[tokio::test(start_paused = true)]
async fn windows_follow_one_another_and_are_read_back_in_bounded_parts() {
    let mut scene = Scene::open(windowed(), Duration::from_secs(90 * 86_400));
    scene.until(1).await;
    let bad = scene.sum().1;
    assert_eq!(bad, u64::try_from((START_S - 60 - EPOCH_S) / 60 * 60).unwrap(), "{bad}");
    scene.until(79).await;
    assert_eq!(scene.newest(), -1, "the window of this minute waits for its samples");
    scene.until(81).await;
    assert!((0..=5).all(|slot| scene.seen[&slot] == SLOT), "and is spread over its slots");
    *scene.world.unreachable.lock().unwrap() = Some((100, 1000));
    scene.until(1081).await;
    assert!((0..=101).all(|slot| scene.seen[&slot] == SLOT), "{:?}", scene.seen.range(0..));
    assert_eq!(scene.newest(), 101, "the window that ends at 1080 s waits");
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_nothing_and_a_closed_feed_ends_the_loop() {
    let mut scene = Scene::open(counters(), SHORT);
    scene.until(15).await;
    scene.crash().await;
    scene.start();
    let (feed, _, task) = scene.running.take().unwrap();
    drop(feed);
    tokio::time::timeout(Duration::from_secs(60), task).await.expect("ends by itself").unwrap();
}
