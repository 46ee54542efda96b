//! Simulation: even traffic and a step of failures through the live agent's engine, beside the closed form.

use lookout_engine::{Counts, EventRate, Guard, Policy, Tier};

use super::conditions::{self, ConditionTimes};
use super::traffic::Traffic;

/// Result of a simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// The traffic.
    pub rate: EventRate,
    /// The properties of each tier that do not depend on the outage.
    pub tiers: Vec<TierFacts>,
    /// Every outage of the table.
    pub outages: Vec<OutageTimes>,
}

impl Simulation {
    /// Returns the tiers that no outage can make fire.
    pub fn unreachable(&self) -> impl Iterator<Item = &TierFacts> {
        self.tiers.iter().filter(|facts| !facts.reachable)
    }
}

/// Properties of a tier that do not depend on the outage.
#[derive(Debug, Clone, PartialEq)]
pub struct TierFacts {
    /// The tier.
    pub tier: Tier,
    /// The share of bad events above which it fires.
    pub threshold: f64,
    /// True if a share of bad events can be above it.
    pub reachable: bool,
    /// The events in its long window at this traffic.
    pub events: u64,
    /// The least number of bad events among those that makes it fire; `None` when it cannot.
    pub least_bad: Option<u64>,
    /// True if that number is the guard's, not the threshold's.
    pub held_by_guard: bool,
    /// The share of the period's budget that is spent when it fires, by the closed form.
    pub spends_ratio: f64,
}

/// Outage and the times of every tier.
#[derive(Debug, Clone, PartialEq)]
pub struct OutageTimes {
    /// The name.
    pub name: String,
    /// The share of bad events while it lasts.
    pub bad_ratio: f64,
    /// Every tier, in the order of the policy.
    pub tiers: Vec<TierTimes>,
    /// Every condition, in the order of the policy.
    pub conditions: Vec<ConditionTimes>,
}

/// Times at which a tier fires and is released.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TierTimes {
    /// The seconds from the beginning of the outage until it fires; `None` when it never does.
    pub fires_s: Option<u64>,
    /// The same by the closed form.
    pub fires_closed_s: Option<f64>,
    /// The seconds from the end of an outage at least as long as the short window until its release.
    pub resets_s: Option<u64>,
    /// The same by the closed form.
    pub resets_closed_s: Option<f64>,
    /// The share of the period's budget that was spent when it fired.
    pub spent_ratio: Option<f64>,
}

/// Runs the outages of the table against a policy.
#[must_use]
pub fn simulate(policy: &Policy, rate: EventRate) -> Simulation {
    let healthy = Traffic::healthy(policy, rate);
    let budget = policy.objective.budget_ratio();
    let table = [
        ("total".to_owned(), 1.0),
        ("50 %".to_owned(), 0.5),
        ("10 %".to_owned(), 0.1),
        ("1 %".to_owned(), 0.01),
        ("2 x budget".to_owned(), (2.0 * budget).min(1.0)),
    ];
    Simulation {
        rate,
        tiers: policy.tiers.iter().map(|tier| facts(policy, tier, rate)).collect(),
        outages: table
            .into_iter()
            .map(|(name, bad_ratio)| OutageTimes {
                name,
                bad_ratio,
                tiers: simulate_outage(healthy.clone(), bad_ratio),
                conditions: conditions::simulate_outage(&healthy, policy, bad_ratio),
            })
            .collect(),
    }
}

fn facts(policy: &Policy, tier: &Tier, rate: EventRate) -> TierFacts {
    let (objective, guard) = (policy.objective, policy.guard);
    let events = rate.events_in(tier.long.as_seconds());
    let scaled = u128::from(tier.factor.micro()) * u128::from(objective.budget_ppb()) * u128::from(events);
    // more than the threshold: one above its whole part
    let by_threshold = u64::try_from(scaled / 1_000_000_000_000_000).unwrap_or(u64::MAX).saturating_add(1);
    let by_guard =
        guard.minimum_bad.max(guard.minimum_slots).max(least_sure(guard, events, tier.threshold(objective)));
    let least = by_threshold.max(by_guard);
    let reachable = tier.is_reachable(objective);
    let enough = least <= events && guard.minimum_events <= events;
    TierFacts {
        tier: *tier,
        threshold: tier.threshold(objective),
        reachable,
        events,
        least_bad: (reachable && enough).then_some(least),
        held_by_guard: reachable && (by_guard > by_threshold || guard.minimum_events > events),
        spends_ratio: tier.factor.value() * tier.long.as_seconds() as f64
            / policy.period.nominal().as_seconds().max(1) as f64,
    }
}

