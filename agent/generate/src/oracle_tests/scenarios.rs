//! The engine against Prometheus in many scenarios: the generated rules and the engine fire in the same minutes, one
//! evaluation apart at most. One run of promtool serves all of them.

use lookout_engine::{BurnFactor, Grid, Method, Period, Policy, Severity, SliceTarget, Window};

use super::METADATA;
use super::scenario::{
    Bench,
    Minute::{Restarted, Seen, Unseen},
    Scenario, policy, stretches,
};

const CLEAN: (usize, super::scenario::Minute) = (90, Seen(1000, 0));

/// Scenario and its firing: pages, then tickets, in minutes since the end of the clean hours.
type Case = (Scenario, &'static [(i64, i64)], &'static [(i64, i64)]);

fn cases() -> Vec<Case> {
    let scenario = Scenario::after_clean_hours;
    let flapping: Vec<_> =
        (0..6).flat_map(|_| [(5, Seen(0, 1000)), (5, Seen(1000, 0))]).chain([CLEAN]).collect();
    vec![
        (scenario("partial", 1000, &[(30, Seen(500, 500)), CLEAN]), &[(2, 34)], &[(2, 44)]),
        (
            scenario("flapping", 1000, &flapping),
            &[(1, 9), (11, 19), (21, 29), (31, 39), (41, 49), (51, 59)],
            &[(1, 69)],
        ),
        (scenario("blip", 1000, &[(1, Seen(0, 1000)), CLEAN]), &[(1, 5)], &[(1, 15)]),
        // no requests any more in the middle of an outage: no recovery, until the outage is an hour ago
        (scenario("idle", 1000, &[(20, Seen(0, 1000)), (90, Seen(0, 0)), CLEAN]), &[(1, 79)], &[(1, 110)]),
        // the tier was released before the traffic stopped: it does not fire again
        (
            scenario(
                "idle-after",
                1000,
                &[(10, Seen(0, 1000)), (10, Seen(1000, 0)), (90, Seen(0, 0)), CLEAN],
            ),
            &[(1, 14)],
            &[(1, 24)],
        ),
        (
            Scenario {
                has_failed_before: false,
                ..scenario("first-error", 1000, &[(60, Seen(900, 100)), CLEAN])
            },
            &[(9, 64)],
            &[(8, 74)],
        ),
        (
            scenario(
                "reset",
                1000,
                &[
                    (10, Seen(900, 100)),
                    (1, Restarted(900, 100)),
                    (10, Seen(900, 100)),
                    (1, Restarted(900, 100)),
                    (20, Seen(900, 100)),
                    CLEAN,
                ],
            ),
            &[(9, 46)],
            &[(8, 56)],
        ),
        // one failure of sixty is far above the threshold and pages nobody; three in a row do
        (
            scenario(
                "low-traffic",
                1,
                &[(1, Seen(0, 1)), (59, Seen(1, 0)), (3, Seen(0, 1)), (60, Seen(1, 0))],
            ),
            &[(63, 67)],
            &[(62, 77)],
        ),
        (
            scenario("gap", 1000, &[(10, Seen(0, 1000)), (40, Unseen(0, 1000)), (5, Seen(0, 1000)), CLEAN]),
            &[(1, 59)],
            &[(1, 69)],
        ),
        // longer than the long window: when data are back, there is no rate yet, and still no recovery
        (
            scenario(
                "long-gap",
                1000,
                &[(10, Seen(0, 1000)), (100, Unseen(0, 1000)), (5, Seen(0, 1000)), CLEAN],
            ),
            &[(1, 119)],
            &[(1, 129)],
        ),
        // over when data are back. The agent counts the increase over the gap and releases after its short windows;
        // Prometheus has no rate across the gap, so that it releases at once
        (
            Scenario {
                exempt: Some((111, 130)),
                ..scenario("over-in-a-gap", 1000, &[(10, Seen(0, 1000)), (100, Unseen(0, 1000)), CLEAN])
            },
            &[(1, 115)],
            &[(1, 125)],
        ),
        (scenario("clean-gap", 1000, &[(30, Unseen(1000, 0)), CLEAN]), &[], &[]),
        (scenario("spike", 1000, &[(10, Seen(96_000, 4_000)), CLEAN]), &[(1, 14)], &[(1, 24)]),
        (
            scenario("day-night", 200, &[(60, Seen(16, 4)), (30, Seen(10_000, 0)), (60, Seen(16, 4)), CLEAN]),
            &[(27, 60), (149, 151)],
            &[(29, 60)],
        ),
        // from 31 October 2026 23:40 on: the new month has its own budget, and no alert is repeated
        (
            Scenario {
                begin: 29_891_500 - 120,
                edge: Some(29_891_520),
                policy: Policy {
                    period: Period::Calendar { nominal: Window::days(30) },
                    ..policy(99.9, Method::Occurrences)
                },
                ..scenario("month-end", 1000, &[(40, Seen(900, 100)), CLEAN])
            },
            &[(9, 44)],
            &[(8, 54)],
        ),
        (
            Scenario {
                change: Some((150, policy(99.0, Method::Occurrences))),
                ..scenario("eased", 1000, &[(60, Seen(900, 100)), CLEAN])
            },
            &[(9, 30)],
            &[(8, 30)],
        ),
        (
            Scenario {
                policy: policy(99.0, Method::Occurrences),
                change: Some((150, policy(99.9, Method::Occurrences))),
                ..scenario("tightened", 1000, &[(60, Seen(950, 50)), CLEAN])
            },
            &[(31, 63)],
            &[(31, 73)],
        ),
        (with_timeslices("slices", true), &[(25, 69)], &[(25, 69)]),
        (with_timeslices("even-slices", false), &[], &[(50, 69)]),
    ]
}

