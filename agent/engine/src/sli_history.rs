//! Everything that was counted for one SLO, and the period and objectives that its budget is measured by.

use crate::budget::Budget;
use crate::burn::Measured;
use crate::counts::Counts;
use crate::history::{History, Recorded, is_plausible};
use crate::level::QUARTER_HOUR;
use crate::outcome_row::OutcomeRow;
use crate::period::{Period, Span};
use crate::policy::Policy;
use crate::slices::Slices;
use crate::slot::Slot;
use crate::starts::Starts;
use crate::traffic::{Compared, TRAFFIC_WINDOW, Traffic};
use crate::versions::{Version, VersionShare, Versions};
use crate::window::Window;

/// The counts of an SLO.
#[derive(Debug, Clone)]
pub(crate) struct SliHistory {
    /// Events. Alerts and budget follow from them, unless there are slices.
    pub(crate) events: History,
    /// Boxed, because most SLOs have none.
    pub(crate) slices: Option<Box<Slices>>,
    /// The current calendar period.
    pub(crate) span: Option<Span>,
    pub(crate) versions: Versions,
    /// Boxed, because most SLOs have no condition on it.
    traffic: Option<Box<Traffic>>,
    /// Boxed, because most processes never start while they are watched.
    starts: Option<Box<Starts>>,
    /// Boxed, because most SLOs have no condition on it.
    row: Option<Box<OutcomeRow>>,
}

impl SliHistory {
    pub(crate) fn new(policy: &Policy, closed: Slot) -> Self {
        Self {
            events: History::new(policy.grid, policy.windows(), closed, policy.stale_after_seconds),
            slices: Slices::new(policy, closed).map(Box::new),
            span: None,
            versions: Versions::default(),
            traffic: policy.compares_traffic().then(|| {
                let seconds = closed.0.saturating_mul(policy.grid.width_seconds().into());
                Box::new(Traffic::new(seconds))
            }),
            starts: None,
            row: None,
        }
    }

    pub(crate) fn record(&mut self, component: usize, slot: Slot, counts: Counts, width: i64) -> Recorded {
        if !is_plausible(counts, width) {
            return Recorded::Implausible;
        }
        if let Some(slices) = &mut self.slices {
            slices.record(component, slot, counts);
        }
        self.record_traffic(slot.0.saturating_mul(width), counts);
        self.events.record(slot, counts)
    }

    pub(crate) fn restore_minute(&mut self, component: usize, minute: Slot, counts: Counts) -> Recorded {
        if !is_plausible(counts, 60) {
            return Recorded::Implausible;
        }
        if let Some(slices) = &mut self.slices {
            slices.restore_minute(component, minute, counts);
        }
        self.record_traffic(minute.0.saturating_mul(60), counts);
        self.events.restore_minute(minute, counts)
    }

    pub(crate) fn restore_quarter(&mut self, component: usize, quarter: Slot, counts: Counts) -> Recorded {
        if !is_plausible(counts, QUARTER_HOUR) {
            return Recorded::Implausible;
        }
        if let Some(slices) = &mut self.slices {
            slices.restore_quarter(component, quarter, counts);
        }
        self.record_traffic(quarter.0.saturating_mul(QUARTER_HOUR), counts);
        self.events.restore_quarter(quarter, counts)
    }

    fn record_traffic(&mut self, at_seconds: i64, counts: Counts) {
        if let Some(traffic) = &mut self.traffic {
            traffic.record(at_seconds, counts.total());
        }
    }

    pub(crate) fn set_traffic_distance(&mut self, seconds: i64) {
        if let Some(traffic) = &mut self.traffic {
            traffic.set_distance(seconds);
        }
    }

    /// The last hour beside the same hour a week before; `None` while the last hour is not wholly known.
    pub(crate) fn compare_traffic(&self, policy: &Policy) -> Option<Compared> {
        let traffic = self.traffic.as_ref()?;
        let observed = self.events.measure(TRAFFIC_WINDOW)?.observed_seconds;
        let end = self.events.closed().plus(1).0.saturating_mul(policy.grid.width_seconds().into());
        traffic.compare(end, observed)
    }

