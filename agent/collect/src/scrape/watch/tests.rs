//! The loop under simulated time, with a neighbour whose counters are computed from the time of day.

use std::sync::Mutex;

use async_trait::async_trait;
use lookout_model::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::test_clock::{Meter, START, WallClock};
use lookout_promql::selector::Selector;

type Answer = Result<String, FetchError>;

struct Neighbour {
    clock: Arc<WallClock>,
    answer: Box<dyn Fn(usize, Timestamp) -> Answer + Send + Sync>,
    takes: Duration,
    fetched: Mutex<Vec<Timestamp>>,
}

#[async_trait]
impl Fetch for Neighbour {
    async fn fetch(&self, _scrape: &Scrape) -> Answer {
        let at = self.clock.now();
        let number = {
            let mut fetched = self.fetched.lock().unwrap();
            fetched.push(at);
            fetched.len() - 1
        };
        tokio::time::sleep(self.takes).await;
        (self.answer)(number, at)
    }
}

struct Scene {
    clock: Arc<WallClock>,
    neighbour: Arc<Neighbour>,
    feed: mpsc::Receiver<Observation>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Values that were not counted: stream, slot since the start, value.
    quarantined: Vec<(usize, i64, Quarantined)>,
}

/// The stream of availability.
const UP: usize = 9;
const WIDTH: Duration = Duration::from_secs(10);
const FIRST: i64 = START.as_seconds() / 10;

fn named(metric: &str) -> Selector {
    Selector { metric: metric.to_owned(), matchers: Vec::new() }
}

impl Scene {
    fn open(takes: Duration, answer: impl Fn(usize, Timestamp) -> Answer + Send + Sync + 'static) -> Self {
        let slos = vec![
            (2, Ratio::Good { good: named("fast_total"), total: named("requests_total") }),
            (4, Ratio::Bad { bad: named("errors_total"), total: named("requests_total") }),
        ];
        Self::of(slos, takes, answer)
    }

    fn of(
        slos: Vec<(usize, Ratio)>,
        takes: Duration,
        answer: impl Fn(usize, Timestamp) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let clock = WallClock::start();
        let neighbour = Arc::new(Neighbour {
            clock: Arc::clone(&clock),
            answer: Box::new(answer),
            takes,
            fetched: Mutex::default(),
        });
        let (sender, feed) = mpsc::channel(10_000);
        let ports = Ports {
            fetch: Arc::clone(&neighbour) as Arc<dyn Fetch>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            grid: Grid::try_new(10).unwrap(),
            feed: sender,
        };
        let scrape = Scrape {
            name: "api".to_owned(),
            url: "http://api.test/metrics".parse().unwrap(),
            timeout: Duration::from_secs(3),
            job: None,
            up: None,
        };
        let stop = CancellationToken::new();
        let streams = Streams { ratios: slos, up: vec![UP] };
        let task = tokio::spawn(watch(
            Arc::new(scrape),
            tokio::sync::watch::channel(streams).1,
            ports,
            stop.clone(),
        ));
        Self { clock, neighbour, feed, stop, task, quarantined: Vec::new() }
    }

    fn fed(&mut self) -> Vec<(usize, i64, u64, u64)> {
        let quarantined = &mut self.quarantined;
        std::iter::from_fn(|| self.feed.try_recv().ok())
            .filter(|seen| {
                quarantined.extend(seen.quarantined.map(|value| (seen.stream, seen.slot.0 - FIRST, value)));
                seen.quarantined.is_none()
            })
            .map(|seen| (seen.stream, seen.slot.0 - FIRST, seen.counts.good, seen.counts.bad))
            .collect()
    }

    /// Observations of ratios: stream, slot since the start, good and bad.
    fn observed(&mut self) -> Vec<(usize, i64, u64, u64)> {
        self.fed().into_iter().filter(|(stream, ..)| *stream != UP).collect()
    }
}

