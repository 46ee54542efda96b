//! Even traffic through the engine of the agent.

use lookout_engine::{Counts, Evaluator, EventRate, Policy, Slot, Span};

/// Evaluator under even traffic.
#[derive(Clone)]
pub(super) struct Traffic {
    evaluator: Evaluator,
    rate: EventRate,
    next: Slot,
}

/// Measurements of a slot of an outage.
pub(super) struct SlotState {
    pub(super) firing: Vec<bool>,
    pub(super) conditions: Vec<bool>,
    pub(super) left_ratio: f64,
}

impl Traffic {
    /// Creates traffic that has been healthy for the longest window of a tier.
    pub(super) fn healthy(policy: &Policy, rate: EventRate) -> Self {
        let slots = policy.tiers.iter().map(|tier| policy.grid.slots_in(tier.long.as_seconds())).max();
        let slots = slots.unwrap_or(1).saturating_add(1);
        // sparse traffic must not look like a source that is gone, nor the table begin with a missing-data alert
        let mut evaluator = Evaluator::new(policy.clone(), Slot(-1));
        // a made-up outage has no date: a calendar period of the usual length begins with it
        let length = policy.grid.slots_in(policy.period.nominal().as_seconds());
        let to = Slot(i64::try_from(length).unwrap_or(i64::MAX));
        evaluator.set_period(Span { from: Slot(0), to });
        let mut traffic = Self { evaluator, rate, next: Slot(0) };
        for _ in 0..slots {
            let events = traffic.events();
            traffic.step(Counts { good: events, bad: 0 });
        }
        traffic
    }

    /// Returns the events of the next slot: whole ones, at even distances.
    pub(super) fn events(&self) -> u64 {
        let width = u64::from(self.evaluator.policy().grid.width_seconds());
        let until = |slot: i64| self.rate.events_in(u64::try_from(slot).unwrap_or(0).saturating_mul(width));
        until(self.next.0.saturating_add(1)).saturating_sub(until(self.next.0))
    }

    pub(super) fn step(&mut self, counts: Counts) -> SlotState {
        let slot = self.next;
        self.next = slot.plus(1);
        // of a composite all components have the same traffic and fail together
        for component in 0..self.evaluator.policy().method.components().max(1) {
            self.evaluator.record_component(component, slot, counts);
        }
        self.evaluator.record_outcomes(slot, counts);
        let report = self.evaluator.assess(slot);
        let decision = self.evaluator.decide(&report);
        let report = decision.apply(report);
        self.evaluator.accept(decision);
        SlotState {
            firing: report.tiers.iter().map(|tier| tier.firing).collect(),
            conditions: report.conditions.iter().map(|condition| condition.firing).collect(),
            left_ratio: report.budget.left_ratio,
        }
    }

    /// Returns the rate.
    pub(super) const fn rate(&self) -> EventRate {
        self.rate
    }

    /// Returns the policy.
    pub(super) const fn policy(&self) -> &Policy {
        self.evaluator.policy()
    }
}
