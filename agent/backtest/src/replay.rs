//! Replay of the past through the engine: record, report, decide and accept for every slot, as the live agent does. No
//! report is made when the engine knows that it would change nothing.

use std::collections::VecDeque;

use lookout_engine::{
    Assessment, Budget, Cause, Change, Counts, Decision, Evaluator, Policy, Severity, Slot, Transition,
};
use lookout_model::{GridTime, Timestamp};

use super::Recording;
use lookout_config::Calendar;

/// Incident of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// The cause.
    pub cause: Cause,
    /// The instant at which it opened.
    pub detected_at: Timestamp,
    /// The instant at which it was resolved; `None` when it was open at the end.
    pub resolved_at: Option<Timestamp>,
    /// The first tier or condition that fired, as specs write it; `None` when data were missing.
    pub first: Option<String>,
    /// The severity at its opening.
    pub severity: Severity,
    /// The highest severity.
    pub peak: Severity,
    /// The instant at which it became a page.
    pub paged_at: Option<Timestamp>,
    /// The bad events that made it fire (those in the long window of the first tier) plus the bad events while it was
    /// open.
    pub bad: u64,
    /// The share of the period's budget of those events.
    pub spent_ratio: f64,
}

/// Budget at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The end of a slot.
    pub at: Timestamp,
    /// Share of the budget that was left.
    pub left_ratio: f64,
}

/// Result of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Incidents in the order in which they opened.
    pub incidents: Vec<Incident>,
    /// The budget at the end.
    pub budget: Budget,
    /// The point with the least budget left.
    pub lowest: Point,
    /// The budget over time, in about as many points as requested.
    pub budget_line: Vec<Point>,
}

/// Replays a recording through an evaluator of this policy.
///
/// The recording's grid replaces that of the policy, and data are stale after three slots at the earliest. Periods
/// that do not roll are those of the calendar.
#[must_use]
pub fn replay(policy: &Policy, calendar: Option<&Calendar>, recording: &Recording, points: usize) -> Outcome {
    let policy = fitted(policy, recording);
    let (first, last) = (recording.first().unwrap_or(Slot(0)), recording.last().unwrap_or(Slot(0)));
    let evaluator = Evaluator::new(policy, first.plus(-1)).for_replay();
    let mut run = Run::new(evaluator, first, last, points);
    run.calendar = calendar.cloned();
    run.steps(recording.slots());
    run.outcome()
}

/// Returns the policy on the grid of the recording.
#[must_use]
pub fn fitted(policy: &Policy, recording: &Recording) -> Policy {
    let least = 3 * u64::from(recording.grid().width_seconds());
    Policy {
        grid: recording.grid(),
        stale_after_seconds: policy.stale_after_seconds.max(least),
        ..policy.clone()
    }
}

/// State of a replay.
struct Run {
    evaluator: Evaluator,
    calendar: Option<Calendar>,
    next: Slot,
    last: Slot,
    incidents: Vec<Incident>,
    /// The index in `incidents` of each open one.
    open: VecDeque<(Cause, usize)>,
    budget: Budget,
    lowest: Point,
    line: Vec<Point>,
    /// Slots per point of the line.
    stride: i64,
}

impl Run {
    fn new(evaluator: Evaluator, next: Slot, last: Slot, points: usize) -> Self {
        let untouched = Budget::UNTOUCHED;
        let span = last.0.saturating_sub(next.0).saturating_add(1).max(1);
        let stride = span / i64::try_from(points.max(1)).unwrap_or(i64::MAX);
        let at = evaluator.policy().grid.start_of(next);
        Self {
            evaluator,
            calendar: None,
            next,
            last,
            incidents: Vec::new(),
            open: VecDeque::new(),
            budget: untouched,
            lowest: Point { at, left_ratio: 1.0 },
            line: vec![Point { at, left_ratio: 1.0 }],
            stride: stride.max(1),
        }
    }

