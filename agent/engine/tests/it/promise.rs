//! Promises, against the evaluator itself.

use lookout_engine::{
    Change, Counts, Evaluator, EventRate, Grid, Guard, LatePage, Method, Objective, Period, Policy,
    PromiseBound, Severity, Slot, Tier, TierDemand, Window,
};

fn objective(percent: f64) -> Objective {
    Objective::try_from_percent(percent).unwrap()
}

fn defaults_for(percent: f64, period: Window, rate: EventRate) -> Vec<Tier> {
    Tier::defaults_for(TierDemand {
        objective: objective(percent),
        period,
        rate,
        bound: PromiseBound::default(),
        shortest: Window::seconds(20),
    })
}

fn policy(percent: f64, period: Window, tiers: Vec<Tier>, interval: f64) -> Policy {
    Policy {
        grid: Grid::try_new(10).unwrap(),
        objective: objective(percent),
        period: Period::Rolling(period),
        method: Method::Occurrences,
        tiers,
        guard: Guard::default(),
        conditions: Vec::new(),
        stale_after_seconds: (3.0 * interval).max(60.0) as u64,
        data_alert: Some(Severity::Ticket),
    }
}

/// The seconds until the evaluator pages for events that fail from an instant on, after a clean history.
fn measured(policy: &Policy, rate: EventRate, bad_of_ten: u64) -> Option<f64> {
    let width = f64::from(policy.grid.width_seconds());
    let longest = policy.tiers.iter().map(|tier| tier.long.as_seconds()).max().unwrap_or(0);
    let clean = (longest as f64 / width).ceil() as i64 + 3;
    let mut evaluator = Evaluator::new(policy.clone(), Slot(-1)).for_replay();
    let (mut due, mut failed, mut began) = (0.0, 0_u64, None);
    for slot in 0..2 * clean + 400 {
        due += rate.per_second() * width;
        let total = due as u64;
        due -= total as f64;
        let failing = slot >= clean && (began.is_some() || rate.per_second() * width >= 1.0 || total == 0);
        if failing && began.is_none() {
            // a failure begins in the worst moment, just after an event
            began = Some(slot);
        }
        let bad = match began {
            None => 0,
            Some(_) if bad_of_ten == 10 => total,
            Some(_) => {
                let before = failed * bad_of_ten / 10;
                failed += total;
                failed * bad_of_ten / 10 - before
            }
        };
        if total > 0 {
            let _ = evaluator.record(Slot(slot), Counts { good: total - bad, bad });
        }
        if evaluator.budget_if_quiet(Slot(slot)).is_some() {
            continue;
        }
        let assessment = evaluator.assess(Slot(slot));
        let decision = evaluator.decide(&assessment);
        let pages = |change: Change| change == Change::Opened || change == Change::Escalated;
        if decision
            .transitions
            .iter()
            .any(|told| pages(told.change) && told.incident.severity == Severity::Page)
        {
            return began.map(|began| (slot + 1 - began) as f64 * width);
        }
        evaluator.accept(decision);
    }
    None
}

