//! Even traffic through the engine of the agent.

use core::fmt;
use core::str::FromStr;

use lookout_engine::{Counts, Evaluator, Policy, Slot, Span};

/// Traffic that never changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    per_second: f64,
}

impl Rate {
    /// So many events per second.
    ///
    /// # Errors
    /// When it is not a positive number, or more than a billion.
    pub fn try_new(per_second: f64) -> Result<Self, String> {
        match per_second > 0.0 && per_second <= 1e9 {
            true => Ok(Self { per_second }),
            false => Err("traffic is more than nothing and at most a billion events per second".to_owned()),
        }
    }

    /// Events per second.
    #[must_use]
    pub const fn per_second(self) -> f64 {
        self.per_second
    }

    /// Whole events after so many seconds.
    pub(super) fn events(self, seconds: u64) -> u64 {
        // a tiny part more, so that 0.1 per second is 1 after ten seconds and not 0.999…
        (self.per_second * seconds as f64 + 1e-6) as u64
    }
}

impl FromStr for Rate {
    type Err = String;

    /// Reads `10/s`, `600/m`, `5/h`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected events per second, minute or hour, like `10/s`, `600/m` or `5/h`".to_owned();
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        Self::try_new(number / seconds)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = |value: f64| (value * 1e3).round() / 1e3;
        match self.per_second {
            rate if rate >= 1.0 => write!(f, "{} events/s", decimals(rate)),
            rate if rate * 60.0 >= 1.0 => write!(f, "{} events/m", decimals(rate * 60.0)),
            rate => write!(f, "{} events/h", decimals(rate * 3600.0)),
        }
    }
}

/// An evaluator under even traffic.
#[derive(Clone)]
pub(super) struct Traffic {
    evaluator: Evaluator,
    rate: Rate,
    next: Slot,
}

/// What a slot of an outage showed.
pub(super) struct Seen {
    pub(super) firing: Vec<bool>,
    pub(super) conditions: Vec<bool>,
    pub(super) left_ratio: f64,
}

impl Traffic {
    /// Healthy for as long as the longest window of a tier.
    pub(super) fn healthy(policy: &Policy, rate: Rate) -> Self {
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

    /// Events of the next slot: whole ones, in even distances.
    pub(super) fn events(&self) -> u64 {
        let width = u64::from(self.evaluator.policy().grid.width_seconds());
        let until = |slot: i64| self.rate.events(u64::try_from(slot).unwrap_or(0).saturating_mul(width));
        until(self.next.0.saturating_add(1)).saturating_sub(until(self.next.0))
    }

    pub(super) fn step(&mut self, counts: Counts) -> Seen {
        let slot = self.next;
        self.next = slot.plus(1);
        // of a composite all components have the same traffic and fail together
        for component in 0..self.evaluator.policy().method.components().max(1) {
            self.evaluator.record_component(component, slot, counts);
        }
        let report = self.evaluator.assess(slot);
        let decision = self.evaluator.decide(&report);
        let report = decision.apply(report);
        self.evaluator.accept(decision);
        Seen {
            firing: report.tiers.iter().map(|tier| tier.firing).collect(),
            conditions: report.conditions.iter().map(|condition| condition.firing).collect(),
            left_ratio: report.budget.left_ratio,
        }
    }

    /// The policy that is judged.
    pub(super) const fn policy(&self) -> &Policy {
        self.evaluator.policy()
    }
}
