//! The memory of an SLO, whatever the traffic.

use lookout_engine::{
    BudgetShare, Condition, Counts, Evaluator, Grid, Guard, Method, Objective, Period, Policy, Severity,
    Slot, Tier, Window,
};

/// The limit of an SLO with the default tiers and a period of 30 days.
const LIMIT: usize = 32 * 1024;

const SLOTS_PER_DAY: i64 = 8640;

/// A little of everything: the generator of Knuth's MMIX.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 32
    }
}

/// One of each kind, over windows that tiers have.
fn conditions() -> Vec<Condition> {
    let share = BudgetShare::try_from_percent(10.0).unwrap();
    vec![
        Condition::budget_left(Severity::Ticket, share),
        Condition::budget_drop(Severity::Page, share, Window::hours(1)),
        Condition::exhaustion(Severity::Ticket, Window::days(3), Window::hours(6)),
        Condition::no_data(Severity::Ticket, Window::minutes(10)),
    ]
}

/// Bytes after 30 days and a bit of ten-second slots.
fn bytes_after_a_month(mut counts: impl FnMut(i64) -> Counts) -> usize {
    let period = Window::days(30);
    let policy = Policy {
        grid: Grid::try_new(10).unwrap(),
        objective: Objective::try_from_percent(99.9).unwrap(),
        period: Period::Rolling(period),
        tiers: Tier::defaults(period),
        method: Method::Occurrences,
        guard: Guard::default(),
        conditions: conditions(),
        stale_after_seconds: 180,
        data_alert: None,
    };
    // in the middle of every cell, where blocks are cut at both ends
    let first = 12_345_678;
    let mut evaluator = Evaluator::new(policy, Slot(first - 1));
    let mut most = 0;
    for slot in first..first + 31 * SLOTS_PER_DAY {
        evaluator.record(Slot(slot), counts(slot));
        evaluator.assess(Slot(slot));
        most = most.max(evaluator.state_bytes());
    }
    most
}

#[test]
fn the_worst_counts_of_thirty_days_fit_into_the_limit() {
    let mut noise = Noise(7);
    // as wide as it gets and nothing about it regular: 400 million good and as many bad events a second
    let mut count = || u64::from(u32::MAX) - noise.next() % 1000;
    let bytes = bytes_after_a_month(|_| Counts { good: count(), bad: count() });
    assert!(bytes <= LIMIT, "{bytes} bytes");
}

#[test]
fn a_thousand_requests_a_second_take_less_than_half_of_it() {
    let mut noise = Noise(7);
    let bytes = bytes_after_a_month(|_| {
        let total = 9_000 + noise.next() % 2_000;
        let bad = noise.next() % 12;
        Counts { good: total - bad, bad }
    });
    assert!(bytes < LIMIT / 2, "{bytes} bytes");
}