#[test]
fn default_tiers_keep_the_promise_for_every_objective_period_and_rate() {
    let mut checked = 0;
    for percent in [90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.99, 99.999] {
        for days in [1, 3, 7, 28, 30, 90] {
            for interval in [3600.0, 600.0, 300.0, 60.0, 30.0, 10.0, 1.0, 0.1, 0.0001] {
                let rate = EventRate::try_every_seconds(interval).unwrap();
                let period = Window::days(days);
                let tiers = defaults_for(percent, period, rate);
                let policy = policy(percent, period, tiers, interval);
                let label = format!("{percent} % over {days} d, every {interval} s");
                let promised = policy.check_outage(rate, PromiseBound::default());
                assert!(promised.is_ok(), "{label}: {promised:?} of {:?}", policy.tiers);
                assert!(policy.tiers.iter().any(|tier| tier.severity == Severity::Ticket), "{label}");
                for tier in &policy.tiers {
                    let measurable = tier.short >= Window::seconds(20) && tier.short < tier.long;
                    assert!(measurable && tier.long <= period, "{label}: {tier}");
                }
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 432);
}

#[test]
fn the_evaluator_keeps_what_is_promised() {
    for (percent, days, interval) in [
        (90.0, 30, 1.0),
        (95.0, 30, 10.0),
        (99.0, 30, 0.1),
        (99.9, 30, 0.001),
        (99.9, 30, 30.0),
        (99.9, 7, 3600.0),
        (99.9, 1, 600.0),
        (99.99, 90, 60.0),
        (99.999, 90, 0.01),
        (99.5, 3, 10.0),
    ] {
        let rate = EventRate::try_every_seconds(interval).unwrap();
        let period = Window::days(days);
        let policy = policy(percent, period, defaults_for(percent, period, rate), interval);
        let label = format!("{percent} % over {days} d, every {interval} s");
        let (promised, real) = (policy.pages_after(rate, 1.0), measured(&policy, rate, 10));
        let (Some(promised), Some(real)) = (promised, real) else { panic!("{label}: {promised:?} {real:?}") };
        let tolerance = 20.0 + interval;
        assert!((real - promised).abs() <= tolerance, "{label}: promised {promised} s, measured {real} s");
        if interval <= 1.0 {
            let (promised, real) = (policy.pages_after(rate, 0.1), measured(&policy, rate, 1));
            match (promised, real) {
                (Some(promised), Some(real)) => {
                    let near = (real - promised).abs() <= tolerance + 0.05 * promised;
                    assert!(near, "{label}, 10 %: promised {promised} s, measured {real} s");
                }
                (promised, real) => assert_eq!(promised, real, "{label}, 10 %"),
            }
        }
    }
}

#[test]
fn an_outage_that_cannot_page_in_time_is_an_error() {
    let month = Window::days(30);
    let broken = |percent, period, interval| {
        let rate = EventRate::try_every_seconds(interval).unwrap();
        policy(percent, period, Tier::defaults(period), interval).check_outage(rate, PromiseBound::default())
    };
    // an event every three hours, or every ten minutes against windows of two minutes: the fixed tiers never page
    assert_eq!(broken(99.9, month, 10_800.0).map_err(|late| late.after), Err(None));
    assert_eq!(broken(99.9, Window::days(1), 600.0).map_err(|late| late.after), Err(None));
    let Err(LatePage { after: Some(after), bound }) = broken(95.0, month, 1.0) else { panic!() };
    assert!((2590.0..2610.0).contains(&after) && bound == 300.0, "43 minutes: {after}");
    assert!(broken(99.9, month, 1.0).is_ok());
    assert!(EventRate::try_per_second(0.0).is_err() && EventRate::try_every_seconds(f64::NAN).is_err());
}

/// Incidents of 90 days at exactly 1.0 times the budget.
fn at_even_spend(per_minute: f64) -> u64 {
    let (month, rate) = (Window::days(30), EventRate::try_per_second(per_minute / 60.0).unwrap());
    let tiers = defaults_for(99.9, month, rate);
    // slots of five minutes, so that 90 days are few of them
    let grid = Grid::try_new(300).unwrap();
    Policy { grid, ..policy(99.9, month, tiers, 60.0 / per_minute) }.incidents_at_even_spend(rate)
}

#[test]
fn an_even_spend_opens_three_incidents_in_90_days_at_most_with_little_traffic() {
    assert!((0..=3).contains(&at_even_spend(10.0)));
}

#[test]
fn an_even_spend_opens_three_incidents_in_90_days_at_most_with_some_traffic() {
    assert!((0..=3).contains(&at_even_spend(300.0)));
}

#[test]
fn an_even_spend_opens_three_incidents_in_90_days_at_most_with_much_traffic() {
    assert!((0..=3).contains(&at_even_spend(10_000.0)));
}
