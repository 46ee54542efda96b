//! Rounds of the probes of several addresses.

use lookout_config::Down;
use lookout_engine::Severity;

use super::*;

#[tokio::test(start_paused = true)]
async fn rounds_are_exported_as_they_are_counted_and_not_each_address() {
    let meter = Meter::new();
    let _lent = meter.lend();
    // of two addresses: one round fails at one, the next at both, and so on
    let mut scene =
        Scene::open(1000, |n| if n % 4 == 0 { QUICK } else { Plan::Fail(Duration::from_millis(300)) });
    let assignment = |name: &str| {
        let down = Some(Down { after: 3, up_after: 2, severity: Severity::Page, service: None });
        let (name, group) = (name.to_owned(), Some("shop".to_owned()));
        Assignment {
            target: Arc::new(Target { name, group, down, ..Target::clone(&target()) }),
            streams: vec![1],
            certificates: Vec::new(),
            rounds: vec![2],
        }
    };
    scene.assigned.replace(assignment("shop@a"));
    let second = Assigned::new(assignment("shop@b"));
    let other = tokio::spawn(watch(second, Arc::clone(&scene.ports), scene.stop.clone()));
    tokio::time::sleep(INTERVAL * 20).await;
    scene.stop.cancel();
    (&mut scene.task).await.unwrap();
    other.await.unwrap();
    let observed = scene.observed();
    let counted = |stream: usize| {
        let of_stream = observed.iter().filter(|seen| seen.stream == stream);
        of_stream.fold([0, 0], |[good, bad], seen| [good + seen.counts.good, bad + seen.counts.bad])
    };
    let exported = |name| {
        ["ok", "fail"].map(|outcome| {
            meter.value(name, &[("target", "shop"), ("outcome", outcome)]).map(|value| value as u64)
        })
    };
    let [rounds, probes] = [counted(2), counted(1)];
    assert!(rounds.iter().all(|count| *count > 5) && rounds != probes, "{rounds:?} of {probes:?}");
    assert_eq!(exported(names::PROBE_ROUNDS), rounds.map(Some));
    assert_eq!(exported(names::PROBES), probes.map(Some));
}
