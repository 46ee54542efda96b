//! One SLO under evaluation: counts in, a report and transitions out.
//!
//! [`Evaluator::report`] measures, [`Evaluator::decide`] says what follows from it without changing anything, and
//! [`Evaluator::accept`] makes it so. The caller puts its durable write between the last two: an evaluator whose
//! transition could not be stored comes to the same conclusion again at the next slot.

use crate::alert::{AlertInput, AlertState};
use crate::budget::{Budget, in_units_of};
use crate::burn::Measured;
use crate::condition::{Condition, View};
use crate::counts::Counts;
use crate::guard::HoldReason;
use crate::history::{History, Recorded};
use crate::incident::{self, Cause, Open, Transition};
use crate::period::Span;
use crate::policy::Policy;
use crate::report::{ComponentReport, Report, TierReport};
use crate::slices::Slices;
use crate::slot::Slot;
use crate::state::DataState;
use crate::tier::{Severity, Tier};
use crate::versions::Versions;
use crate::window::Window;

/// The decision taken from a report, to be stored and then accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    alerts: Vec<AlertState>,
    conditions: Vec<AlertState>,
    burn: Option<Open>,
    data: Option<Open>,
    /// What has to be told, at most one per cause.
    pub transitions: Vec<Transition>,
}

impl Decision {
    /// The incident of that cause once the decision is accepted.
    #[must_use]
    pub const fn open(&self, cause: Cause) -> Option<Open> {
        match cause {
            Cause::Burn => self.burn,
            Cause::DataMissing => self.data,
        }
    }

    /// Leaves as it is what a look ahead must not change: alerts that fire, and the incident about missing data.
    pub(crate) fn keep_from(&mut self, evaluator: &Evaluator) {
        self.data = evaluator.data;
        let tiers = self.alerts.iter_mut().zip(&evaluator.alerts);
        let conditions = self.conditions.iter_mut().zip(&evaluator.conditions);
        for (next, now) in tiers.chain(conditions).filter(|(_, now)| now.firing) {
            *next = *now;
        }
    }

    /// The report with the tiers and conditions as they fire after the decision.
    #[must_use]
    pub fn apply(&self, mut report: Report) -> Report {
        for (tier, alert) in report.tiers.iter_mut().zip(&self.alerts) {
            tier.firing = alert.firing;
        }
        for (condition, alert) in report.conditions.iter_mut().zip(&self.conditions) {
            condition.firing = alert.firing;
        }
        report
    }
}

/// The running state of one SLO.
#[derive(Debug, Clone)]
pub struct Evaluator {
    pub(crate) policy: Policy,
    /// Events. What alerts and budget are judged by, unless there are slices.
    pub(crate) history: History,
    /// Set apart, since most SLOs have none.
    pub(crate) slices: Option<Box<Slices>>,
    alerts: Vec<AlertState>,
    conditions: Vec<AlertState>,
    burn: Option<Open>,
    data: Option<Open>,
    /// Nothing can be missing from before someone was there to see it.
    watching_since: Slot,
    /// The calendar period that goes on.
    pub(crate) span: Option<Span>,
    pub(crate) versions: Versions,
}

impl Evaluator {
    /// An evaluator that begins to watch after `closed`, the last slot that is over.
    #[must_use]
    pub fn new(policy: Policy, closed: Slot) -> Self {
        let history = History::new(policy.grid, policy.windows(), closed);
        let slices = Slices::new(&policy, closed).map(Box::new);
        let alerts = vec![AlertState::default(); policy.tiers.len()];
        let conditions = vec![AlertState::default(); policy.conditions.len()];
        Self {
            policy,
            history,
            slices,
            alerts,
            conditions,
            burn: None,
            data: None,
            watching_since: closed,
            span: None,
            versions: Versions::default(),
        }
    }

