//! Conditions beside the tiers, thresholds that release later than they fire, and guards.

use lookout_engine::{
    Assessment, BudgetShare, BurnFactor, Cause, Change, Condition, Confidence, Counts, Evaluator, Grid,
    Guard, History, Method, Objective, Open, Period, Policy, Severity, Slot, Status, Tier, Transition,
    Window,
};
use proptest::prelude::*;

/// 90 % over 10 minutes in slots of a second; nothing but what is said.
fn policy(tiers: Vec<Tier>, conditions: Vec<Condition>) -> Policy {
    Policy {
        grid: Grid::try_new(1).unwrap(),
        objective: Objective::try_from_percent(90.0).unwrap(),
        period: Period::Rolling(Window::minutes(10)),
        method: Method::Occurrences,
        tiers,
        guard: Guard::default(),
        conditions,
        stale_after_seconds: 5,
        data_alert: None,
    }
}

fn share(percent: f64) -> BudgetShare {
    BudgetShare::try_from_percent(percent).unwrap()
}

fn tier(factor: f64) -> Tier {
    let factor = BurnFactor::try_new(factor).unwrap();
    Tier::new(Severity::Page, Window::seconds(10), Window::seconds(2), factor)
}

struct Run {
    evaluator: Evaluator,
    now: i64,
    told: Vec<Transition>,
}

impl Run {
    fn new(policy: Policy) -> Self {
        Self { evaluator: Evaluator::new(policy, Slot(-1)), now: 0, told: Vec::new() }
    }

    fn pass(&mut self, slots: i64, counts: Option<Counts>) -> Option<Assessment> {
        let mut last = None;
        for _ in 0..slots {
            if let Some(counts) = counts {
                self.evaluator.record(Slot(self.now), counts);
            }
            let report = self.evaluator.assess(Slot(self.now));
            let decision = self.evaluator.decide(&report);
            assert_eq!(decision, self.evaluator.decide(&report), "deciding changes nothing");
            self.told.extend(decision.transitions.iter().copied());
            last = Some(decision.apply(report));
            self.evaluator.accept(decision);
            self.now += 1;
        }
        last
    }

    fn changes(&self) -> Vec<(Cause, Change)> {
        self.told.iter().map(|transition| (transition.cause, transition.change)).collect()
    }
}

fn of_100(bad: u64) -> Option<Counts> {
    Some(Counts { good: 100 - bad, bad })
}

const OPENED: (Cause, Change) = (Cause::Burn, Change::Opened);
const RESOLVED: (Cause, Change) = (Cause::Burn, Change::Resolved);

#[test]
fn budget_left_calls_below_its_share_and_lets_go_well_above_it() {
    let mut run = Run::new(policy(Vec::new(), vec![Condition::budget_left(Severity::Ticket, share(50.0))]));
    run.pass(600, of_100(0));
    // 100 events × 600 s × 10 % are 6,000 bad ones: half of them are gone after 30 s of nothing else
    run.pass(30, of_100(100));
    assert_eq!(run.changes(), [], "exactly half is left");
    run.pass(1, of_100(100));
    assert_eq!(run.changes(), [OPENED]);
    // the bad ones leave the period after ten minutes: 55 % are left when four of 31 have gone
    let report = run.pass(569 + 2, of_100(0)).unwrap();
    let left = report.conditions[0];
    assert!(left.firing && left.measured > Some(left.condition.thresholds().0), "52 %: {:?}", left.measured);
    let report = run.pass(2, of_100(0)).unwrap();
    assert!(!report.conditions[0].firing && report.conditions[0].measured.unwrap() > 0.55 - 1e-9);
    assert_eq!(run.changes(), [OPENED, RESOLVED]);
}

