//! Whatever is counted, however absurd: every figure that leaves the agent is a number.

use lookout_engine::{
    BudgetShare, BurnFactor, Condition, Counts, Grid, Guard, Method, Objective, Policy, Severity,
    SliceTarget, Slot, Tier, Window,
};
use proptest::prelude::*;

use super::*;
use crate::collect::Observation;
use crate::collect::scrape::samples;
use crate::evaluate::{Board, Driver, Snapshot};
use crate::ledger::{Ledger, MemoryLedger, Notice};
use crate::spec::Slo;

/// Streams per case and cases: ten thousand streams in all.
const STREAMS: usize = 40;
const CASES: u32 = 250;
/// The steps that the streams of a case take together.
const STEPS: usize = 6;

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(0),
        2 => Just(1),
        4 => 0_u64..1000,
        1 => any::<u64>(),
        1 => prop_oneof![Just(u64::MAX), Just(u64::MAX - 1), Just(1 << 53), Just((1 << 53) + 1)],
    ]
}

/// What is observed in a step: how many slots before the newest, and what.
fn stream() -> impl Strategy<Value = Vec<Option<(i64, Counts)>>> {
    let late = prop_oneof![6 => Just(0), 1 => -3_i64..400, 1 => Just(100_000_i64)];
    let seen = (late, count(), count()).prop_map(|(late, good, bad)| (late, Counts { good, bad }));
    prop::collection::vec(prop::option::weighted(0.8, seen), STEPS)
}

fn tiers(period: Window) -> impl Strategy<Value = Vec<Tier>> {
    let one = (any::<bool>(), 1_u64..900_000, 1_u64..30_000, 0.000_001_f64..1e8, 0_u64..600).prop_map(
        |(page, long, short, factor, hold_seconds)| Tier {
            severity: if page { Severity::Page } else { Severity::Ticket },
            long: Window::seconds(long.max(short)),
            short: Window::seconds(short),
            factor: BurnFactor::try_new(factor).unwrap(),
            hold_seconds,
            until: None,
        },
    );
    prop_oneof![4 => Just(Tier::defaults(period)), 1 => prop::collection::vec(one, 0..4)]
}

/// One of each kind.
fn conditions(window: Window) -> Vec<Condition> {
    let share = |percent| BudgetShare::try_from_percent(percent).unwrap();
    vec![
        Condition::budget_left(Severity::Ticket, share(10.0)),
        Condition::budget_drop(Severity::Page, share(2.0), window),
        Condition::exhaustion(Severity::Page, Window::days(3), window),
        Condition::no_data(Severity::Ticket, Window::minutes(10)),
    ]
}

fn policy(grid: Grid) -> impl Strategy<Value = Policy> {
    let objective = prop_oneof![
        Just(99.9),
        Just(0.0),
        Just(50.0),
        Just(99.999_999_9),
        Just(0.000_000_1),
        0.0..99.999_f64,
    ];
    let slices = Grid::try_new(300).unwrap();
    let method = prop_oneof![
        3 => Just(Method::Occurrences),
        1 => (1e-9..=1.0_f64).prop_map(move |target| {
            Method::Timeslices { slices, target: SliceTarget::try_from_ratio(target).unwrap() }
        }),
        1 => Just(Method::RatioTimeslices { slices }),
    ];
    let period = prop_oneof![
        3 => Just(Window::days(30)),
        1 => Just(Window::minutes(1)),
        1 => Just(Window::days(3650)),
        1 => (60_u64..10_000_000).prop_map(Window::seconds),
    ];
    let guard = (0_u64..5, 0_u64..5);
    (objective, method, period, guard, any::<bool>())
        .prop_flat_map(|(objective, method, period, guard, alert)| {
            (Just((objective, method, period, guard, alert)), tiers(period))
        })
        .prop_map(move |((objective, method, period, (minimum_events, minimum_bad), alert), tiers)| Policy {
            grid,
            objective: Objective::try_from_percent(objective).unwrap(),
            period,
            method,
            tiers,
            guard: Guard { minimum_events, minimum_bad, ..Guard::default() },
            stale_after_seconds: 60,
            data_alert: alert.then_some(Severity::Page),
            conditions: conditions(Window::seconds(period.as_seconds().min(3600))),
        })
}

#[derive(Debug, Clone)]
struct Story {
    grid: Grid,
    /// Slots that pass with each step, and whether the agent is started anew after it.
    steps: Vec<(i64, bool)>,
    slos: Vec<(Policy, Vec<Option<(i64, Counts)>>)>,
}

