//! Computes an assessment.
//!
//! A tier fires when both of its windows burn faster than its factor, with unseen time taken as clean. It lets go when
//! its long or its short window burns no faster than its release factor, over the observed time alone. Two more rules
//! keep a firing tier from a resolution without evidence:
//!
//! - The short window must be observed for at least half of its length. One good event after a gap resolves nothing.
//!   A correction of the counts by a person needs no further evidence.
//! - After a step of the clock, the short window must be refilled first. Counts from before the step are of another
//!   time.
//!
//! Both directions need proof, so a tier cannot flap in a gap: the burn that lets go is at least the burn that fires.

use crate::alert::AlertState;
use crate::assessment::{Assessment, ComponentAssessment, TierAssessment};
use crate::budget::{Budget, in_units_of};
use crate::burn::Measured;
use crate::condition::{Condition, Criterion};
use crate::condition_assessment::{ConditionAssessment, Idle, View};
use crate::counts::Counts;
use crate::data_state::DataState;
use crate::decision::{AlertStates, Watch};
use crate::guard::HoldReason;
use crate::onset;
use crate::policy::Policy;
use crate::present::Present;
use crate::sli_history::SliHistory;
use crate::slot::Slot;
use crate::starts::Starts;
use crate::status::Status;
use crate::tier::Tier;
use crate::window::Window;

/// The runs of failure that short windows see now, each by its first bad slot.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    pub(crate) present: Option<Slot>,
    pub(crate) tiers: Vec<Option<Slot>>,
}

impl Runs {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self { present: None, tiers: vec![None; policy.tiers.len()] }
    }

    /// Starts a run when its window burns faster than the factor, and ends it below the release factor.
    pub(crate) fn update(&mut self, policy: &Policy, sli: &SliHistory) {
        let objective = policy.objective;
        let next = |run: Option<Slot>, window, factor, release| {
            let factor_now = if run.is_some() { release } else { factor };
            if !sli.counted().burns(window, objective, factor_now) {
                return None;
            }
            run.or_else(|| onset::first_bad(sli.counted(), window, objective, factor))
        };
        let factor = policy.failing_factor();
        self.present = next(self.present, policy.present_window(), factor, factor);
        for (run, tier) in self.tiers.iter_mut().zip(&policy.tiers) {
            *run = next(*run, tier.short, tier.factor, tier.factor_while(true));
        }
    }

    pub(crate) const fn heap_bytes(&self) -> usize {
        self.tiers.capacity() * size_of::<Option<Slot>>()
    }
}

/// The input of an assessment.
pub(crate) struct Assessor<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) sli: &'a SliHistory,
    pub(crate) states: &'a AlertStates,
    pub(crate) watch: Watch,
    pub(crate) runs: &'a Runs,
    /// Computes the times at which tiers fire and let go.
    pub(crate) forecasts: bool,
}