#[test]
fn budget_drop_calls_as_soon_as_the_share_is_spent() {
    let drop = Condition::budget_drop(Severity::Page, share(10.0), Window::seconds(30));
    let mut run = Run::new(policy(Vec::new(), vec![drop]));
    run.pass(600, of_100(0));
    // 600 bad ones are 10 %
    run.pass(5, of_100(100));
    assert_eq!(run.changes(), []);
    let report = run.pass(1, of_100(100)).unwrap();
    assert_eq!(run.changes(), [OPENED]);
    assert!((report.conditions[0].measured.unwrap() - 0.1).abs() < 1e-9);
    // it goes on for as long as three quarters of that are in the window
    run.pass(25, of_100(0));
    assert_eq!(run.changes(), [OPENED]);
    run.pass(1, of_100(0));
    assert_eq!(run.changes(), [OPENED, RESOLVED]);
    assert_eq!(run.told[1].at, Slot(600 + 6 + 25), "five of six seconds are 8.3 %, four are 6.7 %");
}

#[test]
fn exhaustion_calls_while_the_budget_is_about_to_go() {
    let lasts = Condition::exhaustion(Severity::Page, Window::minutes(2), Window::seconds(20));
    let expected =
        lasts.detection_seconds(Objective::try_from_percent(90.0).unwrap(), Window::minutes(10), 0.5);
    let mut run = Run::new(policy(Vec::new(), vec![lasts]));
    run.pass(600, of_100(0));
    run.pass(60, of_100(50));
    let after = run.told[0].at.0 - 599;
    // 600 s × 20 s ÷ (5 × 140 s)
    assert!((expected.unwrap() - 120.0 / 7.0).abs() < 1e-9);
    assert_eq!((after, run.changes()), (18, vec![OPENED]));
    run.pass(600, of_100(0));
    assert_eq!(run.changes(), [OPENED, RESOLVED]);
}

#[test]
fn a_budget_that_is_gone_calls_only_while_it_still_burns() {
    let lasts = Condition::exhaustion(Severity::Page, Window::minutes(2), Window::seconds(20));
    let mut run = Run::new(policy(Vec::new(), vec![lasts]));
    run.pass(600, of_100(0));
    run.pass(100, of_100(100));
    run.pass(30, of_100(5));
    assert!(run.evaluator.assess(Slot(run.now)).budget.left_ratio < 0.0);
    assert_eq!(run.changes(), [OPENED, RESOLVED], "half the even burn gives it time to come back");
}

#[test]
fn silence_of_another_length_has_a_severity_of_its_own() {
    let silent = |severity, seconds| Condition::no_data(severity, Window::seconds(seconds));
    let conditions = vec![silent(Severity::Ticket, 10), silent(Severity::Page, 30)];
    let mut run = Run::new(policy(Vec::new(), conditions));
    run.pass(20, of_100(0));
    run.pass(11, None);
    assert_eq!(run.changes(), [(Cause::DataMissing, Change::Opened)]);
    run.pass(19, None);
    assert_eq!(run.told.len(), 1);
    run.pass(1, None);
    run.pass(1, of_100(0));
    let severities: Vec<_> = run.told.iter().map(|told| (told.change, told.incident.severity)).collect();
    assert_eq!(
        severities,
        [
            (Change::Opened, Severity::Ticket),
            (Change::Escalated, Severity::Page),
            (Change::Resolved, Severity::Page)
        ]
    );
}

#[test]
fn missing_data_freeze_a_condition() {
    let drop = Condition::budget_drop(Severity::Page, share(10.0), Window::seconds(30));
    let mut run = Run::new(policy(Vec::new(), vec![drop]));
    run.pass(600, of_100(0));
    run.pass(6, of_100(100));
    run.pass(100, None);
    assert_eq!(run.changes(), [OPENED], "the window is empty, and nothing is known");
    run.pass(1, of_100(0));
    assert_eq!(run.changes(), [OPENED, RESOLVED]);
}

