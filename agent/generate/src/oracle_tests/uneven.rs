//! Uneven traffic: a busy hour counts more than a quiet night, and a day without traffic counts nothing. The reference
//! is the sum of all events; engine and rules have to agree with it to a thousandth.

use lookout_engine::{Counts, Evaluator, Method, Period, Policy, Severity, Slot, Window};

use super::super::rules;
use super::scenario::{Bench, Minute, Scenario, policy};

const DAY: usize = 24 * 60;

/// Three days, and five minutes without traffic: an event counts in full when it is as old as the window of the
/// recorded rates. Until then the budget of the rules is that of two minutes ago.
fn scenario(name: &'static str, minute: impl Fn(usize) -> (u64, u64)) -> Scenario {
    let usual = policy(99.9, Method::Occurrences);
    // one tier is enough: the test is about the budget
    let tiers = usual.tiers.iter().filter(|tier| tier.severity == Severity::Page).copied().collect();
    let policy = Policy { period: Period::Rolling(Window::days(7)), tiers, ..usual };
    let minutes = (0..3 * DAY).map(&minute).chain([(0, 0); 5]);
    let minutes = minutes.map(|(good, bad)| Minute::Seen(good, bad)).collect();
    Scenario {
        name,
        policy,
        minutes,
        has_failed_before: true,
        begin: 0,
        edge: None,
        exempt: None,
        change: None,
    }
}

fn scenarios() -> [Scenario; 3] {
    [
        // 16 h a day 100 rps and clean, 8 h 1 rps with 1 % errors: three of 300 requests in five minutes
        scenario("nights", |minute| match minute % DAY < 16 * 60 {
            true => (6000, 0),
            false => {
                let bad = u64::from(minute % 5 % 2 == 0);
                (60 - bad, bad)
            }
        }),
        // one hour 1000 rps with 20 % errors, else 10 rps and clean
        scenario("busy-hour", |minute| match (1800..1860).contains(&minute) {
            true => (48_000, 12_000),
            false => (600, 0),
        }),
        // a day without a request
        scenario("idle-day", |minute| match minute / DAY {
            1 => (0, 0),
            _ => (1999, 1),
        }),
    ]
}

/// Returns the sum of all events.
fn truth(scenario: &Scenario) -> Counts {
    let counts = scenario.minutes.iter().map(|minute| match *minute {
        Minute::Seen(good, bad) | Minute::Unseen(good, bad) | Minute::Restarted(good, bad) => {
            Counts { good, bad }
        }
    });
    counts.sum()
}

fn near(value: f64, truth: f64) -> bool {
    ((value - truth) / truth).abs() < 0.001
}

#[test]
fn uneven_traffic_is_weighed_by_events_and_an_idle_day_weighs_nothing() {
    let [nights, ..] = scenarios();
    assert_eq!(
        truth(&nights),
        Counts { good: 3 * (5_788_800 - 288), bad: 3 * 288 },
        "a night has 1 % errors"
    );
    let known = [0.000_049_75, 0.117, 0.0005];
    let scenarios = scenarios();
    let mut bench = Bench::new(&scenarios);
    for (scenario, known) in scenarios.iter().zip(known) {
        let truth = truth(scenario);
        let ratio = truth.bad_ratio().unwrap();
        assert!((ratio - known).abs() < known * 0.005, "{}: {ratio}", scenario.name);

        let assessed = |period: Window, minutes: usize| {
            let policy = Policy { period: Period::Rolling(period), ..scenario.policy.clone() };
            let mut evaluator = Evaluator::new(policy, Slot(-1));
            for (slot, minute) in (0..).map(Slot).zip(&scenario.minutes[..minutes]) {
                let &Minute::Seen(good, bad) = minute else { panic!() };
                evaluator.record(slot, Counts { good, bad });
            }
            evaluator.assess(Slot(minutes as i64 - 1))
        };
        let report = assessed(Window::days(3), 3 * DAY);
        assert_eq!(report.period.counts, truth, "{}: the engine counts all and once", scenario.name);
        let left = 1.0 - ratio / 0.001;
        assert!(near(report.budget.left_ratio, left), "{}: {}", scenario.name, report.budget.left_ratio);

        // of a week only these days are known, and neither takes the others for as bad as these
        let young = assessed(Window::days(7), 3 * DAY + 5).budget.left_ratio;
        assert!(young > left + 0.01, "{}: {young}", scenario.name);
        let id = rules::recorded(&scenario.slo(scenario.name, &scenario.policy));
        for (series, value) in
            [("slo:sli_error:ratio_rate7d", ratio), ("slo:period_error_budget_remaining:ratio", young)]
        {
            let off = format!("max(abs({series}{id} / ({value}) - 1)) < bool 0.001");
            bench.check(3 * DAY + 5, &off, 1.0);
        }
    }
    // neither the alerts nor the records that only they read
    bench.run(&[
        "Titanic",
        "sloth_slo_info",
        "slo:objective",
        "slo:time_period",
        "slo:current_burn_rate",
        "slo:sli_error:ratio_rate5m",
        "slo:sli_error:ratio_rate1h",
    ]);
}
