//! Alerts and incidents, and the decision that changes them.

use crate::alert::{AlertInput, AlertState};
use crate::assessment::Assessment;
use crate::condition_assessment::ConditionAssessment;
use crate::data_state::DataState;
use crate::incident::{self, Cause, IncidentInput, Latest, Open, Resolved, Transition};
use crate::policy::Policy;
use crate::slot::Slot;
use crate::status::Status;
use crate::tier::Severity;
use crate::window::Window;

/// The alerts and incidents of an SLO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AlertStates {
    pub(crate) tiers: Vec<AlertState>,
    pub(crate) conditions: Vec<AlertState>,
    pub(crate) incidents: Incidents,
}

/// The latest incident of every cause.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Incidents {
    burn: Latest,
    data_missing: Latest,
    /// Boxed, because most SLOs never have one.
    rare: Option<Box<RareIncidents>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct RareIncidents {
    crash_loop: Latest,
    traffic_missing: Latest,
    target_down: Latest,
}

impl Incidents {
    fn get(&self, cause: Cause) -> Latest {
        let rare = || self.rare.as_deref().copied().unwrap_or_default();
        match cause {
            Cause::Burn => self.burn,
            Cause::DataMissing => self.data_missing,
            Cause::CrashLoop => rare().crash_loop,
            Cause::TrafficMissing => rare().traffic_missing,
            Cause::TargetDown => rare().target_down,
        }
    }

    fn set(&mut self, cause: Cause, latest: Latest) {
        match cause {
            Cause::Burn => self.burn = latest,
            Cause::DataMissing => self.data_missing = latest,
            Cause::CrashLoop | Cause::TrafficMissing | Cause::TargetDown if latest == self.get(cause) => {}
            Cause::CrashLoop => self.rare.get_or_insert_default().crash_loop = latest,
            Cause::TrafficMissing => self.rare.get_or_insert_default().traffic_missing = latest,
            Cause::TargetDown => self.rare.get_or_insert_default().target_down = latest,
        }
    }
}

impl AlertStates {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            tiers: vec![AlertState::default(); policy.tiers.len()],
            conditions: vec![AlertState::default(); policy.conditions.len()],
            incidents: Incidents::default(),
        }
    }

    /// The latest incident of a cause.
    pub(crate) fn latest(&self, cause: Cause) -> Latest {
        self.incidents.get(cause)
    }

    /// Derives the state for people from the open incidents and an assessment.
    pub(crate) fn status(&self, assessment: &Assessment) -> Status {
        let severity = |cause| self.latest(cause).open().map(|open| open.severity);
        let beside = [Cause::CrashLoop, Cause::TrafficMissing, Cause::TargetDown];
        let beside = beside.into_iter().filter_map(severity).max();
        let known = !assessment.state.lacks_data();
        match (severity(Cause::Burn).max(beside), assessment.state) {
            _ if beside == Some(Severity::Page) => Status::Paging,
            // without data nobody knows that it is over
            (Some(Severity::Page), _) if assessment.present.failing || !known => Status::Paging,
            _ if assessment.present.failing => Status::Failing,
            (Some(Severity::Page), _) => Status::Recovering,
            (_, DataState::NoData) => Status::NoData,
            (_, DataState::Stale | DataState::Partial) => Status::Stale,
            (Some(Severity::Ticket), _) => Status::Ticket,
            _ if assessment.budget.left_ratio <= 0.0 => Status::Spent,
            (_, DataState::Idle) => Status::Idle,
            _ if assessment.young || assessment.state == DataState::Insufficient => Status::Young,
            _ => Status::Healthy,
        }
    }

    /// Resumes an incident that was open before a restart. When no restored alert explains it, all alerts of its severity
    /// fire on until data end them.
    pub(crate) fn resume(&mut self, policy: &Policy, cause: Cause, open: Open) {
        self.incidents.set(cause, Latest::Open(open));
        let tiers = self.tiers.iter_mut().zip(policy.tiers.iter().map(|tier| tier.severity));
        let tiers = tiers.filter(|_| cause == Cause::Burn);
        let conditions = self.conditions.iter_mut().zip(&policy.conditions);
        let conditions = conditions.filter(|(_, condition)| condition.cause() == cause);
        let conditions = conditions.map(|(alert, condition)| (alert, condition.severity));
        let mut alerts: Vec<&mut AlertState> = tiers
            .chain(conditions)
            .filter(|(_, severity)| *severity == open.severity)
            .map(|(alert, _)| alert)
            .collect();
        if !alerts.iter().any(|alert| alert.firing) {
            alerts.iter_mut().for_each(|alert| alert.firing = true);
        }
    }

    /// Remembers an incident that was resolved before a restart.
    pub(crate) fn remember_resolved(&mut self, cause: Cause, resolved: Resolved) {
        self.incidents.set(cause, Latest::Resolved(resolved));
    }

    /// Returns whether no incident is open, no tier fires and none is about to.
    pub(crate) fn at_rest(&self) -> bool {
        let quiet = |alert: &AlertState| *alert == AlertState::default();
        Cause::ALL.iter().all(|cause| self.latest(*cause).open().is_none())
            && self.tiers.iter().all(quiet)
            && self.conditions.iter().all(quiet)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        (self.tiers.capacity() + self.conditions.capacity()) * size_of::<AlertState>()
            + self.incidents.rare.as_ref().map_or(0, |_| size_of::<RareIncidents>())
    }
}

