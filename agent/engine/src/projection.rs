//! Early detection: the decision that is certain before a slot is over.
//!
//! Every figure is that of a closed slot. But an incident need not wait for the end of a slot that has failed already.
//! The rest of the slot is imagined at its best: as many good events as the traffic of the shortest window suggests, and
//! no bad one. If an incident would open or escalate at the end of the slot even so, it does so at once.
//!
//! A projection only ever raises; letting go needs whole slots. It changes no count: budgets, windows and the state after
//! a restart do not depend on how often anyone asks. Only when the traffic of the slot grows so much afterwards that the
//! ratio falls below the threshold would the end of the slot have decided otherwise. Its end then resolves the incident.

use crate::assessment::Assessment;
use crate::counts::Counts;
use crate::decision::Decision;
use crate::evaluator::Evaluator;
use crate::incident::{Cause, Change};
use crate::slot::Slot;
use crate::tier::Severity;
use crate::window::Window;

/// A decision before its slot is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// The assessment as if the slot were over now. Nothing in it is imagined.
    pub assessment: Assessment,
    /// The decision: an incident opens or escalates, and nothing else changes.
    pub decision: Decision,
}

impl Evaluator {
    /// Projects the slot after the last closed one; `None` when its end must be waited for. Changes nothing: store the
    /// decision and then accept it, like that of an assessment.
    #[must_use]
    pub fn project(&self, open: Slot) -> Option<Projection> {
        // a new period starts with a closed slot
        let turns = self.span().is_some_and(|span| !span.contains(open));
        let highest = self.open(Cause::Burn).is_some_and(|burn| burn.severity == Severity::Page);
        // the other components of a composite are unknown
        if turns || highest || open != self.closed().plus(1) || self.policy().method.components() > 0 {
            return None;
        }
        let mut best = self.clone();
        best.record(open, self.still_expected(open));
        let at_best = best.assess(open);
        let mut decision = best.decide(&at_best);
        decision.transitions.retain(|transition| {
            transition.cause == Cause::Burn
                && matches!(transition.change, Change::Opened | Change::Reopened | Change::Escalated)
        });
        if decision.transitions.is_empty() {
            return None;
        }
        decision.keep_from(self.states());
        let assessment = self.clone().assess(open);
        Some(Projection { assessment, decision })
    }