#[test]
fn tiers_and_conditions_make_one_incident_of_the_highest_severity() {
    let left = Condition::budget_left(Severity::Ticket, share(95.0));
    let mut run = Run::new(policy(vec![tier(5.0)], vec![left]));
    run.pass(600, of_100(0));
    run.pass(10, of_100(100));
    run.pass(20, of_100(0));
    let told: Vec<_> =
        run.told.iter().map(|told| (told.change, told.incident.severity, told.incident.detected)).collect();
    let start = Slot(603);
    assert_eq!(
        told,
        [
            (Change::Opened, Severity::Ticket, start),
            (Change::Escalated, Severity::Page, start),
            (Change::Eased, Severity::Ticket, start),
        ]
    );
}

/// A value that swings around the threshold: how often it is told.
fn flapping(tier: Tier) -> usize {
    let mut run = Run::new(policy(vec![tier], Vec::new()));
    run.pass(60, of_100(0));
    for _ in 0..20 {
        run.pass(10, of_100(55));
        run.pass(10, of_100(45));
    }
    run.pass(30, of_100(0));
    run.told.len()
}

#[test]
fn a_value_that_swings_around_the_threshold_makes_one_incident() {
    assert_eq!(flapping(tier(5.0)), 40, "one each time without a release factor");
    assert_eq!(flapping(tier(5.0).until(BurnFactor::try_new(4.0).unwrap())), 2);
}

#[test]
fn after_a_restart_the_one_that_fired_goes_on_and_no_other() {
    let left = Condition::budget_left(Severity::Page, share(50.0));
    let both = policy(vec![tier(5.0)], vec![left]);
    // it burns at a budget that is within the release band of the condition
    let mut run = Run::new(both.clone());
    run.pass(600, of_100(0));
    run.pass(28, of_100(100));
    assert_eq!(run.changes(), [OPENED]);
    let open = run.evaluator.open(Cause::Burn).unwrap();
    run.evaluator.resume(Cause::Burn, open);
    run.pass(1, of_100(100));
    run.pass(20, of_100(0));
    assert_eq!(run.changes(), [OPENED, RESOLVED], "the tier had fired, not the budget");

    let mut run = Run::new(both);
    run.pass(600, of_100(0));
    run.pass(31, of_100(100));
    run.pass(571, of_100(0));
    let open = run.evaluator.open(Cause::Burn).unwrap();
    run.evaluator.resume(Cause::Burn, open);
    run.pass(1, of_100(0));
    assert_eq!(run.changes(), [OPENED], "nobody but the budget can have fired");
}

const CRASH_LOOP: Cause = Cause::CrashLoop;
const NO_TRAFFIC: Cause = Cause::TrafficMissing;

#[test]
fn three_starts_are_a_crash_loop_and_it_ends_after_a_window_without_one() {
    let within = Window::seconds(60);
    let loops = policy(Vec::new(), vec![Condition::restarts(Severity::Page, 3, within)]);
    let mut run = Run::new(loops);
    run.pass(100, of_100(0));
    for start in 0..5 {
        run.evaluator.record_starts(Slot(run.now), 1);
        let report = run.pass(10, of_100(0)).unwrap();
        assert_eq!(report.status == Status::Paging, start >= 2, "start {start}: {}", report.status);
    }
    assert_eq!(run.changes(), [(CRASH_LOOP, Change::Opened)]);
    let opened = run.told[0];
    assert_eq!((opened.at, opened.incident.started), (Slot(120), Slot(100)), "the first start of the loop");
    run.pass(50, of_100(0));
    assert_eq!(run.changes().len(), 1, "the window still has the last start");
    let report = run.pass(1, of_100(0)).unwrap();
    assert_eq!(run.changes()[1..], [(CRASH_LOOP, Change::Resolved)]);
    assert_ne!(report.status, Status::Paging);
    run.evaluator.record_starts(Slot(run.now), 3);
    run.pass(1, of_100(0));
    assert_eq!(run.changes()[2..], [(CRASH_LOOP, Change::Reopened)], "the same loop goes on");
}

