//! The present: one short window, the same for every reader.
//!
//! The window is the shortest short window of the tiers. Slower windows still burn long after a recovery; they say
//! nothing about now.

use crate::burn::Measured;
use crate::counts::Counts;
use crate::slot::Slot;

/// The least number of bad events that are a failure beside good ones.
const FAILING_BAD: u64 = 3;

/// The state of an SLO in its present window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Present {
    /// The window, in the units of the method.
    pub measured: Measured,
    /// The events of the window.
    pub events: Counts,
    /// The burn rate over the observed time; `None` without events.
    pub burn_rate: Option<f64>,
    /// The SLO fails now: the window and its later half burn as fast as a page demands, with at least three bad events or
    /// no good one.
    pub failing: bool,
    /// The first bad slot of the failure; `None` unless the window burns as fast as a page demands.
    pub since: Option<Slot>,
    /// The last closed slot with a bad event.
    pub last_bad: Option<Slot>,
    /// The last closed slot with a good event.
    pub last_good: Option<Slot>,
}

impl Present {
    /// The share of bad events over the observed time; `None` without events.
    #[must_use]
    pub fn bad_ratio(&self) -> Option<f64> {
        self.measured.counts.bad_ratio()
    }

    /// Returns whether events are enough to call fast burn a failure.
    pub(crate) const fn is_evident(events: Counts) -> bool {
        events.bad >= FAILING_BAD || (events.bad > 0 && events.good == 0)
    }
}
