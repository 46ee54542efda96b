//! The assessment: coverage, present, bounds, onset and the state for people.

use lookout_engine::{
    Assessment, BurnFactor, Cause, Change, Counts, Evaluator, Grid, Guard, Method, Objective, Period, Policy,
    Recorded, Severity, Slot, Status, Tier, Transition, Window,
};
use proptest::prelude::*;

const GOOD: Counts = Counts { good: 1, bad: 0 };
const BAD: Counts = Counts { good: 0, bad: 1 };

fn objective(percent: f64) -> Objective {
    Objective::try_from_percent(percent).unwrap()
}

fn tier(severity: Severity, long: u64, short: u64, factor: f64) -> Tier {
    Tier::new(severity, Window::seconds(long), Window::seconds(short), BurnFactor::try_new(factor).unwrap())
}

/// A second per slot, 99 %, and the windows of an hour shrunk to ten minutes.
fn policy() -> Policy {
    Policy {
        grid: Grid::try_new(1).unwrap(),
        objective: objective(99.0),
        period: Period::Rolling(Window::hours(2)),
        method: Method::Occurrences,
        tiers: vec![tier(Severity::Page, 600, 60, 8.0), tier(Severity::Ticket, 3600, 300, 2.0)],
        guard: Guard::default(),
        conditions: Vec::new(),
        stale_after_seconds: 20,
        data_alert: None,
    }
}

struct Run {
    evaluator: Evaluator,
    now: i64,
    told: Vec<Transition>,
}

impl Run {
    fn new(policy: Policy) -> Self {
        Self { evaluator: Evaluator::new(policy, Slot(-1)), now: 0, told: Vec::new() }
    }

    /// Passes slots with these counts; `None` for slots that nobody observes.
    fn pass(&mut self, slots: i64, counts: Option<Counts>) -> Assessment {
        let mut last = self.evaluator.assess(Slot(self.now - 1));
        for _ in 0..slots {
            if let Some(counts) = counts {
                assert_eq!(self.evaluator.record(Slot(self.now), counts), Recorded::Counted);
            }
            let assessment = self.evaluator.assess(Slot(self.now));
            let decision = self.evaluator.decide(&assessment);
            self.told.extend(decision.transitions.iter().copied());
            last = decision.apply(assessment);
            self.evaluator.accept(decision);
            self.now += 1;
        }
        last
    }

    fn burn_changes(&self) -> Vec<Change> {
        self.told.iter().filter(|told| told.cause == Cause::Burn).map(|told| told.change).collect()
    }
}

/// The agent is away for nine minutes; three scattered failures follow its return.
#[test]
fn scattered_failures_after_a_gap_do_not_page() {
    let scattered = |run: &mut Run| {
        for _ in 0..3 {
            run.pass(1, Some(BAD));
            run.pass(2, Some(GOOD));
        }
    };
    let mut whole = Run::new(policy());
    whole.pass(1140, Some(GOOD));
    scattered(&mut whole);
    assert_eq!(whole.told, [], "three of 600 events are half a percent, and the threshold is eight");

    let mut interrupted = Run::new(policy());
    interrupted.pass(600, Some(GOOD));
    interrupted.pass(540, None);
    scattered(&mut interrupted);
    let after = interrupted.pass(30, Some(GOOD));
    assert_eq!(interrupted.told, [], "the gap is unseen, not failing");
    assert_eq!(after.tiers[0].long.observed_seconds, 600 - 540, "the gap is no part of the window");
}

#[test]
fn an_outage_after_a_gap_pages_as_fast_as_one_in_a_young_history() {
    let detected = |run: &mut Run| {
        let begin = run.now;
        run.pass(120, Some(BAD));
        run.told.first().map(|told| told.at.0 - begin)
    };
    let mut young = Run::new(policy());
    let mut returned = Run::new(policy());
    returned.pass(3000, Some(GOOD));
    returned.pass(900, None);
    // 600 s × 8 % = 48 s; strictly more is 49
    assert_eq!(detected(&mut young), Some(48));
    assert_eq!(detected(&mut returned), Some(48));
}

