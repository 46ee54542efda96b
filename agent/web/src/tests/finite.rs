//! Property: every figure that leaves the agent is a finite number, whatever the counts.

use lookout_engine::{
    BudgetShare, BurnFactor, Condition, Confidence, Counts, Grid, Guard, Method, Objective, Period, Policy,
    Severity, SliceTarget, Slot, Tier, Window,
};
use lookout_model::{GridTime, Timestamp};
use proptest::prelude::*;

use super::*;
use lookout_collect::Observation;
use lookout_collect::scrape::samples;
use lookout_config::Slo;
use lookout_evaluate::{Board, Driver, Snapshot};
use lookout_ledger::{IncidentStore as _, Ledger, MemoryLedger};

/// Streams per case and cases: ten thousand streams in all.
const STREAMS: usize = 40;
const CASES: u32 = 250;
/// The steps that the streams of a case take together.
const STEPS: usize = 6;

/// Scenario derived from a seed.
struct Scenario {
    grid: Grid,
    /// Slots that pass with each step, and whether the agent is started anew after it.
    steps: Vec<(i64, bool)>,
    slos: Vec<(Policy, Stream)>,
}

/// Observations of each step: a distance from the newest slot, and its counts.
type Stream = Vec<Option<(i64, Counts)>>;

impl Scenario {
    fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let grid = Grid::try_new(one_of(&mut random, &[1, 10, 60, 300])).unwrap();
        let step = |random: &mut fastrand::Rng| {
            let jump = match random.u8(..10) {
                0..6 => 1,
                6..8 => random.i64(2..50),
                8 => random.i64(50..10_000),
                _ => 3_000_000,
            };
            (jump, random.u8(..10) == 0)
        };
        let steps = (0..STEPS).map(|_| step(&mut random)).collect();
        let slos = (0..STREAMS).map(|_| (policy(&mut random, grid), stream(&mut random))).collect();
        Self { grid, steps, slos }
    }
}

fn one_of<T: Clone>(random: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())].clone()
}

fn count(random: &mut fastrand::Rng) -> u64 {
    match random.u8(..12) {
        0..4 => 0,
        4..6 => 1,
        6..10 => random.u64(..1000),
        10 => random.u64(..) >> random.u8(..64),
        _ => one_of(random, &[u64::MAX, u64::MAX - 1, 1 << 53, (1 << 53) + 1]),
    }
}

fn stream(random: &mut fastrand::Rng) -> Stream {
    let mut seen = || {
        let late = match random.u8(..8) {
            0..6 => 0,
            6 => random.i64(-3..400),
            _ => 100_000,
        };
        let counts = Counts { good: count(random), bad: count(random) };
        (random.u8(..10) < 8).then_some((late, counts))
    };
    (0..STEPS).map(|_| seen()).collect()
}

fn tier(random: &mut fastrand::Rng) -> Tier {
    let short = random.u64(1..30_000);
    Tier {
        severity: if random.bool() { Severity::Page } else { Severity::Ticket },
        long: Window::seconds(random.u64(1..900_000).max(short)),
        short: Window::seconds(short),
        factor: BurnFactor::try_new(10_f64.powf(random.f64() * 14.0 - 6.0)).unwrap(),
        hold_seconds: random.u64(..600),
        until: None,
    }
}

/// Returns a condition of each kind.
fn conditions(window: Window) -> Vec<Condition> {
    let share = |percent| BudgetShare::try_from_percent(percent).unwrap();
    vec![
        Condition::budget_left(Severity::Ticket, share(10.0)),
        Condition::budget_drop(Severity::Page, share(2.0), window),
        Condition::exhaustion(Severity::Page, Window::days(3), window),
        Condition::no_data(Severity::Ticket, Window::minutes(10)),
    ]
}

fn policy(random: &mut fastrand::Rng, grid: Grid) -> Policy {
    let (any_objective, any_target) = (random.f64() * 99.999, 1e-9 + random.f64() * 0.999);
    let objective = one_of(random, &[99.9, 0.0, 50.0, 99.999_999_9, 0.000_000_1, any_objective]);
    let slices = Grid::try_new(300).unwrap();
    let target = SliceTarget::try_from_ratio(one_of(random, &[1.0, 1e-9, any_target])).unwrap();
    let (timeslices, ratio) = (Method::Timeslices { slices, target }, Method::RatioTimeslices { slices });
    let any_period = Window::seconds(random.u64(60..10_000_000));
    let period = one_of(random, &[Window::days(30), Window::minutes(1), Window::days(3650), any_period]);
    let tiers = match random.bool() {
        true => Tier::defaults(period),
        false => (0..random.u8(..4)).map(|_| tier(random)).collect(),
    };
    Policy {
        grid,
        objective: Objective::try_from_percent(objective).unwrap(),
        period: Period::Rolling(period),
        method: one_of(random, &[Method::Occurrences, Method::Occurrences, timeslices, ratio]),
        tiers,
        guard: Guard {
            minimum_slots: random.u64(..5),
            confidence: random.bool().then(|| Confidence::try_from_percent(98.0).unwrap()),
            ..Guard { minimum_events: random.u64(..5), minimum_bad: random.u64(..5), ..Guard::default() }
        },
        stale_after_seconds: 60,
        data_alert: random.bool().then_some(Severity::Page),
        conditions: conditions(Window::seconds(period.as_seconds().min(3600))),
    }
}

