//! Calendar periods and versions of the objective: against brute force, however often they are looked at and wherever
//! the agent was restarted.

use lookout_engine::{
    Assessment, BudgetShare, Component, Composite, Condition, Counts, Evaluator, Grid, Guard, Join, Method,
    Objective, Period, Policy, Severity, Slot, Span, Tier, Version, Window,
};
use proptest::prelude::*;

const WIDTH_S: i64 = 10;
const HOUR: i64 = 360;
const END: i64 = 40 * HOUR;

fn objective(percent: f64) -> Objective {
    Objective::try_from_percent(percent).unwrap()
}

fn policy(period: Period) -> Policy {
    Policy {
        grid: Grid::try_new(WIDTH_S as u32).unwrap(),
        objective: objective(99.0),
        period,
        method: Method::Occurrences,
        tiers: vec![Tier::defaults(Window::days(30))[0]],
        guard: Guard::default(),
        // sparse events of a source that never falls silent
        stale_after_seconds: 1_000_000_000,
        data_alert: None,
        conditions: Vec::new(),
    }
}

fn calendar() -> Policy {
    policy(Period::Calendar { nominal: Window::hours(8) })
}

/// An event in a slot that is told about so many slots later, or earlier.
#[derive(Debug, Clone, Copy)]
struct LateEvent {
    slot: i64,
    at: i64,
    counts: Counts,
}

fn events() -> impl Strategy<Value = Vec<LateEvent>> {
    let delay = prop_oneof![8 => 0..3_i64, 1 => -50..0_i64, 1 => 3..4 * HOUR];
    let event = (0..END, delay, 0..50_u64, 0..5_u64).prop_map(|(slot, delay, good, bad)| LateEvent {
        slot,
        at: (slot + delay).clamp(0, END),
        counts: Counts { good, bad },
    });
    prop::collection::vec(event, 0..300).prop_map(|mut events| {
        events.sort_by_key(|event| event.at);
        events
    })
}

/// Periods of three to ten hours, in whole minutes.
fn edges() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(180..600_i64, 15).prop_map(|minutes| {
        minutes.iter().fold(vec![-7 * HOUR], |mut edges, minutes| {
            edges.push(edges[edges.len() - 1] + minutes * 6);
            edges
        })
    })
}

fn span(edges: &[i64], slot: i64) -> Span {
    let next = edges.partition_point(|edge| *edge <= slot);
    Span { from: Slot(edges[next - 1]), to: Slot(edges[next]) }
}

struct Watch<'e> {
    evaluator: Evaluator,
    edges: &'e [i64],
    rest: &'e [LateEvent],
}

impl Watch<'_> {
    fn assess(&mut self, slot: i64) -> Assessment {
        while let Some((event, rest)) = self.rest.split_first().filter(|(event, _)| event.at <= slot) {
            self.evaluator.record(Slot(event.slot), event.counts);
            self.rest = rest;
        }
        self.evaluator.set_period(span(self.edges, slot));
        without_runs(self.evaluator.assess(Slot(slot)))
    }
}

/// The assessment without the beginnings of runs, which are found when they are looked at, without the forecasts that
/// follow from them, and without the last slots of
/// a kind, which a restart knows by the minute and only within its reach.
fn without_runs(mut assessment: Assessment) -> Assessment {
    let present = &mut assessment.present;
    (present.since, present.last_bad, present.last_good) = (None, None, None);
    assessment.last_observed = None;
    for tier in &mut assessment.tiers {
        (tier.since, tier.fires_after_seconds) = (None, None);
    }
    assessment
}

fn versions() -> impl Strategy<Value = Vec<Version>> {
    let version = (0..END / 90, 0..4_u8).prop_map(|(quarter, choice)| Version {
        from: Slot(quarter * 90),
        objective: objective([90.0, 99.0, 99.9, 50.0][usize::from(choice)]),
    });
    prop::collection::vec(version, 0..4).prop_map(|mut versions| {
        versions.sort_by_key(|version| version.from);
        versions.dedup_by_key(|version| version.from);
        versions
    })
}

/// The last version is in force now.
fn watch<'e>(policy: Policy, versions: &[Version], edges: &'e [i64], events: &'e [LateEvent]) -> Watch<'e> {
    let objective = versions.last().map_or(policy.objective, |version| version.objective);
    let mut evaluator = Evaluator::new(Policy { objective, ..policy }, Slot(-1));
    evaluator.set_objective_versions(versions.iter().copied());
    Watch { evaluator, edges, rest: events }
}

