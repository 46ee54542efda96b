//! The loop under simulated time, with a prober that follows a plan.

mod certificates;
mod pauses;
mod rounds;
mod sampling;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lookout_engine::Slot;
use lookout_model::{GridTime, PauseRecord, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::test_clock::{Meter, START, WallClock};
use lookout_config::{Check, Family, HttpCheck, JourneyCheck, JourneyStep, Target};
use lookout_runtime::events::names;

use super::super::{Certificate, Phases, Reason, Received};

/// Behaviour of the probe that starts at a wall time.
#[derive(Clone)]
enum Plan {
    Ok(Duration),
    Fail(Duration),
    Hang,
    Panic,
    NoFiles,
    /// Good, with a certificate that ends so many days after the beginning.
    Certificate(i64),
    /// Refused, with a leaf that ends so many days after the beginning: another certificate of the chain has ended.
    Refused(i64),
}

struct Planned {
    clock: Arc<WallClock>,
    plan: Box<dyn Fn(usize) -> Plan + Send + Sync>,
    starts: Mutex<Vec<Timestamp>>,
    dropped: Arc<AtomicBool>,
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Probe for Planned {
    async fn probe(&self, _target: &Target) -> Outcome {
        let _dropped = OnDrop(Arc::clone(&self.dropped));
        let number = {
            let mut starts = self.starts.lock().unwrap();
            starts.push(self.clock.now());
            starts.len() - 1
        };
        let plan = (self.plan)(number);
        let certificate = match plan {
            Plan::Certificate(days) | Plan::Refused(days) => {
                Some(Box::new(certificate_of(START.as_seconds() + days * 86_400)))
            }
            _ => None,
        };
        let (verdict, total) = match plan {
            Plan::Certificate(_) => (Verdict::Ok, Duration::from_millis(300)),
            Plan::Refused(_) => (
                Verdict::Fail { reason: Reason::CertificateExpired, detail: "TLS handshake".to_owned() },
                Duration::from_millis(300),
            ),
            Plan::Ok(total) => (Verdict::Ok, total),
            Plan::Fail(total) => {
                (Verdict::Fail { reason: Reason::Status, detail: "status (503) == 2xx".to_owned() }, total)
            }
            Plan::Hang => std::future::pending().await,
            Plan::NoFiles => (
                Verdict::Fail { reason: Reason::Resources, detail: "too many open files".to_owned() },
                Duration::ZERO,
            ),
            Plan::Panic => panic!("a broken prober"),
        };
        tokio::time::sleep(total).await;
        let phases = Phases { connect: Some(total), ..Phases::default() };
        Outcome {
            verdict,
            total,
            phases,
            status: Some(200),
            summary: None,
            address: None,
            certificate,
            steps: Vec::new(),
            received: Received::default(),
            trace_id: String::new(),
        }
    }
}

fn certificate_of(end_s: i64) -> Certificate {
    Certificate {
        subject: String::new(),
        issuer: String::new(),
        names: Vec::new(),
        fingerprint: String::new(),
        not_after_s: end_s,
        sent_not_after_s: end_s,
        verified_not_after_s: None,
        days_left: 0,
        serial: String::new(),
    }
}

const INTERVAL: Duration = Duration::from_secs(10);
const QUICK: Plan = Plan::Ok(Duration::from_millis(300));

fn target() -> Arc<Target> {
    let check = Check::Http(Box::new(HttpCheck::get("http://api.test/".parse().unwrap())));
    Arc::new(Target {
        name: "api".to_owned(),
        interval: INTERVAL,
        timeout: Duration::from_secs(5),
        family: Family::Auto,
        resolver: None,
        labels: Vec::new(),
        off: None,
        maintenance: Vec::new(),
        group: None,
        down: None,
        allowed: None,
        check,
        expect: Arc::default(),
    })
}

/// A running loop and everything around it.
struct Scene {
    clock: Arc<WallClock>,
    prober: Arc<Planned>,
    latest: Latest,
    pauses: Pauses,
    feed: mpsc::Receiver<Observation>,
    assigned: Arc<Assigned>,
    ports: Arc<Ports>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Scene {
    fn open(capacity: usize, plan: impl Fn(usize) -> Plan + Send + Sync + 'static) -> Self {
        Self::sharing(Pauses::default(), capacity, plan)
    }

    fn sharing(
        pauses: Pauses,
        capacity: usize,
        plan: impl Fn(usize) -> Plan + Send + Sync + 'static,
    ) -> Self {
        let clock = WallClock::start();
        let (starts, dropped) = (Mutex::default(), Arc::default());
        let prober = Arc::new(Planned { clock: Arc::clone(&clock), plan: Box::new(plan), starts, dropped });
        let (sender, feed) = mpsc::channel(capacity);
        let latest = Latest::default();
        let ports = Arc::new(Ports {
            prober: Arc::clone(&prober) as Arc<dyn Probe>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            grid: Grid::try_new(10).unwrap(),
            feed: sender,
            latest: latest.clone(),
            history: ProbeHistory::default(),
            pauses: pauses.clone(),
            rounds: Rounds::default(),
        });
        let stop = CancellationToken::new();
        let assigned = Assigned::new(Assignment {
            target: target(),
            streams: vec![3, 5],
            certificates: Vec::new(),
            rounds: Vec::new(),
        });
        let task = tokio::spawn(watch(Arc::clone(&assigned), Arc::clone(&ports), stop.clone()));
        Self { clock, prober, latest, pauses, feed, assigned, ports, stop, task }
    }

    fn starts(&self) -> Vec<Timestamp> {
        self.prober.starts.lock().unwrap().clone()
    }

    fn observed(&mut self) -> Vec<Observation> {
        std::iter::from_fn(|| self.feed.try_recv().ok()).collect()
    }
}

/// Starts of the schedule within `seconds` after the beginning.
fn scheduled(seconds: u64) -> Vec<Timestamp> {
    let schedule = Schedule::new("api", INTERVAL);
    let starts = std::iter::successors(Some(START), |at| Some(schedule.next_after(*at))).skip(1);
    starts.take_while(|at| *at <= START + Duration::from_secs(seconds)).collect()
}

fn outcome(meter: &Meter, outcome: &str) -> f64 {
    meter.value(names::PROBES, &[("target", "api"), ("outcome", outcome)]).unwrap()
}

fn missed(meter: &Meter, reason: &str) -> f64 {
    meter.value(names::PROBE_MISSED, &[("target", "api"), ("reason", reason)]).unwrap_or(0.0)
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_waits_is_small_because_there_are_thousands() {
    let scene = Scene::open(1, |_| QUICK);
    let (assigned, ports) = (Arc::clone(&scene.assigned), Arc::clone(&scene.ports));
    let waiting = watch(assigned, ports, scene.stop.clone());
    let sizes = [
        ("the loop", size_of_val(&waiting), 1_000),
        ("its assignment", size_of::<Assigned>() + size_of::<Assignment>(), 128),
        ("the last outcome", size_of::<super::super::LastProbe>(), 512),
    ];
    for (what, bytes, most) in sizes {
        assert!(bytes <= most, "{what}: {bytes} bytes, at most {most} are planned");
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_is_three_hundred_and_sixty_outcomes_at_exact_starts() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene =
        Scene::open(1000, |n| if n % 7 == 0 { Plan::Fail(Duration::from_secs(1)) } else { QUICK });
    tokio::time::sleep(Duration::from_secs(3601)).await;
    let expected = scheduled(3600);
    assert_eq!(expected.len(), 360);
    assert_eq!(scene.starts(), expected);

    let observed = scene.observed();
    let grid = Grid::try_new(10).unwrap();
    let wanted: Vec<Observation> = expected
        .iter()
        .enumerate()
        .flat_map(|(n, start)| {
            let bad = u64::from(n % 7 == 0);
            let counts = Counts { good: 1 - bad, bad };
            [3, 5].map(|slo| Observation::new(slo, grid.slot_at(*start), counts))
        })
        .collect();
    assert_eq!(observed, wanted);

    assert_eq!(
        (outcome(&meter, "ok"), outcome(&meter, "fail"), outcome(&meter, "missed")),
        (308.0, 52.0, 0.0)
    );
    let failures = meter.value(names::PROBE_FAILURES, &[("target", "api"), ("reason", "status")]);
    assert_eq!(failures, Some(52.0));
    let durations = format!("{}_count", names::PROBE_SECONDS);
    assert_eq!(meter.value(&durations, &[("target", "api"), ("outcome", "fail")]), Some(52.0));
    let phase = |phase| meter.value(names::PROBE_PHASE_SECONDS, &[("target", "api"), ("phase", phase)]);
    assert_eq!((phase("connect"), phase("tls")), (Some(0.3), None), "a phase that never happens is absent");

    let seen = scene.latest.get("api").unwrap();
    assert_eq!((seen.outcome.is_ok(), seen.started_at), (true, expected[359]));
    assert_eq!(seen.last_failure.as_ref().unwrap().started_at, expected[357]);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_comes_while_the_probe_before_runs_is_missed() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(1000, |_| Plan::Ok(Duration::from_secs(25)));
    tokio::time::sleep(Duration::from_secs(300)).await;
    scene.stop.cancel();
    scene.task.await.unwrap();
    let slots = scheduled(300);
    assert_eq!(slots.len(), 30);
    assert_eq!(
        scene.prober.starts.lock().unwrap().clone(),
        slots.iter().copied().step_by(3).collect::<Vec<_>>()
    );
    assert_eq!(missed(&meter, "overlap"), 20.0);
    // the last probe started 30 s or less before the end: it either landed or was stopped, but it has an outcome
    assert_eq!(outcome(&meter, "ok") + missed(&meter, "stopped"), 10.0);
    assert_eq!(outcome(&meter, "ok") + outcome(&meter, "missed"), 30.0, "one outcome per slot");
    let landed = std::iter::from_fn(|| scene.feed.try_recv().ok()).count();
    assert_eq!(landed as f64, outcome(&meter, "ok") * 2.0, "a missed slot is no observation");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_this_machine_could_not_make_says_nothing_of_the_target() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(100, |number| if number == 1 { Plan::NoFiles } else { QUICK });
    tokio::time::sleep(INTERVAL * 3 + Duration::from_secs(1)).await;
    assert_eq!((outcome(&meter, "fail"), missed(&meter, "resources")), (0.0, 1.0));
    let observed = scene.observed();
    assert!(observed.iter().all(|seen| seen.counts.bad == 0), "{observed:?}");
    assert_eq!(observed.len() as f64, outcome(&meter, "ok") * 2.0);
    assert!(scene.latest.get("api").unwrap().outcome.is_ok(), "what was seen last stays");
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_a_journey_with_cleanup_end_and_cuts_any_other_probe() {
    let request = || match &target().check {
        Check::Http(http) => HttpCheck::clone(http),
        _ => unreachable!(),
    };
    let step = |always| JourneyStep {
        name: "delete".to_owned(),
        always,
        http: request(),
        expect: Arc::default(),
        extract: Vec::new(),
        needs: Vec::new(),
    };
    for (always, took) in [(true, 3000), (false, 0), (true, 3000)] {
        let meter = Meter::new();
        let _lent = meter.lend();
        let scene = Scene::open(1000, |_| Plan::Ok(Duration::from_secs(4)));
        let journey = JourneyCheck { variables: Vec::new(), steps: vec![step(false), step(always)] };
        let target = Target { check: Check::Journey(Box::new(journey)), ..Target::clone(&target()) };
        scene.assigned.replace(Assignment {
            target: Arc::new(target),
            streams: Vec::new(),
            certificates: Vec::new(),
            rounds: Vec::new(),
        });
        tokio::time::sleep(scheduled(10)[0].since(START) + Duration::from_secs(1)).await;
        let stopped = tokio::time::Instant::now();
        scene.stop.cancel();
        scene.task.await.unwrap();
        assert_eq!(stopped.elapsed().as_millis(), took, "cleanup: {always}");
        assert_eq!((outcome(&meter, "ok"), missed(&meter, "stopped")), (0.0, 1.0));
    }
}

#[tokio::test(start_paused = true)]
async fn slots_slept_through_are_missed_and_the_current_one_is_probed() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(1000, |_| QUICK);
    let slots = scheduled(100);
    // up to a second before the third slot; then everything stands still until the middle of the sixth
    tokio::time::sleep(slots[2].since(START) - Duration::from_secs(1)).await;
    tokio::time::advance(Duration::from_secs(36)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(missed(&meter, "suspended"), 3.0);
    assert_eq!(scene.starts(), [slots[0], slots[1], slots[5] + Duration::from_secs(5)]);
    assert_eq!(meter.value(names::CLOCK_JUMPS, &[]), None, "both clocks agree that time passed");
    let observed = scene.observed();
    let late = observed.last().unwrap();
    assert_eq!(
        late.slot,
        Grid::try_new(10).unwrap().slot_at(slots[5]),
        "it counts where it was meant to start"
    );
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_for_a_year_is_a_jump_and_bounded_work() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let scene = Scene::open(1000, |_| QUICK);
    tokio::time::sleep(Duration::from_secs(15)).await;
    let year_ms = 365 * 86_400_000;
    scene.clock.jump(year_ms);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(meter.value(names::CLOCK_JUMPS, &[]), Some(1.0));
    let elapsed = f64::from(365 * 8640) + 2.0;
    let outcomes = outcome(&meter, "ok") + outcome(&meter, "missed");
    assert!((outcomes - elapsed).abs() <= 1.0, "{outcomes} outcomes in {elapsed} slots");
    assert_eq!(outcome(&meter, "missed"), missed(&meter, "suspended"));
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_does_not_stop_the_probes() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let schedule = Schedule::new("api", INTERVAL);
    let scene = Scene::open(1000, |_| QUICK);
    let first = schedule.next_after(START).since(START);
    // once between two probes, once in the middle of one
    for (jumps, pause) in [(1.0, first + Duration::from_secs(95)), (2.0, Duration::from_millis(95_100))] {
        tokio::time::sleep(pause).await;
        let before = scene.starts().len();
        scene.clock.jump(-3_600_000);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(meter.value(names::CLOCK_JUMPS, &[]), Some(jumps));
        let probes = scene.starts().len() - before;
        assert!((8..=10).contains(&probes), "{probes} probes in the 100 s after the jump");
    }
    let starts = scene.starts();
    assert!(
        starts.iter().all(|at| schedule.start_of(schedule.number_at(*at)) == *at),
        "on the grid of the new time"
    );
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_nothing_and_leaves_nothing_behind() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let scene = Scene::open(1000, |_| Plan::Hang);
    tokio::time::sleep(Duration::from_secs(25)).await;
    let before = scene.clock.now();
    scene.stop.cancel();
    scene.task.await.unwrap();
    assert_eq!(scene.clock.now(), before);
    assert_eq!(missed(&meter, "stopped"), 1.0);
    let deadline = Duration::from_secs(1);
    let gone = async {
        while !scene.prober.dropped.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(deadline, gone).await.expect("the probe is dropped with the loop");
}

#[tokio::test(start_paused = true)]
async fn a_prober_that_breaks_costs_its_slot_only() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(1000, |n| if n == 1 { Plan::Panic } else { QUICK });
    tokio::time::sleep(Duration::from_secs(41)).await;
    assert_eq!((outcome(&meter, "ok"), missed(&meter, "panicked")), (3.0, 1.0));
    assert_eq!(scene.observed().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_full_feed_is_waited_for_and_a_closed_one_ends_the_loop() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(1, |_| QUICK);
    tokio::time::sleep(Duration::from_secs(65)).await;
    assert_eq!(scene.starts().len(), 1, "the second observation of the first probe waits");
    let mut observed: Vec<(usize, Slot)> = Vec::new();
    while observed.len() < 8 {
        let observation = scene.feed.recv().await.unwrap();
        observed.push((observation.stream, observation.slot));
    }
    // the probe after the wait starts late in its slot, and counts where it was meant to start
    let (grid, schedule) = (Grid::try_new(10).unwrap(), Schedule::new("api", INTERVAL));
    let intended = |at: &Timestamp| grid.slot_at(schedule.start_of(schedule.number_at(*at)));
    let probed: Vec<Slot> = scene.starts().iter().map(intended).take(4).collect();
    let wanted: Vec<(usize, Slot)> = probed.iter().flat_map(|slot| [(3, *slot), (5, *slot)]).collect();
    assert_eq!(observed, wanted, "nothing is lost and nothing reordered");
    assert!(missed(&meter, "suspended") >= 4.0);

    scene.feed.close();
    tokio::time::timeout(Duration::from_secs(30), scene.task).await.expect("ends by itself").unwrap();
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_every_slot_has_exactly_one_outcome() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let plans: Vec<Plan> = (0..1000)
            .map(|_| match random.u8(..10) {
                0 => Plan::Panic,
                1 => Plan::Fail(Duration::from_millis(random.u64(..60_000))),
                2 => Plan::Ok(Duration::from_millis(random.u64(..30_000))),
                _ => Plan::Ok(Duration::from_millis(random.u64(..5_000))),
            })
            .collect();
        let meter = Meter::new();
        let _lent = meter.lend();
        let scene = Scene::open(10_000, move |n| plans[n % plans.len()].clone());
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_millis(random.u64(..90_000))).await;
            match random.u8(..4) {
                0 => tokio::time::advance(Duration::from_millis(random.u64(..120_000))).await,
                1 => scene.clock.jump(random.i64(..600_000).rem_euclid(600_000)),
                2 => {
                    let changed = Target { timeout: Duration::from_secs(3), ..Target::clone(&target()) };
                    scene.assigned.replace(Assignment {
                        target: Arc::new(changed),
                        streams: vec![3],
                        certificates: Vec::new(),
                        rounds: Vec::new(),
                    });
                }
                _ => {}
            }
        }
        // long enough for the loop to have looked at the clock after the last jump
        tokio::time::sleep(INTERVAL * 2).await;
        scene.stop.cancel();
        scene.task.await.unwrap();
        let outcomes = outcome(&meter, "ok") + outcome(&meter, "fail") + outcome(&meter, "missed");
        let (schedule, now) = (Schedule::new("api", INTERVAL), scene.clock.now());
        let slots = schedule.number_at(now) - schedule.number_at(START);
        assert_eq!(outcomes, slots as f64, "seed {seed}: one outcome per slot");
    }
}

#[tokio::test(start_paused = true)]
async fn another_assignment_keeps_phase_slots_and_the_probe_that_runs() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(1000, |_| Plan::Ok(Duration::from_secs(4)));
    let slots = scheduled(100);
    // in the middle of the third probe
    tokio::time::sleep(slots[2].since(START) + Duration::from_secs(2)).await;
    let changed = Target { timeout: Duration::from_secs(4), ..Target::clone(&target()) };
    scene.assigned.replace(Assignment {
        target: Arc::new(changed),
        streams: vec![7],
        certificates: Vec::new(),
        rounds: Vec::new(),
    });
    tokio::time::sleep(Duration::from_secs(65)).await;
    assert_eq!(scene.starts(), slots[..9], "the phase stays and no slot is left out");
    assert_eq!((outcome(&meter, "ok"), outcome(&meter, "missed")), (9.0, 0.0));
    let streams: Vec<usize> = scene.observed().iter().map(|seen| seen.stream).collect();
    assert_eq!(
        streams,
        [3, 5, 3, 5, 7, 7, 7, 7, 7, 7, 7],
        "what ends from now on counts for the new streams"
    );
}

#[tokio::test(start_paused = true)]
async fn another_interval_leaves_no_slot_without_an_outcome() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let durations: Vec<u64> = (0..100).map(|_| random.u64(..30_000)).collect();
        let meter = Meter::new();
        let _lent = meter.lend();
        let scene =
            Scene::open(10_000, move |n| Plan::Ok(Duration::from_millis(durations[n % durations.len()])));
        let (mut slots, mut since, mut interval) = (0, START, INTERVAL);
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(random.u64(1..200_000))).await;
            let now = scene.clock.now();
            let schedule = Schedule::new("api", interval);
            slots += schedule.number_at(now) - schedule.number_at(since);
            (since, interval) = (now, Duration::from_secs(random.u64(1..60)));
            let changed = Target { interval, ..Target::clone(&target()) };
            scene.assigned.replace(Assignment {
                target: Arc::new(changed),
                streams: vec![3],
                certificates: Vec::new(),
                rounds: Vec::new(),
            });
            // the loop takes it before time passes
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            match random.u8(..3) {
                0 => tokio::time::advance(Duration::from_millis(random.u64(..120_000))).await,
                1 => scene.clock.jump(random.i64(0..600_000)),
                _ => {}
            }
        }
        tokio::time::sleep(interval + Duration::from_millis(1)).await;
        scene.stop.cancel();
        let now = scene.clock.now();
        scene.task.await.unwrap();
        let schedule = Schedule::new("api", interval);
        slots += schedule.number_at(now) - schedule.number_at(since);
        let outcomes = outcome(&meter, "ok") + outcome(&meter, "missed");
        assert_eq!(outcomes, slots as f64, "seed {seed}: one outcome per slot, whatever the interval");
    }
}