#[test]
fn a_crash_loop_stays_open_over_a_restart_until_a_window_without_a_start_was_watched() {
    let within = Window::seconds(60);
    let loops = policy(Vec::new(), vec![Condition::restarts(Severity::Page, 3, within)]);
    let mut run = Run::new(loops);
    let open = Open { started: Slot(-9), detected: Slot(-2), severity: Severity::Page, peak: Severity::Page };
    run.evaluator.resume(CRASH_LOOP, open);
    run.pass(59, of_100(0));
    assert_eq!(run.changes(), []);
    run.pass(1, of_100(0));
    assert_eq!(run.changes(), [(CRASH_LOOP, Change::Resolved)]);
}

#[test]
fn a_source_without_events_is_told_and_the_first_event_ends_it() {
    let idle = policy(Vec::new(), vec![Condition::idle(Severity::Ticket, Window::seconds(30))]);
    let mut run = Run::new(idle);
    run.pass(10, of_100(0));
    run.pass(30, of_100(0).map(|_| Counts::ZERO));
    assert_eq!(run.changes(), []);
    let report = run.pass(1, Some(Counts::ZERO)).unwrap();
    assert_eq!((run.changes(), report.status), (vec![(NO_TRAFFIC, Change::Opened)], Status::Ticket));
    assert_eq!(run.told[0].incident.started, Slot(10), "the first slot without an event");
    let open = run.evaluator.open(NO_TRAFFIC).unwrap();
    run.evaluator.resume(NO_TRAFFIC, open);
    run.evaluator.watch_from(Slot(run.now - 1));
    run.pass(3, Some(Counts::ZERO));
    assert_eq!(run.changes().len(), 1, "a restart of the agent brings no traffic");
    run.pass(1, of_100(0));
    assert_eq!(run.changes()[1..], [(NO_TRAFFIC, Change::Resolved)]);
}

#[test]
fn silence_is_not_idleness() {
    let idle = policy(Vec::new(), vec![Condition::idle(Severity::Ticket, Window::seconds(30))]);
    let mut run = Run::new(idle);
    run.pass(10, of_100(0));
    run.pass(100, None);
    run.pass(1, of_100(0));
    assert_eq!(run.changes(), []);
}

#[test]
fn an_hour_with_less_traffic_than_the_same_hour_a_week_before_is_told() {
    let mut weekly = policy(Vec::new(), vec![Condition::traffic(Severity::Page, 30, 100)]);
    weekly.grid = Grid::try_new(60).unwrap();
    weekly.stale_after_seconds = 300;
    let mut run = Run::new(weekly);
    let day = |run: &mut Run, of_an_hour: fn(i64) -> u64| {
        for hour in 0..24 {
            run.pass(60, Some(Counts { good: of_an_hour(hour), bad: 0 }));
        }
    };
    // busy from 8 to 18, and nearly nothing at night
    let usual = |hour: i64| if (8..18).contains(&hour) { 100 } else { 1 };
    for _ in 0..14 {
        day(&mut run, usual);
    }
    assert_eq!(run.changes(), [], "the nights of every week are alike");
    run.pass(10 * 60, Some(Counts { good: 1, bad: 0 }));
    let opened = run.told[0];
    assert_eq!((opened.cause, opened.change), (NO_TRAFFIC, Change::Opened));
    let minutes = opened.at.0 - 14 * 24 * 60 - 8 * 60;
    assert_eq!(minutes, 14, "at the end of the first quarter that should have been busy");
    run.pass(60, Some(Counts { good: 100, bad: 0 }));
    assert_eq!(run.changes()[1..], [(NO_TRAFFIC, Change::Resolved)]);
}

