//! Alerts and incidents, and the decision that changes them.

use crate::alert::{AlertInput, AlertState};
use crate::assessment::Assessment;
use crate::data_state::DataState;
use crate::incident::{self, Cause, Latest, Open, Transition, Wanted};
use crate::policy::Policy;
use crate::slot::Slot;
use crate::tier::Severity;

/// The alerts and incidents of an SLO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AlertStates {
    pub(crate) tiers: Vec<AlertState>,
    pub(crate) conditions: Vec<AlertState>,
    pub(crate) burn: Latest,
    pub(crate) data: Latest,
}

impl AlertStates {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            tiers: vec![AlertState::default(); policy.tiers.len()],
            conditions: vec![AlertState::default(); policy.conditions.len()],
            burn: Latest::None,
            data: Latest::None,
        }
    }

    /// The latest incident of a cause.
    pub(crate) const fn latest(&self, cause: Cause) -> Latest {
        match cause {
            Cause::Burn => self.burn,
            Cause::DataMissing => self.data,
        }
    }

    /// Resumes an incident that was open before a restart. Alerts of its severity fire on until data end them.
    pub(crate) fn resume(&mut self, policy: &Policy, cause: Cause, open: Open) {
        match cause {
            Cause::Burn => {
                self.burn = Latest::Open(open);
                for (alert, tier) in self.tiers.iter_mut().zip(&policy.tiers) {
                    *alert = AlertState::resumed(tier.severity == open.severity);
                }
            }
            Cause::DataMissing => self.data = Latest::Open(open),
        }
        for (alert, condition) in self.conditions.iter_mut().zip(&policy.conditions) {
            if condition.cause() == cause {
                *alert = AlertState::resumed(condition.severity == open.severity);
            }
        }
    }

    /// Returns whether no incident is open, no tier fires and none is about to.
    pub(crate) fn at_rest(&self) -> bool {
        let quiet = |alert: &AlertState| *alert == AlertState::default();
        self.burn.open().is_none() && self.data.open().is_none() && self.tiers.iter().all(quiet)
    }

    pub(crate) const fn heap_bytes(&self) -> usize {
        (self.tiers.capacity() + self.conditions.capacity()) * size_of::<AlertState>()
    }
}

/// The decision that follows from an assessment. Store its transitions, then accept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub(crate) next: AlertStates,
    /// The changes of incidents, at most one per cause.
    pub transitions: Vec<Transition>,
}

impl Decision {
    /// Decides what follows from an assessment.
    pub(crate) fn new(
        policy: &Policy,
        now: &AlertStates,
        assessment: &Assessment,
        data_are_missing: bool,
    ) -> Self {
        let mut next = now.clone();
        next.change_alerts(policy, assessment);
        let mut transitions = Vec::new();
        if !assessment.state.freezes() {
            let wanted = next.wanted_for_burn(policy, now, assessment);
            let (burn, transition) = incident::advance(Cause::Burn, now.burn, wanted);
            next.burn = burn;
            transitions.extend(transition);
        }
        let wanted = next.wanted_for_data(policy, now, assessment, data_are_missing);
        let (data, transition) = incident::advance(Cause::DataMissing, now.data, wanted);
        next.data = data;
        transitions.extend(transition);
        Self { next, transitions }
    }

    /// The open incident of a cause once the decision is accepted.
    #[must_use]
    pub const fn open(&self, cause: Cause) -> Option<Open> {
        self.next.latest(cause).open()
    }

    /// Keeps what an early decision must not change: firing alerts, and the incident about missing data.
    pub(crate) fn keep_from(&mut self, now: &AlertStates) {
        self.next.data = now.data;
        let tiers = self.next.tiers.iter_mut().zip(&now.tiers);
        let conditions = self.next.conditions.iter_mut().zip(&now.conditions);
        for (next, now) in tiers.chain(conditions).filter(|(_, now)| now.firing) {
            *next = *now;
        }
    }

    /// Returns the assessment with the alerts and the state for people after the decision.
    #[must_use]
    pub fn apply(&self, mut assessment: Assessment) -> Assessment {
        for (tier, alert) in assessment.tiers.iter_mut().zip(&self.next.tiers) {
            tier.firing = alert.firing;
        }
        for (condition, alert) in assessment.conditions.iter_mut().zip(&self.next.conditions) {
            condition.firing = alert.firing;
        }
        assessment.status = assessment.status_with(self.next.burn.open());
        assessment
    }
}

