//! Budgets of time: every method against brute force over the same events, whatever way these come in.

use std::collections::BTreeMap;

use lookout_engine::{
    Assessment, Counts, Evaluator, Grid, Guard, Method, Objective, Period, Policy, Recorded, Severity,
    SliceTarget, Slot, Tier, Window,
};
use proptest::prelude::*;

const WIDTH_S: i64 = 10;
const SLICE_SLOTS: i64 = 12;

fn policy(method: &Method) -> Policy {
    let period = Window::days(2);
    Policy {
        grid: Grid::try_new(WIDTH_S as u32).unwrap(),
        objective: Objective::try_from_percent(90.0).unwrap(),
        period: Period::Rolling(period),
        method: method.clone(),
        tiers: vec![Tier::defaults(Window::days(30))[0]],
        guard: Guard::default(),
        conditions: Vec::new(),
        stale_after_seconds: 180,
        data_alert: None,
    }
}

fn two_minutes() -> Grid {
    Grid::try_new((WIDTH_S * SLICE_SLOTS) as u32).unwrap()
}

fn timeslices(target: f64) -> Method {
    Method::Timeslices { slices: two_minutes(), target: SliceTarget::try_from_ratio(target).unwrap() }
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        Just(Method::Occurrences),
        Just(timeslices(0.9)),
        Just(timeslices(1.0)),
        Just(Method::RatioTimeslices { slices: two_minutes() }),
    ]
}

/// Runs events, in the given order, through an evaluator that began at slot zero; it looks at the end of these slots.
fn run(method: &Method, events: &[(i64, Counts)], looks: &[i64], end: i64) -> Assessment {
    let mut evaluator = Evaluator::new(policy(method), Slot(-1));
    let mut rest = events;
    for &look in looks.iter().filter(|look| **look < end) {
        let (now, later) = rest.split_at(rest.partition_point(|(slot, _)| *slot <= look));
        now.iter().for_each(|(slot, counts)| _ = evaluator.record(Slot(*slot), *counts));
        rest = later;
        evaluator.assess(Slot(look));
    }
    rest.iter().for_each(|(slot, counts)| _ = evaluator.record(Slot(*slot), *counts));
    evaluator.assess(Slot(end))
}

