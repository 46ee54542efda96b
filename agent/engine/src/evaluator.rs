//! One SLO under evaluation: counts in, an assessment and transitions out.
//!
//! [`Evaluator::assess`] measures. [`Evaluator::decide`] derives what follows and changes nothing. [`Evaluator::accept`]
//! makes the decision the new state. The caller stores the decision between the last two: a transition that could not
//! be stored is decided again at the next slot.

use crate::assess::{Assessor, Runs, silent_seconds};
use crate::assessment::Assessment;
use crate::budget::Budget;
use crate::burn::Measured;
use crate::condition::Condition;
use crate::counts::Counts;
use crate::decision::{AlertStates, Decision, Surroundings, Watch};
use crate::history::Recorded;
use crate::incident::{Cause, Latest, Open, Resolved};
use crate::period::Span;
use crate::policy::Policy;
use crate::sli_history::SliHistory;
use crate::slot::Slot;
use crate::tier::{Severity, Tier};
use crate::versions::Version;
use crate::window::Window;

/// The running state of one SLO.
#[derive(Debug, Clone)]
pub struct Evaluator {
    pub(crate) policy: Policy,
    pub(crate) sli: SliHistory,
    pub(crate) states: AlertStates,
    pub(crate) runs: Runs,
    pub(crate) watch: Watch,
    pub(crate) forecasts: bool,
}

impl Evaluator {
    /// Creates an evaluator that watches from `closed` on, the last slot that is over.
    #[must_use]
    pub fn new(policy: Policy, closed: Slot) -> Self {
        let (sli, states) = (SliHistory::new(&policy, closed), AlertStates::new(&policy));
        let (runs, watch) = (Runs::new(&policy), Watch { since: closed, stepped: None, recounted: false });
        Self { policy, sli, states, runs, watch, forecasts: true }
    }

    /// Trades memory for speed, and leaves out the times at which tiers fire and let go, which decide nothing. Call it
    /// before anything is recorded.
    #[must_use]
    pub fn for_replay(mut self) -> Self {
        self.sli.events.use_dense_counts();
        self.forecasts = false;
        self
    }

    /// The settings of the SLO.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The open incident of a cause.
    #[must_use]
    pub fn open(&self, cause: Cause) -> Option<Open> {
        self.states.latest(cause).open()
    }

    /// The latest incident of a cause: open, or resolved and ready to be reopened.
    #[must_use]
    pub fn latest(&self, cause: Cause) -> Latest {
        self.states.latest(cause)
    }

    /// The last observed slot.
    #[must_use]
    pub const fn last_observed(&self) -> Option<Slot> {
        self.sli.events.last_observed()
    }

    /// The last slot that is over.
    #[must_use]
    pub const fn closed(&self) -> Slot {
        self.sli.events.closed()
    }

    /// Resumes an incident that was open before a restart, after the saved state was restored. Without a saved alert that
    /// explains it, tiers and conditions of its severity fire on until data end them.
    pub fn resume(&mut self, cause: Cause, open: Open) {
        self.states.resume(&self.policy, cause, open);
    }

    /// Remembers an incident that was resolved before a restart, and may be reopened.
    pub fn remember_resolved(&mut self, cause: Cause, resolved: Resolved) {
        self.states.remember_resolved(cause, resolved);
    }

    /// Continues where another evaluator of the same policy is: alerts, incidents and the watched time, but not its
    /// counts. Use it after counts were read back without those that are excluded now.
    pub fn continue_from(&mut self, other: &Self) {
        if other.states.tiers.len() == self.states.tiers.len() {
            self.states.tiers.clone_from(&other.states.tiers);
        }
        if other.states.conditions.len() == self.states.conditions.len() {
            self.states.conditions.clone_from(&other.states.conditions);
        }
        self.states.incidents.clone_from(&other.states.incidents);
        self.sli.copy_starts_and_row(&other.sli);
        self.watch = Watch { recounted: true, ..other.watch };
    }

    /// Restarts the watch after a time in which nobody watched. Data of slots up to `closed` are not missing.
    pub fn watch_from(&mut self, closed: Slot) {
        self.watch.since = self.watch.since.max(closed);
    }

    /// Notes that the clock was set, forward or back, and that `closed` is the last slot before the first of the new
    /// time. Firing alerts do not let go until their short windows are refilled.
    pub fn clock_stepped(&mut self, closed: Slot) {
        self.watch = Watch { since: closed, stepped: Some(closed), recounted: false };
    }

    /// Adds an observation. Zero counts mean "observed, and no events".
    pub fn record(&mut self, slot: Slot, counts: Counts) -> Recorded {
        self.record_component(0, slot, counts)
    }

    /// Adds an observation of one component of a composite. Every other method has one component, the first.
    pub fn record_component(&mut self, component: usize, slot: Slot, counts: Counts) -> Recorded {
        self.sli.record(component, slot, counts, self.policy.grid.width_seconds().into())
    }

    /// Adds starts of the process behind the data.
    pub fn record_starts(&mut self, slot: Slot, starts: u32) {
        self.sli.record_starts(slot, starts);
    }

    /// Adds outcomes of probes to the row of a condition on failures in a row. Other SLOs have none.
    pub fn record_outcomes(&mut self, slot: Slot, outcomes: Counts) {
        if let Some(enough) = self.policy.successes_in_a_row() {
            self.sli.record_outcomes(slot, outcomes, enough);
        }
    }

    /// Sets the seconds from now to the same hour a week before, for conditions on traffic. They differ from a week where
    /// the clocks of a zone changed in between.
    pub fn set_traffic_distance(&mut self, seconds: i64) {
        self.sli.set_traffic_distance(seconds);
    }

