//! One SLO under evaluation: counts in, a report and transitions out.
//!
//! [`Evaluator::report`] measures, [`Evaluator::decide`] says what follows from it without changing anything, and
//! [`Evaluator::accept`] makes it so. The caller puts its durable write between the last two: an evaluator whose
//! transition could not be stored comes to the same conclusion again at the next slot.

use crate::budget::Budget;
use crate::burn::Measured;
use crate::counts::Counts;
use crate::history::{History, Recorded};
use crate::incident::{self, Cause, Open, Transition};
use crate::policy::Policy;
use crate::report::{Report, TierReport};
use crate::slices::Slices;
use crate::slot::Slot;
use crate::state::DataState;
use crate::tier::Tier;
use crate::window::Window;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct TierAlarm {
    exceeded_since: Option<Slot>,
    firing: bool,
}

/// The decision taken from a report, to be stored and then accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    alarms: Vec<TierAlarm>,
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

    /// Leaves as it is what a look ahead must not change: alarms that fire, and the incident about missing data.
    pub(crate) fn keep_from(&mut self, evaluator: &Evaluator) {
        self.data = evaluator.data;
        for (next, now) in self.alarms.iter_mut().zip(&evaluator.alarms).filter(|(_, now)| now.firing) {
            *next = *now;
        }
    }

    /// The report with the tiers as they fire after the decision.
    #[must_use]
    pub fn apply(&self, mut report: Report) -> Report {
        for (tier, alarm) in report.tiers.iter_mut().zip(&self.alarms) {
            tier.firing = alarm.firing;
        }
        report
    }
}

/// The running state of one SLO.
#[derive(Debug, Clone)]
pub struct Evaluator {
    policy: Policy,
    /// Events. What alerts and budget are judged by, unless there are slices.
    history: History,
    slices: Option<Slices>,
    alarms: Vec<TierAlarm>,
    burn: Option<Open>,
    data: Option<Open>,
    /// Nothing can be missing from before someone was there to see it.
    watching_since: Slot,
}

