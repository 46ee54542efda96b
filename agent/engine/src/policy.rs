//! The settings of an SLO.

use crate::condition::{Condition, Criterion};
use crate::guard::Guard;
use crate::method::Method;
use crate::objective::{BurnFactor, Objective};
use crate::period::Period;
use crate::slot::Grid;
use crate::tier::{Severity, Tier};
use crate::window::Window;

/// Everything that the evaluation of an SLO depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The grid of its counts.
    pub grid: Grid,
    /// The share of events that must be good.
    pub objective: Objective,
    /// The period of the budget.
    pub period: Period,
    /// The unit of the budget.
    pub method: Method,
    /// The burn rates that fire.
    pub tiers: Vec<Tier>,
    /// The evidence that a tier needs.
    pub guard: Guard,
    /// Conditions beside the tiers.
    pub conditions: Vec<Condition>,
    /// Seconds without an observation after which data are stale, and the time is a gap.
    pub stale_after_seconds: u64,
    /// The severity of missing data; `None` for no alert.
    pub data_alert: Option<Severity>,
}

impl Policy {
    /// Seconds of missing data that are worth an alert: as long as a total outage takes to fire the fastest tier, and at
    /// least until the data are stale.
    #[must_use]
    pub fn data_alert_seconds(&self) -> u64 {
        let fastest = self.tiers.iter().filter_map(|tier| tier.detection_seconds(self.objective, 1.0));
        let outage = fastest.fold(f64::INFINITY, f64::min);
        let outage = if outage.is_finite() { outage.ceil() as u64 } else { 0 };
        outage.max(self.stale_after_seconds)
    }

    /// The window that tells the present: the shortest short window of the tiers, or five minutes without tiers.
    #[must_use]
    pub fn present_window(&self) -> Window {
        let shortest = self.tiers.iter().map(|tier| tier.short).min();
        shortest.unwrap_or(Window::minutes(5).min(self.period.nominal()))
    }

    /// The burn rate above which the present is a failure: the lowest that a page demands, or else a ticket.
    #[must_use]
    pub fn failing_factor(&self) -> BurnFactor {
        let lowest = |severity| {
            let tiers = self.tiers.iter().filter(move |tier| tier.severity == severity);
            tiers.map(|tier| tier.factor).min()
        };
        lowest(Severity::Page).or_else(|| lowest(Severity::Ticket)).unwrap_or(BurnFactor::ONE)
    }

    /// The observed seconds from which on an SLO without failures is healthy: the shortest long window of its tiers.
    #[must_use]
    pub fn settling_seconds(&self) -> u64 {
        let shortest = self.tiers.iter().map(|tier| tier.long).min();
        shortest.unwrap_or(self.present_window()).min(self.period.nominal()).as_seconds()
    }

    /// Returns whether a condition compares the traffic with that of a week before.
    #[must_use]
    pub fn compares_traffic(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition.criterion, Criterion::Traffic { .. }))
    }

    /// The successes in a row that matter; `None` when no condition is on outcomes in a row.
    pub(crate) fn successes_in_a_row(&self) -> Option<u32> {
        let enough = self.conditions.iter().filter_map(|condition| match condition.criterion {
            Criterion::Down { up_after, .. } => Some(up_after),
            _ => None,
        });
        enough.max()
    }

    /// Returns whether no condition depends on the budget or compares traffic: a slot with events changes none of them.
    pub(crate) fn has_plain_conditions(&self) -> bool {
        let plain = |condition: &Condition| {
            matches!(condition.criterion, Criterion::Idle { .. } | Criterion::Restarts { .. })
        };
        self.conditions.iter().all(plain)
    }

    /// The windows of the history. A calendar period is a sum of its own.
    pub(crate) fn windows(&self) -> impl Iterator<Item = Window> {
        let tiers = self.tiers.iter().flat_map(|tier| [tier.long, tier.short]);
        tiers
            .chain([self.present_window()])
            .chain(self.conditions.iter().filter_map(Condition::counted_window))
            .chain(self.period.rolling())
    }
}
