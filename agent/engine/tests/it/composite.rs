//! Several indicators under one objective: against brute force, over restarts, and when one of them falls silent.

use std::collections::BTreeMap;

use lookout_engine::{
    Assessment, BurnFactor, Cause, Change, Component, Composite, Counts, DataState, Evaluator, Grid, Guard,
    Join, Method, Objective, Open, Period, Policy, Recorded, Severity, SliceTarget, Slot, Tier, Transition,
    Weight, Window,
};
use proptest::prelude::*;

const WIDTH_S: i64 = 10;
const SLICE_SLOTS: i64 = 12;
const LAST: i64 = 12_000;

#[derive(Debug, Clone, Copy)]
struct Event {
    component: usize,
    slot: i64,
    counts: Counts,
}

/// A component as the tests compute with it.
#[derive(Debug, Clone, Copy)]
struct Part {
    weight: f64,
    /// The cost of a wholly bad slice.
    cost: f64,
    slice_target: Option<f64>,
}

fn objective(percent: f64) -> Objective {
    Objective::try_from_percent(percent).unwrap()
}

fn method(join: Join, parts: &[Part]) -> Method {
    let components = parts.iter().map(|part| {
        let component = Component::default()
            .with_weight(Weight::try_new(part.weight).unwrap())
            .with_objective(objective(100.0 - 1.0 / part.cost), objective(99.0));
        match part.slice_target {
            Some(target) => component.with_slice_target(SliceTarget::try_from_ratio(target).unwrap()),
            None => component,
        }
    });
    let slices = Grid::try_new((WIDTH_S * SLICE_SLOTS) as u32).unwrap();
    Method::Composite(Composite::try_new(slices, join, components).unwrap())
}

fn policy(method: Method) -> Policy {
    Policy {
        grid: Grid::try_new(WIDTH_S as u32).unwrap(),
        objective: objective(99.0),
        period: Period::Rolling(Window::days(2)),
        method,
        tiers: vec![Tier::defaults(Window::days(30))[0]],
        guard: Guard::default(),
        stale_after_seconds: 600,
        data_alert: None,
        conditions: Vec::new(),
    }
}

/// The mean of what slices that are over cost, from the definition; `None` when nothing happened in any.
fn truth(join: Join, parts: &[Part], events: &[Event], end: i64) -> Option<f64> {
    let mut slices = BTreeMap::<i64, BTreeMap<usize, Counts>>::new();
    for event in events {
        let slice = slices.entry(event.slot.div_euclid(SLICE_SLOTS)).or_default();
        *slice.entry(event.component).or_default() += event.counts;
    }
    let over = slices.into_iter().filter(|(slice, _)| (slice + 1) * SLICE_SLOTS <= end + 1);
    let costs: Vec<f64> = over
        .filter_map(|(_, components)| {
            let shares: Vec<(f64, f64)> = components
                .into_iter()
                .filter_map(|(component, counts)| {
                    let part = parts[component];
                    let bad = counts.bad_ratio()?;
                    let bad = match part.slice_target {
                        Some(target) => f64::from(counts.good as f64 / (counts.total() as f64) < target),
                        None => bad,
                    };
                    Some((part.weight, bad * part.cost))
                })
                .collect();
            let whole: f64 = shares.iter().map(|(weight, _)| weight).sum();
            let cost = match join {
                Join::WorstOf => shares.iter().map(|(_, bad)| *bad).fold(0.0, f64::max),
                Join::Weights => shares.iter().map(|(weight, bad)| weight * bad / whole).sum(),
            };
            (!shares.is_empty()).then_some(cost)
        })
        .collect();
    (!costs.is_empty()).then(|| costs.iter().sum::<f64>() / costs.len() as f64)
}