#[test]
fn bad_events_of_one_slot_are_held_until_there_is_another() {
    let mut spread = policy(vec![tier(2.0)], Vec::new());
    spread.guard.minimum_slots = 2;
    let mut run = Run::new(spread);
    run.pass(60, Some(Counts { good: 2, bad: 0 }));
    let burst = Some(Counts { good: 0, bad: 30 });
    let report = run.pass(1, burst).unwrap();
    let held = report.tiers[0].held.map(|held| held.to_string());
    assert_eq!((held.as_deref(), run.told.len()), (Some("bad events in 1 of 2 slots"), 0));
    run.pass(1, Some(Counts { good: 0, bad: 1 }));
    assert_eq!(run.changes(), [OPENED]);
}

#[test]
fn chance_is_held_and_certainty_is_not() {
    let mut sure = policy(vec![tier(2.0)], Vec::new());
    sure.guard = Guard { minimum_bad: 0, confidence: Confidence::try_from_percent(98.0).ok(), ..sure.guard };
    let mut run = Run::new(sure);
    run.pass(60, Some(Counts { good: 1, bad: 0 }));
    let report = run.pass(2, Some(Counts { good: 0, bad: 1 })).unwrap();
    assert!(!report.tiers[0].exceeded && report.tiers[0].held.is_none(), "two of ten are the threshold");
    let report = run.pass(1, Some(Counts { good: 0, bad: 1 })).unwrap();
    let held = report.tiers[0].held.map(|held| held.to_string());
    assert_eq!(held.as_deref(), Some("at least 8.974 % bad at 98% confidence, fires above 20 %"));
    run.pass(7, Some(Counts { good: 0, bad: 1 }));
    assert_eq!(run.changes(), [OPENED]);
}

fn conditions() -> Vec<Condition> {
    vec![
        Condition::budget_left(Severity::Ticket, share(60.0)),
        Condition::budget_drop(Severity::Ticket, share(20.0), Window::seconds(30)),
        Condition::exhaustion(Severity::Page, Window::minutes(1), Window::seconds(20)),
    ]
}

fn everything() -> Policy {
    policy(vec![tier(5.0).until(BurnFactor::try_new(3.0).unwrap())], conditions())
}

fn stream() -> impl Strategy<Value = Vec<Option<(u64, u64)>>> {
    let counts = prop_oneof![Just(0_u64), 0_u64..=20, 0_u64..=100];
    prop::collection::vec(prop::option::weighted(0.95, (Just(100_u64), counts)), 1..120)
}

