//! One incident per SLO and cause: it escalates, eases, resolves, freezes and survives restarts.

use lookout_engine::{
    BurnFactor, Cause, Change, Counts, DataState, Evaluator, Grid, Guard, IncidentInput, Latest, Method,
    Objective, Open, Period, Policy, Severity, Slot, Tier, Transition, Window, advance,
};
use proptest::prelude::*;

fn policy() -> Policy {
    let tier = |severity, long, short, factor| Tier {
        severity,
        long: Window::seconds(long),
        short: Window::seconds(short),
        factor: BurnFactor::try_new(factor).unwrap(),
        hold_seconds: 0,
        until: None,
    };
    Policy {
        grid: Grid::try_new(1).unwrap(),
        objective: Objective::try_from_percent(90.0).unwrap(),
        period: Period::Rolling(Window::minutes(10)),
        method: Method::Occurrences,
        tiers: vec![tier(Severity::Page, 10, 2, 2.0), tier(Severity::Ticket, 20, 5, 1.0)],
        guard: Guard::default(),
        conditions: Vec::new(),
        stale_after_seconds: 5,
        data_alert: Some(Severity::Ticket),
    }
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

    /// Lets `slots` slots pass, each with these counts (`None`: the source was silent).
    fn pass(&mut self, slots: i64, counts: Option<Counts>) {
        for _ in 0..slots {
            if let Some(counts) = counts {
                self.evaluator.record(Slot(self.now), counts);
            }
            let report = self.evaluator.assess(Slot(self.now));
            let decision = self.evaluator.decide(&report);
            self.told.extend(decision.transitions.iter().copied());
            self.evaluator.accept(decision);
            self.now += 1;
        }
    }

    fn changes(&self) -> Vec<(Cause, Change)> {
        self.told.iter().map(|transition| (transition.cause, transition.change)).collect()
    }
}

const GOOD: Option<Counts> = Some(Counts { good: 50, bad: 0 });
const FAULTY: Option<Counts> = Some(Counts { good: 35, bad: 15 });
const NOTHING: Option<Counts> = Some(Counts::ZERO);

#[test]
fn a_fault_is_one_incident_that_opens_eases_and_resolves() {
    let mut run = Run::new(policy());
    run.pass(60, GOOD);
    run.pass(12, FAULTY);
    run.pass(30, GOOD);
    assert_eq!(
        run.changes(),
        [(Cause::Burn, Change::Opened), (Cause::Burn, Change::Eased), (Cause::Burn, Change::Resolved)]
    );
    // 10 s × 2 ÷ 3 = 6.67 s: at the end of the seventh slot
    assert_eq!(run.told[0].at, Slot(66));
    assert_eq!(run.told[0].incident.severity, Severity::Page);
    let starts: Vec<Slot> = run.told.iter().map(|transition| transition.incident.detected).collect();
    assert_eq!(starts, [Slot(66); 3], "one incident keeps its start");
}

#[test]
fn a_transition_that_was_not_stored_is_decided_again() {
    let mut run = Run::new(policy());
    run.pass(60, GOOD);
    run.pass(6, FAULTY);
    for slot in 66..70 {
        run.evaluator.record(Slot(slot), FAULTY.unwrap());
        let report = run.evaluator.assess(Slot(slot));
        let decision = run.evaluator.decide(&report);
        assert_eq!(decision.transitions.len(), 1, "not accepted, so said again");
        assert_eq!(decision.transitions[0].change, Change::Opened);
    }
}

#[test]
fn missing_data_freeze_the_incident_and_open_their_own() {
    let mut run = Run::new(policy());
    run.pass(60, GOOD);
    run.pass(12, FAULTY);
    run.pass(40, None);
    assert_eq!(run.changes(), [(Cause::Burn, Change::Opened), (Cause::DataMissing, Change::Opened)]);
    run.pass(30, GOOD);
    let burn: Vec<Change> =
        run.told.iter().filter(|t| t.cause == Cause::Burn).map(|transition| transition.change).collect();
    // each tier lets go when half of its short window was observed again
    assert_eq!(burn, [Change::Opened, Change::Eased, Change::Resolved]);
    assert!(run.evaluator.open(Cause::DataMissing).is_none());
}