    /// Runs every slot up to the last, observed or not.
    fn steps(&mut self, observed: &[(Slot, Counts)]) {
        let next = self.next;
        let mut observed = observed.iter().skip_while(|(slot, _)| *slot < next).peekable();
        while self.next <= self.last {
            let counts = observed.next_if(|(slot, _)| *slot == self.next).map(|(_, counts)| *counts);
            self.step(counts);
        }
    }

    fn step(&mut self, counts: Option<Counts>) {
        let slot = self.next;
        self.next = slot.plus(1);
        if let Some(counts) = counts {
            self.evaluator.record(slot, counts);
        }
        if let Some(calendar) = &self.calendar {
            calendar.set_period(&mut self.evaluator, slot);
        }
        if let Some(budget) = self.evaluator.budget_if_quiet(slot) {
            self.note_budget(slot, budget);
            return;
        }
        let report = self.evaluator.assess(slot);
        let decision = self.evaluator.decide(&report);
        self.note(&report, &decision, counts.unwrap_or(Counts::ZERO));
        self.evaluator.accept(decision);
    }

    fn note_budget(&mut self, at: Slot, budget: Budget) {
        let left_ratio = budget.left_ratio;
        self.budget = budget;
        let on_line = at.0.rem_euclid(self.stride) == 0 || at == self.last;
        if on_line || left_ratio < self.lowest.left_ratio {
            let point = Point { at: self.evaluator.policy().grid.end_of(at), left_ratio };
            if left_ratio < self.lowest.left_ratio {
                self.lowest = point;
            }
            if on_line {
                self.line.push(point);
            }
        }
    }

    fn note(&mut self, report: &Assessment, decision: &Decision, counts: Counts) {
        let at = self.evaluator.policy().grid.end_of(report.at);
        self.note_budget(report.at, report.budget);
        for &(_, index) in &self.open {
            if let Some(incident) = self.incidents.get_mut(index) {
                incident.bad = incident.bad.saturating_add(counts.bad);
                incident.spent_ratio = spent(incident.bad, &report.budget);
            }
        }
        for transition in &decision.transitions {
            self.change(transition, report, decision, at);
        }
    }

    fn change(&mut self, transition: &Transition, report: &Assessment, decision: &Decision, at: Timestamp) {
        if transition.change == Change::Opened {
            self.open.push_back((transition.cause, self.incidents.len()));
            self.incidents.push(opened(transition, decision.apply(report.clone()), at));
            return;
        }
        if transition.change == Change::Reopened {
            self.reopen(transition, at);
            return;
        }
        let Some(place) = self.open.iter().position(|(cause, _)| *cause == transition.cause) else { return };
        let Some(incident) = self.open.get(place).and_then(|&(_, index)| self.incidents.get_mut(index))
        else {
            return;
        };
        incident.peak = incident.peak.max(transition.incident.peak);
        match transition.change {
            Change::Escalated if transition.incident.severity == Severity::Page => {
                incident.paged_at.get_or_insert(at);
            }
            Change::Resolved => {
                incident.resolved_at = Some(at);
                self.open.remove(place);
            }
            _ => {}
        }
    }

    /// Reopens the incident that was resolved a moment ago.
    fn reopen(&mut self, transition: &Transition, at: Timestamp) {
        let same_cause = |incident: &Incident| incident.cause == transition.cause;
        let Some(index) = self.incidents.iter().rposition(same_cause) else { return };
        let Some(incident) = self.incidents.get_mut(index) else { return };
        incident.resolved_at = None;
        incident.peak = incident.peak.max(transition.incident.peak);
        if transition.incident.severity == Severity::Page {
            incident.paged_at.get_or_insert(at);
        }
        self.open.push_back((transition.cause, index));
    }

    fn outcome(self) -> Outcome {
        Outcome {
            incidents: self.incidents,
            budget: self.budget,
            lowest: self.lowest,
            budget_line: self.line,
        }
    }
}

