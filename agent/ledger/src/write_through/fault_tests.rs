//! Faults during faults: each is counted, and what is lost is named.

use super::tests::{Scene, row};
use super::*;
use crate::{LedgerFile, SilenceStore as _};
use lookout_model::sample::T0;
use lookout_model::{CountRow, Matcher, SilenceRecord};

fn delete(path: &Path) {
    std::fs::remove_file(path).unwrap();
    for suffix in ["db-wal", "db-shm"] {
        let _may_be_missing = std::fs::remove_file(path.with_extension(suffix));
    }
}

#[tokio::test]
async fn a_file_that_is_deleted_while_it_takes_nothing_is_one_more_fault() {
    let scene = Scene::paged().await;
    for round in 0..2 {
        let before = 2 * round;
        scene.ledger.readable().unwrap().refuse_writes_for_test(true).await;
        for n in 0..3 {
            let mut rows: Vec<CountRow> = (0..5000).map(|k| row(10_000 * (n + 1) + k)).collect();
            rows.iter_mut().for_each(|row| row.slo_id = format!("round-{round}"));
            scene.ledger.commit(&rows, &[]).await.unwrap();
        }
        let health = scene.ledger.health();
        assert!(health.not_recording.is_some());
        assert_eq!(health.faults, before + 1, "a lasting fault is counted once");
        delete(&scene.path());
        scene.ledger.check().await;
        scene.ledger.commit(&[row(1)], &[]).await.unwrap();
        let health = scene.ledger.health();
        assert_eq!((health.faults, &health.not_recording), (before + 2, &None), "{}", health.last_fault);
        assert!(health.last_fault.contains("it was deleted"), "{}", health.last_fault);
    }
    scene.ledger.close().await;
}

#[tokio::test]
async fn a_damaged_file_in_the_place_of_one_that_was_lost_is_one_more_fault() {
    let scene = Scene::paged().await;
    for round in 0..2 {
        let before = scene.ledger.health().faults;
        let file = scene.ledger.readable().unwrap();
        let lost = LedgerError::Lost { path: "ledger".to_owned(), what: crate::Loss::Deleted };
        scene.ledger.recorder.detach(&file, &lost).await;
        assert_eq!(scene.ledger.health().faults, before + 1, "round {round}");
        std::fs::write(scene.path(), "time,good,bad\n").unwrap();
        scene.ledger.commit(&[row(1)], &[]).await.unwrap();
        let health = scene.ledger.health();
        assert_eq!((health.faults, &health.not_recording), (before + 2, &None), "{}", health.last_fault);
        assert!(health.last_fault.contains("kept untouched"), "{}", health.last_fault);
    }
    scene.ledger.close().await;
}

#[tokio::test]
async fn counts_that_memory_cannot_hold_are_counted_and_named() {
    let scene = Scene::paged().await;
    let limit = i64::try_from(WAITING_ROWS).unwrap();
    for round in 0..2 {
        scene.ledger.readable().unwrap().refuse_writes_for_test(true).await;
        let rows: Vec<CountRow> = (1..=limit).map(|n| row((round + 1) * limit * 2 + n)).collect();
        scene.ledger.commit(&rows, &[]).await.unwrap();
        let health = scene.ledger.health();
        assert_eq!(health.lost_rows, 0, "memory holds so many");
        let more: Vec<CountRow> = (1..=7).map(|n| row((round + 1) * limit * 2 + limit + n)).collect();
        for rows in [&more[..3], &more[3..]] {
            scene.ledger.commit(rows, &[]).await.unwrap();
        }
        let health = scene.ledger.health();
        assert_eq!((health.lost_rows, health.faults), (7, 2 * (round.unsigned_abs() + 1)), "told once");
        assert!(health.fault_text().contains(" 7 rows of counts are lost"), "{}", health.fault_text());
        scene.ledger.readable().unwrap().refuse_writes_for_test(false).await;
        scene.ledger.commit(&[], &[]).await.unwrap();
        let health = scene.ledger.health();
        assert_eq!((health.not_recording, health.lost_rows), (None, 7));
    }
    scene.ledger.close().await;
    let counts = LedgerFile::open(&scene.path()).await.unwrap().counts("a", Timestamp::EPOCH).await.unwrap();
    assert_eq!(counts.slots().len(), 1 + 2 * WAITING_ROWS, "the newest are kept");
}

#[tokio::test]
async fn a_silence_ends_at_once_while_nothing_is_recorded() {
    let scene = Scene::paged().await;
    let hour = Duration::from_secs(3600);
    let silence = |id: &str| SilenceRecord {
        id: id.to_owned(),
        matcher: Matcher::default(),
        severity: None,
        reason: "a move".to_owned(),
        actor: "bo".to_owned(),
        created_at: T0,
        ends_at: T0 + hour,
        expired_by: None,
    };
    for id in ["sil-1", "sil-2"] {
        let now = T0 + hour / 2;
        assert!(scene.ledger.record_silence(&silence(id)).await.unwrap());
        scene.ledger.readable().unwrap().refuse_writes_for_test(true).await;
        scene.ledger.commit(&[row(1)], &[]).await.unwrap();
        let expired = scene.ledger.expire_silence(id, "cy", now).await.unwrap().unwrap();
        assert_eq!((expired.ends_at, expired.expired_by.as_deref()), (now, Some("cy")));
        assert_eq!(scene.ledger.silences(now).await.unwrap(), [], "it is over");
        assert_eq!(scene.ledger.expire_silence("sil-none", "cy", now).await.unwrap(), None);
        scene.ledger.readable().unwrap().refuse_writes_for_test(false).await;
        scene.ledger.commit(&[], &[]).await.unwrap();
        let file = scene.ledger.readable().unwrap();
        let stored = file.silences(T0).await.unwrap();
        let stored = stored.iter().find(|one| one.id == id).unwrap();
        assert_eq!((stored.ends_at, stored.expired_by.as_deref()), (now, Some("cy")), "the file has it too");
        assert!(scene.ledger.expiries().is_empty());
    }
    scene.ledger.close().await;
}