    /// The same in more memory and less time, for a replay; before anything is recorded.
    #[must_use]
    pub fn with_dense_counts(mut self) -> Self {
        self.history.use_dense_counts();
        self
    }

    /// What it evaluates.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The open incident of a cause.
    #[must_use]
    pub const fn open(&self, cause: Cause) -> Option<Open> {
        match cause {
            Cause::Burn => self.burn,
            Cause::DataMissing => self.data,
        }
    }

    /// The last slot the source was observed in.
    #[must_use]
    pub const fn last_observed(&self) -> Option<Slot> {
        self.history.last_observed()
    }

    /// Takes up an incident that was open before a restart. Tiers and conditions of its severity keep firing
    /// until data say otherwise.
    pub fn resume(&mut self, cause: Cause, open: Open) {
        match cause {
            Cause::Burn => {
                self.burn = Some(open);
                for (alert, tier) in self.alerts.iter_mut().zip(&self.policy.tiers) {
                    *alert = AlertState::resumed(tier.severity == open.severity);
                }
            }
            Cause::DataMissing => self.data = Some(open),
        }
        for (alert, condition) in self.conditions.iter_mut().zip(&self.policy.conditions) {
            if condition.cause() == cause {
                *alert = AlertState::resumed(condition.severity == open.severity);
            }
        }
    }

    /// Goes on where another evaluator of the same policy is: tiers, incidents and the watch, but neither its counts nor
    /// what they are judged by. For one whose counts were read back because some of them do not count any more.
    pub fn continue_from(&mut self, from: &Self) {
        if from.alerts.len() == self.alerts.len() {
            self.alerts.clone_from(&from.alerts);
        }
        if from.conditions.len() == self.conditions.len() {
            self.conditions.clone_from(&from.conditions);
        }
        (self.burn, self.data, self.watching_since) = (from.burn, from.data, from.watching_since);
    }

    /// Begins to watch anew after a time in which nobody did: the machine slept, or its clock was set. What was not
    /// observed until `closed` was not missing.
    pub fn watch_from(&mut self, closed: Slot) {
        self.watching_since = self.watching_since.max(closed);
    }

    /// The last slot that is over.
    #[must_use]
    pub const fn closed(&self) -> Slot {
        self.history.closed()
    }

    /// What was observed in a window, whatever the budget is counted in.
    pub(crate) fn observed(&self, window: Window) -> Option<Measured> {
        self.history.measure(window)
    }

    /// What was observed so far of a slot that is not closed.
    pub(crate) fn waiting(&self, slot: Slot) -> Counts {
        self.history.waiting(slot)
    }

    /// Adds an observation; zero counts mean "observed, and nothing happened".
    pub fn record(&mut self, slot: Slot, counts: Counts) -> Recorded {
        self.record_component(0, slot, counts)
    }

    /// Adds an observation of one component of a composite; of the only one, which is the first, in all other cases.
    pub fn record_component(&mut self, component: usize, slot: Slot, counts: Counts) -> Recorded {
        if let Some(slices) = &mut self.slices {
            slices.record(component, slot, counts);
        }
        self.history.record(slot, counts)
    }

    /// The instant, in seconds since the epoch, from which on counts matter: what a restart has to read back.
    #[must_use]
    pub fn reaches_back_to(&self) -> i64 {
        let events = self.history.reaches_back_to();
        self.slices.as_ref().map_or(events, |slices| slices.results().reaches_back_to().min(events))
    }