    pub(crate) fn record_starts(&mut self, slot: Slot, starts: u32) {
        self.starts.get_or_insert_default().record(slot, starts);
    }

    pub(crate) fn starts(&self) -> Option<&Starts> {
        self.starts.as_deref()
    }

    pub(crate) fn record_outcomes(&mut self, slot: Slot, outcomes: Counts, enough: u32) {
        // a late outcome is seen at the end of the next slot
        let seen_at = slot.max(self.events.closed().plus(1));
        self.row.get_or_insert_default().record((slot, seen_at), outcomes, enough);
    }

    pub(crate) fn row(&self) -> Option<OutcomeRow> {
        self.row.as_deref().copied()
    }

    pub(crate) fn restore_row(&mut self, row: OutcomeRow) {
        self.row = Some(Box::new(row));
    }

    /// Copies starts and the row of outcomes from another history of the same policy: they are not part of the counts.
    pub(crate) fn copy_starts_and_row(&mut self, other: &Self) {
        self.starts.clone_from(&other.starts);
        self.row.clone_from(&other.row);
    }

    /// The last slot with an event.
    pub(crate) fn last_event(&self) -> Option<Slot> {
        self.events.last_bad().max(self.events.last_good())
    }

    pub(crate) fn close(&mut self, slot: Slot) {
        self.events.close(slot);
        if let Some(slices) = &mut self.slices {
            slices.close(slot);
        }
    }

    /// The history that alerts and budget follow from.
    pub(crate) fn counted(&self) -> &History {
        self.slices.as_ref().map_or(&self.events, |slices| slices.results())
    }

    fn counted_mut(&mut self) -> &mut History {
        match &mut self.slices {
            Some(slices) => slices.results_mut(),
            None => &mut self.events,
        }
    }

    /// Measures a window in the units of the method; empty for an unknown window.
    pub(crate) fn measure(&self, window: Window) -> Measured {
        let none = Measured { window, counts: Counts::ZERO, observed_seconds: 0 };
        self.counted().measure(window).unwrap_or(none)
    }

    /// The events of a window, whatever unit the budget is counted in.
    pub(crate) fn events_in(&self, window: Window) -> Counts {
        self.events.measure(window).map_or(Counts::ZERO, |measured| measured.counts)
    }

    pub(crate) fn reaches_back_to(&self) -> i64 {
        let events = self.events.reaches_back_to();
        let events = self.traffic.as_ref().map_or(events, |traffic| traffic.reaches_back_to().min(events));
        self.slices.as_ref().map_or(events, |slices| slices.results().reaches_back_to().min(events))
    }

    /// Starts a calendar period with a whole budget.
    pub(crate) fn set_period(&mut self, policy: &Policy, span: Span) {
        if policy.period.rolling().is_some() || self.span == Some(span) {
            return;
        }
        if self.span.map(|known| known.from) != Some(span.from) {
            let from = span.start_seconds(policy.grid);
            match &mut self.slices {
                Some(slices) => slices.set_period(from),
                None => self.events.set_period(from),
            }
        }
        self.span = Some(span);
    }

    pub(crate) fn set_objective_versions(
        &mut self,
        policy: &Policy,
        versions: impl IntoIterator<Item = Version>,
    ) {
        let width = i64::from(policy.grid.width_seconds());
        let seconds = |version: Version| (version.from.0.saturating_mul(width), version.objective);
        self.versions = Versions::new(versions.into_iter().map(seconds));
        self.cut_at_versions();
    }

    /// Measures by the same objectives and calendar period as another history of the same policy.
    pub(crate) fn copy_period_and_versions(&mut self, policy: &Policy, other: &Self) {
        self.versions.clone_from(&other.versions);
        self.cut_at_versions();
        if let Some(span) = other.span {
            self.set_period(policy, span);
        }
    }

    pub(crate) fn set_first_observation(&mut self, seconds: i64) {
        self.events.set_first_observation(seconds);
        if let Some(slices) = &mut self.slices {
            slices.results_mut().set_first_observation(seconds);
        }
    }

    fn cut_at_versions(&mut self) {
        // most objectives never change
        if !self.versions.is_single() {
            let cuts = self.versions.cuts();
            self.counted_mut().cut_at(cuts);
        }
    }