    /// Adds a minute of the ledger, by its number since the epoch.
    pub fn restore_minute(&mut self, minute: Slot, counts: Counts) -> Recorded {
        self.restore_component_minute(0, minute, counts)
    }

    /// Adds a minute of one component of a composite.
    pub fn restore_component_minute(&mut self, component: usize, minute: Slot, counts: Counts) -> Recorded {
        self.sli.restore_minute(component, minute, counts)
    }

    /// Adds a quarter of an hour of the ledger, by its number since the epoch: the form of counts older than the
    /// ledger's minutes.
    pub fn restore_quarter(&mut self, quarter: Slot, counts: Counts) -> Recorded {
        self.restore_component_quarter(0, quarter, counts)
    }

    /// Adds a quarter of an hour of one component of a composite.
    pub fn restore_component_quarter(&mut self, component: usize, quarter: Slot, counts: Counts) -> Recorded {
        self.sli.restore_quarter(component, quarter, counts)
    }

    /// The first instant, in seconds since the epoch, whose counts matter. A restart reads them back.
    #[must_use]
    pub fn reaches_back_to(&self) -> i64 {
        self.sli.reaches_back_to()
    }

    /// Sets the instant of the first observation, in seconds since the epoch, after everything was read back. Minutes
    /// and quarters of the ledger may begin before it.
    pub fn set_first_observation(&mut self, seconds: i64) {
        self.sli.set_first_observation(seconds);
    }

    /// The current calendar period.
    #[must_use]
    pub const fn span(&self) -> Option<Span> {
        self.sli.span
    }

    /// Starts a calendar period with a whole budget. Call it before the first slot of the period is closed. The current
    /// period changes nothing.
    pub fn set_period(&mut self, span: Span) {
        self.sli.set_period(&self.policy, span);
    }

    /// Sets the versions of the objective, each with its first slot. The first version holds for all time before it;
    /// the last one should be that of the policy. Call it before anything is counted.
    pub fn set_objective_versions(&mut self, versions: impl IntoIterator<Item = Version>) {
        self.sli.set_objective_versions(&self.policy, versions);
    }

    /// Copies the calendar period and the versions of the objective from another evaluator of the same policy. Call it
    /// before anything is counted.
    pub fn copy_period_and_versions(&mut self, other: &Self) {
        self.sli.copy_period_and_versions(&self.policy, &other.sli);
    }

    /// Bytes of the evaluator, heap included.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        size_of::<Self>()
            + self.sli.heap_bytes()
            + self.policy.tiers.capacity() * size_of::<Tier>()
            + self.policy.conditions.capacity() * size_of::<Condition>()
            + self.states.heap_bytes()
            + self.runs.heap_bytes()
    }

    /// Closes every slot up to and including `slot`, and assesses the SLO at its end.
    pub fn assess(&mut self, slot: Slot) -> Assessment {
        self.sli.close(slot);
        self.runs.update(&self.policy, &self.sli);
        let Self { policy, sli, states, watch, runs, forecasts } = self;
        Assessor { policy, sli, states, watch: *watch, runs, forecasts: *forecasts }.assess()
    }

    /// Closes every slot up to and including `slot`, and returns the budget when a decision would change nothing: the
    /// slot was observed, no incident is open, no tier fires or is about to, and no long window burns fast enough.
    /// Otherwise `None`: the slot needs an assessment.
    pub fn budget_if_quiet(&mut self, slot: Slot) -> Option<Budget> {
        self.sli.close(slot);
        self.runs.update(&self.policy, &self.sli);
        // other conditions depend on more than windows
        let plain = self.policy.has_plain_conditions() && self.policy.method.components() == 0;
        let eventful = self.policy.conditions.is_empty() || self.sli.last_event() == Some(self.closed());
        if !plain || !eventful || !self.states.at_rest() || self.last_observed() != Some(self.closed()) {
            return None;
        }
        let (sli, objective) = (&self.sli, self.policy.objective);
        // the burn of the observed time is never less than the proven one, and needs no coverage
        let burns = |tier: &Tier| sli.counted().burns(tier.long, objective, tier.factor);
        if self.policy.tiers.iter().any(burns) {
            return None;
        }
        Some(sli.budget(&self.policy, &sli.measure_period(&self.policy), &sli.shares(&self.policy)))
    }

    /// Decides what follows from an assessment. Changes nothing.
    #[must_use]
    pub fn decide(&self, assessment: &Assessment) -> Decision {
        self.decide_beside(assessment, None)
    }

    /// Decides what follows from an assessment while another SLO tells an outage of the same source. Missing data and
    /// missing traffic open no incident of their own then, up to the severity of the other.
    #[must_use]
    pub fn decide_beside(&self, assessment: &Assessment, outage: Option<Severity>) -> Decision {
        let silent = silent_seconds(&self.policy, &self.sli, self.watch, &assessment.components);
        let data_are_missing = assessment.state.lacks_data() && silent > self.policy.data_alert_seconds();
        Decision::new(&self.policy, &self.states, assessment, Surroundings { data_are_missing, outage })
    }

    /// Makes a decision the new state.
    pub fn accept(&mut self, decision: Decision) {
        self.states = decision.next;
        self.watch.recounted = false;
    }

    pub(crate) fn width(&self) -> i64 {
        i64::from(self.policy.grid.width_seconds())
    }

    pub(crate) const fn states(&self) -> &AlertStates {
        &self.states
    }

    /// The events of a window, whatever unit the budget is counted in.
    pub(crate) fn events_in(&self, window: Window) -> Option<Measured> {
        self.sli.events.measure(window)
    }

    /// The counts so far of a slot that is not closed.
    pub(crate) fn waiting(&self, slot: Slot) -> Counts {
        self.sli.events.waiting(slot)
    }
}
