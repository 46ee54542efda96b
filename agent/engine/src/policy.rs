//! What the evaluation of an SLO depends on.

use crate::condition::Condition;
use crate::guard::Guard;
use crate::method::Method;
use crate::objective::Objective;
use crate::period::Period;
use crate::slot::Grid;
use crate::tier::{Severity, Tier};
use crate::window::Window;

/// Everything the evaluation of an SLO depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The grid its counts are on.
    pub grid: Grid,
    /// The share of events that must be good.
    pub objective: Objective,
    /// What the budget is given for.
    pub period: Period,
    /// What the budget is counted in.
    pub method: Method,
    /// When it calls whom.
    pub tiers: Vec<Tier>,
    /// What must have happened first.
    pub guard: Guard,
    /// When else it calls whom.
    pub conditions: Vec<Condition>,
    /// After how many seconds without an observation the data are stale.
    pub stale_after_seconds: u64,
    /// Whom missing data call; `None` for no one.
    pub data_alert: Option<Severity>,
}

impl Policy {
    /// Seconds of missing data that are worth an alert: as long as a total outage takes to fire the fastest tier, but
    /// never less than it takes for data to be stale.
    #[must_use]
    pub fn data_alert_seconds(&self) -> u64 {
        let fastest = self.tiers.iter().filter_map(|tier| tier.detection_seconds(self.objective, 1.0));
        let outage = fastest.fold(f64::INFINITY, f64::min);
        let outage = if outage.is_finite() { outage.ceil() as u64 } else { 0 };
        outage.max(self.stale_after_seconds)
    }

    /// The windows that counts have to be kept for; a calendar period is a sum of its own.
    pub(crate) fn windows(&self) -> impl Iterator<Item = Window> {
        let tiers = self.tiers.iter().flat_map(|tier| [tier.long, tier.short]);
        tiers.chain(self.conditions.iter().filter_map(Condition::window)).chain(self.period.rolling())
    }
}