#[test]
fn one_good_event_after_a_gap_resolves_nothing() {
    let mut run = Run::new(policy());
    run.pass(1800, Some(GOOD));
    run.pass(120, Some(BAD));
    assert_eq!(run.burn_changes(), [Change::Opened]);
    run.pass(3600, None);
    run.pass(29, Some(GOOD));
    assert_eq!(run.burn_changes(), [Change::Opened], "less than half of the short window was observed");
    run.pass(300, Some(GOOD));
    assert_eq!(run.burn_changes().last(), Some(&Change::Resolved));
}

#[test]
fn an_incident_knows_its_four_instants_and_the_present_its_last_slots() {
    let mut run = Run::new(policy());
    let noise = |run: &mut Run, n| {
        for _ in 0..n {
            run.pass(49, Some(GOOD));
            run.pass(1, Some(Counts { good: 19, bad: 1 }));
        }
    };
    noise(&mut run, 40);
    let begin = run.now;
    let during = run.pass(90, Some(BAD));
    assert!(during.present.failing && during.status == Status::Paging);
    assert_eq!(during.present.since, Some(Slot(begin)));
    assert_eq!(
        (during.present.last_bad, during.present.last_good),
        (Some(Slot(begin + 89)), Some(Slot(begin - 1)))
    );
    let lasting = during.seconds_to_exhaustion;
    assert!(lasting.is_some());
    let after = run.pass(65, Some(GOOD));
    assert!(!after.present.failing);
    assert_eq!(after.status, Status::Ticket, "the page let go with its short window");
    assert_eq!(after.seconds_to_exhaustion, None, "nothing burns in the present window any more");
    noise(&mut run, 40);
    let [opened, eased, resolved] = run.told.as_slice() else { panic!("{:?}", run.told) };
    assert_eq!((opened.incident.severity, eased.incident.severity), (Severity::Page, Severity::Ticket));
    for told in [opened, eased, resolved] {
        assert_eq!(told.incident.started, Slot(begin), "normal noise before it is no part of it");
        assert!((40..60).contains(&(told.incident.detected.0 - begin)));
    }
    assert_eq!(resolved.recovered, Some(Slot(begin + 89)));
}

#[test]
fn a_recovering_page_tells_when_it_lets_go() {
    let mut run = Run::new(policy());
    run.pass(1800, Some(GOOD));
    run.pass(120, Some(BAD));
    let mut recovering = run.pass(5, Some(GOOD));
    while recovering.present.failing {
        recovering = run.pass(1, Some(GOOD));
    }
    assert_eq!(recovering.status, Status::Recovering);
    let page = recovering.tiers[0];
    let predicted = run.now + page.lets_go_after_seconds.unwrap() as i64;
    while run.evaluator.assess(Slot(run.now - 1)).tiers[0].firing {
        run.pass(1, Some(GOOD));
    }
    assert!((run.now - predicted).abs() <= 1, "predicted {predicted}, let go {}", run.now);
}

#[test]
fn a_failing_slo_tells_when_it_pages() {
    let mut run = Run::new(policy());
    run.pass(1800, Some(GOOD));
    let failing = run.pass(10, Some(BAD));
    assert_eq!(failing.status, Status::Failing);
    let predicted = run.now + failing.tiers[0].fires_after_seconds.unwrap() as i64;
    run.pass(120, Some(BAD));
    assert!((run.told[0].at.0 - predicted).abs() <= 1, "predicted {predicted}, paged {}", run.told[0].at.0);
}

#[test]
fn an_alert_within_the_short_window_reopens_the_same_incident() {
    let mut run = Run::new(policy());
    run.pass(1800, Some(GOOD));
    run.pass(120, Some(BAD));
    run.pass(400, Some(GOOD));
    assert_eq!(run.burn_changes().last(), Some(&Change::Resolved));
    let first = run.told[0].incident.detected;
    run.pass(100, Some(BAD));
    let reopened = run.told.iter().find(|told| told.change == Change::Reopened).unwrap();
    assert_eq!(reopened.incident.detected, first);
    run.pass(4000, Some(GOOD));
    run.pass(100, Some(BAD));
    let later = run.told.last().unwrap();
    assert_eq!(later.change, Change::Opened, "{:?}", run.told);
    assert_ne!(later.incident.detected, first, "an hour later it is another incident");
}