proptest! {
    #[test]
    fn nothing_begins_to_fire_unless_its_threshold_is_passed(stream in stream()) {
        let mut run = Run::new(everything());
        let mut before = [false; 4];
        for counts in stream {
            let report = run.pass(1, counts.map(|(total, bad)| Counts { good: total - bad, bad })).unwrap();
            let passed = |condition: usize| {
                let seen = report.conditions[condition];
                let (threshold, _) = seen.condition.thresholds();
                seen.measured.is_some_and(|value| match condition {
                    1 => value >= threshold - 1e-9,
                    _ => value < threshold,
                })
            };
            let tier = &report.tiers[0];
            let objective = Objective::try_from_percent(90.0).unwrap();
            let burns = [tier.long, tier.short].iter().all(|window| window.exceeds(objective, tier.tier.factor));
            let now = [tier.firing, report.conditions[0].firing, report.conditions[1].firing, report.conditions[2].firing];
            let may = [burns, passed(0), passed(1), passed(2)];
            for i in 0..4 {
                prop_assert!(before[i] || !now[i] || may[i], "{i}: {report:?}");
            }
            before = now;
        }
    }

    /// Worse counts never look better.
    #[test]
    fn more_bad_events_never_take_a_condition_below_its_threshold(
        stream in prop::collection::vec((0_u64..=100, 0_u64..=100), 1..100),
    ) {
        let mut milder = everything();
        milder.guard.minimum_bad = 0;
        let (mut mild, mut harsh) = (Evaluator::new(milder.clone(), Slot(-1)), Evaluator::new(milder, Slot(-1)));
        for (slot, (a, b)) in (0..).zip(stream) {
            let (less, more) = (a.min(b), a.max(b));
            mild.record(Slot(slot), Counts { good: 100 - less, bad: less });
            harsh.record(Slot(slot), Counts { good: 100 - more, bad: more });
            let (mild, harsh) = (mild.assess(Slot(slot)), harsh.assess(Slot(slot)));
            for (mild, harsh) in mild.conditions.iter().zip(&harsh.conditions) {
                prop_assert!(!mild.exceeded || harsh.exceeded, "{mild:?} {harsh:?}");
            }
            prop_assert!(!mild.tiers[0].exceeded || harsh.tiers[0].exceeded);
        }
    }

    /// A release threshold decides about its own alert only.
    #[test]
    fn a_release_threshold_changes_no_sum(stream in stream()) {
        let mut plain = everything();
        plain.tiers = vec![tier(5.0)];
        plain.conditions = conditions()
            .into_iter()
            .map(|condition| condition.until_share(share(60.0)).until_time(Window::minutes(1)))
            .collect();
        let (mut with, mut without) = (Run::new(everything()), Run::new(plain));
        for counts in stream {
            let counts = counts.map(|(total, bad)| Counts { good: total - bad, bad });
            let (a, b) = (with.pass(1, counts).unwrap(), without.pass(1, counts).unwrap());
            prop_assert_eq!((a.period, a.budget, a.state), (b.period, b.budget, b.state));
            prop_assert_eq!((a.tiers[0].long, a.tiers[0].short), (b.tiers[0].long, b.tiers[0].short));
            for (a, b) in a.conditions.iter().zip(&b.conditions) {
                prop_assert_eq!(a.measured, b.measured);
            }
        }
    }

    /// Late, early and repeated counts, gaps and any order: the running number of bad cells is that of a list.
    #[test]
    fn bad_cells_are_counted_like_a_list(
        steps in prop::collection::vec((-3_i64..120, 0_u64..3, 0_i64..40), 1..80),
    ) {
        let grid = Grid::try_new(60).unwrap();
        let windows = [Window::minutes(20), Window::hours(2), Window::days(3)];
        let mut history = History::new(grid, windows, Slot(0), u64::MAX);
        let mut all: Vec<(i64, u64)> = Vec::new();
        let mut closed = 0;
        for (back, bad, forward) in steps {
            let slot = closed - back;
            history.record(Slot(slot), Counts { good: 1, bad });
            all.push((slot, bad));
            closed += forward;
            history.close(Slot(closed));
            for window in windows {
                // twelve minutes of a window of three days are a cell, whose nearest boundary is the first
                let cell = if window == Window::days(3) { 12 } else { 1 };
                let start = closed + 1 - (window.as_seconds() / 60) as i64;
                let from = (start + if cell > 1 { cell / 2 } else { 0 }).div_euclid(cell);
                let cells: std::collections::BTreeSet<i64> = all
                    .iter()
                    .filter(|(slot, bad)| *bad > 0 && *slot <= closed)
                    .map(|(slot, _)| slot.div_euclid(cell))
                    .filter(|cell| *cell >= from)
                    .collect();
                prop_assert_eq!(history.bad_cells(window), cells.len() as u64, "{} at {}", window, closed);
            }
        }
    }

    #[test]
    fn no_condition_measures_a_number_that_is_not_finite(
        counts in prop::collection::vec((0_u64..u64::MAX / 4, 0_u64..u64::MAX / 4, any::<bool>()), 1..40),
    ) {
        let mut run = Run::new(everything());
        for (good, bad, silent) in counts {
            let report = run.pass(1, (!silent).then_some(Counts { good, bad })).unwrap();
            for seen in &report.conditions {
                prop_assert!(seen.measured.is_none_or(f64::is_finite), "{seen:?}");
            }
        }
    }
}