fn exposition(requests: i64, fast: i64, errors: i64) -> Answer {
    let errors = if errors == 0 { String::new() } else { format!("errors_total {errors}\n") };
    Ok(format!("# TYPE requests_total counter\nrequests_total {requests}\nfast_total {fast}\n{errors}"))
}

/// Twenty requests a slot, every second one fast; one error a slot from the third scrape on.
fn steady(number: usize, at: Timestamp) -> Answer {
    let slots = at.millis_since(START) / 10_000;
    let errors = i64::try_from(number).unwrap() - 1;
    exposition(slots * 20, slots * 10, errors.max(0))
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn scrapes(meter: &Meter, outcome: &str, reason: Option<&str>) -> Option<f64> {
    let mut labels = vec![("source", "api"), ("outcome", outcome)];
    labels.extend(reason.map(|reason| ("reason", reason)));
    meter.value(names::SCRAPES, &labels)
}

#[tokio::test(start_paused = true)]
async fn an_hour_is_read_at_every_boundary_and_counted_in_the_slot_before() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(Duration::from_millis(40), steady);
    seconds(3601).await;
    let boundaries: Vec<Timestamp> = (1..=360).map(|n| START + WIDTH * n).collect();
    assert_eq!(scene.neighbour.fetched.lock().unwrap().clone(), boundaries);
    let wanted: Vec<(usize, i64, u64, u64)> = (1..360)
        .flat_map(|slot| {
            // the first error shows up in a series that was not there before
            let bad = u64::from(slot >= 2);
            [(2, slot, 10, 10), (4, slot, 20 - bad, bad)]
        })
        .collect();
    assert_eq!(scene.observed(), wanted, "the baseline is no observation");
    assert_eq!(scrapes(&meter, "ok", None), Some(360.0));
}

#[tokio::test(start_paused = true)]
async fn while_most_events_are_bad_the_middle_of_a_slot_is_read_too() {
    // two requests a second; those between the seconds 33 and 67 fail
    let mut scene = Scene::open(Duration::from_millis(40), |_, at| {
        let second = at.millis_since(START) / 1000;
        exposition(second * 2, second, (second.clamp(33, 67) - 33) * 2)
    });
    seconds(101).await;
    let read: Vec<i64> =
        scene.neighbour.fetched.lock().unwrap().iter().map(|at| at.millis_since(START) / 1000).collect();
    assert_eq!(read, [10, 20, 30, 40, 45, 50, 55, 60, 65, 70, 80, 90, 100]);
    let errors: Vec<_> = scene.observed().into_iter().filter(|(slo, ..)| *slo == 4).collect();
    let wanted = [
        (1, 20, 0),
        (2, 20, 0),
        (3, 6, 14),
        (4, 0, 10),
        (4, 0, 10),
        (5, 0, 10),
        (5, 0, 10),
        (6, 0, 10),
        (6, 6, 4),
        (7, 20, 0),
        (8, 20, 0),
        (9, 20, 0),
    ];
    assert_eq!(errors, wanted.map(|(slot, good, bad)| (4, slot, good, bad)));
}