#[test]
fn a_step_of_the_clock_resolves_nothing_until_windows_are_refilled() {
    let mut before = Run::new(policy());
    before.pass(7200, Some(GOOD));
    before.pass(120, Some(BAD));
    let open = before.evaluator.open(Cause::Burn).unwrap();

    // an hour back, as after a restart: the ledger has only good counts up to there
    let mut after = Run::new(policy());
    after.evaluator = Evaluator::new(policy(), Slot(3719));
    after.now = 3720;
    for slot in 0..3720 {
        let _ = after.evaluator.record(Slot(slot), GOOD);
    }
    after.evaluator.resume(Cause::Burn, open);
    after.evaluator.clock_stepped(Slot(3719));
    after.pass(300, Some(BAD));
    assert_eq!(after.told, [], "the failure goes on: nothing resolves and nothing opens again");
    after.pass(2000, Some(GOOD));
    assert_eq!(after.burn_changes().last(), Some(&Change::Resolved));
    let ids: Vec<Slot> = after.told.iter().map(|told| told.incident.detected).collect();
    assert!(ids.iter().all(|detected| *detected == open.detected), "{ids:?}");
}

#[test]
fn states_for_people() {
    let mut run = Run::new(policy());
    assert_eq!(run.pass(10, None).status, Status::NoData);
    assert_eq!(run.pass(10, Some(GOOD)).status, Status::Young);
    assert_eq!(run.pass(600, Some(GOOD)).status, Status::Healthy);
    assert_eq!(run.pass(40, None).status, Status::Stale);
    assert_eq!(run.pass(1900, Some(Counts::ZERO)).status, Status::Idle);
    let mut failing = Run::new(policy());
    assert_eq!(failing.pass(2, Some(BAD)).status, Status::Failing, "nothing but failures, from the first on");
}

#[test]
fn absurd_samples_are_reported_and_not_counted() {
    let mut evaluator = Evaluator::new(policy(), Slot(-1));
    for absurd in [u64::MAX, u64::MAX / 2, 200_000_000_000] {
        assert_eq!(evaluator.record(Slot(0), Counts { good: absurd, bad: 0 }), Recorded::Implausible);
        assert_eq!(evaluator.record(Slot(0), Counts { good: absurd, bad: absurd }), Recorded::Implausible);
        assert_eq!(
            evaluator.restore_minute(Slot(-1), Counts { good: 0, bad: absurd.saturating_mul(60) }),
            Recorded::Implausible
        );
    }
    assert_eq!(evaluator.record(Slot(0), GOOD), Recorded::Counted);
    let assessment = evaluator.assess(Slot(0));
    assert_eq!((assessment.budget.total, assessment.period.observed_seconds), (1, 1));
}

/// Knuth's MMIX generator.
struct Noise(u64);

impl Noise {
    fn chance(&mut self, ratio: f64) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64) < ratio * (1_u64 << 53) as f64
    }
}

/// Draws periods with failures at a true rate, hides gaps from the agent, and compares the bound with the budget that
/// the whole period has left.
#[test]
fn the_lower_bound_of_the_budget_holds_in_95_of_100_draws() {
    let mut noise = Noise(11);
    for (percent, ratio) in [(99.0, 0.002), (99.0, 0.008), (95.0, 0.04), (90.0, 0.3)] {
        let (mut held, mut exact) = (0, 0);
        const DRAWS: usize = 400;
        for draw in 0..DRAWS {
            let policy = Policy {
                objective: objective(percent),
                period: Period::Rolling(Window::minutes(50)),
                tiers: Vec::new(),
                ..policy()
            };
            let mut evaluator = Evaluator::new(policy, Slot(-1));
            // a young history in one half of the draws, gaps in both
            let first = if draw % 2 == 0 { 0 } else { 700 + 7 * draw as i64 % 1500 };
            let (mut all_bad, mut away) = (0.0, 0);
            for slot in 0..3000 {
                let bad = noise.chance(ratio);
                all_bad += f64::from(u8::from(bad));
                if away == 0 && noise.chance(0.001) {
                    away = 30 + 400 * i64::from(noise.chance(0.5));
                }
                if away > 0 || slot < first {
                    away = (away - 1).max(0);
                } else {
                    let _ = evaluator.record(Slot(slot), if bad { BAD } else { GOOD });
                }
            }
            let budget = evaluator.assess(Slot(2999)).budget;
            let truth = 1.0 - all_bad / (3000.0 * (1.0 - percent / 100.0));
            held += usize::from(budget.left_at_least <= truth + 1e-9);
            exact += usize::from((budget.left_ratio - truth).abs() < 1e-9);
        }
        assert!(held * 100 >= DRAWS * 95, "{percent} %: {held} of {DRAWS}");
        assert!(exact < DRAWS, "some draws have gaps");
    }
}

