//! The unit that a budget is counted in.

use crate::composite::{Composite, Join, SliceResult};
use crate::counts::Counts;
use crate::slice_target::{BILLION, SliceTarget};
use crate::slot::Grid;

/// The unit of a budget: events or slices of time (`budgetingMethod` of OpenSLO).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Method {
    /// Good events of all events.
    #[default]
    Occurrences,
    /// Good slices of all slices. A slice is good when enough of its events are.
    Timeslices {
        /// The grid of slices. A slice is a whole number of slots and of minutes.
        slices: Grid,
        /// The share of its events that makes a slice good.
        target: SliceTarget,
    },
    /// The mean of the good shares of all slices.
    RatioTimeslices {
        /// The grid of slices. A slice is a whole number of slots and of minutes.
        slices: Grid,
    },
    /// Slices that join several indicators.
    Composite(Composite),
}

impl Method {
    /// The grid of slices; `None` where events are counted.
    #[must_use]
    pub const fn slices(&self) -> Option<Grid> {
        match self {
            Self::Occurrences => None,
            Self::Timeslices { slices, .. } | Self::RatioTimeslices { slices } => Some(*slices),
            Self::Composite(composite) => Some(composite.slices()),
        }
    }

    /// Number of components; zero where there is one indicator.
    #[must_use]
    pub fn components(&self) -> usize {
        match self {
            Self::Composite(composite) => composite.components().len(),
            Self::Occurrences | Self::Timeslices { .. } | Self::RatioTimeslices { .. } => 0,
        }
    }

    /// The name in OpenSLO, where it has one.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Occurrences => "Occurrences",
            Self::Timeslices { .. } => "Timeslices",
            Self::RatioTimeslices { .. } => "RatioTimeslices",
            Self::Composite(composite) => match composite.join() {
                Join::WorstOf => "the worst of several components",
                Join::Weights => "several weighted components",
            },
        }
    }

    /// The count that stands for one event or one slice.
    pub(crate) const fn unit(&self) -> u64 {
        match self {
            Self::Occurrences | Self::Timeslices { .. } => 1,
            Self::RatioTimeslices { .. } | Self::Composite(_) => BILLION,
        }
    }

    /// Rates a slice by the events of its components, or of the only indicator.
    pub(crate) fn rate(&self, mut events: impl Iterator<Item = (usize, Counts)>) -> SliceResult {
        match self {
            Self::Composite(composite) => composite.rate(events),
            _ => events
                .next()
                .map_or(SliceResult::NOTHING, |(_, counts)| SliceResult::of_one(self.rate_one(counts))),
        }
    }

    /// Rates the events of one indicator.
    fn rate_one(&self, events: Counts) -> Counts {
        let total = u128::from(events.good) + u128::from(events.bad);
        if total == 0 {
            return Counts::ZERO;
        }
        let weighed = u128::from(events.good) * u128::from(BILLION);
        match self {
            Self::Occurrences => events,
            Self::Timeslices { target, .. } => {
                let good = u64::from(target.is_met(events));
                Counts { good, bad: 1 - good }
            }
            Self::RatioTimeslices { .. } | Self::Composite(_) => {
                // rounded to the nearest billionth; never more than a whole
                let good = u64::try_from((weighed + total / 2) / total).unwrap_or(BILLION).min(BILLION);
                Counts { good, bad: BILLION - good }
            }
        }
    }
}
