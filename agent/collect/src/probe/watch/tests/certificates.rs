//! Certificates by the days that they are still valid.

use super::*;

const NO_TLS: Plan = Plan::Fail(Duration::from_millis(300));

/// Certificates are counted by their days, also while the peer cannot be reached.
#[tokio::test(start_paused = true)]
async fn a_certificate_is_good_while_it_is_valid_for_the_days_that_are_asked_for() {
    let meter = Meter::new();
    let _lent = meter.lend();
    // seen by the first three probes; then the peer is away
    let mut scene = Scene::open(1000, |number| if number < 3 { Plan::Certificate(10) } else { NO_TLS });
    let certificates = vec![(7, 10), (8, 11)];
    scene.assigned.replace(Assignment {
        target: target(),
        streams: vec![3],
        certificates,
        rounds: Vec::new(),
    });
    tokio::time::sleep(Duration::from_secs(101)).await;
    let of = |observed: &[Observation], stream| -> (u64, u64) {
        let counts = observed.iter().filter(|one| one.stream == stream).map(|one| one.counts);
        counts.fold((0, 0), |sum, one| (sum.0 + one.good, sum.1 + one.bad))
    };
    let observed = scene.observed();
    assert_eq!(of(&observed, 3), (3, 7));
    // valid for exactly ten days at the start, and for less a moment later
    assert_eq!((of(&observed, 8), of(&observed, 7)), ((0, 10), (0, 10)));
    let counted = |days, outcome| {
        let labels = [("target", "api"), ("days", days), ("outcome", outcome)];
        meter.value(names::PROBE_CERTIFICATES, &labels)
    };
    assert_eq!((counted("11", "fail"), counted("11", "ok")), (Some(10.0), None));
    let certificates = vec![(7, 9)];
    scene.assigned.replace(Assignment {
        target: target(),
        streams: vec![3],
        certificates,
        rounds: Vec::new(),
    });
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(of(&scene.observed(), 7), (5, 0), "the same target keeps the certificate");
    let mut last = (0, 0);
    for _ in 0..26 {
        // the queue of observations holds a thousand
        tokio::time::sleep(Duration::from_secs(3600)).await;
        last = of(&scene.observed(), 7);
    }
    assert!(last.0 == 0 && last.1 > 0, "time alone makes it bad: {last:?}");
}

/// The first end of a chain may be that of an intermediate. The leaf alone looks good then, while clients refuse it.
#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_refused_is_bad_however_long_its_leaf_is_valid() {
    let mut scene = Scene::open(1000, |number| match number {
        // refused twice, once followed by a peer that is away; healed in between
        1 | 3 => Plan::Refused(60),
        4 => NO_TLS,
        _ => Plan::Certificate(60),
    });
    let certificates = vec![(7, 14)];
    scene.assigned.replace(Assignment {
        target: target(),
        streams: Vec::new(),
        certificates,
        rounds: Vec::new(),
    });
    tokio::time::sleep(Duration::from_secs(61)).await;
    let good: Vec<bool> = scene.observed().iter().map(|one| one.counts.good == 1).collect();
    assert_eq!(good, [true, false, true, false, false, true]);
}