#[test]
fn no_traffic_is_not_missing_data_and_no_recovery() {
    let mut run = Run::new(policy());
    run.pass(60, GOOD);
    run.pass(8, FAULTY);
    run.pass(3, NOTHING);
    assert_eq!(run.changes(), [(Cause::Burn, Change::Opened)], "an empty short window does not resolve");
    run.pass(60, NOTHING);
    assert_eq!(run.changes().last(), Some(&(Cause::Burn, Change::Resolved)), "the long window has forgotten");
    assert_eq!(run.evaluator.assess(Slot(run.now)).state, DataState::Idle);
    assert!(run.told.iter().all(|transition| transition.cause == Cause::Burn));
}

#[test]
fn one_failure_at_night_pages_no_one_and_says_why() {
    let mut run = Run::new(policy());
    run.pass(60, NOTHING);
    run.pass(1, Some(Counts { good: 0, bad: 1 }));
    assert_eq!(run.changes(), []);
    let report = run.evaluator.assess(Slot(run.now - 1));
    assert!(report.tiers.iter().all(|tier| !tier.exceeded));
    let held = report.tiers[0].held.map(|held| held.to_string());
    assert_eq!(held.as_deref(), Some("1 of 3 bad events"));
}

#[test]
fn the_guard_keeps_no_one_from_staying_called_after_a_gap() {
    let mut run = Run::new(policy());
    run.pass(60, GOOD);
    run.pass(8, FAULTY);
    assert_eq!(run.changes(), [(Cause::Burn, Change::Opened)]);
    // the agent is away for longer than the long window, the fault goes on
    run.now += 30;
    run.evaluator.watch_from(Slot(run.now - 1));
    for bad in [1, 1, 1, 1] {
        run.pass(1, Some(Counts { good: 0, bad }));
    }
    assert_eq!(run.changes(), [(Cause::Burn, Change::Opened)], "still the same incident");
}

#[test]
fn missing_data_that_are_still_missing_after_a_restart_are_the_same_incident() {
    let mut run = Run::new(policy());
    run.evaluator.record(Slot(0), GOOD.unwrap());
    run.evaluator = Evaluator::new(policy(), Slot(999));
    let open =
        Open { started: Slot(900), detected: Slot(900), severity: Severity::Ticket, peak: Severity::Ticket };
    run.evaluator.resume(Cause::DataMissing, open);
    run.now = 1000;
    run.pass(20, None);
    assert_eq!(run.told, []);
    run.pass(1, GOOD);
    assert_eq!(run.changes(), [(Cause::DataMissing, Change::Resolved)]);
}

#[test]
fn what_nobody_watched_is_not_missing() {
    let mut run = Run::new(policy());
    run.pass(60, GOOD);
    // the machine sleeps for an hour
    run.now += 3600;
    run.evaluator.watch_from(Slot(run.now - 1));
    run.pass(2, None);
    run.pass(30, GOOD);
    assert_eq!(run.told, []);
}

#[test]
fn a_hold_delays_firing_but_not_letting_go() {
    let mut held = policy();
    held.tiers = vec![Tier { hold_seconds: 3, ..held.tiers[0] }];
    let mut run = Run::new(held);
    run.pass(60, GOOD);
    run.pass(12, FAULTY);
    run.pass(10, GOOD);
    assert_eq!(run.told[0].at, Slot(69), "three seconds after the seventh slot");
    assert_eq!(run.changes().len(), 2);
}