    /// Bytes this evaluator takes, heap included.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        size_of::<Self>() - size_of::<History>()
            + self.history.state_bytes()
            + self.slices.as_ref().map_or(0, |slices| slices.state_bytes())
            + self.policy.tiers.capacity() * size_of::<Tier>()
            + self.policy.conditions.capacity() * size_of::<Condition>()
            + (self.alerts.capacity() + self.conditions.capacity()) * size_of::<AlertState>()
            + self.versions.heap_bytes()
    }

    /// Adds a minute read back from the ledger, by its number since the epoch.
    pub fn restore_minute(&mut self, minute: Slot, counts: Counts) -> Recorded {
        self.restore_component_minute(0, minute, counts)
    }

    /// As [`Self::restore_minute`], for one component of a composite.
    pub fn restore_component_minute(&mut self, component: usize, minute: Slot, counts: Counts) -> Recorded {
        if let Some(slices) = &mut self.slices {
            slices.restore_minute(component, minute, counts);
        }
        self.history.restore_minute(minute, counts)
    }

    /// Adds a quarter of an hour read back from the ledger, by its number since the epoch: all that is known of the time
    /// before its minutes.
    pub fn restore_quarter(&mut self, quarter: Slot, counts: Counts) -> Recorded {
        self.restore_component_quarter(0, quarter, counts)
    }

    /// As [`Self::restore_quarter`], for one component of a composite.
    pub fn restore_component_quarter(&mut self, component: usize, quarter: Slot, counts: Counts) -> Recorded {
        if let Some(slices) = &mut self.slices {
            slices.restore_quarter(component, quarter, counts);
        }
        self.history.restore_quarter(quarter, counts)
    }

    /// Closes every slot up to and including `slot` and measures all windows at its end.
    pub fn report(&mut self, slot: Slot) -> Report {
        self.close(slot);
        let at = self.history.closed();
        let objective = self.policy.objective;
        let judged = self.judged();
        let measure = |window| {
            let none = Measured { window, counts: Counts::ZERO, observed_seconds: 0 };
            judged.measure(window).unwrap_or(none)
        };
        let tiers: Vec<TierReport> = self
            .policy
            .tiers
            .iter()
            .zip(&self.alerts)
            .map(|(tier, alert)| {
                let (long, short) = (measure(tier.long), measure(tier.short));
                let burns = self.burns(tier, &long, &short, (alert.firing, alert.firing));
                let events = match self.slices {
                    None => long.counts,
                    Some(_) => self.events(tier.long),
                };
                // the guard decides whether to call someone, not whether it is over
                let held = if burns && !alert.firing { self.held(tier, &long) } else { None };
                TierReport {
                    tier: *tier,
                    long,
                    short,
                    events,
                    exceeded: burns && held.is_none(),
                    firing: alert.firing,
                    kept_by_release: alert.firing
                        && tier.until.is_some()
                        && burns
                        && !self.burns(tier, &long, &short, (true, false)),
                    held,
                }
            })
            .collect();
        let period = self.measure_period();
        let mut versions = self.shares();
        let budget = self.budget(&period, &versions);
        let unit = self.policy.method.unit();
        versions.iter_mut().for_each(|share| share.counts = in_units_of(share.counts, unit));
        let worst = tiers.iter().filter_map(|tier| tier.short.bad_share()).fold(0.0_f64, f64::max);
        let fastest = worst / objective.budget_ratio();
        let seconds_to_exhaustion = self.exhaustion(at, &period, &budget, fastest);
        let components =
            self.slices.as_ref().map_or_else(Vec::new, |slices| slices.component_reports(&self.policy, at));
        let state = self.data_state(at, &tiers, &components);
        let lasts = |window| {
            let burn =
                measure(window).burn_rate(objective).filter(|burn| budget.left_ratio > 0.0 || *burn > 1.0)?;
            self.exhaustion(at, &period, &budget, burn)
        };
        let view = View {
            budget: &budget,
            unit,
            frozen: state.freezes(),
            silent_seconds: self.silent_seconds(at, &components),
            counts: &|window| self.within_period(measure(window).counts, &period),
            lasts: &lasts,
            held: &|window| self.held_condition(window, &budget),
        };
        let conditions = self.policy.conditions.iter().zip(&self.conditions);
        let conditions =
            conditions.map(|(condition, alert)| condition.measure(alert.firing, &view)).collect();
        let span = self.span;
        Report {
            at,
            state,
            tiers,
            conditions,
            components,
            period,
            span,
            versions,
            budget,
            seconds_to_exhaustion,
        }
    }

    /// Closes every slot up to and including `slot`, and returns the budget alone when nothing else is worth a report: the
    /// slot was observed, no incident is open, no tier fires or is about to, and none burns fast enough in its long window.
    /// Then a decision would change nothing. Otherwise `None`: the slot wants a report.
    pub fn budget_if_quiet(&mut self, slot: Slot) -> Option<Budget> {
        self.close(slot);
        let nothing_open = self.burn.is_none() && self.data.is_none();
        let at_rest = self.alerts.iter().all(|alert| *alert == AlertState::default());
        // conditions look at more than windows
        let at_rest = at_rest && self.policy.conditions.is_empty() && self.policy.method.components() == 0;
        if !nothing_open || !at_rest || self.history.last_observed() != Some(self.closed()) {
            return None;
        }
        let (judged, objective) = (self.judged(), self.policy.objective);
        let burns =
            |tier: &Tier| judged.measure(tier.long).is_some_and(|long| long.exceeds(objective, tier.factor));
        if self.policy.tiers.iter().any(burns) {
            return None;
        }
        Some(self.budget(&self.measure_period(), &self.shares()))
    }

    /// What follows from a report. Changes nothing.
    #[must_use]
    pub fn decide(&self, report: &Report) -> Decision {
        let (mut alerts, mut conditions) = (self.alerts.clone(), self.conditions.clone());
        let mut transitions = Vec::new();
        let mut burn = self.burn;
        let explained = self.explains(report);
        let next = |alert: AlertState, input: AlertInput| {
            alert.next(input, explained, report.at, |since, at| self.seconds_between(since, at))
        };
        // what is silent may be what burns: while it is, the others can call someone but send no one home
        let may_let_go = report.state != DataState::Partial;
        for (alert, condition) in conditions.iter_mut().zip(&report.conditions) {
            let due = !report.state.freezes() && (may_let_go || !alert.firing);
            if due || condition.condition.cause() == Cause::DataMissing {
                *alert = next(*alert, condition.input());
            }
        }
        let firing_conditions = |cause| {
            let of_cause =
                self.policy.conditions.iter().zip(&conditions).filter(move |(of, _)| of.cause() == cause);
            of_cause.filter(|(_, alert)| alert.firing).map(|(condition, _)| condition.severity).max()
        };
        if !report.state.freezes() {
            let due = alerts.iter_mut().zip(&report.tiers).filter(|(alert, _)| may_let_go || !alert.firing);
            for (alert, tier) in due {
                *alert = next(*alert, tier.input());
            }
            let firing = alerts.iter().zip(&report.tiers).filter(|(alert, _)| alert.firing);
            let wanted = firing.map(|(_, tier)| tier.tier.severity).max().max(firing_conditions(Cause::Burn));
            let (next, transition) = incident::advance(Cause::Burn, burn, wanted, report.at);
            burn = next;
            transitions.extend(transition);
        }
        let missing = self.data_are_missing(report) || self.data.is_some() && report.state.lacks_data();
        let wanted = self.policy.data_alert.filter(|_| missing).max(firing_conditions(Cause::DataMissing));
        let (data, transition) = incident::advance(Cause::DataMissing, self.data, wanted, report.at);
        transitions.extend(transition);
        Decision { alerts, conditions, burn, data, transitions }
    }

    /// Makes a decision the new state.
    pub fn accept(&mut self, decision: Decision) {
        self.alerts = decision.alerts;
        self.conditions = decision.conditions;
        self.burn = decision.burn;
        self.data = decision.data;
    }

    fn close(&mut self, slot: Slot) {
        self.history.close(slot);
        if let Some(slices) = &mut self.slices {
            slices.close(slot);
        }
    }

    /// What alerts and budget are judged by.
    pub(crate) fn judged(&self) -> &History {
        self.slices.as_ref().map_or(&self.history, |slices| slices.results())
    }

    /// Fast in both windows. A short window without events says nothing about recovery: a tier that fires then
    /// follows its long window alone, and the factor that releases it where `lingers` allows.
    fn burns(&self, tier: &Tier, long: &Measured, short: &Measured, (firing, lingers): (bool, bool)) -> bool {
        let (objective, factor) = (self.policy.objective, tier.factor_while(lingers));
        let short_agrees = short.exceeds(objective, factor) || (firing && short.counts.is_empty());
        long.exceeds(objective, factor) && short_agrees
    }

    /// The events of a window, whatever the budget is counted in.
    fn events(&self, window: Window) -> Counts {
        self.history.measure(window).map_or(Counts::ZERO, |measured| measured.counts)
    }

    /// Why the guard keeps a tier that burns from firing.
    fn held(&self, tier: &Tier, long: &Measured) -> Option<HoldReason> {
        let (guard, objective) = (self.policy.guard, self.policy.objective);
        let missing = guard.missing(self.events(tier.long), || self.history.bad_cells(tier.long));
        missing.or_else(|| guard.unsure(long, self.policy.method.unit(), tier.threshold(objective)))
    }

    /// The same for a condition on a window, or on the period, whose events are known only where these are counted.
    fn held_condition(&self, window: Option<Window>, budget: &Budget) -> Option<HoldReason> {
        let guard = self.policy.guard;
        match window {
            Some(window) => guard.missing(self.events(window), || self.history.bad_cells(window)),
            None if self.slices.is_some() => None,
            None => {
                let events = Counts { good: budget.total.saturating_sub(budget.bad), bad: budget.bad };
                guard.missing(events, || guard.minimum_slots)
            }
        }
    }

    /// Whether somebody beyond a threshold of his own accounts for the open incident.
    fn explains(&self, report: &Report) -> bool {
        let severity = self.burn.map(|open| open.severity);
        let fires = |input: AlertInput, of: Severity| {
            input.exceeded && !input.kept_by_release && Some(of) == severity
        };
        report.tiers.iter().any(|tier| tier.firing && fires(tier.input(), tier.tier.severity))
            || report.conditions.iter().any(|seen| {
                let burn = seen.condition.cause() == Cause::Burn;
                burn && seen.firing && fires(seen.input(), seen.condition.severity)
            })
    }

    fn data_state(&self, at: Slot, tiers: &[TierReport], components: &[ComponentReport]) -> DataState {
        let Some(last) = self.history.last_observed() else { return DataState::NoData };
        if self.seconds_between(last, at) > self.policy.stale_after_seconds {
            return DataState::Stale;
        }
        if components.iter().any(|component| component.state.freezes()) {
            return DataState::Partial;
        }
        let judged = tiers.iter().map(|tier| tier.events.total()).min().unwrap_or(0);
        if judged == 0 {
            DataState::Idle
        } else if judged < self.policy.guard.minimum_events {
            DataState::Insufficient
        } else {
            DataState::Ok
        }
    }

    fn data_are_missing(&self, report: &Report) -> bool {
        let silent = self.silent_seconds(report.at, &report.components);
        report.state.lacks_data() && silent > self.policy.data_alert_seconds()
    }

    /// Seconds without an observation while somebody was there to see one; of several components the one that has been
    /// silent for longest.
    fn silent_seconds(&self, at: Slot, components: &[ComponentReport]) -> u64 {
        let quietest = components.iter().map(|component| component.last_observed).min();
        let last = quietest.unwrap_or(self.history.last_observed());
        self.seconds_between(last.unwrap_or(self.watching_since).max(self.watching_since), at)
    }

    fn seconds_between(&self, earlier: Slot, later: Slot) -> u64 {
        self.policy.grid.seconds_between(earlier, later)
    }
}