/// Runs events in their order through an evaluator that began at slot zero and looks every `stride` slots.
fn run(policy: Policy, events: &[Event], stride: usize) -> Assessment {
    let mut evaluator = Evaluator::new(policy, Slot(-1));
    let mut rest = events;
    for look in (0..LAST).step_by(stride) {
        let (now, later) = rest.split_at(rest.partition_point(|event| event.slot <= look));
        now.iter().for_each(|event| _ = record(&mut evaluator, event));
        rest = later;
        evaluator.assess(Slot(look));
    }
    rest.iter().for_each(|event| _ = record(&mut evaluator, event));
    evaluator.assess(Slot(LAST))
}

fn record(evaluator: &mut Evaluator, event: &Event) -> Recorded {
    evaluator.record_component(event.component, Slot(event.slot), event.counts)
}

fn join() -> impl Strategy<Value = Join> {
    prop_oneof![Just(Join::WorstOf), Just(Join::Weights)]
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let cost = prop_oneof![Just(1.0), Just(0.5), Just(0.1)];
    let target = prop_oneof![2 => Just(None), 1 => Just(Some(0.9)), 1 => Just(Some(1.0))];
    let part = (1_u32..100, cost, target);
    let part = part.prop_map(|(tenths, cost, slice_target)| Part {
        weight: f64::from(tenths) / 10.0,
        cost,
        slice_target,
    });
    prop::collection::vec(part, 2..=5)
}

/// ComponentHistories of a composite and their events, in the order of time.
fn watched() -> impl Strategy<Value = (Vec<Part>, Vec<Event>)> {
    parts().prop_flat_map(|parts| {
        let event = (0..parts.len(), 0..LAST, 0_u64..=10, 0_u64..=2);
        let event = event.prop_map(|(component, slot, good, bad)| Event {
            component,
            slot,
            counts: Counts { good, bad },
        });
        let events = prop::collection::vec(event, 0..200).prop_map(|mut events| {
            events.sort_by_key(|event| event.slot);
            events
        });
        (Just(parts), events)
    })
}