impl Evaluator {
    /// An evaluator that begins to watch after `closed`, the last slot that is over.
    #[must_use]
    pub fn new(policy: Policy, closed: Slot) -> Self {
        let history = History::new(policy.grid, policy.windows(), closed);
        let slices = Slices::new(policy.method, policy.grid, policy.windows(), closed);
        let alarms = vec![TierAlarm::default(); policy.tiers.len()];
        Self { policy, history, slices, alarms, burn: None, data: None, watching_since: closed }
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

    /// Takes up an incident that was open before a restart. Tiers of its severity keep firing until data say otherwise.
    pub fn resume(&mut self, cause: Cause, open: Open) {
        match cause {
            Cause::Burn => {
                self.burn = Some(open);
                for (alarm, tier) in self.alarms.iter_mut().zip(&self.policy.tiers) {
                    alarm.firing = tier.severity == open.severity;
                }
            }
            Cause::DataMissing => self.data = Some(open),
        }
    }

    /// Goes on where another evaluator of the same policy is: tiers, incidents and the watch, but not its counts. For one
    /// whose counts were read back because some of them do not count any more.
    pub fn take_over(&mut self, from: &Self) {
        if from.alarms.len() == self.alarms.len() {
            self.alarms.clone_from(&from.alarms);
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

    /// The events of a window, whatever the budget is counted in.
    pub(crate) fn events(&self, window: Window) -> Option<Measured> {
        self.history.measure(window)
    }

    /// What was observed so far of a slot that is not closed.
    pub(crate) fn waiting(&self, slot: Slot) -> Counts {
        self.history.waiting(slot)
    }

    /// Adds an observation; zero counts mean "observed, and nothing happened".
    pub fn record(&mut self, slot: Slot, counts: Counts) -> Recorded {
        if let Some(slices) = &mut self.slices {
            slices.record(slot, counts);
        }
        self.history.record(slot, counts)
    }

    /// The instant, in seconds since the epoch, from which on counts matter: what a restart has to read back.
    #[must_use]
    pub fn reaches_back_to(&self) -> i64 {
        let events = self.history.reaches_back_to();
        self.slices.as_ref().map_or(events, |slices| slices.verdicts().reaches_back_to().min(events))
    }

    /// Bytes this evaluator takes, heap included.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        size_of::<Self>() - size_of::<History>()
            + self.history.state_bytes()
            + self.slices.as_ref().map_or(0, |slices| slices.state_bytes() - size_of::<Slices>())
            + self.policy.tiers.capacity() * size_of::<Tier>()
            + self.alarms.capacity() * size_of::<TierAlarm>()
    }

    /// Adds a minute read back from the ledger, by its number since the epoch.
    pub fn restore_minute(&mut self, minute: Slot, counts: Counts) -> Recorded {
        if let Some(slices) = &mut self.slices {
            slices.restore_minute(minute, counts);
        }
        self.history.restore_minute(minute, counts)
    }

    /// Closes every slot up to and including `slot` and measures all windows at its end.
    pub fn report(&mut self, slot: Slot) -> Report {
        self.history.close(slot);
        if let Some(slices) = &mut self.slices {
            slices.close(slot);
        }
        let at = self.history.closed();
        let objective = self.policy.objective;
        let judged = self.slices.as_ref().map_or(&self.history, Slices::verdicts);
        let measure = |window| {
            let none = Measured { window, counts: Counts::ZERO, covered_seconds: 0 };
            judged.measure(window).unwrap_or(none)
        };
        let tiers: Vec<TierReport> = self
            .policy
            .tiers
            .iter()
            .zip(&self.alarms)
            .map(|(tier, alarm)| {
                let (long, short) = (measure(tier.long), measure(tier.short));
                let burns = self.burns(tier, &long, &short, alarm.firing);
                let guard = self.policy.guard;
                let events = match self.slices {
                    None => long.counts,
                    Some(_) => self.history.measure(tier.long).map_or(Counts::ZERO, |long| long.counts),
                };
                // the guard decides whether to call someone, not whether it is over
                let content =
                    alarm.firing || events.total() >= guard.minimum_events && events.bad >= guard.minimum_bad;
                TierReport {
                    tier: *tier,
                    long,
                    short,
                    events,
                    exceeded: burns && content,
                    firing: alarm.firing,
                    held_by_guard: burns && !content,
                }
            })
            .collect();
        let period = measure(self.policy.period);
        let budget = Budget::of(&period, objective).in_units_of(self.policy.method.unit());
        let fastest = tiers.iter().filter_map(|tier| tier.short.burn_rate(objective)).fold(0.0_f64, f64::max);
        let seconds_to_exhaustion = budget.seconds_to_exhaustion(self.policy.period.as_seconds(), fastest);
        Report { at, state: self.data_state(at, &tiers), tiers, period, budget, seconds_to_exhaustion }
    }

    /// What follows from a report. Changes nothing.
    #[must_use]
    pub fn decide(&self, report: &Report) -> Decision {
        let mut alarms = self.alarms.clone();
        let mut transitions = Vec::new();
        let mut burn = self.burn;
        if !report.state.freezes() {
            for (alarm, tier) in alarms.iter_mut().zip(&report.tiers) {
                *alarm = self.next_alarm(*alarm, tier, report.at);
            }
            let firing = alarms.iter().zip(&report.tiers).filter(|(alarm, _)| alarm.firing);
            let wanted = firing.map(|(_, tier)| tier.tier.severity).max();
            let (next, transition) = incident::advance(Cause::Burn, burn, wanted, report.at);
            burn = next;
            transitions.extend(transition);
        }
        let missing = self.data_are_missing(report) || self.data.is_some() && report.state.freezes();
        let wanted = self.policy.data_alert.filter(|_| missing);
        let (data, transition) = incident::advance(Cause::DataMissing, self.data, wanted, report.at);
        transitions.extend(transition);
        Decision { alarms, burn, data, transitions }
    }

    /// Makes a decision the new state.
    pub fn accept(&mut self, decision: Decision) {
        self.alarms = decision.alarms;
        self.burn = decision.burn;
        self.data = decision.data;
    }

    /// Fast in both windows. A short window without events says nothing about recovery: a tier that fires then
    /// follows its long window alone.
    fn burns(&self, tier: &Tier, long: &Measured, short: &Measured, firing: bool) -> bool {
        let objective = self.policy.objective;
        let short_agrees = short.exceeds(objective, tier.factor) || (firing && short.counts.is_empty());
        long.exceeds(objective, tier.factor) && short_agrees
    }

    fn next_alarm(&self, alarm: TierAlarm, tier: &TierReport, at: Slot) -> TierAlarm {
        if !tier.exceeded {
            return TierAlarm::default();
        }
        let since = alarm.exceeded_since.unwrap_or(at);
        let held = self.seconds_between(since, at) >= tier.tier.hold_seconds;
        TierAlarm { exceeded_since: Some(since), firing: alarm.firing || held }
    }

    fn data_state(&self, at: Slot, tiers: &[TierReport]) -> DataState {
        let Some(last) = self.history.last_observed() else { return DataState::NoData };
        if self.seconds_between(last, at) > self.policy.stale_after_seconds {
            return DataState::Stale;
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
        let last = self.history.last_observed().unwrap_or(self.watching_since).max(self.watching_since);
        report.state.freezes() && self.seconds_between(last, report.at) > self.policy.data_alert_seconds()
    }

    fn seconds_between(&self, earlier: Slot, later: Slot) -> u64 {
        let slots = u64::try_from(later.0.saturating_sub(earlier.0)).unwrap_or(0);
        slots.saturating_mul(u64::from(self.policy.grid.width_seconds()))
    }
}
