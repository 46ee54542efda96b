//! A disk that fails at random at every write, heals, and fails again.

use std::collections::BTreeMap;

use super::tests::{Scene, open, row};
use super::*;
use crate::{LedgerFile, verify};
use lookout_engine::Counts;
use lookout_model::sample::{T0, lifecycle};

const SEEDS: u64 = 20;
const INCIDENTS: i64 = 5;
const TICKS: i64 = 40;

/// Returns the transitions of each tick: incidents that overlap.
fn story() -> BTreeMap<i64, Vec<TransitionRecord>> {
    let mut story: BTreeMap<i64, Vec<TransitionRecord>> = BTreeMap::new();
    for incident in 0..INCIDENTS {
        let transitions = lifecycle(T0 + Duration::from_secs(3600 * incident.unsigned_abs()), &["chat"]);
        for (step, transition) in transitions.into_iter().enumerate() {
            let tick = incident * 3 + i64::try_from(step).unwrap() * 7;
            story.entry(tick).or_default().push(transition);
        }
    }
    story
}

/// Returns the share of steps that fail in a tick.
fn share_of_faults(tick: i64) -> Option<f64> {
    match tick {
        4..=14 => Some(0.5),
        20..=24 => Some(1.0),
        28..=36 => Some(0.2),
        _ => None,
    }
}

#[tokio::test]
async fn what_was_paged_while_the_disk_failed_at_random_is_on_record_once_it_heals() {
    let story = story();
    let mut failed_ticks = 0;
    for seed in 0..SEEDS {
        let folder = tempfile::tempdir().unwrap();
        let scene = Scene { ledger: open(&folder).await, folder };
        let file = scene.ledger.readable().unwrap();
        let mut paged = Vec::new();
        for tick in 0..TICKS {
            let faults = share_of_faults(tick).map(|share| (seed * 1000 + tick.unsigned_abs(), share));
            file.inject_faults_for_test(faults);
            let transitions = story.get(&tick).cloned().unwrap_or_default();
            scene.ledger.commit(&[row(tick), row(tick / 2)], &transitions).await.unwrap();
            failed_ticks += usize::from(scene.ledger.health().not_recording.is_some());
            let told = scene.deliver().await;
            let due: Vec<_> = transitions.iter().map(|one| one.change.as_str().to_owned()).collect();
            assert_eq!(told.len(), due.len(), "seed {seed}, tick {tick}: all are paged at once");
            paged.extend(told);
        }
        let health = scene.ledger.health();
        assert_eq!(health.not_recording, None, "seed {seed}: it records again");
        assert!(health.faults >= 1, "seed {seed}");
        drop(file);
        scene.ledger.close().await;

        let report = verify(&scene.path()).await.unwrap();
        assert_eq!(report.faults, Vec::<String>::new(), "seed {seed}");
        assert_eq!((report.incidents, report.open_incidents), (INCIDENTS, 0), "seed {seed}");
        let paged = i64::try_from(paged.len()).unwrap();
        assert_eq!((report.transitions, report.deliveries), (paged, paged), "seed {seed}");
        assert_eq!((paged, report.waiting_deliveries), (INCIDENTS * 4, 0), "seed {seed}");
        let reader = LedgerFile::open(&scene.path()).await.unwrap();
        let counts = reader.counts("a", Timestamp::EPOCH).await.unwrap().total();
        let ticks = 2 * TICKS.unsigned_abs();
        assert_eq!(counts, Counts { good: 3 * ticks, bad: ticks }, "seed {seed}: none lost, none doubled");
        assert_eq!((report.slos[0].good, report.slos[0].bad), (counts.good, counts.bad), "seed {seed}");
        reader.close().await;
    }
    println!("{failed_ticks} ticks of {} were not recorded at once", SEEDS * TICKS.unsigned_abs());
    assert!(failed_ticks > 100, "the faults are real: {failed_ticks}");
}