fn opened(transition: &Transition, report: Assessment, at: Timestamp) -> Incident {
    let severity = transition.incident.severity;
    let burns = transition.cause == Cause::Burn;
    let mut firing =
        report.tiers.iter().filter(|tier| burns && tier.firing && tier.tier.severity == severity);
    let first = firing.next();
    let condition = report.conditions.iter().find(|seen| {
        burns && seen.firing && seen.condition.cause() == Cause::Burn && seen.condition.severity == severity
    });
    let bad = first.map_or(0, |tier| tier.long.counts.bad);
    Incident {
        cause: transition.cause,
        detected_at: at,
        resolved_at: None,
        first: first
            .map(|tier| tier.tier.to_string())
            .or_else(|| condition.map(|seen| seen.condition.to_string())),
        severity,
        peak: transition.incident.peak,
        paged_at: (severity == Severity::Page).then_some(at),
        bad,
        spent_ratio: spent(bad, &report.budget),
    }
}

/// Returns the share of a period's budget that these bad events are, at the traffic of the period so far.
fn spent(bad: u64, budget: &Budget) -> f64 {
    if budget.allowed > 0.0 { bad as f64 / budget.allowed } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lookout_engine::{
        BudgetShare, BurnFactor, Condition, Grid, Guard, Latest, Method, Objective, Period, Tier, Window,
    };
    use proptest::prelude::*;

    use super::*;
    use lookout_config::Unit;

    fn policy(grid: Grid) -> Policy {
        Policy {
            method: Method::Occurrences,
            grid,
            objective: Objective::try_from_percent(99.0).unwrap(),
            period: Period::Rolling(Window::days(30)),
            tiers: Tier::defaults(Window::days(30)),
            guard: Guard::default(),
            conditions: Vec::new(),
            stale_after_seconds: 90,
            data_alert: Some(Severity::Ticket),
        }
    }

    fn minutes(counts: impl IntoIterator<Item = (i64, u64, u64)>) -> Recording {
        let counts: Vec<_> =
            counts.into_iter().map(|(minute, good, bad)| (minute * 60, Counts { good, bad })).collect();
        Recording::on(Grid::MINUTE, counts).unwrap()
    }

    #[test]
    fn an_incident_says_who_fired_first_what_it_cost_and_when_it_was_over() {
        // three clean days, half an hour in which everything fails, half a day
        let recording = minutes((0..5400).map(|minute| match minute {
            4320..4350 => (minute, 0, 100),
            _ => (minute, 100, 0),
        }));
        let outcome = replay(&policy(Grid::MINUTE), None, &recording, 10);
        let [incident] = outcome.incidents.as_slice() else { panic!("{:?}", outcome.incidents) };
        assert_eq!(incident.first.as_deref(), Some("page 1h/5m x14.4"));
        assert_eq!((incident.severity, incident.peak), (Severity::Page, Severity::Page));
        assert_eq!(
            incident.detected_at,
            Timestamp::from_millis((4320 + 9) * 60_000),
            "14.4 % of an hour are 8 m 38 s"
        );
        assert_eq!(incident.paged_at, Some(incident.detected_at));
        assert_eq!(incident.bad, 3000);
        assert!(incident.resolved_at.is_some_and(|at| at < Timestamp::from_millis(5400 * 60_000)));
        // 3000 of the 1 % of 100 a minute over 30 days that the month may have
        assert!((incident.spent_ratio - 3000.0 / 43_200.0).abs() < 1e-9, "{}", incident.spent_ratio);
        assert!((1.0 - outcome.lowest.left_ratio - 3000.0 / 43_200.0).abs() < 1e-9);
        assert!(outcome.budget_line.len() >= 10 && outcome.budget_line.len() < 15);
    }

    #[test]
    fn silence_is_an_incident_of_its_own_kind() {
        let recording = minutes((0..300).filter(|minute| !(100..200).contains(minute)).map(|m| (m, 100, 0)));
        let outcome = replay(&policy(Grid::MINUTE), None, &recording, 1);
        let [incident] = outcome.incidents.as_slice() else { panic!("{:?}", outcome.incidents) };
        assert_eq!((incident.cause, &incident.first, incident.bad), (Cause::DataMissing, &None, 0));
        assert_eq!(incident.resolved_at, Some(Timestamp::from_seconds(201 * 60)));
    }

    #[test]
    fn what_is_open_at_the_end_stays_open() {
        let recording = minutes((0..60).map(|minute| (minute, 50, 50)));
        let outcome = replay(&policy(Grid::MINUTE), None, &recording, 1);
        assert_eq!(outcome.incidents.len(), 1);
        assert_eq!(outcome.incidents[0].resolved_at, None);
    }

    #[test]
    fn every_month_has_a_budget_of_its_own() {
        let date = jiff::civil::date(2026, 1, 1).at(0, 0, 0, 0);
        let month = Calendar::new(Unit::Month, 1, date, "Europe/Zurich").unwrap();
        let minute = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second() / 60;
        let (from, edge) = (minute("2026-10-31T20:00:00Z"), minute("2026-10-31T23:00:00Z"));
        let recording = minutes((from..edge + 60).map(|at| (at, 100, if at < edge { 100 } else { 0 })));
        let policy = Policy { period: Period::Calendar { nominal: month.nominal() }, ..policy(Grid::MINUTE) };
        let outcome = replay(&policy, Some(&month), &recording, 1000);
        let hours = 31.0 * 24.0 + 1.0;
        let lowest = 1.0 - 0.5 * (3.0 / hours) / 0.01;
        assert!(
            (outcome.lowest.left_ratio - lowest).abs() < 1e-9,
            "{} and {lowest}",
            outcome.lowest.left_ratio
        );
        assert_eq!(
            outcome.lowest.at,
            Timestamp::from_millis(edge * 60_000),
            "the last minute of October in Zurich"
        );
        assert_eq!(outcome.budget.left_ratio, 1.0, "November begins whole");
    }

    /// Returns the incidents of a replay with a restart at a slot: the new process reads counts and open incidents
    /// back, as the agent does at its start.
    fn with_a_restart(policy: &Policy, recording: &Recording, at: Slot) -> Vec<Incident> {
        let policy = fitted(policy, recording);
        let grid = policy.grid;
        let (first, last) = (recording.first().unwrap(), recording.last().unwrap());
        let mut before = Run::new(Evaluator::new(policy.clone(), first.plus(-1)), first, at, 1);
        before.steps(recording.slots());
        let mut evaluator = Evaluator::new(policy, at);
        let young_from = grid.end_of(at) - Duration::from_secs(7 * 3600);
        for &(slot, counts) in recording.slots().iter().filter(|(slot, _)| *slot <= at) {
            if grid.start_of(slot).floor(Duration::from_secs(60)) < young_from {
                evaluator.restore_minute(Grid::MINUTE.slot_at(grid.start_of(slot)), counts);
            } else {
                evaluator.record(slot, counts);
            }
        }
        evaluator.restore_state(&before.evaluator.saved_state());
        for cause in [Cause::Burn, Cause::DataMissing] {
            match before.evaluator.latest(cause) {
                Latest::Open(open) => evaluator.resume(cause, open),
                Latest::Resolved(resolved) => evaluator.remember_resolved(cause, resolved),
                Latest::None => {}
            }
        }
        let mut after = Run::new(evaluator, at.plus(1), last, 1);
        (after.incidents, after.open) = (before.incidents, before.open);
        after.steps(recording.slots());
        after.outcome().incidents
    }

    #[test]
    fn a_restart_while_data_are_missing_tells_it_once() {
        let recording = minutes((0..300).filter(|minute| !(100..200).contains(minute)).map(|m| (m, 100, 0)));
        let whole = replay(&policy(Grid::MINUTE), None, &recording, 1).incidents;
        assert_eq!(with_a_restart(&policy(Grid::MINUTE), &recording, Slot(150)), whole);
    }

    prop_compose! {
        /// Generates about a day in slots of 30 s: stretches of health, failure, idleness and silence.
        fn stretches()(list in prop::collection::vec((20..600_i64, 0..6_u8, 1..200_u64), 2..9)) -> Vec<(i64, Counts)> {
            let mut counts = Vec::new();
            // every stretch begins at a minute, and so does the recording
            let mut second = 0;
            for (slots, kind, events) in list {
                for n in 0..slots {
                    let bad = match kind {
                        0 => events,
                        1 => events / 5 + 1,
                        2 => u64::from(n % 40 == 0),
                        _ => 0,
                    };
                    let row = if kind == 4 && n > 0 { Counts::ZERO } else { Counts { good: events - bad.min(events), bad } };
                    if kind != 5 || n == 0 {
                        counts.push((second, row));
                    }
                    second += 30;
                }
                second = (second + 59) / 60 * 60;
            }
            counts.push((second, Counts { good: 1, bad: 0 }));
            counts
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn slots_without_a_report_change_nothing(counts in stretches(), slices in any::<bool>()) {
            let grid = Grid::try_new(30).unwrap();
            let recording = Recording::on(grid, counts.as_slice()).unwrap();
            let method = match slices {
                true => Method::RatioTimeslices { slices: Grid::MINUTE },
                false => Method::Occurrences,
            };
            let policy = fitted(&Policy { method, ..policy(grid) }, &recording);
            let (first, last) = (recording.first().unwrap(), recording.last().unwrap());
            let mut run = Run::new(Evaluator::new(policy.clone(), first.plus(-1)), first, last, 50);
            let mut observed = recording.slots().iter().peekable();
            while run.next <= run.last {
                let slot = run.next;
                run.next = slot.plus(1);
                let counts = observed.next_if(|(at, _)| *at == slot).map(|(_, counts)| *counts);
                counts.into_iter().for_each(|counts| { run.evaluator.record(slot, counts); });
                let report = run.evaluator.assess(slot);
                let decision = run.evaluator.decide(&report);
                run.note(&report, &decision, counts.unwrap_or(Counts::ZERO));
                run.evaluator.accept(decision);
            }
            prop_assert_eq!(replay(&policy, None, &recording, 50), run.outcome());
        }

        #[test]
        fn a_restart_in_the_middle_changes_no_incident(counts in stretches(), shares in prop::collection::vec(0.0..1.0_f64, 1..4)) {
            let grid = Grid::try_new(30).unwrap();
            let recording = Recording::on(grid, counts.as_slice()).unwrap();
            let (first, last) = (recording.first().unwrap(), recording.last().unwrap());
            // a new process does not know how long data have been missing: that time starts again on purpose
            let of_the_budget = |incidents: Vec<Incident>| -> Vec<Incident> {
                incidents.into_iter().filter(|incident| incident.cause == Cause::Burn).collect()
            };
            let policy = with_release_and_hold(&policy(grid));
            let whole = of_the_budget(replay(&policy, None, &recording, 1).incidents);
            for share in shares {
                let at = Slot(first.0 + ((last.0 - first.0) as f64 * share) as i64);
                let restarted = of_the_budget(with_a_restart(&policy, &recording, at));
                prop_assert_eq!(&restarted, &whole, "a restart at {:?}", grid.end_of(at));
            }
        }
    }

    /// Returns a policy in which the state of a tier is more than its severity: some are released late, some are held.
    fn with_release_and_hold(policy: &Policy) -> Policy {
        let tier = |(index, tier): (usize, &Tier)| match index % 3 {
            0 => tier.until(BurnFactor::try_new(tier.factor.value() * 0.7).unwrap()),
            1 => Tier { hold_seconds: 120, ..*tier },
            _ => *tier,
        };
        let left = Condition::budget_left(Severity::Page, BudgetShare::try_from_percent(40.0).unwrap());
        Policy {
            tiers: policy.tiers.iter().enumerate().map(tier).collect(),
            conditions: vec![left],
            ..policy.clone()
        }
    }
}