proptest! {
    #[test]
    fn a_composite_is_the_mean_of_its_joined_slices(
        (parts, events) in watched(), join in join(), stride in 1_usize..300,
    ) {
        let report = run(policy(method(join, &parts)), &events, stride);
        match (report.period.counts.bad_ratio(), truth(join, &parts, &events, LAST)) {
            (None, None) => {}
            (Some(share), Some(truth)) => prop_assert!((share - truth).abs() < 5e-9, "{share} {truth}"),
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert_eq!(report.components.len(), parts.len());
        let blamed: f64 = report.components.iter().filter_map(|part| part.period_burn_share).sum();
        let spent = report.period.counts.bad;
        let shared_out = (blamed - 1.0).abs() < 1e-3 || spent == 0 && blamed == 0.0;
        prop_assert!(shared_out, "{} of {}", blamed, spent);
        for (place, part) in report.components.iter().enumerate() {
            let own = events.iter().filter(|event| event.component == place);
            prop_assert_eq!(part.last_observed, own.clone().map(|event| Slot(event.slot)).max());
            // the last slice may not be over
            let over = own.filter(|event| event.slot / SLICE_SLOTS < (LAST + 1) / SLICE_SLOTS);
            prop_assert_eq!(part.period, over.map(|event| event.counts).sum());
        }
    }

    /// ComponentHistories of a slot's counts come in any order, and up to five hours late.
    #[test]
    fn late_counts_revise_the_slice_they_belong_to(
        (parts, events) in watched(), join in join(), stride in 1_i64..200,
        late in prop::collection::vec((0_u64..=10, 0_u64..=2, 0_i64..1800), 200),
    ) {
        let whole = run(policy(method(join, &parts)), &events, 7);
        let mut arrivals = Vec::new();
        for (event, (good, bad, late)) in events.into_iter().zip(late) {
            let first = Counts { good: good.min(event.counts.good), bad: bad.min(event.counts.bad) };
            let rest = Counts { good: event.counts.good - first.good, bad: event.counts.bad - first.bad };
            arrivals.push((event.slot, Event { counts: first, ..event }));
            arrivals.push((event.slot + late, Event { counts: rest, ..event }));
        }
        arrivals.sort_by_key(|(at, _)| *at);
        let mut evaluator = Evaluator::new(policy(method(join, &parts)), Slot(-1));
        let mut look = stride;
        for (at, event) in arrivals {
            while look < at.min(LAST) {
                evaluator.assess(Slot(look));
                look += stride;
            }
            prop_assert_eq!(record(&mut evaluator, &event), Recorded::Counted);
        }
        let report = evaluator.assess(Slot(LAST));
        prop_assert_eq!(report.period, whole.period);
        prop_assert_eq!(report.budget, whole.budget);
        prop_assert_eq!(report.tiers[0].long, whole.tiers[0].long);
        prop_assert_eq!(report.components, whole.components);
    }

    #[test]
    fn a_restart_at_any_slot_changes_nothing(
        (parts, events) in watched(), join in join(), at in 0..LAST, age in 2160_i64..4000, minutes_first in any::<bool>(),
    ) {
        let (known, later): (Vec<Event>, Vec<Event>) = events.iter().partition(|event| event.slot <= at);
        let whole = run(policy(method(join, &parts)), &events, 7);
        let mut evaluator = Evaluator::new(policy(method(join, &parts)), Slot(at));
        let since = evaluator.reaches_back_to();
        // as the ledger does: minutes that are too old for the fine windows are rolled up
        let (old, young): (Vec<Event>, Vec<Event>) =
            known.into_iter().partition(|event| event.slot / 6 < (at - age).max(0) / 6);
        let restore = |evaluator: &mut Evaluator| {
            for event in old.iter().filter(|event| event.slot / 6 * 60 >= since) {
                evaluator.restore_component_minute(event.component, Slot(event.slot / 6), event.counts);
            }
        };
        if minutes_first {
            restore(&mut evaluator);
        }
        for event in young.iter().filter(|event| event.slot * WIDTH_S >= since) {
            record(&mut evaluator, event);
        }
        if !minutes_first {
            restore(&mut evaluator);
        }
        let mut later = later.iter().peekable();
        for look in (at..LAST).step_by(9) {
            while let Some(event) = later.next_if(|event| event.slot <= look) {
                record(&mut evaluator, event);
            }
            evaluator.assess(Slot(look));
        }
        later.for_each(|event| _ = record(&mut evaluator, event));
        let report = evaluator.assess(Slot(LAST));
        prop_assert_eq!(report.period.counts, whole.period.counts);
        prop_assert_eq!(report.tiers[0].long.counts, whole.tiers[0].long.counts);
        for (part, whole) in report.components.iter().zip(&whole.components) {
            prop_assert_eq!((part.period, part.recent), (whole.period, whole.recent));
            prop_assert_eq!(part.period_burn_share, whole.period_burn_share);
            prop_assert_eq!(part.recent_burn_share, whole.recent_burn_share);
        }
    }

    #[test]
    fn nothing_is_ever_not_finite(
        join in join(),
        counts in prop::collection::vec((0_usize..3, 0_u64..u64::MAX / 4, 0_u64..u64::MAX / 4), 1..60),
    ) {
        let part = Part { weight: 1000.0, cost: 1.0, slice_target: None };
        let mut evaluator = Evaluator::new(policy(method(join, &[part; 3])), Slot(-1));
        for (slot, (component, good, bad)) in (0..).zip(counts) {
            evaluator.record_component(component, Slot(slot * 5), Counts { good, bad });
            let report = evaluator.assess(Slot(slot * 5));
            prop_assert!(report.budget.left_ratio.is_finite() && report.budget.allowed.is_finite());
            prop_assert!(report.seconds_to_exhaustion.is_none_or(f64::is_finite));
            for part in report.components {
                let shares = [part.recent_burn_share, part.period_burn_share];
                prop_assert!(shares.into_iter().flatten().all(|share| (0.0..=1.0).contains(&share)));
            }
        }
    }
}

#[test]
fn two_components_by_hand() {
    let part = |weight| Part { weight, cost: 1.0, slice_target: None };
    let spent = |join, percent: f64| {
        let mut two = policy(method(join, &[part(0.7), part(0.3)]));
        two.objective = objective(percent);
        two.period = Period::Rolling(Window::minutes(200));
        let mut evaluator = Evaluator::new(two, Slot(-1));
        for slot in 0..SLICE_SLOTS * 100 {
            // for ten of a hundred slices a tenth of the big one fails; for one of them half of the small one as well
            let (big, small) = (slot < SLICE_SLOTS * 10, slot < SLICE_SLOTS);
            let big = if big { Counts { good: 900, bad: 100 } } else { Counts { good: 1000, bad: 0 } };
            let small = if small { Counts { good: 1, bad: 1 } } else { Counts { good: 2, bad: 0 } };
            evaluator.record_component(0, Slot(slot), big);
            evaluator.record_component(1, Slot(slot), small);
        }
        evaluator.assess(Slot(SLICE_SLOTS * 100 - 1))
    };
    // 0.7 × 10 % in ten slices, and 0.3 × 50 % more in one: 0.7 + 0.15 = 0.85 of a hundred
    let weighed = spent(Join::Weights, 98.0);
    assert!((weighed.period.counts.bad_ratio().unwrap() - 0.0085).abs() < 1e-9);
    assert!((weighed.budget.left_ratio - 0.575).abs() < 1e-9, "{}", weighed.budget.left_ratio);
    let shares: Vec<f64> = weighed.components.iter().filter_map(|part| part.period_burn_share).collect();
    assert!((shares[0] - 70.0 / 85.0).abs() < 1e-6 && (shares[1] - 15.0 / 85.0).abs() < 1e-6, "{shares:?}");
    // nine slices at 10 % and one at 50 %: 1.4 of a hundred
    let worst = spent(Join::WorstOf, 98.0);
    assert!((worst.period.counts.bad_ratio().unwrap() - 0.014).abs() < 1e-9);
    let shares: Vec<f64> = worst.components.iter().filter_map(|part| part.period_burn_share).collect();
    assert!((shares[0] - 9.0 / 14.0).abs() < 1e-6 && (shares[1] - 5.0 / 14.0).abs() < 1e-6, "{shares:?}");
    assert_eq!(worst.tiers[0].events.total(), 360 * 1002, "the guard looks at the events of all of them");
}

struct Run {
    evaluator: Evaluator,
    now: i64,
    told: Vec<Transition>,
}

impl Run {
    fn new() -> Self {
        let part = Part { weight: 1.0, cost: 1.0, slice_target: None };
        let minute = Method::Composite(
            Composite::try_new(Grid::MINUTE, Join::WorstOf, [part; 2].map(|_| Component::default())).unwrap(),
        );
        let tier = Tier {
            severity: Severity::Page,
            long: Window::minutes(30),
            short: Window::minutes(5),
            factor: BurnFactor::try_new(10.0).unwrap(),
            hold_seconds: 0,
            until: None,
        };
        let policy = Policy {
            tiers: vec![tier],
            stale_after_seconds: 60,
            data_alert: Some(Severity::Ticket),
            ..policy(minute)
        };
        Self { evaluator: Evaluator::new(policy, Slot(-1)), now: 0, told: Vec::new() }
    }

    /// Lets minutes pass in which the two components say this.
    fn pass(&mut self, minutes: i64, counts: [Option<Counts>; 2]) -> Assessment {
        let mut last = None;
        for _ in 0..minutes * 6 {
            for (component, counts) in counts.iter().enumerate() {
                if let Some(counts) = counts {
                    self.evaluator.record_component(component, Slot(self.now), *counts);
                }
            }
            let report = self.evaluator.assess(Slot(self.now));
            let decision = self.evaluator.decide(&report);
            self.told.extend(decision.transitions.iter().copied());
            self.evaluator.accept(decision);
            last = Some(report);
            self.now += 1;
        }
        last.unwrap()
    }

    fn changes(&self) -> Vec<(Cause, Change)> {
        self.told.iter().map(|told| (told.cause, told.change)).collect()
    }
}

const GOOD: Option<Counts> = Some(Counts { good: 50, bad: 0 });
const DOWN: Option<Counts> = Some(Counts { good: 0, bad: 50 });

#[test]
fn one_component_of_two_that_fails_is_one_incident() {
    let mut run = Run::new();
    run.pass(60, [GOOD, GOOD]);
    let report = run.pass(6, [GOOD, DOWN]);
    assert_eq!(run.changes(), [(Cause::Burn, Change::Opened)]);
    let shares = report.components.iter().map(|part| part.recent_burn_share);
    assert_eq!(shares.collect::<Vec<_>>(), [Some(0.0), Some(1.0)]);
    run.pass(60, [GOOD, GOOD]);
    assert_eq!(run.changes(), [(Cause::Burn, Change::Opened), (Cause::Burn, Change::Resolved)]);
}

#[test]
fn a_silent_component_is_named_reported_missing_and_ends_no_incident() {
    let mut run = Run::new();
    run.pass(60, [GOOD, GOOD]);
    run.pass(6, [GOOD, DOWN]);
    let report = run.pass(60, [GOOD, None]);
    assert_eq!(report.state, DataState::Partial);
    let states = report.components.iter().map(|part| part.state);
    assert_eq!(states.collect::<Vec<_>>(), [DataState::Ok, DataState::Stale]);
    assert_eq!(run.changes(), [(Cause::Burn, Change::Opened), (Cause::DataMissing, Change::Opened)]);
    run.pass(1, [GOOD, GOOD]);
    let ended = [(Cause::Burn, Change::Resolved), (Cause::DataMissing, Change::Resolved)];
    assert_eq!(run.changes()[2..], ended, "the windows have long forgotten");
}

#[test]
fn the_others_page_while_one_is_silent() {
    let mut run = Run::new();
    run.pass(60, [GOOD, GOOD]);
    run.pass(60, [GOOD, None]);
    run.pass(6, [DOWN, None]);
    assert_eq!(run.changes(), [(Cause::DataMissing, Change::Opened), (Cause::Burn, Change::Opened)]);
    // when nobody answers any more, nothing is known at all
    let report = run.pass(10, [None, None]);
    assert_eq!(report.state, DataState::Stale);
    assert_eq!(run.told.len(), 2);
}

#[test]
fn a_component_that_was_never_heard_of_is_missing_from_the_start() {
    let mut run = Run::new();
    let report = run.pass(30, [GOOD, None]);
    assert_eq!((report.state, report.components[1].state), (DataState::Partial, DataState::NoData));
    assert_eq!(run.changes(), [(Cause::DataMissing, Change::Opened)]);
}

#[test]
fn an_incident_taken_up_after_a_restart_waits_for_the_component_that_is_silent() {
    let mut run = Run::new();
    let open =
        Open { started: Slot(-10), detected: Slot(-10), severity: Severity::Page, peak: Severity::Page };
    run.evaluator.resume(Cause::Burn, open);
    run.pass(5, [GOOD, None]);
    assert_eq!(run.evaluator.open(Cause::Burn), Some(open));
    run.pass(10, [GOOD, GOOD]);
    assert_eq!(run.evaluator.open(Cause::Burn), None);
}

#[test]
fn sixteen_components_stay_within_bounds() {
    let parts = [Component::default(); 16];
    let composite = Composite::try_new(Grid::MINUTE, Join::Weights, parts).unwrap();
    let period = Window::days(30);
    let policy = Policy {
        period: Period::Rolling(period),
        tiers: Tier::defaults(period),
        ..policy(Method::Composite(composite))
    };
    let mut evaluator = Evaluator::new(policy, Slot(-1));
    let mut noise = 7_u64;
    for minute in 0..31 * 1440 {
        for component in 0..16 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let counts = Counts { good: 9_000 + (noise >> 53), bad: (noise >> 40) % 12 };
            evaluator.record_component(component, Slot(minute * 6), counts);
        }
        evaluator.assess(Slot(minute * 6 + 5));
    }
    let bytes = evaluator.state_bytes();
    assert!(bytes <= 16 * 32 * 1024, "{bytes} bytes");
}