fn story() -> impl Strategy<Value = Story> {
    let width = prop::sample::select(vec![1_u32, 10, 60, 300]);
    let jump = prop_oneof![6 => Just(1_i64), 2 => 2_i64..50, 1 => 50_i64..10_000, 1 => Just(3_000_000_i64)];
    (width, prop::collection::vec((jump, prop::bool::weighted(0.1)), STEPS)).prop_flat_map(
        |(width, steps)| {
            let grid = Grid::try_new(width).unwrap();
            let slos = prop::collection::vec((policy(grid), stream()), STREAMS);
            slos.prop_map(move |slos| Story { grid, steps: steps.clone(), slos })
        },
    )
}

/// The house of the pages, with the SLOs of the story in it.
fn furnished(story: &Story) -> House {
    let mut house = House::empty();
    house.add("pattern", "A pattern", 1.0);
    let pattern = house.config.slos.remove(0);
    house.snapshot.slos.clear();
    house.config.grid = story.grid;
    let named = |(n, (policy, _)): (usize, &(Policy, _))| Slo {
        name: format!("slo-{n}"),
        policy: Policy::clone(policy),
        ..pattern.clone()
    };
    house.config.slos = story.slos.iter().enumerate().map(named).collect();
    house
}

/// Everything is seen at the end of each step, and what is certain before it, as in the loop of the agent.
async fn lived(story: &Story, house: &House, ledger: &Arc<MemoryLedger>) -> Snapshot {
    let config = Arc::new(house.config.clone());
    let mut now = story.grid.slot_at_ms(NOW).plus(-story.steps.iter().map(|(jump, _)| jump).sum::<i64>());
    let restored = async |now: Slot| {
        let ledger = Arc::clone(ledger) as Arc<dyn Ledger>;
        let now_ms = story.grid.start_ms(now);
        Driver::restore(Arc::clone(&config), ledger, Arc::new(|_| None), now_ms).await.unwrap()
    };
    let mut driver = restored(now).await;
    let mut last = None;
    for (step, &(jump, again)) in story.steps.iter().enumerate() {
        now = now.plus(jump);
        for (slo, (_, stream)) in story.slos.iter().enumerate() {
            if let Some((late, counts)) = stream[step] {
                driver.record(Observation { stream: slo, slot: now.plus(-1 - late), counts });
            }
        }
        for (index, status) in driver.look(story.grid.start_ms(now) - 1).await {
            assert_eq!(status.slo, format!("slo-{index}"));
            unchanged(&status);
        }
        last = Some(driver.tick(now.plus(-1)).await.0);
        if again {
            ledger.prune(story.grid.start_ms(now)).await.unwrap();
            driver = restored(now).await;
        }
    }
    last.unwrap()
}

/// JSON has no word for what is no number: it would come back as nothing, or not at all.
fn unchanged<T: serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    let back: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    // the last digit of a float may differ, whether there is one may not
    let shape = |text: String| text.replace(|c: char| c.is_ascii_digit() || ".-".contains(c), "");
    assert_eq!(shape(format!("{back:?}")), shape(format!("{value:?}")));
}

/// No word of a text says that a number is none.
fn plain(path: &str, text: &str) {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let found = words.find(|word| ["nan", "inf", "infinity", "null"].contains(&&*word.to_ascii_lowercase()));
    assert_eq!(found, None, "{path}:\n{text}");
}

async fn looked_at(story: &Story) {
    let (house, ledger) = (furnished(story), Arc::new(MemoryLedger::default()));
    let snapshot = lived(story, &house, &ledger).await;
    unchanged(&snapshot);
    for transition in ledger.latest_transitions(0).await.unwrap() {
        unchanged::<Notice>(&transition.notice);
    }
    let names: Vec<String> = snapshot.slos.iter().step_by(8).map(|slo| slo.slo.clone()).collect();
    let router = router(State { board: Board::new(snapshot), ledger, ..house.state() });
    let pages = ["/".to_owned(), "/incidents".to_owned()].into_iter();
    for path in pages.chain(names.iter().map(|name| format!("/slos/titanic/{name}"))) {
        let page = get(&router, &path).await;
        assert_eq!(page.status, 200, "{path}");
        plain(&path, &page.text);
    }
    for path in ["/api/v1/slos", "/api/v1/incidents", "/api/v1/gate?service=titanic"] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        // nothing is null but what may be absent
        plain(path, &answer.text.replace("null", ""));
    }
    let metrics = get(&router, "/metrics").await.text;
    let mut seen = 0;
    for sample in samples(&metrics).map(Result::unwrap) {
        assert!(sample.value.is_finite(), "{}: {}", sample.metric, sample.value);
        seen += 1;
    }
    assert!(seen > story.slos.len(), "{seen} samples");
}

#[test]
fn ten_thousand_streams_leave_nothing_but_numbers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(CASES) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&story(), |story| {
        runtime.block_on(looked_at(&story));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
