//! The series between two probes, and the time of probes that fail.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_target_that_is_probed_each_hour_has_its_series_at_every_scrape() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let scene = Scene::open(1000, |_| QUICK);
    let hourly = Target { interval: Duration::from_secs(3600), ..Target::clone(&target()) };
    let assignment = Assignment {
        target: Arc::new(hourly),
        streams: vec![3],
        certificates: Vec::new(),
        rounds: Vec::new(),
    };
    scene.assigned.replace(assignment);
    tokio::time::sleep(Duration::from_secs(3601)).await;
    let mut before = outcome(&meter, "ok");
    assert!(before >= 1.0, "the first hour has a probe");
    for minute in (5..=180).step_by(5) {
        tokio::time::sleep(Duration::from_secs(300)).await;
        let now = outcome(&meter, "ok");
        assert!(now >= before, "minute {minute}: a counter goes on, whenever the last probe was");
        before = now;
    }
    assert!(before >= 3.0, "{before}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_counts_with_the_time_it_took_and_hides_in_no_mean() {
    let meter = Meter::new();
    let _lent = meter.lend();
    // each second probe takes all of its deadline
    let slow = Duration::from_secs(5);
    let scene = Scene::open(1000, move |number| if number % 2 == 0 { Plan::Fail(slow) } else { QUICK });
    tokio::time::sleep(Duration::from_secs(100)).await;
    let value = |part: &str, outcome: &str| {
        let name = format!("{}_{part}", names::PROBE_SECONDS);
        meter.value(&name, &[("target", "api"), ("outcome", outcome)]).unwrap()
    };
    let (failed, good) = (value("count", "fail"), value("count", "ok"));
    assert!(failed >= 4.0 && good >= 4.0, "{failed} {good}");
    assert_eq!(value("sum", "fail"), failed * 5.0, "a timeout is no fast answer, and no missing one");
    assert!((value("sum", "ok") - good * 0.3).abs() < 1e-9);
    drop(scene);
}