/// The share of bad in the period by the definitions of OpenSLO; `None` when nothing happened. The period holds all of
/// the events here, and of the slices those that are over.
fn bad_share(method: &Method, events: &[(i64, Counts)], end: i64) -> Option<f64> {
    let mut slices = BTreeMap::<i64, Counts>::new();
    for (slot, counts) in events {
        let slice = if *method == Method::Occurrences { 0 } else { slot / SLICE_SLOTS };
        *slices.entry(slice).or_default() += *counts;
    }
    let over = |slice: i64| *method == Method::Occurrences || (slice + 1) * SLICE_SLOTS <= end + 1;
    let shares: Vec<f64> = slices
        .into_iter()
        .filter(|(slice, counts)| over(*slice) && !counts.is_empty())
        .map(|(_, counts)| match method {
            Method::Timeslices { target, .. } => {
                f64::from(counts.good as f64 / (counts.total() as f64) < target.ratio())
            }
            _ => counts.bad_ratio().unwrap(),
        })
        .collect();
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

fn events(slots: i64) -> impl Strategy<Value = Vec<(i64, Counts)>> {
    // tens and their parts: a share of exactly nine tenths comes up often
    let event = (0..slots, 0_u64..=10, 0_u64..=2);
    let event = event.prop_map(|(slot, good, bad)| (slot, Counts { good, bad }));
    prop::collection::vec(event, 0..150).prop_map(|mut events| {
        events.sort_by_key(|(slot, _)| *slot);
        events
    })
}

proptest! {
    #[test]
    fn every_method_is_what_openslo_says(method in method(), events in events(4000), end in 3999_i64..4200) {
        let report = run(&method, &events, &[], end);
        let share = report.period.counts.bad_ratio();
        match (share, bad_share(&method, &events, end)) {
            (None, None) => {}
            (Some(share), Some(truth)) => prop_assert!((share - truth).abs() < 1e-8, "{share} {truth}"),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn the_budget_does_not_depend_on_how_often_one_looks(
        method in method(),
        events in events(8000),
        mut looks in prop::collection::vec(0_i64..8000, 0..60),
    ) {
        looks.sort_unstable();
        looks.dedup();
        let often: Vec<i64> = (0..8000).collect();
        let (seldom, often) = (run(&method, &events, &looks, 8010), run(&method, &events, &often, 8010));
        prop_assert_eq!(seldom, often);
    }

    /// ComponentHistories of a slot's counts come from several sources, in any order, and up to five hours late.
    #[test]
    fn splitting_a_stream_over_sources_changes_nothing(
        method in method(),
        events in events(8000),
        parts in prop::collection::vec((0_u64..=10, 0_u64..=2, 0_i64..1800), 150),
        looks in 1_i64..200,
    ) {
        let whole = run(&method, &events, &[], 8000);
        let mut evaluator = Evaluator::new(policy(&method), Slot(-1));
        let mut arrivals = Vec::new();
        for ((slot, counts), (good, bad, late)) in events.into_iter().zip(parts) {
            let part = Counts { good: good.min(counts.good), bad: bad.min(counts.bad) };
            let rest = Counts { good: counts.good - part.good, bad: counts.bad - part.bad };
            arrivals.push((slot, slot, part));
            arrivals.push((slot + late, slot, rest));
        }
        arrivals.sort_by_key(|(at, ..)| *at);
        let mut look = looks;
        for (at, slot, counts) in arrivals {
            while look < at.min(8000) {
                evaluator.assess(Slot(look));
                look += looks;
            }
            prop_assert_eq!(evaluator.record(Slot(slot), counts), Recorded::Counted);
        }
        let report = evaluator.assess(Slot(8000));
        prop_assert_eq!(report.period, whole.period);
        prop_assert_eq!(report.budget, whole.budget);
        prop_assert_eq!(report.tiers[0].long, whole.tiers[0].long);
    }

    #[test]
    fn a_restart_changes_no_budget(
        method in method(),
        events in events(15_000),
        rolled_up in 0_i64..12_000,
        minutes_first in any::<bool>(),
    ) {
        let often: Vec<i64> = (0..15_000).step_by(7).collect();
        let whole = run(&method, &events, &often, 15_000);
        let mut restored = Evaluator::new(policy(&method), Slot(15_000));
        let since = restored.reaches_back_to();
        // as the ledger does: whole minutes are rolled up
        let (old, young): (Vec<_>, Vec<_>) = events.iter().partition(|(slot, _)| slot / 6 < rolled_up / 6);
        let minutes = |restored: &mut Evaluator| {
            for (slot, counts) in old.iter().filter(|(slot, _)| slot / 6 * 60 >= since) {
                restored.restore_minute(Slot(slot / 6), *counts);
            }
        };
        if minutes_first {
            minutes(&mut restored);
        }
        for (slot, counts) in young.into_iter().filter(|(slot, _)| slot * WIDTH_S >= since) {
            restored.record(Slot(slot), counts);
        }
        if !minutes_first {
            minutes(&mut restored);
        }
        let report = restored.assess(Slot(15_000));
        prop_assert_eq!(report.period.counts, whole.period.counts);
        prop_assert_eq!(report.tiers[0].long.counts, whole.tiers[0].long.counts);
    }
}

#[test]
fn a_minute_of_failure_in_a_quiet_night_is_a_bad_slice_and_no_page() {
    let mut evaluator = Evaluator::new(policy(&timeslices(0.95)), Slot(-1));
    let mut report = None;
    for slot in 0..3600 / WIDTH_S {
        let night = Counts { good: u64::from(slot != 100), bad: u64::from(slot == 100) };
        evaluator.record(Slot(slot), night);
        report = Some(evaluator.assess(Slot(slot)));
    }
    let report = report.unwrap();
    assert_eq!((report.budget.bad, report.budget.total), (1, 30), "in slices");
    assert_eq!(report.tiers[0].events, Counts { good: 359, bad: 1 }, "in events");
    assert!(!report.tiers[0].exceeded);
}

#[test]
fn an_outage_pages_by_slices_as_well() {
    let mut page = policy(&timeslices(0.95));
    page.objective = Objective::try_from_percent(99.0).unwrap();
    let mut evaluator = Evaluator::new(page, Slot(-1));
    let opened = (0..1000).find(|&slot| {
        let bad = if slot >= 720 { 50 } else { 0 };
        evaluator.record(Slot(slot), Counts { good: 50 - bad, bad });
        let report = evaluator.assess(Slot(slot));
        let decision = evaluator.decide(&report);
        let page = decision.transitions.iter().any(|change| change.incident.severity == Severity::Page);
        evaluator.accept(decision);
        page
    });
    // 14.4 % of the 30 slices of an hour are 4.32: at the end of the fifth bad slice
    assert_eq!(opened, Some(720 + 5 * SLICE_SLOTS - 1));
}

#[test]
fn ratio_timeslices_are_shown_in_slices_and_no_target_is_out_of_reach() {
    let mut evaluator = Evaluator::new(policy(&Method::RatioTimeslices { slices: two_minutes() }), Slot(-1));
    for slot in 0..SLICE_SLOTS * 40 {
        evaluator.record(Slot(slot), Counts { good: 2, bad: 1 });
    }
    let report = evaluator.assess(Slot(SLICE_SLOTS * 40 - 1));
    assert_eq!((report.budget.bad, report.budget.total), (13, 40), "forty thirds, to the nearest");
    assert!(SliceTarget::try_from_ratio(1.0).is_ok());
    for bad in [0.0, 1.1, f64::NAN] {
        assert!(SliceTarget::try_from_ratio(bad).is_err(), "{bad}");
    }
}
