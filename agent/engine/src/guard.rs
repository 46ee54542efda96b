//! Guards against little traffic: the evidence that a tier needs before it fires.
//!
//! A guard holds a tier back from firing. It never holds one back from letting go.

use core::fmt;

use crate::burn::Measured;
use crate::confidence::Confidence;
use crate::counts::Counts;

/// The evidence that a tier needs before it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The least number of events in the tier's long window.
    pub minimum_events: u64,
    /// The least number of bad events in the tier's long window.
    pub minimum_bad: u64,
    /// The least number of cells of the long window with bad events. A cell is a slot in a window of up to six hours;
    /// [`History`] tells its width beyond.
    ///
    /// [`History`]: crate::History
    pub minimum_slots: u64,
    /// The confidence that the bad ratio of the long window is above the threshold.
    pub confidence: Option<Confidence>,
}

impl Default for Guard {
    /// Asks for three bad events, so that one failed request at night pages no one.
    fn default() -> Self {
        Self { minimum_events: 0, minimum_bad: 3, minimum_slots: 1, confidence: None }
    }
}

impl Guard {
    /// Returns what a window with these events lacks.
    pub(crate) fn missing(&self, events: Counts, bad_cells: impl FnOnce() -> u64) -> Option<HoldReason> {
        if events.total() < self.minimum_events {
            return Some(HoldReason::Events { seen: events.total(), asked: self.minimum_events });
        }
        if events.bad < self.minimum_bad {
            return Some(HoldReason::Bad { seen: events.bad, asked: self.minimum_bad });
        }
        let slots = if self.minimum_slots > 1 { bad_cells() } else { self.minimum_slots };
        (slots < self.minimum_slots).then_some(HoldReason::Slots { seen: slots, asked: self.minimum_slots })
    }

    /// Returns the reason when chance could have put a window above a threshold. `unit` counts stand for one event.
    pub(crate) fn unsure(&self, window: &Measured, unit: u64, threshold: f64) -> Option<HoldReason> {
        let confidence = self.confidence?;
        let share = window.coverage();
        let unit = unit.max(1) as f64;
        let (bad, total) = (window.counts.bad as f64 / unit, window.counts.total() as f64 / unit);
        let at_least = confidence.lower_bound(bad, total) * share;
        (at_least <= threshold).then_some(HoldReason::Unsure { at_least, threshold, confidence })
    }
}

/// The reason why a tier or condition beyond its threshold does not fire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HoldReason {
    /// Too few events.
    Events {
        /// The number that was seen.
        seen: u64,
        /// The number that the guard asks for.
        asked: u64,
    },
    /// Too few bad events.
    Bad {
        /// The number that was seen.
        seen: u64,
        /// The number that the guard asks for.
        asked: u64,
    },
    /// Bad events in too few slots.
    Slots {
        /// The number that was seen.
        seen: u64,
        /// The number that the guard asks for.
        asked: u64,
    },
    /// The burn may be chance.
    Unsure {
        /// The Wilson score lower bound of the share of bad events.
        at_least: f64,
        /// The share that it has to exceed.
        threshold: f64,
        /// The confidence that the guard asks for.
        confidence: Confidence,
    },
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // figures that differ must look different
        let percent = |share: f64| (share * 1e5).round() / 1e3;
        match self {
            Self::Events { seen, asked } => write!(f, "{seen} of {asked} events"),
            Self::Bad { seen, asked } => write!(f, "{seen} of {asked} bad events"),
            Self::Slots { seen, asked } => write!(f, "bad events in {seen} of {asked} slots"),
            Self::Unsure { at_least, threshold, confidence } => {
                let (at_least, threshold) = (percent(*at_least), percent(*threshold));
                write!(f, "at least {at_least} % bad at {confidence} confidence, fires above {threshold} %")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    #[test]
    fn the_first_thing_that_is_missing_is_named() {
        let confidence = Confidence::try_from_percent(98.0).ok();
        let guard = Guard { minimum_events: 10, minimum_bad: 3, minimum_slots: 2, confidence };
        let held =
            |good, bad, cells| guard.missing(Counts { good, bad }, || cells).map(|held| held.to_string());
        assert_eq!(held(5, 1, 1).as_deref(), Some("6 of 10 events"));
        assert_eq!(held(9, 1, 1).as_deref(), Some("1 of 3 bad events"));
        assert_eq!(held(9, 3, 1).as_deref(), Some("bad events in 1 of 2 slots"));
        assert_eq!(held(9, 3, 2), None);
        let window = Measured {
            window: Window::hours(1),
            counts: Counts { good: 49, bad: 2 },
            observed_seconds: 3600,
        };
        let held = guard.unsure(&window, 1, 0.0144).map(|held| held.to_string());
        assert_eq!(held.as_deref(), Some("at least 0.88 % bad at 98% confidence, fires above 1.44 %"));
        let billions = Measured { counts: Counts { good: 49_000_000_000, bad: 2_000_000_000 }, ..window };
        assert_eq!(guard.unsure(&billions, 1_000_000_000, 0.0144), guard.unsure(&window, 1, 0.0144));
    }
}
