//! Budgets of time: every slice of a period has the same weight, whatever its traffic.
//!
//! A slice is rated when it is over, and again when late counts arrive within six hours. A slice without events is
//! neither good nor bad.

use std::collections::BTreeMap;

use crate::assessment::ComponentAssessment;
use crate::component_history::ComponentHistories;
use crate::composite::SliceResult;
use crate::counts::Counts;
use crate::history::{History, Recorded};
use crate::level::{QUARTER_HOUR, SLOT_WINDOW_LIMIT};
use crate::method::Method;
use crate::policy::Policy;
use crate::slot::{Grid, Slot};

/// The slices of an SLO: events of the latest, results of all.
#[derive(Debug, Clone)]
pub(crate) struct Slices {
    method: Method,
    slots: Grid,
    grid: Grid,
    /// By slice and component.
    events: BTreeMap<(Slot, usize), Counts>,
    /// Results of earlier slices are final, because their events are dropped.
    open_from: Option<Slot>,
    results: History,
    components: ComponentHistories,
}

impl Slices {
    /// Creates empty slices; `None` for a method that counts events.
    pub(crate) fn new(policy: &Policy, closed: Slot) -> Option<Self> {
        let (method, slots) = (policy.method.clone(), policy.grid);
        let grid = method.slices()?;
        let over = last_over(grid, slots.end_ms(closed));
        let results = History::new(grid, policy.windows(), over, policy.stale_after_seconds);
        let components = ComponentHistories::new(policy, grid, over);
        Some(Self { method, slots, grid, events: BTreeMap::new(), open_from: None, results, components })
    }

    pub(crate) const fn results(&self) -> &History {
        &self.results
    }

    /// Starts a calendar period at an instant.
    pub(crate) fn set_period(&mut self, from_seconds: i64) {
        self.results.set_period(from_seconds);
        self.components.set_period(from_seconds);
    }

    pub(crate) const fn results_mut(&mut self) -> &mut History {
        &mut self.results
    }

    /// Reports every component at the end of a slot.
    pub(crate) fn component_reports(&self, policy: &Policy, at: Slot) -> Vec<ComponentAssessment> {
        self.components.report(policy, at, &self.results)
    }

    pub(crate) fn state_bytes(&self) -> usize {
        // a node of the map holds up to eleven entries and is at least half full
        let entries = self.events.len() * 2 * size_of::<((Slot, usize), Counts)>();
        size_of::<Self>() - size_of::<History>()
            + self.results.state_bytes()
            + self.components.state_bytes()
            + entries
    }

    pub(crate) fn record(&mut self, component: usize, slot: Slot, counts: Counts) -> Recorded {
        self.add(component, self.slots.start_ms(slot), counts)
    }

    pub(crate) fn restore_minute(&mut self, component: usize, minute: Slot, counts: Counts) -> Recorded {
        self.add(component, Grid::MINUTE.start_ms(minute), counts)
    }

    /// Adds a quarter of an hour. Shorter slices inside it are no longer known: its events count where it starts.
    pub(crate) fn restore_quarter(&mut self, component: usize, quarter: Slot, counts: Counts) -> Recorded {
        self.add(component, quarter.0.saturating_mul(QUARTER_HOUR).saturating_mul(1000), counts)
    }

    fn add(&mut self, component: usize, at_ms: i64, counts: Counts) -> Recorded {
        self.components.mark_observed(component, self.slots.slot_at_ms(at_ms));
        let slice = self.grid.slot_at_ms(at_ms);
        let in_reach = self.grid.start_ms(slice) >= self.results.reaches_back_to().saturating_mul(1000);
        // without the rest of its events a slice cannot be rated again
        if !in_reach || self.open_from.is_some_and(|first| slice < first) {
            return Recorded::TooOld;
        }
        let is_over = slice <= self.results.closed();
        let before = is_over.then(|| self.rate(slice));
        *self.events.entry((slice, component)).or_default() += counts;
        self.components.add(component, slice, counts);
        if let Some(before) = before {
            let after = self.rate(slice);
            self.results.revise(slice, before.whole, after.whole);
            self.components.revise(slice, &before, &after);
        }
        Recorded::Counted
    }

    fn rate(&self, slice: Slot) -> SliceResult {
        let events = self.events.range((slice, 0)..=(slice, usize::MAX));
        self.method.rate(events.map(|((_, component), counts)| (*component, *counts)))
    }

    /// Rates every slice that is over with `slot`, and drops the events of those that are final.
    pub(crate) fn close(&mut self, slot: Slot) {
        let over = last_over(self.grid, self.slots.end_ms(slot));
        let mut next = self.results.closed().plus(1);
        if over < next {
            return;
        }
        while let Some(&(slice, _)) = self.events.range((next, 0)..).next().map(|(key, _)| key) {
            if slice > over {
                break;
            }
            let result = self.rate(slice);
            self.results.record(slice, result.whole);
            self.components.record(slice, &result);
            next = slice.plus(1);
        }
        self.results.close(over);
        self.components.close(over);
        let kept = i64::try_from(self.grid.slots_in(SLOT_WINDOW_LIMIT.as_seconds())).unwrap_or(i64::MAX);
        let first = over.plus(1).plus(kept.saturating_neg());
        while let Some(oldest) = self.events.first_entry().filter(|entry| entry.key().0 < first) {
            oldest.remove();
        }
        self.open_from = Some(first);
    }
}

/// Returns the last slice that is over at an instant.
fn last_over(slices: Grid, end_ms: i64) -> Slot {
    slices.slot_at_ms(end_ms).plus(-1)
}