impl AlertStates {
    fn change_alerts(&mut self, policy: &Policy, assessment: &Assessment) {
        let explained = explains(self.burn.open(), assessment);
        let grid = policy.grid;
        let next = |alert: AlertState, input: AlertInput| {
            alert.next(input, explained, assessment.at, |since, at| grid.seconds_between(since, at))
        };
        // a silent component may be the one that burns: the others can open an incident, not resolve it
        let may_let_go = assessment.state != DataState::Partial;
        let frozen = assessment.state.freezes();
        for (alert, condition) in self.conditions.iter_mut().zip(&assessment.conditions) {
            let due = !frozen && (may_let_go || !alert.firing);
            if due || condition.condition.cause() == Cause::DataMissing {
                *alert = next(*alert, condition.input());
            }
        }
        if frozen {
            return;
        }
        let due = self.tiers.iter_mut().zip(&assessment.tiers);
        for (alert, tier) in due.filter(|(alert, _)| may_let_go || !alert.firing) {
            *alert = next(*alert, tier.input());
        }
    }

    fn firing_conditions(&self, policy: &Policy, cause: Cause) -> Option<Severity> {
        let conditions = policy.conditions.iter().zip(&self.conditions);
        let firing = conditions.filter(|(condition, alert)| condition.cause() == cause && alert.firing);
        firing.map(|(condition, _)| condition.severity).max()
    }

    fn wanted_for_burn(&self, policy: &Policy, before: &Self, assessment: &Assessment) -> Wanted {
        let at = assessment.at;
        let firing = self.tiers.iter().zip(&assessment.tiers).filter(|(alert, _)| alert.firing);
        let started = firing.clone().filter_map(|(_, tier)| tier.since).min();
        let severity = firing.map(|(_, tier)| tier.tier.severity).max();
        // an incident reopens as long as the short windows of its alerts still see what resolved it
        let let_go = before.tiers.iter().zip(&assessment.tiers).filter(|(alert, _)| alert.firing);
        let longest = let_go.clone().map(|(_, tier)| tier.tier.short).max();
        let reopens = longest.unwrap_or(assessment.present.measured.window).as_seconds();
        let recovered = let_go.filter_map(|(_, tier)| tier.recovered).max();
        Wanted {
            severity: severity.max(self.firing_conditions(policy, Cause::Burn)),
            at,
            started: started.or(assessment.present.since).unwrap_or(at),
            recovered: recovered.or(assessment.present.last_bad),
            reopens_until: at.plus(i64::try_from(policy.grid.slots_in(reopens)).unwrap_or(i64::MAX)),
        }
    }

    fn wanted_for_data(
        &self,
        policy: &Policy,
        before: &Self,
        assessment: &Assessment,
        data_are_missing: bool,
    ) -> Wanted {
        let at = assessment.at;
        let missing = data_are_missing || before.data.open().is_some() && assessment.state.lacks_data();
        let severity = policy.data_alert.filter(|_| missing);
        let last_observed = assessment.last_observed;
        let reopens = policy.grid.slots_in(policy.data_alert_seconds());
        Wanted {
            severity: severity.max(self.firing_conditions(policy, Cause::DataMissing)),
            at,
            started: last_observed.map_or(at, |last| last.plus(1)),
            // missing data recover with the slot before the first observation
            recovered: last_observed.map(|last| last.plus(-1)),
            reopens_until: at.plus(i64::try_from(reopens).unwrap_or(i64::MAX)),
        }
    }
}

/// Returns whether an alert beyond its own threshold explains the open incident.
fn explains(open: Option<Open>, assessment: &Assessment) -> bool {
    let severity = open.map(|open| open.severity);
    let fires =
        |input: AlertInput, of: Severity| input.exceeded && !input.kept_by_release && Some(of) == severity;
    assessment.tiers.iter().any(|tier| tier.firing && fires(tier.input(), tier.tier.severity))
        || assessment.conditions.iter().any(|seen| {
            let burn = seen.condition.cause() == Cause::Burn;
            burn && seen.firing && fires(seen.input(), seen.condition.severity)
        })
}

/// The time that an evaluator watches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// Data of earlier slots cannot be missing, because nobody was there to observe them.
    pub(crate) since: Slot,
    /// The last slot before the clock was set. Counts of earlier slots belong to another time.
    pub(crate) stepped: Option<Slot>,
    /// Counts were excluded or included since the last decision. That a person did so is evidence enough to let go.
    pub(crate) recounted: bool,
}