impl Assessor<'_> {
    /// Assesses the SLO at the end of the last closed slot.
    pub(crate) fn assess(&self) -> Assessment {
        let (policy, sli) = (self.policy, self.sli);
        let at = sli.events.closed();
        let present = self.present();
        let alerts = policy.tiers.iter().zip(&self.states.tiers).zip(&self.runs.tiers);
        let tiers: Vec<TierAssessment> =
            alerts.map(|((tier, alert), run)| self.tier(tier, *alert, *run, &present)).collect();
        let period = sli.measure_period(policy);
        let mut versions = sli.shares(policy);
        let budget = sli.budget(policy, &period, &versions);
        let unit = policy.method.unit();
        versions.iter_mut().for_each(|share| share.counts = in_units_of(share.counts, unit));
        let burn = present.burn_rate.filter(|_| Present::is_evident(present.events));
        let seconds_to_exhaustion = burn.and_then(|burn| sli.exhaustion(policy, at, &period, &budget, burn));
        let components =
            sli.slices.as_ref().map_or_else(Vec::new, |slices| slices.component_reports(policy, at));
        let state = self.data_state(at, &present, &tiers, &components);
        let conditions = self.conditions(at, state, &period, &budget, &components);
        let observed_seconds = sli.events.observed_seconds();
        let quietest = components.iter().map(|component| component.last_observed).min();
        let mut assessment = Assessment {
            at,
            state,
            last_observed: quietest.unwrap_or(sli.events.last_observed()),
            status: Status::Healthy,
            present,
            tiers,
            conditions,
            components,
            period,
            span: sli.span,
            versions,
            budget,
            observed_seconds,
            young: observed_seconds < policy.settling_seconds(),
            seconds_to_exhaustion,
        };
        assessment.status = self.states.status(&assessment);
        assessment
    }

    fn present(&self) -> Present {
        let (policy, sli) = (self.policy, self.sli);
        let window = policy.present_window();
        let measured = sli.measure(window);
        let events = match sli.slices {
            None => measured.counts,
            Some(_) => sli.events_in(window),
        };
        Present {
            measured,
            events,
            burn_rate: measured.observed_burn_rate(policy.objective),
            failing: self.runs.present.is_some() && Present::is_evident(events) && self.still_fails(window),
            since: self.runs.present,
            last_bad: sli.events.last_bad(),
            last_good: sli.events.last_good(),
        }
    }

    /// Returns whether the later half of the present window fails too. Without events it says nothing about a recovery.
    fn still_fails(&self, window: Window) -> bool {
        let half = Window::seconds(window.as_seconds().div_ceil(2));
        let counts = self.sli.counted().sum_after(window, window.as_seconds() / 2);
        let later = Measured { window: half, counts, observed_seconds: half.as_seconds() };
        counts.is_empty() || later.exceeds(self.policy.objective, self.policy.failing_factor())
    }

    /// The counts since the present run began and their seconds.
    fn present_run(&self, present: &Present) -> Option<(Counts, f64)> {
        let (window, closed) = (present.measured.window, self.sli.events.closed());
        let begin = present.since?.plus(-1);
        let seconds = self.policy.grid.seconds_between(begin, closed).min(window.as_seconds());
        let counts = self.sli.counted().sum_after(window, window.as_seconds().saturating_sub(seconds));
        Some((counts, seconds.max(1) as f64))
    }

    fn tier(&self, tier: &Tier, alert: AlertState, since: Option<Slot>, present: &Present) -> TierAssessment {
        let (policy, sli, objective) = (self.policy, self.sli, self.policy.objective);
        let (long, short) = (sli.measure(tier.long), sli.measure(tier.short));
        let events = match sli.slices {
            None => long.counts,
            Some(_) => sli.events_in(tier.long),
        };
        let mut seen = TierAssessment {
            tier: *tier,
            long,
            short,
            events,
            exceeded: false,
            firing: alert.firing,
            held: None,
            since,
            recovered: None,
            fires_after_seconds: None,
            lets_go_after_seconds: None,
        };
        if alert.firing {
            // a short window without events says nothing about a recovery: the long one decides alone
            let burns = |factor| {
                let short_agrees = short.counts.is_empty() || short.observed_exceeds(objective, factor);
                long.observed_exceeds(objective, factor) && short_agrees
            };
            let release = tier.factor_while(true);
            let unproven = short.coverage() < 0.5 && !self.watch.recounted || self.is_refilling(tier.short);
            seen.exceeded = unproven || burns(release);
            if !present.failing && !seen.exceeded {
                seen.recovered = onset::last_bad(sli.counted(), tier.short, objective, release);
            }
            if !present.failing && self.forecasts {
                seen.lets_go_after_seconds = Some(self.lets_go_after(tier, &seen));
            }
        } else {
            let fast = long.exceeds(objective, tier.factor) && short.exceeds(objective, tier.factor);
            seen.held = if fast { self.held(tier, &long, events) } else { None };
            seen.exceeded = fast && seen.held.is_none();
            if present.failing && self.forecasts {
                let waited = alert
                    .exceeded_since
                    .map_or(0, |since| policy.grid.seconds_between(since, sli.events.closed()));
                seen.fires_after_seconds = self.fires_after(&seen, waited, present);
            }
        }
        seen
    }

    /// Returns whether a window may still hold counts from before a step of the clock.
    fn is_refilling(&self, window: Window) -> bool {
        let closed = self.sli.events.closed();
        let since = |stepped| self.policy.grid.seconds_between(stepped, closed);
        self.watch.stepped.is_some_and(|stepped| since(stepped) < window.as_seconds())
    }

    /// Seconds until a tier fires if the present run goes on. What leaves its windows is taken as clean.
    fn fires_after(&self, seen: &TierAssessment, waited: u64, present: &Present) -> Option<f64> {
        let (tier, objective) = (seen.tier, self.policy.objective);
        let (run, seconds) = self.present_run(present)?;
        let (ratio, threshold) = (run.bad_ratio()?, tier.threshold(objective));
        let until = |window: &Measured| {
            let missing = threshold - window.bad_share().unwrap_or(0.0);
            (window.window.as_seconds() as f64 * missing / ratio).max(0.0)
        };
        let missing_bad = self.policy.guard.minimum_bad.saturating_sub(seen.events.bad) as f64;
        let evidence = missing_bad * seconds * self.policy.method.unit() as f64 / run.bad as f64;
        let hold = tier.hold_seconds.saturating_sub(waited) as f64;
        let seconds = until(&seen.long).max(until(&seen.short)).max(evidence) + hold;
        (ratio > threshold && seconds.is_finite()).then_some(seconds)
    }

    /// Seconds until a firing tier lets go if all further events are good, at the traffic of its windows.
    fn lets_go_after(&self, tier: &Tier, seen: &TierAssessment) -> f64 {
        let release = tier.factor_while(true).value() * self.policy.objective.budget_ratio();
        let after = |window: &Measured| {
            let allowed = release * window.counts.total() as f64;
            self.sli.counted().seconds_until_bad_falls_to(window.window, allowed)
        };
        let short = if seen.short.counts.is_empty() { u64::MAX } else { after(&seen.short) };
        let burns = short.min(after(&seen.long)) as f64;
        let half = tier.short.as_seconds() / 2;
        let evidence = half.saturating_sub(seen.short.observed_seconds) as f64;
        let refill = self.watch.stepped.map_or(0, |stepped| {
            let passed = self.policy.grid.seconds_between(stepped, self.sli.events.closed());
            tier.short.as_seconds().saturating_sub(passed)
        });
        burns.max(evidence).max(refill as f64)
    }

    /// The reason why the guard keeps a tier that burns from firing.
    fn held(&self, tier: &Tier, long: &Measured, events: Counts) -> Option<HoldReason> {
        let (policy, sli) = (self.policy, self.sli);
        let missing = policy.guard.missing(events, || sli.events.bad_cells(tier.long));
        let threshold = tier.threshold(policy.objective);
        missing.or_else(|| policy.guard.unsure(long, policy.method.unit(), threshold))
    }

    /// The same for a condition on a window or on the period. Events of a period are known only where they are counted.
    fn held_condition(&self, window: Option<Window>, budget: &Budget) -> Option<HoldReason> {
        let (guard, sli) = (self.policy.guard, self.sli);
        match window {
            Some(window) => guard.missing(sli.events_in(window), || sli.events.bad_cells(window)),
            None if sli.slices.is_some() => None,
            None => {
                let events = Counts { good: budget.total.saturating_sub(budget.bad), bad: budget.bad };
                guard.missing(events, || guard.minimum_slots)
            }
        }
    }

    fn conditions(
        &self,
        at: Slot,
        state: DataState,
        period: &Measured,
        budget: &Budget,
        components: &[ComponentAssessment],
    ) -> Vec<ConditionAssessment> {
        let (policy, sli) = (self.policy, self.sli);
        if policy.conditions.is_empty() {
            return Vec::new();
        }
        let seconds_left = |window| {
            let burn = sli.measure(window).burn_rate(policy.objective);
            let burn = burn.filter(|burn| budget.left_ratio > 0.0 || *burn > 1.0)?;
            sli.exhaustion(policy, at, period, budget, burn)
        };
        let view = View {
            budget,
            unit: policy.method.unit(),
            frozen: state.freezes(),
            refilling: self.is_refilling(policy.present_window()),
            silent_seconds: silent_seconds(policy, sli, self.watch, components),
            idle: self.idle(),
            watched_seconds: policy.grid.seconds_between(self.watch.since, at),
            traffic: sli.compare_traffic(policy),
            starts: &|window| sli.starts().map_or(0, |starts| starts.count(window, policy.grid, at)),
            row: (at, sli.row().unwrap_or_default()),
            counts: &|window| SliHistory::within_period(policy, sli.measure(window).counts, period),
            seconds_left: &seconds_left,
            held: &|window| self.held_condition(window, budget),
        };
        let conditions = policy.conditions.iter().zip(&self.states.conditions);
        let measure = |(condition, alert): (&Condition, &AlertState)| {
            let run = self.run_of(condition);
            condition.measure(alert.firing, run, &view)
        };
        conditions.map(measure).collect()
    }

    /// The first and the last slot of what a condition sees, for those that are not on the budget.
    fn run_of(&self, condition: &Condition) -> (Option<Slot>, Option<Slot>) {
        let (sli, closed) = (self.sli, self.sli.events.closed());
        match condition.criterion {
            Criterion::Restarts { within, .. } => {
                let seen = |starts: &Starts| starts.first_and_last(within, self.policy.grid, closed);
                sli.starts().and_then(seen).unzip()
            }
            Criterion::Down { .. } => sli.row().and_then(|row| row.failed()).unzip(),
            Criterion::Idle { .. } => (sli.last_event().map(|last| last.plus(1)), None),
            _ => (None, None),
        }
    }

    /// The time without events, as far as it was observed and watched.
    fn idle(&self) -> Idle {
        let (event, observed) = (self.sli.last_event(), self.sli.events.last_observed());
        let since = event.unwrap_or(self.watch.since).max(self.watch.since);
        let seconds = observed.map_or(0, |observed| self.policy.grid.seconds_between(since, observed));
        Idle { seconds, goes_on: event < observed }
    }

    fn data_state(
        &self,
        at: Slot,
        present: &Present,
        tiers: &[TierAssessment],
        components: &[ComponentAssessment],
    ) -> DataState {
        let Some(last) = self.sli.events.last_observed() else { return DataState::NoData };
        if self.policy.grid.seconds_between(last, at) > self.policy.stale_after_seconds {
            return DataState::Stale;
        }
        if components.iter().any(|component| component.state.freezes()) {
            return DataState::Partial;
        }
        let events = tiers.iter().map(|tier| tier.events.total()).min();
        let events = events.unwrap_or(present.events.total());
        if events == 0 {
            DataState::Idle
        } else if events < self.policy.guard.minimum_events {
            DataState::Insufficient
        } else {
            DataState::Ok
        }
    }
}

/// Seconds without an observation while somebody watched; of several components the longest.
pub(crate) fn silent_seconds(
    policy: &Policy,
    sli: &SliHistory,
    watch: Watch,
    components: &[ComponentAssessment],
) -> u64 {
    let quietest = components.iter().map(|component| component.last_observed).min();
    let last = quietest.unwrap_or(sli.events.last_observed());
    policy.grid.seconds_between(last.unwrap_or(watch.since).max(watch.since), sli.events.closed())
}