/// Total and bad events of a calendar period so far, what the objectives of their time allowed, and how many of its
/// slots were covered.
fn truth(events: &[LateEvent], versions: &[Version], period: Span, at: i64) -> (u64, u64, f64, i64) {
    let known = events.iter().filter(|event| event.at <= at);
    let first = known.clone().map(|event| event.slot).min().unwrap_or(at + 1);
    let inside = known.filter(|event| period.from.0 <= event.slot && event.slot <= at);
    let (mut total, mut bad, mut allowed) = (0, 0, 0.0);
    for event in inside {
        let version = versions.iter().rev().find(|version| version.from.0 <= event.slot);
        let version = version.or(versions.first());
        let objective = version.map_or(objective(99.0), |version| version.objective);
        total += event.counts.total();
        bad += event.counts.bad;
        allowed += event.counts.total() as f64 * objective.budget_ratio();
    }
    (total, bad, allowed, (at + 1 - first.max(period.from.0)).max(0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_calendar_period_is_the_sum_since_its_start_however_often_it_is_asked_for(
        events in events(), edges in edges(), versions in versions(), every in 2..700_i64,
    ) {
        let mut always = watch(calendar(), &versions, &edges, &events);
        let mut sometimes = watch(calendar(), &versions, &edges, &events);
        for slot in 0..END {
            let report = always.assess(slot);
            if slot % every != 0 {
                continue;
            }
            prop_assert_eq!(&sometimes.assess(slot), &report, "at {}", slot);
            let period = span(&edges, slot);
            prop_assert_eq!(report.span, Some(period));
            let (total, bad, allowed, covered) = truth(&events, &versions, period, slot);
            prop_assert_eq!((report.budget.total, report.budget.bad), (total, bad), "at {}", slot);
            let length = (period.to.0 - period.from.0) as f64;
            let left = if total == 0 { 1.0 } else { 1.0 - bad as f64 / allowed * covered as f64 / length };
            prop_assert!((report.budget.left_ratio - left).abs() < 1e-9 * left.abs().max(1.0), "{left}");
            prop_assert!(report.budget.left_ratio.is_finite() && report.budget.allowed.is_finite());
            let remaining = (period.to.0 - slot - 1) * WIDTH_S;
            prop_assert!(report.seconds_to_exhaustion.is_none_or(|s| s == 0.0 || s < remaining as f64));
        }
    }

    #[test]
    fn a_rolling_budget_does_not_depend_on_how_often_it_is_asked_for(
        events in events(), versions in versions(), every in 2..700_i64, hours in 1..30_u64,
    ) {
        let policy = policy(Period::Rolling(Window::hours(hours)));
        let edges = [-1, i64::MAX];
        let mut always = watch(policy.clone(), &versions, &edges, &events);
        let mut sometimes = watch(policy, &versions, &edges, &events);
        for slot in 0..END {
            let report = always.assess(slot);
            if slot % every == 0 {
                prop_assert_eq!(&sometimes.assess(slot), &report, "at {}", slot);
                let parts = report.versions.iter().map(|share| share.counts).sum::<Counts>();
                prop_assert!(report.versions.is_empty() || parts == report.period.counts, "at {}", slot);
            }
        }
    }

    #[test]
    fn a_restart_anywhere_changes_no_period(
        events in events(), edges in edges(), versions in versions(), restart in 0..END, rolling in any::<bool>(),
    ) {
        let policy = if rolling { policy(Period::Rolling(Window::hours(20))) } else { calendar() };
        let mut before = watch(policy.clone(), &versions, &edges, &events);
        before.assess(restart);
        let mut after = watch(policy, &versions, &edges, before.rest);
        after.evaluator = Evaluator::new(after.evaluator.policy().clone(), Slot(restart));
        after.evaluator.set_objective_versions(versions.iter().copied());
        after.evaluator.set_period(span(&edges, restart));
        let since = after.evaluator.reaches_back_to();
        let told = &events[..events.len() - before.rest.len()];
        // what is older than seven hours is known by the minute
        for event in told.iter().filter(|event| event.slot * WIDTH_S >= since) {
            if event.slot < (restart / 6 - 7 * 60) * 6 {
                after.evaluator.restore_minute(Slot(event.slot.div_euclid(6)), event.counts);
            } else {
                after.evaluator.record(Slot(event.slot), event.counts);
            }
        }
        if let Some(first) = told.iter().map(|event| event.slot).min() {
            after.evaluator.set_first_observation(first * WIDTH_S);
        }
        for slot in (restart..END).step_by(37) {
            prop_assert_eq!(after.assess(slot), before.assess(slot), "at {} after {}", slot, restart);
        }
    }
}

fn run(evaluator: &mut Evaluator, slots: core::ops::Range<i64>, bad_of_100: u64) -> Assessment {
    let last = slots.end - 1;
    for slot in slots {
        evaluator.record(Slot(slot), Counts { good: 100 - bad_of_100, bad: bad_of_100 });
    }
    evaluator.assess(Slot(last))
}

#[test]
fn the_budget_begins_whole_and_the_rest_of_the_period_is_taken_as_clean() {
    let mut evaluator = Evaluator::new(calendar(), Slot(-1));
    evaluator.set_period(Span { from: Slot(0), to: Slot(10 * HOUR) });
    assert_eq!(evaluator.assess(Slot(0)).budget.left_ratio, 1.0);
    let report = run(&mut evaluator, 1..HOUR + 1, 2);
    // twice the budget for a tenth of the period
    assert!((report.budget.left_ratio - 0.8).abs() < 1e-3, "{:?}", report.budget);
    assert_eq!(report.period.window, Window::hours(10));
    let seconds = report.seconds_to_exhaustion.unwrap();
    assert!((seconds - 4.0 * 3600.0).abs() < 30.0, "four fifths last for two fifths at that burn: {seconds}");

    evaluator.set_period(Span { from: Slot(10 * HOUR), to: Slot(20 * HOUR) });
    evaluator.record(Slot(10 * HOUR - 1), Counts { good: 0, bad: 1000 });
    let report = evaluator.assess(Slot(10 * HOUR));
    assert_eq!((report.budget.left_ratio, report.budget.total), (1.0, 0), "late counts stay in the past");
}

#[test]
fn what_would_be_exhausted_after_the_end_of_the_period_is_not() {
    let mut evaluator = Evaluator::new(calendar(), Slot(-1));
    evaluator.set_period(Span { from: Slot(0), to: Slot(10 * HOUR) });
    run(&mut evaluator, 0..8 * HOUR, 0);
    let report = run(&mut evaluator, 8 * HOUR..9 * HOUR, 2);
    assert!((report.budget.left_ratio - 0.8).abs() < 1e-9, "{:?}", report.budget);
    assert_eq!(report.seconds_to_exhaustion, None, "in an hour there is a new budget");
}

#[test]
fn a_stricter_objective_does_not_rewrite_what_was_spent() {
    let changed_at = Slot(5 * HOUR);
    let spend = |versions: Vec<Version>, objective: Objective| {
        let mut evaluator = Evaluator::new(Policy { objective, ..calendar() }, Slot(-1));
        evaluator.set_objective_versions(versions);
        evaluator.set_period(Span { from: Slot(0), to: Slot(10 * HOUR) });
        let before = run(&mut evaluator, 0..changed_at.0, 1);
        let at = run(&mut evaluator, changed_at.0..changed_at.0 + 1, 0);
        (before, at, run(&mut evaluator, changed_at.0 + 1..10 * HOUR, 0))
    };
    let (loose, strict) = (objective(99.0), objective(99.9));
    let history = vec![
        Version { from: Slot(-500 * HOUR), objective: loose },
        Version { from: changed_at, objective: strict },
    ];
    let (before, at, after) = spend(history.clone(), strict);
    let (unchanged, ..) = spend(Vec::new(), loose);
    assert!((before.budget.left_ratio - unchanged.budget.left_ratio).abs() < 1e-12, "as it was");
    assert!((at.budget.left_ratio - before.budget.left_ratio).abs() < 1e-3, "no jump at the change");
    // 1 % of the first half, of 1 % of the first half and 0.1 % of the second
    let left = 1.0 - 0.5 / (0.5 + 0.05);
    assert!((after.budget.left_ratio - left).abs() < 1e-9, "{} is not {left}", after.budget.left_ratio);
    let shares: Vec<(i64, f64, u64)> = after
        .versions
        .iter()
        .map(|share| (share.from_seconds, share.objective.percent(), share.counts.total()))
        .collect();
    assert_eq!(shares, [(0, 99.0, 5 * HOUR as u64 * 100), (5 * 3600, 99.9, 5 * HOUR as u64 * 100)]);

    let (_, _, rewritten) = spend(Vec::new(), strict);
    assert!(rewritten.budget.left_ratio < -3.9, "that is what versions are for: {:?}", rewritten.budget);
}

#[test]
fn versions_leave_a_rolling_period_with_what_they_judged() {
    let rolling = Policy { objective: objective(90.0), ..policy(Period::Rolling(Window::hours(4))) };
    let mut evaluator = Evaluator::new(rolling, Slot(-1));
    evaluator.set_objective_versions([
        Version { from: Slot(0), objective: objective(99.0) },
        Version { from: Slot(2 * HOUR), objective: objective(90.0) },
    ]);
    run(&mut evaluator, 0..2 * HOUR, 1);
    let report = run(&mut evaluator, 2 * HOUR..5 * HOUR, 1);
    let totals: Vec<u64> = report.versions.iter().map(|share| share.counts.total()).collect();
    assert_eq!(totals, [HOUR as u64 * 100, 3 * HOUR as u64 * 100]);
    let left = 1.0 - 0.04 / (0.01 + 3.0 * 0.1);
    assert!((report.budget.left_ratio - left).abs() < 1e-9, "{:?}", report.budget);
    let report = run(&mut evaluator, 5 * HOUR..6 * HOUR, 1);
    assert_eq!(report.versions, [], "one objective is left in the period");
    assert!((report.budget.left_ratio - 0.9).abs() < 1e-9);
}

#[test]
fn slices_belong_to_the_period_in_which_they_begin() {
    let slices = Grid::try_new(300).unwrap();
    let mut evaluator =
        Evaluator::new(Policy { method: Method::RatioTimeslices { slices }, ..calendar() }, Slot(-1));
    evaluator.set_period(Span { from: Slot(0), to: Slot(HOUR) });
    let report = run(&mut evaluator, 0..HOUR, 10);
    assert_eq!((report.budget.total, report.budget.bad), (12, 1));
    evaluator.set_period(Span { from: Slot(HOUR), to: Slot(2 * HOUR) });
    let report = run(&mut evaluator, HOUR..HOUR + 60, 0);
    assert_eq!((report.budget.total, report.budget.left_ratio), (2, 1.0));
}

#[test]
fn long_windows_are_restored_from_quarters_of_an_hour() {
    let year = policy(Period::Rolling(Window::days(365)));
    let (mut whole, day) = (Evaluator::new(year.clone(), Slot(-1)), 24 * HOUR);
    let end = 400 * day;
    let events: Vec<(i64, Counts)> = (0..end)
        .step_by(77)
        .map(|slot| (slot, Counts { good: slot as u64 % 91, bad: slot as u64 % 3 }))
        .collect();
    for (slot, counts) in &events {
        whole.record(Slot(*slot), *counts);
    }
    let expected = whole.assess(Slot(end));
    let mut restored = Evaluator::new(year, Slot(end));
    let since = restored.reaches_back_to();
    for (slot, counts) in events.iter().filter(|(slot, _)| slot * WIDTH_S >= since) {
        match end - slot {
            age if age > 90 * day => restored.restore_quarter(Slot(slot / 90), *counts),
            age if age > 7 * HOUR => restored.restore_minute(Slot(slot / 6), *counts),
            _ => restored.record(Slot(*slot), *counts),
        };
    }
    restored.set_first_observation(0);
    assert_eq!(without_runs(restored.assess(Slot(end))), without_runs(expected.clone()));
    assert!(expected.period.counts.total() > 0);
}

/// With an hour of conditions beside the calendar.
fn conditioned(conditions: Vec<Condition>) -> Evaluator {
    let tiers = Vec::new();
    Evaluator::new(Policy { tiers, conditions, ..calendar() }, Slot(-1))
}

#[test]
fn conditions_forget_with_the_budget_when_a_period_turns() {
    let share = |percent| BudgetShare::try_from_percent(percent).unwrap();
    let mut evaluator = conditioned(vec![
        Condition::budget_left(Severity::Ticket, share(50.0)),
        Condition::budget_drop(Severity::Page, share(5.0), Window::hours(1)),
        Condition::exhaustion(Severity::Ticket, Window::hours(8), Window::hours(1)),
    ]);
    let exceeded = |report: &Assessment| report.conditions.iter().map(|it| it.exceeded).collect::<Vec<_>>();
    evaluator.set_period(Span { from: Slot(0), to: Slot(10 * HOUR) });
    run(&mut evaluator, 0..3 * HOUR, 1);
    let report = run(&mut evaluator, 3 * HOUR..5 * HOUR, 3);
    // 1 % of three hours and 3 % of two, of 1 % of ten: 90 %, of which 30 % in the last hour
    assert!((report.budget.left_ratio - 0.1).abs() < 1e-9, "{:?}", report.budget);
    assert_eq!(exceeded(&report), [true, true, true]);
    let spent = report.conditions[1].measured.unwrap();
    assert!((spent - 0.3).abs() < 1e-9, "{spent}");

    evaluator.set_period(Span { from: Slot(5 * HOUR), to: Slot(15 * HOUR) });
    let report = run(&mut evaluator, 5 * HOUR..5 * HOUR + 6, 0);
    assert_eq!(report.budget.left_ratio, 1.0);
    assert_eq!(report.conditions[1].measured, Some(0.0), "what was spent was another budget");
    // the last hour still burns three times too fast, which a whole budget of ten hours bears for 200 minutes
    assert_eq!(exceeded(&report), [false, false, true]);
    let lasts = report.conditions[2].measured.unwrap();
    assert!((lasts - 12_000.0).abs() < 300.0, "{lasts}");
}

#[test]
fn nothing_would_be_exhausted_in_a_period_that_is_over_before() {
    let lasts = Condition::exhaustion(Severity::Ticket, Window::hours(8), Window::hours(1));
    let mut evaluator = conditioned(vec![lasts]);
    evaluator.set_period(Span { from: Slot(0), to: Slot(10 * HOUR) });
    run(&mut evaluator, 0..8 * HOUR, 0);
    let report = run(&mut evaluator, 8 * HOUR..9 * HOUR, 2);
    assert_eq!((report.conditions[0].measured, report.conditions[0].exceeded), (None, false));
}

#[test]
fn the_slot_that_begins_a_period_is_not_looked_at_before_it_is_over() {
    let mut evaluator = Evaluator::new(calendar(), Slot(-1));
    evaluator.set_period(Span { from: Slot(0), to: Slot(HOUR) });
    run(&mut evaluator, 0..HOUR, 0);
    evaluator.record(Slot(HOUR), Counts { good: 0, bad: 100_000 });
    assert_eq!(evaluator.project(Slot(HOUR)), None, "its period has not begun");
    evaluator.set_period(Span { from: Slot(HOUR), to: Slot(2 * HOUR) });
    assert!(evaluator.project(Slot(HOUR)).is_some());
}

#[test]
fn an_evaluator_made_anew_judges_like_the_one_before() {
    let versions = [
        Version { from: Slot(0), objective: objective(90.0) },
        Version { from: Slot(2 * HOUR), objective: objective(99.0) },
    ];
    let mut first = Evaluator::new(calendar(), Slot(-1));
    first.set_objective_versions(versions);
    first.set_period(Span { from: Slot(HOUR), to: Slot(9 * HOUR) });
    let mut second = Evaluator::new(calendar(), Slot(-1));
    second.copy_period_and_versions(&first);
    second.continue_from(&first);
    let (first, second) = (run(&mut first, 0..4 * HOUR, 2), run(&mut second, 0..4 * HOUR, 2));
    assert_eq!(first.versions.len(), 2);
    assert_eq!(first, second);
}

#[test]
fn components_of_a_composite_are_counted_by_the_calendar() {
    let slices = Grid::MINUTE;
    let components = [Component::default(); 2];
    let composite = Composite::try_new(slices, Join::WorstOf, components).unwrap();
    let mut evaluator =
        Evaluator::new(Policy { method: Method::Composite(composite), ..calendar() }, Slot(-1));
    let mut run = |slots: core::ops::Range<i64>, bad: [u64; 2]| {
        let last = slots.end - 1;
        for slot in slots {
            for (component, bad) in bad.into_iter().enumerate() {
                evaluator.record_component(component, Slot(slot), Counts { good: 10 - bad, bad });
            }
        }
        evaluator.set_period(Span {
            from: Slot(last.div_euclid(2 * HOUR) * 2 * HOUR),
            to: Slot((last.div_euclid(2 * HOUR) + 1) * 2 * HOUR),
        });
        evaluator.assess(Slot(last))
    };
    let report = run(0..2 * HOUR, [1, 0]);
    assert_eq!(report.components[0].period, Counts { good: 9 * 720, bad: 720 });
    assert_eq!(report.components[0].period_burn_share, Some(1.0));
    let report = run(2 * HOUR..3 * HOUR, [0, 2]);
    assert_eq!((report.budget.total, report.budget.bad), (60, 12), "slices of the period that began");
    let [first, second] = report.components.as_slice() else { panic!("{:?}", report.components) };
    assert_eq!((first.period, first.period_burn_share), (Counts { good: 3600, bad: 0 }, Some(0.0)));
    assert_eq!((second.period, second.period_burn_share), (Counts { good: 2880, bad: 720 }, Some(1.0)));
}
