//! Budgets of time instead of events: every slice of a period counts the same, however much happened in it.
//!
//! A slice is judged when it is over, and again when counts for it come in late, up to six hours afterwards. A slice in
//! which nothing happened says nothing: it is neither good nor bad.

use core::fmt;
use std::collections::BTreeMap;

use crate::counts::Counts;
use crate::history::{FINE_LIMIT, History, Recorded};
use crate::slot::{Grid, Slot};
use crate::window::Window;

/// What a budget is counted in (OpenSLO's `budgetingMethod`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Events: good events of all events.
    #[default]
    Occurrences,
    /// Slices: good slices of all slices, where a slice is good when enough of its events are.
    Timeslices {
        /// The grid of slices; a slice is a whole number of slots and of minutes.
        slices: Grid,
        /// The share of its events that makes a slice good.
        target: SliceTarget,
    },
    /// The mean of the good shares of all slices.
    RatioTimeslices {
        /// The grid of slices; a slice is a whole number of slots and of minutes.
        slices: Grid,
    },
}

impl Method {
    /// The grid of slices, unless events are counted.
    #[must_use]
    pub const fn slices(self) -> Option<Grid> {
        match self {
            Self::Occurrences => None,
            Self::Timeslices { slices, .. } | Self::RatioTimeslices { slices } => Some(slices),
        }
    }

    /// OpenSLO's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Occurrences => "Occurrences",
            Self::Timeslices { .. } => "Timeslices",
            Self::RatioTimeslices { .. } => "RatioTimeslices",
        }
    }

    /// What stands for one event or one slice in its counts.
    pub(crate) const fn unit(self) -> u64 {
        match self {
            Self::Occurrences | Self::Timeslices { .. } => 1,
            Self::RatioTimeslices { .. } => BILLION,
        }
    }

    /// What the events of one slice are worth.
    fn judge(self, events: Counts) -> Counts {
        let total = u128::from(events.good) + u128::from(events.bad);
        if total == 0 {
            return Counts::ZERO;
        }
        let weighed = u128::from(events.good) * u128::from(BILLION);
        match self {
            Self::Occurrences => events,
            Self::Timeslices { target, .. } => {
                let good = u64::from(weighed >= total * u128::from(target.good_ppb));
                Counts { good, bad: 1 - good }
            }
            Self::RatioTimeslices { .. } => {
                // rounded to the nearest billionth; never more than a whole
                let good = u64::try_from((weighed + total / 2) / total).unwrap_or(BILLION).min(BILLION);
                Counts { good, bad: BILLION - good }
            }
        }
    }
}

/// Parts of a whole slice.
const BILLION: u64 = 1_000_000_000;

/// The share of its events that makes a slice good, in parts per billion; all of them is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceTarget {
    good_ppb: u32,
}

/// A target that is not in `(0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadSliceTarget(
    /// The refused share.
    pub f64,
);

impl fmt::Display for BadSliceTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no share of events above 0 and up to 1", self.0)
    }
}

impl core::error::Error for BadSliceTarget {}

impl SliceTarget {
    /// A share of one, exact to nine decimals.
    ///
    /// # Errors
    /// When it is not in `(0, 1]`: every slice would be good, or none could be.
    pub fn try_from_ratio(ratio: f64) -> Result<Self, BadSliceTarget> {
        let ppb = (ratio * 1e9).round();
        if !(1.0..=1e9).contains(&ppb) {
            return Err(BadSliceTarget(ratio));
        }
        Ok(Self { good_ppb: ppb as u32 })
    }

    /// The share of one.
    #[must_use]
    pub fn ratio(self) -> f64 {
        f64::from(self.good_ppb) / 1e9
    }
}

/// The slices of an SLO: what is known of the youngest, and the verdicts over all.
#[derive(Debug, Clone)]
pub(crate) struct Slices {
    method: Method,
    slots: Grid,
    grid: Grid,
    events: BTreeMap<Slot, Counts>,
    /// Slices before this one are judged for good: their events are forgotten.
    open_from: Option<Slot>,
    verdicts: History,
}

impl Slices {
    /// Nothing, for a method that counts events.
    pub(crate) fn new(
        method: Method,
        slots: Grid,
        windows: impl IntoIterator<Item = Window>,
        closed: Slot,
    ) -> Option<Self> {
        let grid = method.slices()?;
        let over = last_over(grid, slots.end_ms(closed));
        let verdicts = History::new(grid, windows, over);
        Some(Self { method, slots, grid, events: BTreeMap::new(), open_from: None, verdicts })
    }

    pub(crate) const fn verdicts(&self) -> &History {
        &self.verdicts
    }

    pub(crate) fn state_bytes(&self) -> usize {
        // a node of the map is shared by up to eleven entries and never less than half full
        let entries = self.events.len() * 2 * size_of::<(Slot, Counts)>();
        size_of::<Self>() - size_of::<History>() + self.verdicts.state_bytes() + entries
    }

    pub(crate) fn record(&mut self, slot: Slot, counts: Counts) -> Recorded {
        self.add(self.slots.start_ms(slot), counts)
    }

    pub(crate) fn restore_minute(&mut self, minute: Slot, counts: Counts) -> Recorded {
        self.add(Grid::MINUTE.start_ms(minute), counts)
    }

    fn add(&mut self, at_ms: i64, counts: Counts) -> Recorded {
        let slice = self.grid.slot_at_ms(at_ms);
        let in_reach = self.grid.start_ms(slice) >= self.verdicts.reaches_back_to().saturating_mul(1000);
        // without the rest of its events a slice cannot be judged again
        if !in_reach || self.open_from.is_some_and(|first| slice < first) {
            return Recorded::TooOld;
        }
        let events = self.events.entry(slice).or_default();
        let before = *events;
        *events += counts;
        if slice <= self.verdicts.closed() {
            self.verdicts.revise(slice, self.method.judge(before), self.method.judge(*events));
        }
        Recorded::Kept
    }

    /// Judges every slice that is over when `slot` is, and forgets the events of those that are final.
    pub(crate) fn close(&mut self, slot: Slot) {
        let over = last_over(self.grid, self.slots.end_ms(slot));
        let before = self.verdicts.closed();
        if over <= before {
            return;
        }
        for (slice, events) in self.events.range(before.plus(1)..=over) {
            self.verdicts.record(*slice, self.method.judge(*events));
        }
        self.verdicts.close(over);
        let kept = i64::try_from(self.grid.slots_in(FINE_LIMIT.as_seconds())).unwrap_or(i64::MAX);
        let first = over.plus(1).plus(kept.saturating_neg());
        while let Some(oldest) = self.events.first_entry().filter(|entry| *entry.key() < first) {
            oldest.remove();
        }
        self.open_from = Some(first);
    }
}

/// The last slice that is over at an instant.
fn last_over(slices: Grid, end_ms: i64) -> Slot {
    slices.slot_at_ms(end_ms).plus(-1)
}