/// Returns the least number of bad events among these that is above a threshold with the confidence of the guard.
fn least_sure(guard: Guard, events: u64, threshold: f64) -> u64 {
    let Some(confidence) = guard.confidence else { return 0 };
    let (mut low, mut high) = (0, events.saturating_add(1));
    while low < high {
        let middle = low.midpoint(high);
        let sure = confidence.lower_bound(middle as f64, events as f64) > threshold;
        if sure { high = middle } else { low = middle + 1 }
    }
    low
}

/// Simulates a step to `bad_ratio` until no further tier can fire, then health until every tier is released.
fn simulate_outage(mut traffic: Traffic, bad_ratio: f64) -> Vec<TierTimes> {
    let policy = traffic.policy().clone();
    let width = u64::from(policy.grid.width_seconds());
    let mut times: Vec<TierTimes> =
        policy.tiers.iter().map(|tier| expected(&policy, tier, bad_ratio)).collect();
    let slots = |seconds: u64| policy.grid.slots_in(seconds).saturating_add(2);
    let longest = |of: fn(&Tier) -> u64| policy.tiers.iter().map(of).max().unwrap_or(0);
    let (mut events, mut failed) = (0, 0);
    for slot in 1..=slots(longest(|tier| tier.long.as_seconds().saturating_add(tier.hold_seconds))) {
        let fresh = traffic.events();
        events += fresh;
        // whole failures in even distances, too
        let bad = ((events as f64 * bad_ratio + 1e-6) as u64).saturating_sub(failed).min(fresh);
        failed += bad;
        let seen = traffic.step(Counts { good: fresh - bad, bad });
        let lasted = slot.saturating_mul(width);
        for (times, firing) in times.iter_mut().zip(&seen.firing) {
            if *firing && times.fires_s.is_none() {
                times.fires_s = Some(lasted);
                times.spent_ratio = Some(1.0 - seen.left_ratio);
            }
        }
        // the closed form of the reset is that of an outage which fills the short window, and is well past the
        // threshold of the long one: at the threshold itself, one event more or less in the window decides
        let settled = times.iter().zip(&policy.tiers).all(|(times, tier)| {
            let clear = times.fires_s.is_some_and(|fired| lasted >= fired.saturating_add(fired / 10));
            times.fires_closed_s.is_none() || clear && lasted >= tier.short.as_seconds()
        });
        if settled {
            break;
        }
    }
    for slot in 1..=slots(longest(|tier| tier.long.as_seconds().saturating_add(tier.short.as_seconds()))) {
        let events = traffic.events();
        let seen = traffic.step(Counts { good: events, bad: 0 });
        for (times, firing) in times.iter_mut().zip(&seen.firing) {
            if !*firing && times.fires_s.is_some() && times.resets_s.is_none() {
                times.resets_s = Some(slot.saturating_mul(width));
            }
        }
        if times.iter().all(|times| times.fires_s.is_none() || times.resets_s.is_some()) {
            break;
        }
    }
    times
}