#[test]
fn one_good_event_is_a_whole_budget_of_which_nothing_is_certain() {
    let mut evaluator = Evaluator::new(policy(), Slot(-1));
    let _ = evaluator.record(Slot(0), GOOD);
    let young = evaluator.assess(Slot(0)).budget;
    assert_eq!(young.left_ratio, 1.0);
    assert!(young.left_at_least < 0.0, "{}", young.left_at_least);
    for slot in 1..7200 {
        let _ = evaluator.record(Slot(slot), GOOD);
    }
    let seen = evaluator.assess(Slot(7199)).budget;
    assert_eq!((seen.left_ratio, seen.left_at_least), (1.0, 1.0), "all of the period was observed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random streams with gaps, restarts and steps of the clock: coverage is a share, observed seconds equal those of a
    /// plain list, and the present is not failing once its window has passed the last bad event.
    #[test]
    fn coverage_and_present_hold_for_any_stream(
        stretches in prop::collection::vec((0_u8..6, 1_i64..600), 1..20),
    ) {
        let mut run = Run::new(policy());
        let mut observed: Vec<i64> = Vec::new();
        let mut recorded: Vec<(i64, Counts)> = Vec::new();
        for (kind, slots) in stretches {
            match kind {
                // the clock is set ahead
                4 => {
                    run.now += slots;
                    run.evaluator.clock_stepped(Slot(run.now - 1));
                    continue;
                }
                5 => {
                    restart(&mut run, &recorded);
                    continue;
                }
                _ => {}
            }
            let counts = [None, Some(Counts::ZERO), Some(GOOD), Some(BAD)][usize::from(kind)];
            recorded.extend((run.now..run.now + slots).filter_map(|slot| Some((slot, counts?))));
            for _ in 0..slots {
                observed.extend(counts.map(|_| run.now));
                let seen = run.pass(1, counts);
                let present = seen.present;
                let passed = present.last_bad.is_none_or(|bad| seen.at.0 - bad.0 >= 60);
                prop_assert!(!(passed && present.failing), "{present:?}");
                for measured in [present.measured, seen.period, seen.tiers[0].long, seen.tiers[1].short] {
                    prop_assert!((0.0..=1.0).contains(&measured.coverage()));
                }
                prop_assert!(seen.budget.left_at_least <= seen.budget.left_ratio);
            }
            let seen = run.evaluator.assess(Slot(run.now - 1));
            for measured in [seen.present.measured, seen.period, seen.tiers[0].long, seen.tiers[1].short] {
                let from = run.now - measured.window.as_seconds() as i64;
                prop_assert_eq!(measured.observed_seconds, brute_force(&observed, from, run.now));
            }
        }
    }
}

/// Replaces the evaluator by one that reads back what the ledger would have: all but the last hour as minutes.
fn restart(run: &mut Run, recorded: &[(i64, Counts)]) {
    let mut evaluator = Evaluator::new(policy(), Slot(run.now - 1));
    let fine_from = (run.now - 3600).div_euclid(60) * 60;
    for &(slot, counts) in recorded {
        let result = match slot < fine_from {
            true => evaluator.restore_minute(Slot(slot.div_euclid(60)), counts),
            false => evaluator.record(Slot(slot), counts),
        };
        assert_ne!(result, Recorded::Implausible);
    }
    evaluator.restore_state(&run.evaluator.saved_state());
    for cause in Cause::ALL {
        if let Some(open) = run.evaluator.open(cause) {
            evaluator.resume(cause, open);
        }
    }
    run.evaluator = evaluator;
}

/// Observed seconds: all but stretches of more than 20 s without an observation.
fn brute_force(observed: &[i64], from: i64, now: i64) -> u64 {
    let next = observed.iter().skip(1).copied().chain([now]);
    let covered = observed.iter().zip(next).map(|(&slot, next)| {
        let end = if next - slot - 1 <= 20 { next } else { slot + 1 };
        (end.min(now) - slot.max(from)).max(0)
    });
    covered.sum::<i64>() as u64
}
