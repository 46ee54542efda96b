//! A ledger that is harmed while no agent runs: the next start tells of it, and the incident in progress goes on.

use std::fs::OpenOptions;
use std::path::PathBuf;

use tempfile::TempDir;

use super::tests::{Scene, flip, open, row};
use super::*;
use crate::{DeliveryStore as _, IncidentStore as _, verify};
use lookout_engine::Change;
use lookout_model::sample::{T0, lifecycle};

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    path.with_extension(format!("db{suffix}"))
}

fn cut(path: &Path, bytes: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

fn delete(path: &Path) {
    std::fs::remove_file(path).unwrap();
    for suffix in ["-wal", "-shm"] {
        let _may_be_missing = std::fs::remove_file(sibling(path, suffix));
    }
}

/// Copies the files of a ledger that is in use, as `kill -9` leaves them.
fn killed(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name();
        // the index of the write-ahead log is made anew
        if !name.to_string_lossy().ends_with("-shm") {
            std::fs::copy(folder.join(&name), copy.path().join(&name)).unwrap();
        }
    }
    copy
}

/// Makes another ledger, and puts it in the place of this one.
async fn replace(path: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let other = open(&folder).await;
    other.commit(&[row(7), row(8)], &[]).await.unwrap();
    other.close().await;
    delete(path);
    std::fs::copy(folder.path().join("ledger.db"), path).unwrap();
}

const HARMS: [(&str, &str); 8] = [
    ("deleted", "it was deleted"),
    ("deleted without its log", "it was deleted"),
    ("emptied", "it was truncated"),
    ("truncated", "damaged"),
    ("flipped", "damaged"),
    ("log removed", "its write-ahead log was deleted or replaced"),
    ("replaced", "it was replaced by another file"),
    ("replaced by a text", "damaged"),
];