    /// Returns the good events that a slot still lacks, by the traffic of the shortest window.
    fn still_expected(&self, open: Slot) -> Counts {
        let shortest = self.policy().windows().min().unwrap_or(Window::minutes(5));
        let usual = self.events_in(shortest).map_or(0, |measured| {
            let seconds = shortest.as_seconds().min(measured.observed_seconds);
            measured.counts.total().div_ceil(self.policy().grid.slots_in(seconds))
        });
        Counts { good: usual.saturating_sub(self.waiting(open).total()), bad: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Transition;
    use crate::{Grid, Guard, Method, Objective, Period, Policy, Tier};
    use proptest::prelude::*;

    const PER_SLOT: u64 = 500;

    fn policy() -> Policy {
        Policy {
            grid: Grid::try_new(10).unwrap(),
            objective: Objective::try_from_percent(99.9).unwrap(),
            period: Period::Rolling(Window::days(30)),
            tiers: Tier::defaults(Window::days(30)),
            method: Method::Occurrences,
            guard: Guard::default(),
            stale_after_seconds: 180,
            data_alert: Some(Severity::Ticket),
            conditions: Vec::new(),
        }
    }

    fn close(evaluator: &mut Evaluator, slot: Slot) -> Vec<Transition> {
        let report = evaluator.assess(slot);
        let decision = evaluator.decide(&report);
        let transitions = decision.transitions.clone();
        evaluator.accept(decision);
        transitions
    }

    /// An evaluator after an hour of health and so many slots of total failure.
    fn after_bad_slots(slots: i64) -> Evaluator {
        let mut evaluator = Evaluator::new(policy(), Slot(-1));
        for slot in 0..360 + slots {
            let bad = if slot < 360 { 0 } else { PER_SLOT };
            evaluator.record(Slot(slot), Counts { good: PER_SLOT - bad, bad });
            assert_eq!(close(&mut evaluator, Slot(slot)), []);
        }
        evaluator
    }

    #[test]
    fn an_outage_is_told_as_soon_as_nothing_can_prevent_it() {
        let mut evaluator = after_bad_slots(5);
        let open = Slot(365);
        // 14.4 times 0.1 % of 360 slots of 500 are 2,592 events: 92 more than five slots have
        for (bad, certain) in [(45, false), (45, false), (1, false), (2, true)] {
            evaluator.record(open, Counts { good: 0, bad });
            assert_eq!(evaluator.project(open).is_some(), certain, "{bad} more");
        }
        let Projection { assessment: report, decision } = evaluator.project(open).unwrap();
        assert_eq!(report.tiers[0].long.counts.bad, 2593);
        assert_eq!(report.tiers[0].long.counts.total(), 359 * PER_SLOT + 93, "nothing imagined is shown");
        let [opened] = decision.transitions.as_slice() else { panic!("{decision:?}") };
        assert_eq!(
            (opened.change, opened.incident.severity, opened.at),
            (Change::Opened, Severity::Page, open)
        );

        evaluator.accept(decision);
        assert_eq!(evaluator.project(open), None, "told once");
        evaluator.record(open, Counts { good: PER_SLOT - 93, bad: 0 });
        assert_eq!(close(&mut evaluator, open), [], "and the end of the slot agrees");
    }

    #[test]
    fn only_the_slot_that_comes_next_is_looked_at() {
        let mut evaluator = after_bad_slots(5);
        for slot in [364, 366] {
            evaluator.record(Slot(slot), Counts { good: 0, bad: 400 });
            assert_eq!(evaluator.project(Slot(slot)), None);
        }
    }

    #[test]
    fn a_slot_whose_traffic_explodes_takes_back_what_was_told() {
        let mut evaluator = after_bad_slots(5);
        let open = Slot(365);
        evaluator.record(open, Counts { good: 0, bad: 93 });
        let decision = evaluator.project(open).unwrap().decision;
        evaluator.accept(decision);
        evaluator.record(open, Counts { good: 100_000, bad: 0 });
        let [taken_back] = close(&mut evaluator, open).try_into().unwrap();
        assert_eq!(taken_back.change, Change::Resolved);
    }

    proptest! {
        /// For any part of a slot that was seen: as long as the rest brings no more good events than usual, its end says the
        /// same, and looking changes no measurement.
        #[test]
        fn the_end_of_the_slot_agrees(
            slots in prop::collection::vec((0_u64..60, 0_u64..60), 20..400),
            seen in 0.0..1.0_f64,
        ) {
            // half of every short window is observed, so that each tier can let go
            let mut looked = Evaluator::new(policy(), Slot(-1081));
            for slot in -1080..0 {
                looked.record(Slot(slot), Counts { good: 60, bad: 0 });
            }
            let mut never = looked.clone();
            for (slot, &(events, bad)) in slots.iter().enumerate() {
                let slot = Slot(slot as i64);
                let whole = Counts { good: 60_u64.saturating_sub(events), bad: if bad > 50 { events } else { 0 } };
                let part = Counts { good: (whole.good as f64 * seen) as u64, bad: (whole.bad as f64 * seen) as u64 };
                let rest = Counts { good: whole.good - part.good, bad: whole.bad - part.bad };
                looked.record(slot, part);
                let usual = looked.still_expected(slot).good;
                let projected = looked.project(slot);
                let early = projected.is_some();
                if let Some(projected) = projected {
                    looked.accept(projected.decision);
                }
                looked.record(slot, rest);
                never.record(slot, whole);
                let (report, plain) = (looked.assess(slot), never.assess(slot));
                prop_assert_eq!(report.budget, plain.budget);
                for (tier, other) in report.tiers.iter().zip(&plain.tiers) {
                    prop_assert_eq!((tier.long, tier.short), (other.long, other.short));
                }
                let at_end = close(&mut looked, slot);
                let plainly = close(&mut never, slot);
                if early && rest.good <= usual {
                    prop_assert!(at_end.is_empty(), "taken back: {at_end:?}");
                    prop_assert!(!plainly.is_empty(), "the end of the slot would not have said it");
                }
                prop_assert_eq!(looked.open(Cause::Burn).is_some(), never.open(Cause::Burn).is_some());
            }
        }
    }
}
