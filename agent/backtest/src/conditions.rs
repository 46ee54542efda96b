//! Simulation of the conditions beside the tiers. It is separate from that of the tiers, since a budget takes longer
//! to spend.

use lookout_engine::{Condition, Counts, Criterion, Policy, Window};

use super::traffic::Traffic;

/// Times at which a condition fires and is released.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConditionTimes {
    /// The condition.
    pub condition: Condition,
    /// The seconds from the beginning of the outage until it fires; `None` when it never does.
    pub fires_s: Option<u64>,
    /// The same by the closed form, from a full budget.
    pub fires_closed_s: Option<f64>,
    /// The seconds from the end of the outage until its release; `None` when that takes longer than its window.
    pub resets_s: Option<u64>,
    /// The share of the period's budget that was spent when it fired.
    pub spent_ratio: Option<f64>,
}

/// Simulates a step to `bad_ratio` for every condition until it fires, then health until its release.
pub(super) fn simulate_outage(healthy: &Traffic, policy: &Policy, bad_ratio: f64) -> Vec<ConditionTimes> {
    let all = policy.conditions.iter().enumerate();
    all.map(|(index, condition)| times(healthy.clone(), policy, (index, condition), bad_ratio)).collect()
}

fn times(
    mut traffic: Traffic,
    policy: &Policy,
    (index, condition): (usize, &Condition),
    bad_ratio: f64,
) -> ConditionTimes {
    let closed = condition.detection_seconds(policy.objective, policy.period.nominal(), bad_ratio);
    let closed = closed.or_else(|| condition.row_seconds(traffic.rate(), bad_ratio));
    let mut times = ConditionTimes {
        condition: *condition,
        fires_s: None,
        fires_closed_s: closed,
        resets_s: None,
        spent_ratio: None,
    };
    // a guard may delay it, but not for ever
    let Some(longest) = closed.map(|seconds| (seconds * 2.0) as u64 + 600) else { return times };
    let width = u64::from(policy.grid.width_seconds());
    let (mut events, mut failed) = (0_u64, 0_u64);
    for slot in 1..=policy.grid.slots_in(longest) {
        let fresh = traffic.events();
        events += fresh;
        let bad = ((events as f64 * bad_ratio + 1e-6) as u64).saturating_sub(failed).min(fresh);
        failed += bad;
        let seen = traffic.step(Counts { good: fresh - bad, bad });
        if seen.conditions.get(index).is_some_and(|firing| *firing) {
            times.fires_s = Some(slot.saturating_mul(width));
            times.spent_ratio = Some(1.0 - seen.left_ratio);
            break;
        }
    }
    let lets_go = match condition.criterion {
        Criterion::Down { up_after, .. } => {
            Some((f64::from(up_after) * traffic.rate().interval_seconds()).ceil() as u64)
        }
        _ => condition.window().map(Window::as_seconds),
    };
    let lets_go = lets_go.filter(|_| times.fires_s.is_some());
    for slot in 1..=lets_go.map_or(0, |seconds| policy.grid.slots_in(seconds).saturating_add(2)) {
        let good = traffic.events();
        let seen = traffic.step(Counts { good, bad: 0 });
        if seen.conditions.get(index).is_some_and(|firing| !*firing) {
            times.resets_s = Some(slot.saturating_mul(width));
            break;
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use lookout_engine::{BudgetShare, Grid, Guard, Method, Objective, Period, Severity, Tier, Window};

    use crate::simulate;

    use super::*;

    #[test]
    fn conditions_keep_to_their_closed_form_within_two_slots() {
        let share = |percent| BudgetShare::try_from_percent(percent).unwrap();
        let policy = Policy {
            method: Method::Occurrences,
            grid: Grid::try_new(60).unwrap(),
            objective: Objective::try_from_percent(99.0).unwrap(),
            period: Period::Rolling(Window::days(7)),
            tiers: Tier::defaults(Window::days(7)),
            guard: Guard::default(),
            conditions: vec![
                Condition::budget_left(Severity::Ticket, share(50.0)),
                Condition::budget_drop(Severity::Page, share(5.0), Window::hours(6)),
                Condition::exhaustion(Severity::Page, Window::hours(8), Window::hours(1)).holding(120),
                Condition::no_data(Severity::Page, Window::hours(1)),
                Condition::down(Severity::Page, 3000, 1000),
            ],
            stale_after_seconds: 180,
            data_alert: None,
        };
        let simulation = simulate(&policy, lookout_config::read_rate("10/s").unwrap());
        let mut compared = 0;
        for outage in &simulation.outages {
            for times in &outage.conditions {
                let (measured, closed) = (times.fires_s.map(|s| s as f64), times.fires_closed_s);
                assert_eq!(measured.is_some(), closed.is_some(), "{} {}", outage.name, times.condition);
                if let Some((measured, closed)) = measured.zip(closed) {
                    let close = (closed - 120.0 - 1e-6..=closed + 120.0 + 1e-6).contains(&measured);
                    assert!(
                        close,
                        "{} {}: {measured} s, closed form {closed} s",
                        outage.name, times.condition
                    );
                    compared += 1;
                }
            }
        }
        assert!(compared >= 10, "{compared}");
        let [left, drop, lasts, silence, down] = simulation.outages[0].conditions.as_slice() else {
            panic!()
        };
        assert!(left.resets_s.is_none(), "a period later");
        assert!(drop.resets_s.is_some() && lasts.resets_s.is_some());
        assert_eq!(silence.fires_s, None, "an outage is no silence");
        assert_eq!((down.fires_s, down.resets_s), (Some(300), Some(120)), "ten events a second");
        let tenth = simulation.outages.iter().find(|outage| outage.bad_ratio < 1.0).unwrap();
        assert_eq!(tenth.conditions[4].fires_s, None, "an even failure has no row");
    }
}