/// Facts beside an assessment that a decision depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings {
    /// Data are missing for long enough to open an incident.
    pub(crate) data_are_missing: bool,
    /// The severity of an outage of the same source that another SLO tells.
    pub(crate) outage: Option<Severity>,
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
        around: Surroundings,
    ) -> Self {
        let mut next = now.clone();
        next.change_alerts(policy, assessment);
        let mut transitions = Vec::new();
        for cause in Cause::ALL {
            // nothing is known about burn, starts and traffic without data
            if assessment.state.freezes() && cause != Cause::DataMissing {
                continue;
            }
            let mut wanted = match cause {
                Cause::Burn => next.wanted_for_burn(policy, now, assessment),
                Cause::DataMissing => next.wanted_for_data(policy, now, assessment, around.data_are_missing),
                Cause::CrashLoop | Cause::TrafficMissing | Cause::TargetDown => {
                    next.wanted_for_conditions(policy, now, assessment, cause)
                }
            };
            if matches!(cause, Cause::DataMissing | Cause::TrafficMissing)
                && now.latest(cause).open().is_none()
            {
                wanted.severity = wanted.severity.filter(|severity| around.outage < Some(*severity));
            }
            let (latest, transition) = incident::advance(cause, now.latest(cause), wanted);
            next.incidents.set(cause, latest);
            transitions.extend(transition);
        }
        Self { next, transitions }
    }

    /// The open incident of a cause once the decision is accepted.
    #[must_use]
    pub fn open(&self, cause: Cause) -> Option<Open> {
        self.next.latest(cause).open()
    }

    /// Keeps what an early decision must not change: firing alerts, and incidents that are not about burn.
    pub(crate) fn keep_from(&mut self, now: &AlertStates) {
        for cause in Cause::ALL.into_iter().filter(|cause| *cause != Cause::Burn) {
            self.next.incidents.set(cause, now.latest(cause));
        }
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
        assessment.status = self.next.status(&assessment);
        assessment
    }
}

impl AlertStates {
    fn change_alerts(&mut self, policy: &Policy, assessment: &Assessment) {
        let grid = policy.grid;
        let next = |alert: AlertState, input: AlertInput| {
            alert.next(input, assessment.at, |since, at| grid.seconds_between(since, at))
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

    fn wanted_for_burn(&self, policy: &Policy, before: &Self, assessment: &Assessment) -> IncidentInput {
        let at = assessment.at;
        let firing = self.tiers.iter().zip(&assessment.tiers).filter(|(alert, _)| alert.firing);
        let started = firing.clone().filter_map(|(_, tier)| tier.since).min();
        let severity = firing.map(|(_, tier)| tier.tier.severity).max();
        let let_go = before.tiers.iter().zip(&assessment.tiers).filter(|(alert, _)| alert.firing);
        // an incident reopens while the short windows of its severity still see what resolved it; which tiers fired is
        // not known after a restart
        let resolved = before.latest(Cause::Burn).open().map(|open| open.severity);
        let same = policy.tiers.iter().filter(|tier| Some(tier.severity) == resolved);
        let longest = same.map(|tier| tier.short).max();
        let reopens = longest.unwrap_or(assessment.present.measured.window).as_seconds();
        let recovered = let_go.filter_map(|(_, tier)| tier.recovered).max();
        IncidentInput {
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
    ) -> IncidentInput {
        let at = assessment.at;
        let missing = data_are_missing
            || before.latest(Cause::DataMissing).open().is_some() && assessment.state.lacks_data();
        let severity = policy.data_alert.filter(|_| missing);
        let last_observed = assessment.last_observed;
        let reopens = policy.grid.slots_in(policy.data_alert_seconds());
        IncidentInput {
            severity: severity.max(self.firing_conditions(policy, Cause::DataMissing)),
            at,
            started: last_observed.map_or(at, |last| last.plus(1)),
            // missing data recover with the slot before the first observation
            recovered: last_observed.map(|last| last.plus(-1)),
            reopens_until: at.plus(i64::try_from(reopens).unwrap_or(i64::MAX)),
        }
    }
}

impl AlertStates {
    fn wanted_for_conditions(
        &self,
        policy: &Policy,
        before: &Self,
        assessment: &Assessment,
        cause: Cause,
    ) -> IncidentInput {
        let at = assessment.at;
        let seen = || assessment.conditions.iter().filter(|seen| seen.condition.cause() == cause);
        // an incident reopens as long as its alert would have looked back
        let reach = |seen: &ConditionAssessment| seen.condition.window().map_or(0, Window::as_seconds);
        let reopens = policy.grid.slots_in(seen().map(reach).max().unwrap_or(0));
        let recovered = before.latest(cause).open().and(seen().filter_map(|seen| seen.last).max());
        IncidentInput {
            severity: self.firing_conditions(policy, cause),
            at,
            started: seen().filter_map(|seen| seen.since).min().unwrap_or(at),
            recovered,
            reopens_until: at.plus(i64::try_from(reopens).unwrap_or(i64::MAX)),
        }
    }
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