#[tokio::test(start_paused = true)]
async fn nothing_happened_is_an_observation() {
    let mut scene = Scene::open(Duration::ZERO, |_, _| exposition(7, 7, 0));
    seconds(31).await;
    assert_eq!(scene.observed(), [(2, 1, 0, 0), (4, 1, 0, 0), (2, 2, 0, 0), (4, 2, 0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_scrape_says_nothing_and_recovery_counts_the_gap() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(Duration::ZERO, |number, at| match number {
        2 => Err(FetchError::Timeout(Duration::from_secs(3))),
        3 => Err(FetchError::Connect("refused".to_owned())),
        4 => Ok("requests_total 1000\n<html>".to_owned()),
        _ => exposition(at.millis_since(START) / 10_000 * 20, at.millis_since(START) / 10_000 * 20, 0),
    });
    seconds(71).await;
    let errors: Vec<_> = scene.observed().into_iter().filter(|(slo, ..)| *slo == 4).collect();
    assert_eq!(errors, [(4, 1, 20, 0), (4, 5, 80, 0), (4, 6, 20, 0)]);
    assert_eq!(scrapes(&meter, "ok", None), Some(4.0));
    for reason in ["timeout", "connect", "malformed"] {
        assert_eq!(scrapes(&meter, "fail", Some(reason)), Some(1.0), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_the_series_it_had_is_no_observation() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(Duration::ZERO, |number, at| match number {
        2..=4 => Ok("# the registry was swapped\nup 1\n".to_owned()),
        _ => exposition(at.millis_since(START) / 10_000 * 20, at.millis_since(START) / 10_000 * 20, 0),
    });
    seconds(71).await;
    let errors: Vec<_> = scene.observed().into_iter().filter(|(slo, ..)| *slo == 4).collect();
    assert_eq!(errors, [(4, 1, 20, 0), (4, 5, 80, 0), (4, 6, 20, 0)]);
    assert_eq!(scrapes(&meter, "ok", None), Some(7.0));
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_neighbour_and_skewed_counters_are_counted() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(Duration::ZERO, |number, _| match number {
        0 => exposition(100, 100, 5),
        1 => exposition(4, 4, 1),
        _ => exposition(6, 6, 9),
    });
    seconds(31).await;
    assert_eq!(scene.observed(), [(2, 1, 4, 0), (4, 1, 3, 1), (2, 2, 2, 0), (4, 2, 0, 2)]);
    assert_eq!(meter.value(names::SCRAPE_RESETS, &[("source", "api")]), Some(1.0));
    assert_eq!(meter.value(names::SCRAPE_SKEWS, &[("source", "api")]), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_histogram_without_its_bound_is_no_observation_and_its_past_is_not_counted_later() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let selector = |text: &str| text.parse::<Selector>().unwrap();
    let ratio = Ratio::Good { good: selector("s_bucket{le=\"0.25\"}"), total: selector("s_count") };
    let mut scene = Scene::of(vec![(2, ratio)], Duration::ZERO, |number, _| {
        // another release has other buckets for three scrapes
        let bound = if (2..5).contains(&number) { "0.5" } else { "2.5e-1" };
        let n = number * 10;
        Ok(format!("s_bucket{{le=\"{bound}\"}} {n}\ns_bucket{{le=\"+Inf\"}} {n}\ns_count {n}\n"))
    });
    seconds(81).await;
    assert_eq!(scene.observed(), [(2, 1, 10, 0), (2, 6, 10, 0), (2, 7, 10, 0)]);
    assert_eq!(meter.value(names::SCRAPE_UNBOUNDED, &[("source", "api")]), Some(3.0));
    assert_eq!(scrapes(&meter, "ok", None), Some(8.0), "the scrapes themselves were fine");
}

#[tokio::test(start_paused = true)]
async fn a_slow_neighbour_and_a_jumping_clock_lose_no_event() {
    let meter = Meter::new();
    let _lent = meter.lend();
    // each scrape lasts two slots and a half
    let mut scene = Scene::open(Duration::from_secs(25), |number, _| {
        exposition(i64::try_from(number).unwrap() * 10, 0, 0)
    });
    seconds(120).await;
    let slow: Vec<_> = scene.observed().into_iter().filter(|(slo, ..)| *slo == 4).collect();
    assert!(slow.len() >= 3 && slow.iter().all(|(_, _, good, bad)| (*good, *bad) == (10, 0)), "{slow:?}");
    assert!(slow.windows(2).all(|pair| pair[0].1 < pair[1].1), "no slot twice: {slow:?}");

    scene.clock.jump(-3_600_000);
    seconds(120).await;
    let back: Vec<_> = scene.observed().into_iter().filter(|(slo, ..)| *slo == 4).collect();
    assert!(back.len() >= 3 && back.iter().all(|(_, _, good, _)| *good == 10), "{back:?}");
    assert!(back.last().unwrap().1 < 0, "slots of the new time: {back:?}");
    assert_eq!(meter.value(names::CLOCK_JUMPS, &[]), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_nothing() {
    let scene = Scene::open(Duration::from_secs(1000), steady);
    seconds(15).await;
    let before = scene.clock.now();
    scene.stop.cancel();
    scene.task.await.unwrap();
    assert_eq!(scene.clock.now(), before);
}

#[tokio::test(start_paused = true)]
async fn a_closed_feed_ends_the_loop() {
    let mut scene = Scene::open(Duration::ZERO, steady);
    scene.feed.close();
    tokio::time::timeout(Duration::from_secs(60), scene.task).await.expect("ends by itself").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_scrape_that_fails_is_a_bad_event_of_availability() {
    let mut scene = Scene::open(Duration::ZERO, |number, _| match number {
        1 => Err(FetchError::Connect("refused".to_owned())),
        2 => Err(FetchError::Dns("no such host".to_owned())),
        3 => Err(FetchError::Timeout(Duration::from_secs(3))),
        4 => Ok("<html>".to_owned()),
        5 => Ok("# nothing\n".to_owned()),
        6 => Err(FetchError::Resources("too many open files".to_owned())),
        _ => exposition(7, 7, 0),
    });
    seconds(81).await;
    let up: Vec<_> = scene.fed().into_iter().filter(|(stream, ..)| *stream == UP).collect();
    let wanted = [(0, 1, 0), (1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 0, 1), (5, 0, 1), (7, 1, 0)];
    assert_eq!(up, wanted.map(|(slot, good, bad)| (UP, slot, good, bad)));
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_counted_life_by_life() {
    let meter = Meter::new();
    let _lent = meter.lend();
    // every scrape meets a process that is four seconds old and failed a hundred times
    let mut scene = Scene::open(Duration::ZERO, |_, at| {
        let started = at.as_seconds() - 4;
        Ok(format!(
            "process_start_time_seconds {started}\nrequests_total 100\nfast_total 0\nerrors_total 100\n"
        ))
    });
    seconds(61).await;
    let errors: Vec<_> = scene.observed().into_iter().filter(|(stream, ..)| *stream == 4).collect();
    let wanted: Vec<_> = (0..2).map(|slot| (4, slot, 0, 100)).collect();
    assert_eq!(errors[..2], wanted[..]);
    assert!(errors.iter().all(|(.., good, bad)| (*good, *bad) == (0, 100)), "{errors:?}");
    // read twice a slot while most events are bad, and each time it is another process
    assert_eq!(errors.len(), scene.neighbour.fetched.lock().unwrap().len());
    assert_eq!(meter.value(names::SCRAPE_RESTARTS, &[("source", "api")]), Some(errors.len() as f64));
}

#[tokio::test(start_paused = true)]
async fn an_absurd_sample_is_reported_and_the_next_scrape_counts_on() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(Duration::ZERO, |number, _| match number {
        2 => Ok("requests_total 1e308\nerrors_total 1e308\nfast_total 1\n".to_owned()),
        n => exposition(i64::try_from(n).unwrap() * 10, i64::try_from(n).unwrap() * 10, 0),
    });
    seconds(41).await;
    let errors: Vec<_> = scene.observed().into_iter().filter(|(stream, ..)| *stream == 4).collect();
    assert_eq!(errors, [(4, 1, 10, 0), (4, 3, 20, 0)]);
    let value = Quarantined { value: 1e308, reason: "absurd_sample" };
    assert!(scene.quarantined.contains(&(4, 2, value)), "{:?}", scene.quarantined);
    let labels = [("source", "api"), ("reason", "absurd_sample")];
    assert_eq!(meter.value(names::SCRAPE_QUARANTINED, &labels), Some(2.0), "once for each ratio");
}