    /// Measures the period of the budget.
    pub(crate) fn measure_period(&self, policy: &Policy) -> Measured {
        match policy.period {
            Period::Rolling(window) => self.measure(window),
            Period::Calendar { nominal } => {
                let length = self.span.map_or(nominal, |span| span.length(policy.grid));
                self.counted().measure_since_start(length)
            }
        }
    }

    /// Seconds of the period that are over and were not observed. A calendar period has a future, which is not unseen.
    pub(crate) fn unseen_seconds(&self, policy: &Policy, period: &Measured) -> u64 {
        let elapsed = match self.span.filter(|_| policy.period.rolling().is_none()) {
            None => period.window.as_seconds(),
            Some(span) => {
                let grid = policy.grid;
                let end = self.events.closed().plus(1).0.saturating_mul(i64::from(grid.width_seconds()));
                u64::try_from(end.saturating_sub(span.start_seconds(grid))).unwrap_or(0)
            }
        };
        elapsed.saturating_sub(period.observed_seconds)
    }

    /// The part of a window's counts that is in the period too. A calendar period may start within the window.
    pub(crate) fn within_period(policy: &Policy, window: Counts, period: &Measured) -> Counts {
        match policy.period {
            Period::Rolling(_) => window,
            Period::Calendar { .. } => {
                let Counts { good, bad } = period.counts;
                Counts { good: window.good.min(good), bad: window.bad.min(bad) }
            }
        }
    }

    /// The counts of the period per version of the objective; empty when there is one version.
    pub(crate) fn shares(&self, policy: &Policy) -> Vec<VersionShare> {
        if self.versions.is_single() {
            return Vec::new();
        }
        let share = |(from_seconds, counts)| {
            let objective = self.versions.at(from_seconds).unwrap_or(policy.objective);
            VersionShare { from_seconds, objective, counts }
        };
        let parts = self.counted().parts(policy.period.rolling());
        let shares: Vec<VersionShare> = parts.into_iter().map(share).collect();
        match shares.as_slice() {
            [only] if only.objective == policy.objective => Vec::new(),
            _ => shares,
        }
    }

    /// The budget of a period under these versions of the objective, in units of the method.
    pub(crate) fn budget(&self, policy: &Policy, period: &Measured, versions: &[VersionShare]) -> Budget {
        let unit = policy.method.unit();
        let unseen = self.unseen_seconds(policy, period);
        let budget = match versions {
            [] => Budget::of(period, policy.objective),
            several => Budget::of_versions(period, several),
        };
        budget.bounded(period, unseen, policy.objective, unit).in_units_of(unit)
    }

    /// Seconds until the budget is spent at a burn rate of the current objective.
    pub(crate) fn exhaustion(
        &self,
        policy: &Policy,
        at: Slot,
        period: &Measured,
        budget: &Budget,
        burn_rate: f64,
    ) -> Option<f64> {
        let burn_rate = if self.versions.is_single() {
            burn_rate
        } else {
            // other objectives may have given a larger or smaller budget
            let mean = budget.mean_allowance(period, policy.method.unit());
            burn_rate / mean.map_or(1.0, |mean| mean / policy.objective.budget_ratio())
        };
        let seconds = budget.seconds_to_exhaustion(period.window.as_seconds(), burn_rate)?;
        let Some(span) = self.span else { return Some(seconds) };
        // the next period starts with its own budget
        let end = at.plus(1).0.saturating_mul(i64::from(policy.grid.width_seconds()));
        let left = span.end_seconds(policy.grid).saturating_sub(end);
        (seconds == 0.0 || seconds < left as f64).then_some(seconds)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.events.state_bytes() - size_of::<History>()
            + self.slices.as_ref().map_or(0, |slices| slices.state_bytes())
            + self.versions.heap_bytes()
            + self.traffic.as_ref().map_or(0, |traffic| size_of::<Traffic>() + traffic.heap_bytes())
            + self.row.as_ref().map_or(0, |_| size_of::<OutcomeRow>())
            + self.starts.as_ref().map_or(0, |starts| size_of::<Starts>() + starts.heap_bytes())
    }
}
