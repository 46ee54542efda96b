//! Budgets of time instead of events: every slice of a period counts the same, however much happened in it.
//!
//! A slice is judged when it is over, and again when counts for it come in late, up to six hours afterwards. A slice in
//! which nothing happened says nothing: it is neither good nor bad.

use core::fmt;
use std::collections::BTreeMap;

use crate::composite::{Composite, Join, Verdict};
use crate::counts::Counts;
use crate::history::{FINE_LIMIT, History, QUARTER_HOUR, Recorded};
use crate::parts::Parts;
use crate::policy::Policy;
use crate::report::ComponentReport;
use crate::slot::{Grid, Slot};

/// What a budget is counted in (OpenSLO's `budgetingMethod`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// Slices in which several indicators are joined.
    Composite(Composite),
}

impl Method {
    /// The grid of slices, unless events are counted.
    #[must_use]
    pub const fn slices(&self) -> Option<Grid> {
        match self {
            Self::Occurrences => None,
            Self::Timeslices { slices, .. } | Self::RatioTimeslices { slices } => Some(*slices),
            Self::Composite(composite) => Some(composite.slices()),
        }
    }

    /// How many components are counted one by one; none where there is one indicator.
    #[must_use]
    pub fn components(&self) -> usize {
        match self {
            Self::Composite(composite) => composite.components().len(),
            Self::Occurrences | Self::Timeslices { .. } | Self::RatioTimeslices { .. } => 0,
        }
    }

    /// OpenSLO's word for it, where it has one.
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

    /// What stands for one event or one slice in its counts.
    pub(crate) const fn unit(&self) -> u64 {
        match self {
            Self::Occurrences | Self::Timeslices { .. } => 1,
            Self::RatioTimeslices { .. } | Self::Composite(_) => BILLION,
        }
    }

    /// What a slice is worth, from the events of its components; of the only one, where there is one indicator.
    fn verdict(&self, mut events: impl Iterator<Item = (usize, Counts)>) -> Verdict {
        match self {
            Self::Composite(composite) => composite.judge(events),
            _ => events.next().map_or(Verdict::NOTHING, |(_, counts)| Verdict::of_one(self.judge(counts))),
        }
    }

    /// What the events of one indicator are worth.
    fn judge(&self, events: Counts) -> Counts {
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

/// Parts of a whole slice.
pub(crate) const BILLION: u64 = 1_000_000_000;

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

    /// Whether enough of these events are good.
    pub(crate) fn is_met(self, events: Counts) -> bool {
        let total = u128::from(events.good) + u128::from(events.bad);
        u128::from(events.good) * u128::from(BILLION) >= total * u128::from(self.good_ppb)
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
    /// By slice and component.
    events: BTreeMap<(Slot, usize), Counts>,
    /// Slices before this one are judged for good: their events are forgotten.
    open_from: Option<Slot>,
    verdicts: History,
    parts: Parts,
}

impl Slices {
    /// Nothing, for a method that counts events.
    pub(crate) fn new(policy: &Policy, closed: Slot) -> Option<Self> {
        let (method, slots) = (policy.method.clone(), policy.grid);
        let grid = method.slices()?;
        let over = last_over(grid, slots.end_ms(closed));
        let verdicts = History::new(grid, policy.windows(), over);
        let parts = Parts::new(policy, grid, over);
        Some(Self { method, slots, grid, events: BTreeMap::new(), open_from: None, verdicts, parts })
    }

    pub(crate) const fn verdicts(&self) -> &History {
        &self.verdicts
    }

    /// Begins to count a calendar period, from an instant on.
    pub(crate) fn begin_period(&mut self, from_seconds: i64) {
        self.verdicts.begin_period(from_seconds);
        self.parts.begin_period(from_seconds);
    }

    pub(crate) const fn verdicts_mut(&mut self) -> &mut History {
        &mut self.verdicts
    }

    /// What is known of every component at the end of a slot.
    pub(crate) fn components(&self, policy: &Policy, at: Slot) -> Vec<ComponentReport> {
        self.parts.report(policy, at, &self.verdicts)
    }

    pub(crate) fn state_bytes(&self) -> usize {
        // a node of the map is shared by up to eleven entries and never less than half full
        let entries = self.events.len() * 2 * size_of::<((Slot, usize), Counts)>();
        size_of::<Self>() - size_of::<History>()
            + self.verdicts.state_bytes()
            + self.parts.state_bytes()
            + entries
    }

    pub(crate) fn record(&mut self, component: usize, slot: Slot, counts: Counts) -> Recorded {
        self.add(component, self.slots.start_ms(slot), counts)
    }

    pub(crate) fn restore_minute(&mut self, component: usize, minute: Slot, counts: Counts) -> Recorded {
        self.add(component, Grid::MINUTE.start_ms(minute), counts)
    }

    /// Slices that are shorter than a quarter of an hour cannot be told apart any more: their events count where it
    /// begins.
    pub(crate) fn restore_quarter(&mut self, component: usize, quarter: Slot, counts: Counts) -> Recorded {
        self.add(component, quarter.0.saturating_mul(QUARTER_HOUR).saturating_mul(1000), counts)
    }

    fn add(&mut self, component: usize, at_ms: i64, counts: Counts) -> Recorded {
        self.parts.heard(component, self.slots.slot_at_ms(at_ms));
        let slice = self.grid.slot_at_ms(at_ms);
        let in_reach = self.grid.start_ms(slice) >= self.verdicts.reaches_back_to().saturating_mul(1000);
        // without the rest of its events a slice cannot be judged again
        if !in_reach || self.open_from.is_some_and(|first| slice < first) {
            return Recorded::TooOld;
        }
        let is_over = slice <= self.verdicts.closed();
        let before = is_over.then(|| self.judge(slice));
        *self.events.entry((slice, component)).or_default() += counts;
        self.parts.add(component, slice, counts);
        if let Some(before) = before {
            let after = self.judge(slice);
            self.verdicts.revise(slice, before.whole, after.whole);
            self.parts.revise(slice, &before, &after);
        }
        Recorded::Kept
    }

    fn judge(&self, slice: Slot) -> Verdict {
        let events = self.events.range((slice, 0)..=(slice, usize::MAX));
        self.method.verdict(events.map(|((_, component), counts)| (*component, *counts)))
    }

    /// Judges every slice that is over when `slot` is, and forgets the events of those that are final.
    pub(crate) fn close(&mut self, slot: Slot) {
        let over = last_over(self.grid, self.slots.end_ms(slot));
        let mut next = self.verdicts.closed().plus(1);
        if over < next {
            return;
        }
        while let Some(&(slice, _)) = self.events.range((next, 0)..).next().map(|(key, _)| key) {
            if slice > over {
                break;
            }
            let verdict = self.judge(slice);
            self.verdicts.record(slice, verdict.whole);
            self.parts.record(slice, &verdict);
            next = slice.plus(1);
        }
        self.verdicts.close(over);
        self.parts.close(over);
        let kept = i64::try_from(self.grid.slots_in(FINE_LIMIT.as_seconds())).unwrap_or(i64::MAX);
        let first = over.plus(1).plus(kept.saturating_neg());
        while let Some(oldest) = self.events.first_entry().filter(|entry| entry.key().0 < first) {
            oldest.remove();
        }
        self.open_from = Some(first);
    }
}

/// The last slice that is over at an instant.
fn last_over(slices: Grid, end_ms: i64) -> Slot {
    slices.slot_at_ms(end_ms).plus(-1)
}
