//! Failures in a row: what opens and ends the incident of a target, against the list of its outcomes.

use lookout_engine::{
    Assessment, Cause, Change, Condition, Counts, Evaluator, Grid, Guard, Method, Objective, Period, Policy,
    Severity, Slot, Status, Transition, Window,
};
use proptest::prelude::*;

const GOOD: Option<bool> = Some(true);
const BAD: Option<bool> = Some(false);
const DOWN: Cause = Cause::TargetDown;

/// The policy of a target without an objective: no tiers, and one condition.
fn policy(after: u32, up_after: u32) -> Policy {
    Policy {
        grid: Grid::try_new(10).unwrap(),
        objective: Objective::try_from_percent(0.0).unwrap(),
        period: Period::Rolling(Window::days(30)),
        method: Method::Occurrences,
        tiers: Vec::new(),
        guard: Guard::default(),
        conditions: vec![Condition::down(Severity::Page, after, up_after)],
        stale_after_seconds: 30,
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

    fn probe(&mut self, is_good: bool) {
        let counts = Counts { good: is_good.into(), bad: (!is_good).into() };
        self.evaluator.record(Slot(self.now), counts);
        self.evaluator.record_outcomes(Slot(self.now), counts);
    }

    fn close(&mut self) -> Assessment {
        let report = self.evaluator.assess(Slot(self.now));
        let decision = self.evaluator.decide(&report);
        self.told.extend(decision.transitions.iter().copied());
        let report = decision.apply(report);
        self.evaluator.accept(decision);
        self.now += 1;
        report
    }

    /// One slot for each outcome; `None` is a slot without one.
    fn pass(&mut self, outcomes: &[Option<bool>]) -> Assessment {
        let mut last = None;
        for outcome in outcomes {
            outcome.iter().for_each(|is_good| self.probe(*is_good));
            last = Some(self.close());
        }
        last.unwrap()
    }

    /// A restart of the agent: what is known is what was saved.
    fn restart(&mut self) {
        let mut next = Evaluator::new(self.evaluator.policy().clone(), Slot(self.now - 1));
        next.restore_state(&self.evaluator.saved_state());
        if let Some(open) = self.evaluator.open(DOWN) {
            next.resume(DOWN, open);
        }
        self.evaluator = next;
    }

    fn changes(&self) -> Vec<(Change, i64)> {
        let down = self.told.iter().filter(|told| told.cause == DOWN);
        down.map(|told| (told.change, told.at.0)).collect()
    }
}

#[test]
fn three_failures_in_a_row_are_an_incident_and_two_successes_in_a_row_end_it() {
    let mut run = Run::new(policy(3, 2));
    let report = run.pass(&[GOOD, BAD, BAD, GOOD, BAD, BAD]);
    assert_eq!((run.changes(), report.present.failing), (vec![], false), "a success begins the row anew");
    assert_ne!(report.status, Status::Paging);
    let report = run.pass(&[BAD]);
    assert_eq!((run.changes(), report.status), (vec![(Change::Opened, 6)], Status::Paging));
    assert_eq!(run.told[0].incident.started, Slot(4), "with the first failure of the row");
    assert_eq!(report.conditions[0].measured, Some(3.0));
    let report = run.pass(&[GOOD, BAD, GOOD]);
    assert_eq!((run.changes().len(), report.status), (1, Status::Paging), "no two successes in a row yet");
    let report = run.pass(&[GOOD]);
    assert_eq!(run.changes()[1..], [(Change::Resolved, 10)]);
    assert_eq!(run.told[1].recovered, Some(Slot(8)), "the last failure");
    assert_ne!(report.status, Status::Paging);
    run.pass(&[BAD, BAD, BAD]);
    assert_eq!(run.changes()[2..], [(Change::Opened, 13)], "three more are another incident");
}

#[test]
fn slots_without_an_outcome_neither_end_a_row_nor_an_incident() {
    let mut run = Run::new(policy(3, 2));
    run.pass(&[GOOD, BAD, None, BAD, None, None, None, None, None, None]);
    assert_eq!(run.changes(), []);
    assert!(run.told.iter().any(|told| told.cause == Cause::DataMissing), "that nothing is known is told");
    run.pass(&[BAD]);
    assert_eq!(run.changes(), [(Change::Opened, 10)]);
    let report = run.pass(&[GOOD, None, None, None, None, None, None, None]);
    assert_eq!((run.changes().len(), report.status), (1, Status::Paging), "silence is no recovery");
    run.pass(&[GOOD]);
    assert_eq!(run.changes()[1..], [(Change::Resolved, 19)]);
}

#[test]
fn a_row_within_one_slot_is_told_too() {
    let mut run = Run::new(policy(3, 2));
    for is_good in [true, false, false, false, true, true] {
        run.probe(is_good);
    }
    run.close();
    assert_eq!(run.changes(), [(Change::Opened, 0)]);
    run.pass(&[GOOD]);
    assert_eq!(run.changes()[1..], [(Change::Resolved, 1)]);
}

#[test]
fn a_target_that_failed_from_the_beginning_is_down_and_never_spends_a_budget() {
    let mut run = Run::new(policy(2, 1));
    let report = run.pass(&[BAD, BAD]);
    assert_eq!((run.changes(), report.status), (vec![(Change::Opened, 1)], Status::Paging));
    assert_eq!(run.told.len(), 1, "one cause, one incident");
}

#[test]
fn a_row_and_its_incident_go_on_after_a_restart() {
    let mut run = Run::new(policy(3, 2));
    for time in 0..2 {
        let before = run.changes().len();
        run.pass(&[GOOD, GOOD, BAD, BAD]);
        run.restart();
        assert_eq!(run.changes().len(), before, "time {time}");
        run.pass(&[BAD]);
        assert_eq!(run.changes()[before].0, Change::Opened, "time {time}");
        run.pass(&[GOOD]);
        run.restart();
        run.restart();
        assert_eq!(run.changes().len(), before + 1, "time {time}");
        run.pass(&[GOOD]);
        assert_eq!(run.changes()[before + 1].0, Change::Resolved, "time {time}");
    }
}

#[test]
fn an_incident_whose_row_was_lost_ends_with_as_many_successes_as_ever() {
    let mut run = Run::new(policy(3, 2));
    run.pass(&[BAD, BAD, BAD]);
    let open = run.evaluator.open(DOWN).unwrap();
    run.evaluator = Evaluator::new(policy(3, 2), Slot(run.now - 1));
    run.evaluator.resume(DOWN, open);
    run.pass(&[GOOD]);
    assert_eq!(run.changes().len(), 1);
    run.pass(&[GOOD]);
    assert_eq!(run.changes()[1..], [(Change::Resolved, 4)]);
}

#[test]
fn the_row_of_a_healthy_target_does_not_change_so_that_nothing_is_written() {
    let mut run = Run::new(policy(3, 2));
    run.pass(&[GOOD, GOOD]);
    let settled = run.evaluator.saved_state().row;
    run.pass(&[GOOD, GOOD, GOOD]);
    assert_eq!(run.evaluator.saved_state().row, settled);
}

proptest! {
    /// The incident is open exactly after the outcomes say so: `after` failures in a row open it, and `up_after`
    /// successes in a row end it, wherever slots are missed and the agent restarts.
    #[test]
    fn an_incident_follows_from_the_list_of_outcomes(
        (after, up_after) in (1_u32..6, 1_u32..4),
        outcomes in prop::collection::vec((prop::option::weighted(0.9, any::<bool>()), any::<bool>()), 1..120),
    ) {
        let mut run = Run::new(policy(after, up_after));
        let (mut failures, mut successes, mut is_down) = (0, 0, false);
        for (outcome, restarts) in outcomes {
            run.pass(&[outcome]);
            match outcome {
                Some(true) => (failures, successes) = (0, successes + 1),
                Some(false) => (failures, successes) = (failures + 1, 0),
                None => {}
            }
            is_down = if is_down { successes < up_after } else { failures >= after };
            prop_assert_eq!(run.evaluator.open(DOWN).is_some(), is_down);
            if restarts && run.now % 3 == 0 {
                run.restart();
            }
        }
    }
}

#[test]
fn a_total_outage_pages_after_the_row_and_an_even_failure_never_has_one() {
    let rate = lookout_engine::EventRate::try_every_seconds(60.0).unwrap();
    assert_eq!(policy(3, 2).pages_after(rate, 1.0), Some(180.0));
    assert_eq!(
        (policy(3, 2).pages_after(rate, 0.5), policy(1, 1).pages_after(rate, 0.5)),
        (None, Some(120.0))
    );
    let ticket = Policy { conditions: vec![Condition::down(Severity::Ticket, 3, 2)], ..policy(3, 2) };
    assert_eq!(ticket.pages_after(rate, 1.0), None);
}
