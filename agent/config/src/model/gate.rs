//! Conditions of the deployment gate.

use std::time::Duration;

/// The conditions of the deployment gate.
#[derive(Debug, Clone)]
pub struct GatePolicy {
    /// Least share of the budget that must be left for a feature deploy.
    pub minimum_budget: f64,
    /// Time for which an answer is valid.
    pub valid_for: Duration,
    /// Least time that must have been observed; the present window of the SLO where that is longer.
    pub minimum_observed: Duration,
    /// Least number of events that must have been seen in the period.
    pub minimum_events: u64,
    /// True if a service without traffic may be deployed.
    pub idle_is_normal: bool,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self {
            minimum_budget: 0.0,
            valid_for: Duration::from_secs(60),
            minimum_observed: Duration::ZERO,
            minimum_events: 10,
            idle_is_normal: false,
        }
    }
}

impl GatePolicy {
    /// The policy with the minima of one SLO.
    #[must_use]
    pub fn for_slo(&self, minimum: &GateMinimum) -> Self {
        Self {
            minimum_observed: minimum.observed.unwrap_or(self.minimum_observed),
            minimum_events: minimum.events.unwrap_or(self.minimum_events),
            idle_is_normal: self.idle_is_normal || minimum.idle_is_normal,
            ..self.clone()
        }
    }
}

/// The evidence that the gate asks for, where an SLO differs from the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GateMinimum {
    /// Least time that must have been observed.
    pub observed: Option<Duration>,
    /// Least number of events that must have been seen.
    pub events: Option<u64>,
    /// True if a source without events is normal.
    pub idle_is_normal: bool,
}