#[test]
fn an_incident_resumed_after_a_restart_keeps_its_start_and_opens_no_second() {
    let mut before = Run::new(policy());
    before.pass(60, GOOD);
    before.pass(8, FAULTY);
    let open = before.evaluator.open(Cause::Burn).unwrap();

    let mut after = Run::new(policy());
    after.evaluator = Evaluator::new(policy(), Slot(67));
    after.now = 68;
    for slot in 0..68 {
        let counts = if slot < 60 { GOOD } else { FAULTY };
        after.evaluator.record(Slot(slot), counts.unwrap());
    }
    after.evaluator.resume(Cause::Burn, open);
    after.pass(2, None);
    after.pass(5, FAULTY);
    assert_eq!(after.told, [], "nothing new happened");
    after.pass(30, GOOD);
    let last = after.told.last().unwrap();
    assert_eq!((last.change, last.incident.detected), (Change::Resolved, Slot(66)));
}

#[test]
fn nothing_is_missing_from_before_someone_watched() {
    let mut run = Run::new(policy());
    run.evaluator = Evaluator::new(policy(), Slot(999));
    run.evaluator.record(Slot(0), GOOD.unwrap());
    run.now = 1000;
    run.pass(4, None);
    assert_eq!(run.told, [], "the agent was away, not the data");
    run.pass(30, None);
    assert_eq!(run.changes(), [(Cause::DataMissing, Change::Opened)]);
}

fn severity() -> impl Strategy<Value = Option<Severity>> {
    prop_oneof![Just(None), Just(Some(Severity::Ticket)), Just(Some(Severity::Page))]
}

proptest! {
    #[test]
    fn the_reducer_tells_every_change_once_and_in_order(
        wanted in prop::collection::vec(severity(), 1..60), reopens in 0_i64..5,
    ) {
        let mut latest = Latest::None;
        for (slot, severity) in (0_i64..).zip(wanted) {
            let (at, before) = (Slot(slot), latest);
            let wanted = IncidentInput {
                severity, at, started: at.plus(-2), recovered: Some(at.plus(-1)), reopens_until: at.plus(reopens),
            };
            let (next, transition) = advance(Cause::Burn, latest, wanted);
            let (was, is) = (before.open(), next.open());
            prop_assert_eq!(is.map(|incident| incident.severity), severity);
            prop_assert_eq!(transition.is_some(), was.map(|open| open.severity) != severity);
            if let (Some(was), Some(is)) = (was, is) {
                prop_assert_eq!((was.detected, was.started), (is.detected, is.started));
                prop_assert!(is.peak >= was.peak && is.peak >= is.severity);
            }
            if let Some(transition) = transition {
                let expected = match (before, severity) {
                    (Latest::Resolved(last), Some(_)) if slot <= last.at.0 + reopens => {
                        prop_assert_eq!(transition.incident.detected, last.incident.detected);
                        Change::Reopened
                    }
                    (Latest::None | Latest::Resolved(_), _) => Change::Opened,
                    (Latest::Open(_), None) => Change::Resolved,
                    (Latest::Open(was), Some(now)) if now > was.severity => Change::Escalated,
                    _ => Change::Eased,
                };
                prop_assert_eq!(transition.change, expected);
                prop_assert_eq!(transition.recovered.is_some(), expected == Change::Resolved);
            }
            latest = next;
        }
    }

    #[test]
    fn no_report_holds_a_number_that_is_not_finite(
        counts in prop::collection::vec((0_u64..u64::MAX / 4, 0_u64..u64::MAX / 4, any::<bool>()), 1..40),
    ) {
        let mut run = Run::new(policy());
        for (good, bad, silent) in counts {
            run.pass(1, (!silent).then_some(Counts { good, bad }));
            let report = run.evaluator.assess(Slot(run.now - 1));
            prop_assert!(report.budget.left_ratio.is_finite() && report.budget.allowed.is_finite());
            prop_assert!(report.seconds_to_exhaustion.is_none_or(f64::is_finite));
            for tier in &report.tiers {
                for measured in [tier.long, tier.short] {
                    prop_assert!(measured.burn_rate(policy().objective).is_none_or(f64::is_finite));
                }
            }
        }
    }
}
