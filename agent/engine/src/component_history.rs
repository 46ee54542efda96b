//! Counts of each component of a composite: its events, and the part of the burn that it causes.
//!
//! Alerts and budgets do not depend on these counts. They show where the burn of the whole comes from.

use crate::assessment::ComponentAssessment;
use crate::composite::SliceResult;
use crate::counts::Counts;
use crate::data_state::DataState;
use crate::history::History;
use crate::period::Period;
use crate::policy::Policy;
use crate::slot::{Grid, Slot};
use crate::window::Window;

#[derive(Debug, Clone)]
struct ComponentHistory {
    last_observed: Option<Slot>,
    /// Events by slice.
    events: History,
    /// The part of each slice's cost that it causes, in billionths, as bad counts.
    attributed: History,
}

/// Histories of all components in the order of the composite. Empty for every other method.
#[derive(Debug, Clone)]
pub(crate) struct ComponentHistories {
    list: Vec<ComponentHistory>,
    /// The window of recent counts.
    recent: Window,
    period: Period,
}

impl ComponentHistories {
    pub(crate) fn new(policy: &Policy, slices: Grid, over: Slot) -> Self {
        let period = policy.period;
        let recent = policy.tiers.iter().map(|tier| tier.long).min().unwrap_or(period.nominal());
        let windows = || [recent].into_iter().chain(period.rolling());
        let history = || ComponentHistory {
            last_observed: None,
            events: History::new(slices, windows(), over, policy.stale_after_seconds),
            attributed: History::new(slices, windows(), over, policy.stale_after_seconds),
        };
        Self { list: (0..policy.method.components()).map(|_| history()).collect(), recent, period }
    }

    /// Starts a calendar period at an instant.
    pub(crate) fn set_period(&mut self, from_seconds: i64) {
        for component in &mut self.list {
            component.events.set_period(from_seconds);
            component.attributed.set_period(from_seconds);
        }
    }

    /// Notes an observation of a component in a slot, even when its counts arrive too late.
    pub(crate) fn mark_observed(&mut self, component: usize, slot: Slot) {
        if let Some(component) = self.list.get_mut(component) {
            component.last_observed = component.last_observed.max(Some(slot));
        }
    }

    pub(crate) fn add(&mut self, component: usize, slice: Slot, counts: Counts) {
        if let Some(component) = self.list.get_mut(component) {
            component.events.record(slice, counts);
        }
    }

    pub(crate) fn record(&mut self, slice: Slot, result: &SliceResult) {
        for (component, bad) in self.list.iter_mut().zip(result.attributed) {
            component.attributed.record(slice, Counts { good: 0, bad });
        }
    }

    pub(crate) fn revise(&mut self, slice: Slot, before: &SliceResult, after: &SliceResult) {
        let changes = before.attributed.into_iter().zip(after.attributed);
        for (component, (old, new)) in self.list.iter_mut().zip(changes) {
            component.attributed.revise(slice, Counts { good: 0, bad: old }, Counts { good: 0, bad: new });
        }
    }

    pub(crate) fn close(&mut self, over: Slot) {
        for component in &mut self.list {
            component.events.close(over);
            component.attributed.close(over);
        }
    }

    /// Reports each component at the end of a slot. `results` are those of the whole.
    pub(crate) fn report(&self, policy: &Policy, at: Slot, results: &History) -> Vec<ComponentAssessment> {
        let recent = |history: &History| history.measure(self.recent).map_or(Counts::ZERO, |it| it.counts);
        let period = |history: &History| match self.period {
            Period::Rolling(window) => history.measure(window).map_or(Counts::ZERO, |it| it.counts),
            Period::Calendar { nominal } => history.measure_since_start(nominal).counts,
        };
        let share = |component: &ComponentHistory, counts: &dyn Fn(&History) -> Counts| {
            let whole = counts(results).bad;
            (whole > 0).then(|| (counts(&component.attributed).bad as f64 / whole as f64).min(1.0))
        };
        let report = |component: &ComponentHistory| ComponentAssessment {
            state: state(policy, component.last_observed, at, recent(&component.events)),
            last_observed: component.last_observed,
            recent: recent(&component.events),
            period: period(&component.events),
            recent_burn_share: share(component, &recent),
            period_burn_share: share(component, &period),
        };
        self.list.iter().map(report).collect()
    }

    pub(crate) fn state_bytes(&self) -> usize {
        let histories = |component: &ComponentHistory| {
            component.events.state_bytes() + component.attributed.state_bytes()
        };
        let inline = 2 * size_of::<History>();
        self.list.capacity() * size_of::<ComponentHistory>()
            + self.list.iter().map(|component| histories(component) - inline).sum::<usize>()
    }
}

fn state(policy: &Policy, last: Option<Slot>, at: Slot, recent: Counts) -> DataState {
    match last {
        None => DataState::NoData,
        Some(last) if policy.grid.seconds_between(last, at) > policy.stale_after_seconds => DataState::Stale,
        Some(_) if recent.is_empty() => DataState::Idle,
        Some(_) => DataState::Ok,
    }
}