async fn harm(what: &str, path: &Path) {
    match what {
        "deleted" => delete(path),
        "deleted without its log" => std::fs::remove_file(path).unwrap(),
        "emptied" => {
            delete(path);
            std::fs::write(path, "").unwrap();
        }
        "truncated" => cut(path, 6000),
        "flipped" => flip(path, 4096, 4096 * 8),
        "log removed" => std::fs::remove_file(sibling(path, "-wal")).unwrap(),
        "replaced" => replace(path).await,
        "replaced by a text" => {
            delete(path);
            std::fs::write(path, "time,good,bad\n").unwrap();
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_ledger_that_is_harmed_between_runs_is_told_of_and_its_incident_ends_at_its_receivers() {
    for is_killed in [true, false] {
        for (what, expected) in HARMS.into_iter().filter(|(what, _)| is_killed || *what != "log removed") {
            let mut scene = Scene::paged().await;
            let [_, escalated, eased, resolved] = lifecycle(T0, &["chat"]);
            for transition in [escalated, eased] {
                let folder = match is_killed {
                    true => {
                        scene.ledger.readable().unwrap().checkpoint_for_test().await;
                        scene.ledger.commit(&[row(1)], &[]).await.unwrap();
                        killed(scene.folder.path())
                    }
                    false => {
                        scene.ledger.close().await;
                        scene.folder
                    }
                };
                harm(what, &folder.path().join("ledger.db")).await;
                let ledger = open(&folder).await;
                let health = ledger.health();
                assert_eq!((health.faults, health.not_recording), (1, None), "{what}: {}", health.last_fault);
                assert!(health.last_fault.contains(expected), "{what}: {}", health.last_fault);
                assert_eq!(ledger.open_incidents().await.unwrap().len(), 1, "{what}");
                scene = Scene { folder, ledger };
                assert_eq!(scene.deliver().await, Vec::<String>::new(), "{what}: nothing is told twice");
                let change = transition.change;
                scene.ledger.commit(&[row(2)], &[transition]).await.unwrap();
                let due = scene.ledger.due_deliveries("chat", Timestamp::MAX, 9).await.unwrap();
                assert_eq!(due[0].thread.as_deref(), Some("C1:1"), "{what}: the conversation goes on");
                assert_eq!(scene.deliver().await, [change.as_str()], "{what}");
                // the witness learns of the delivery with the next tick
                scene.ledger.commit(&[row(3)], &[]).await.unwrap();
            }
            scene.ledger.commit(&[], &[resolved]).await.unwrap();
            assert_eq!(scene.deliver().await, [Change::Resolved.as_str()], "{what}");
            scene.ledger.close().await;
            scene.is_whole().await;
            // healed: the next start finds nothing
            let ledger = open(&scene.folder).await;
            assert_eq!(ledger.health(), Health::default(), "{what}");
            assert_eq!(ledger.open_incidents().await.unwrap(), [], "{what}");
        }
    }
}

#[tokio::test]
async fn an_older_copy_is_told_of_and_a_restored_backup_is_not() {
    let scene = Scene::paged().await;
    scene.ledger.close().await;
    let old = std::fs::read(scene.path()).unwrap();
    let backup = scene.folder.path().join("backup.db");
    crate::backup(&scene.path(), &backup).await.unwrap();
    for is_restored in [false, true] {
        let ledger = open(&scene.folder).await;
        let [_, escalated, ..] = lifecycle(T0, &["chat"]);
        ledger.commit(&[row(1)], &[escalated]).await.unwrap();
        ledger.close().await;
        if is_restored {
            crate::restore(&backup, &scene.path(), crate::Faults::Refuse, T0).await.unwrap();
        } else {
            std::fs::write(scene.path(), &old).unwrap();
        }
        let ledger = open(&scene.folder).await;
        let health = ledger.health();
        assert_eq!(health.faults, u64::from(!is_restored), "{}", health.last_fault);
        assert!(is_restored || health.last_fault.contains("less than was stored"), "{}", health.last_fault);
        let latest = ledger.latest_transitions(Timestamp::EPOCH).await.unwrap();
        assert_eq!(latest[0].change, Change::Escalated, "the incident goes on where it was");
        ledger.close().await;
    }
    assert_eq!(verify(&scene.path()).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_restart_without_harm_tells_of_nothing() {
    let scene = Scene::paged().await;
    let folder = killed(scene.folder.path());
    let ledger = open(&folder).await;
    assert_eq!(ledger.health(), Health::default(), "after kill -9");
    ledger.close().await;
    let ledger = open(&folder).await;
    assert_eq!(ledger.health(), Health::default(), "after a stop");
    ledger.close().await;
    std::fs::write(folder.path().join("ledger.db.witness"), "{").unwrap();
    assert_eq!(open(&folder).await.health(), Health::default(), "with a damaged witness");
}

#[tokio::test]
async fn a_dead_letter_survives_a_restart_and_what_has_expired_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let [opened, .., resolved] = lifecycle(T0, &["chat"]);
    let over = resolved.at;
    let ledger = open(&folder).await;
    ledger.commit(&[], &[opened, resolved]).await.unwrap();
    while let Some(delivery) = ledger.due_deliveries("chat", T0, 1).await.unwrap().first() {
        let refused = lookout_model::DeliveryResult::Failed { error: "401".to_owned() };
        ledger.begin_attempt(delivery.id, over).await.unwrap();
        ledger.end_attempt(delivery.id, over, &refused).await.unwrap();
    }
    ledger.close().await;
    for day in [2, 5] {
        let ledger = open(&folder).await;
        ledger.prune(over + Duration::from_secs(day * 86_400)).await.unwrap();
        assert_eq!(ledger.dead_letters().await.unwrap().len(), 2, "{day} days");
        ledger.close().await;
    }
    let ledger = open(&folder).await;
    let late = over + crate::DEAD_LETTER_RETENTION;
    assert_eq!(ledger.expire_dead_letters(late).await.unwrap().len(), 2);
    drop(ledger);
    let ledger = open(&folder).await;
    assert_eq!(ledger.expire_dead_letters(late).await.unwrap(), []);
    assert_eq!(ledger.retry_dead_letters(None, late).await.unwrap(), 0);
    ledger.close().await;
}