/// Returns the fixture of the pages with the SLOs of the scenario.
fn fixture_of(scenario: &Scenario) -> Fixture {
    let mut fixture = Fixture::empty();
    fixture.add("pattern", "A pattern", 1.0);
    let pattern = fixture.config.slos.remove(0);
    fixture.snapshot.slos.clear();
    fixture.config.grid = scenario.grid;
    let named = |(n, (policy, _)): (usize, &(Policy, _))| Slo {
        name: format!("slo-{n}"),
        policy: Policy::clone(policy),
        ..pattern.clone()
    };
    fixture.config.slos = scenario.slos.iter().enumerate().map(named).collect();
    fixture
}

/// Runs a scenario. It assesses at the end of each step, like the loop of the agent.
async fn run(scenario: &Scenario, fixture: &Fixture, ledger: &Arc<MemoryLedger>) -> Snapshot {
    let config = Arc::new(fixture.config.clone());
    let mut now = scenario.grid.slot_at(NOW).plus(-scenario.steps.iter().map(|(jump, _)| jump).sum::<i64>());
    let restored = async |now: Slot| {
        let ledger = Arc::clone(ledger) as Arc<dyn Ledger>;
        let now = scenario.grid.start_of(now);
        Driver::restore(Arc::clone(&config), ledger, Arc::new(|_| None), now).await.unwrap()
    };
    let mut driver = restored(now).await;
    let mut last = None;
    for (step, &(jump, again)) in scenario.steps.iter().enumerate() {
        now = now.plus(jump);
        for (slo, (_, stream)) in scenario.slos.iter().enumerate() {
            if let Some((late, counts)) = stream[step] {
                driver.record(Observation::new(slo, now.plus(-1 - late), counts));
            }
        }
        for (index, status) in
            driver.detect_early(scenario.grid.start_of(now) - Duration::from_millis(1)).await
        {
            assert_eq!(status.slo, format!("slo-{index}"));
            numeric(&status);
        }
        last = Some(driver.tick(now.plus(-1)).await.0);
        if again {
            ledger.prune(scenario.grid.start_of(now)).await.unwrap();
            driver = restored(now).await;
        }
    }
    last.unwrap()
}

/// Asserts that no figure is NaN or infinite. JSON cannot hold them, but the values that become JSON can.
fn numeric(value: &impl std::fmt::Debug) {
    plain("a value", &format!("{value:?}"));
}

/// Asserts that no word of a text is NaN or infinite.
fn plain(place: &str, text: &str) {
    let lower = text.to_ascii_lowercase();
    for word in ["nan", "inf", "infinity", "null"] {
        let alone = |at: usize| {
            let letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            let (before, after) = (at.checked_sub(1), at + word.len());
            !letter(before.and_then(|at| lower.as_bytes().get(at))) && !letter(lower.as_bytes().get(after))
        };
        assert!(!lower.match_indices(word).any(|(at, _)| alone(at)), "{word} in {place}:\n{text}");
    }
}

async fn assert_finite(scenario: &Scenario) {
    let (fixture, ledger) = (fixture_of(scenario), Arc::new(MemoryLedger::default()));
    let snapshot = run(scenario, &fixture, &ledger).await;
    numeric(&snapshot);
    for transition in ledger.latest_transitions(Timestamp::EPOCH).await.unwrap() {
        numeric(&transition.notice);
    }
    let names: Vec<String> = snapshot.slos.iter().step_by(8).map(|slo| slo.slo.clone()).collect();
    let router = router(State { board: Board::new(snapshot), ledger, ..fixture.state() });
    let pages = ["/".to_owned(), "/incidents".to_owned()].into_iter();
    for path in pages.chain(names.iter().map(|name| format!("/slos/titanic/{name}"))) {
        let page = get(&router, &path).await;
        assert_eq!(page.status, 200, "{path}");
        plain(&path, &page.text);
    }
    for path in ["/api/v1/slos", "/api/v1/incidents", "/api/v1/gate?service=titanic"] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        // what may be absent is null, and only that: the values above had no other
        plain(path, &answer.text.replace("null", ""));
    }
    let metrics = get(&router, "/metrics").await.text;
    let mut seen = 0;
    for sample in samples(&metrics).map(Result::unwrap) {
        assert!(sample.value.is_finite(), "{}: {}", sample.metric, sample.value);
        seen += 1;
    }
    assert!(seen > scenario.slos.len(), "{seen} samples");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn ten_thousand_streams_leave_nothing_but_numbers(seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(assert_finite(&Scenario::of(seed)));
    }
}