fn expected(policy: &Policy, tier: &Tier, bad_ratio: f64) -> TierTimes {
    TierTimes {
        fires_s: None,
        fires_closed_s: tier.detection_seconds(policy.objective, bad_ratio),
        resets_s: None,
        resets_closed_s: tier.reset_seconds(policy.objective, bad_ratio),
        spent_ratio: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookout_engine::{Confidence, Grid, Method, Objective, Period, Severity, Window};

    fn policy(percent: f64) -> Policy {
        Policy {
            method: Method::Occurrences,
            grid: Grid::try_new(10).unwrap(),
            objective: Objective::try_from_percent(percent).unwrap(),
            period: Period::Rolling(Window::days(30)),
            tiers: Tier::defaults(Window::days(30)),
            guard: Guard::default(),
            conditions: Vec::new(),
            stale_after_seconds: 30,
            data_alert: Some(Severity::Ticket),
        }
    }

    fn rate(text: &str) -> EventRate {
        lookout_config::read_rate(text).unwrap()
    }

    #[test]
    fn the_engine_keeps_to_the_closed_form_within_two_slots() {
        let simulation = simulate(&policy(99.9), rate("100/s"));
        let mut compared = 0;
        for outage in &simulation.outages {
            for (times, facts) in outage.tiers.iter().zip(&simulation.tiers) {
                assert_eq!(
                    times.fires_s.is_some(),
                    times.fires_closed_s.is_some(),
                    "{} {}",
                    outage.name,
                    facts.tier
                );
                let pairs = [(times.fires_s, times.fires_closed_s), (times.resets_s, times.resets_closed_s)];
                for (measured, closed) in pairs.into_iter().filter_map(|(a, b)| Some((a? as f64, b?))) {
                    // a long window begins within its 720th part of where it should
                    let early = closed / 720.0;
                    assert!(
                        (closed - early - 1e-6..=closed + 20.0 + 1e-6).contains(&measured),
                        "{} {}: {measured} s, closed form {closed} s",
                        outage.name,
                        facts.tier
                    );
                    compared += 1;
                }
                if let Some(spent) = times.spent_ratio {
                    let two_slots = 20.0 * outage.bad_ratio / 0.001 / (30.0 * 86_400.0);
                    assert!(
                        spent >= facts.spends_ratio * (1.0 - 1.0 / 720.0) - 1e-9
                            && spent <= facts.spends_ratio + two_slots + 1e-6
                    );
                }
            }
        }
        assert_eq!(compared, 2 * (4 + 4 + 4 + 3 + 1), "1 % is burn 10: not x14.4; twice the budget: only x1");
    }

    #[test]
    fn the_least_number_of_failures_is_the_least() {
        for (percent, traffic) in [(99.9, "10/s"), (99.0, "1/s"), (99.9, "6/m"), (99.95, "100/s")] {
            let mut policy = policy(percent);
            policy.tiers.truncate(1);
            let least = simulate(&policy, rate(traffic)).tiers[0].least_bad.unwrap();
            for (bad, fires) in [(least, true), (least - 1, false)] {
                let mut traffic = Traffic::healthy(&policy, rate(traffic));
                let mut left = bad;
                let mut fired = false;
                for _ in 0..policy.grid.slots_in(1800) {
                    let events = traffic.events();
                    let bad = left.min(events);
                    left -= bad;
                    fired |= traffic.step(Counts { good: events - bad, bad }).firing[0];
                }
                assert_eq!((left, fired), (0, fires), "{percent} %, {bad} of {least}");
            }
        }
    }

    #[test]
    fn sparse_traffic_is_held_by_the_guard_and_says_so() {
        let simulation = simulate(&policy(99.9), rate("30/h"));
        let fast = &simulation.tiers[0];
        assert_eq!((fast.events, fast.least_bad, fast.held_by_guard), (30, Some(3), true));
        let total = &simulation.outages[0].tiers[0];
        assert!(total.fires_s.unwrap() >= 240, "three failures two minutes apart: {total:?}");
        assert_eq!(
            simulate(&policy(99.9), rate("1/h")).tiers[0].least_bad,
            None,
            "one an hour is never three"
        );
    }

    #[test]
    fn sureness_asks_for_more_failures() {
        let mut policy = policy(99.9);
        policy.guard.confidence = Confidence::try_from_percent(98.0).ok();
        let fast = &simulate(&policy, rate("1000/h")).tiers[0];
        assert_eq!((fast.events, fast.least_bad, fast.held_by_guard), (1000, Some(24), true));
        policy.guard.minimum_slots = 30;
        assert_eq!(simulate(&policy, rate("1000/h")).tiers[0].least_bad, Some(30));
    }

    #[test]
    fn an_unreachable_tier_never_fires_and_is_named() {
        let simulation = simulate(&policy(90.0), rate("10/s"));
        let names: Vec<String> = simulation.unreachable().map(|facts| facts.tier.to_string()).collect();
        assert_eq!(names, ["page 1h/5m x14.4"]);
        assert!(simulation.outages.iter().all(|outage| outage.tiers[0].fires_s.is_none()));
        assert_eq!(simulation.tiers[0].least_bad, None);
    }
}