/// Slices of five minutes; the outage begins inside one, and afterwards there is no traffic for a while.
fn with_timeslices(name: &'static str, judged: bool) -> Scenario {
    let slices = Grid::try_new(300).unwrap();
    let method = match judged {
        true => Method::Timeslices { slices, target: SliceTarget::try_from_ratio(0.95).unwrap() },
        false => Method::RatioTimeslices { slices },
    };
    let minutes = [
        (7, Seen(1000, 0)),
        // exactly the target: a good slice
        (8, Seen(950, 50)),
        (33, Seen(800, 200)),
        (20, Seen(0, 0)),
        CLEAN,
    ];
    Scenario { policy: policy(99.0, method), ..Scenario::after_clean_hours(name, 1000, &minutes) }
}

#[test]
fn rules_and_engine_agree_in_all_weathers() {
    let cases = cases();
    let scenarios: Vec<Scenario> = cases.iter().map(|(scenario, ..)| scenario.clone()).collect();
    let mut bench = Bench::new(&scenarios);
    for (scenario, pages, tickets) in &cases {
        let firing = scenario.engine();
        let seen = [Severity::Page, Severity::Ticket].map(|severity| stretches(&firing[&severity]));
        let expected = [pages.to_vec(), tickets.to_vec()];
        assert_eq!(seen, expected, "{}: pages and tickets of the engine", scenario.name);
        bench.agree(scenario, &firing);
    }
    bench.run(&METADATA);
}

/// Minutes of a history that is young or interrupted count as clean where nothing was seen, and a tier with a release
/// threshold fires on above it.
#[test]
fn rules_and_engine_agree_about_unseen_time_and_releases() {
    let tell = Scenario::after_clean_hours;
    let young = Scenario { minutes: vec![Seen(950, 50); 60], ..tell("young", 1000, &[]) };
    let gap = [(100, Unseen(0, 0)), (40, Seen(950, 50)), CLEAN];
    let mut release = tell("release", 1000, &[(30, Seen(900, 100)), (60, Seen(990, 10)), CLEAN]);
    for tier in &mut release.policy.tiers {
        tier.until = BurnFactor::try_new(tier.factor.value() / 4.0).ok();
    }
    let told: [(Scenario, (usize, usize)); 3] = [
        // 5 % of the first minutes are no 1.44 % of the hour
        (young, (17, 60)),
        (tell("interrupted", 1000, &gap), (120 + 117, 120 + 143)),
        (release, (120 + 8, 120 + 93)),
    ];
    let scenarios: Vec<Scenario> = told.iter().map(|(scenario, _)| scenario.clone()).collect();
    let mut bench = Bench::new(&scenarios);
    for (scenario, (first, last)) in &told {
        let firing = scenario.engine();
        let pages = &firing[&Severity::Page];
        let seen = (pages.iter().position(|fires| *fires), pages.iter().rposition(|fires| *fires));
        assert_eq!(seen, (Some(*first), Some(last - 1)), "{}", scenario.name);
        bench.agree(scenario, &firing);
    }
    bench.run(&METADATA);
}
