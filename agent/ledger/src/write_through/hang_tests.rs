//! A disk that answers nothing for a while, rather than an error.

use std::process::Command;

use lookout_engine::Counts;
use lookout_model::sample::{T0, deploy, lifecycle};

use super::tests::{Scene, open, row};
use super::*;
use crate::{CountStore as _, DeployStore as _, IncidentStore as _, LedgerFile, verify};

/// Time limit of these tests. A healthy write on a busy machine takes less.
const SHORT: Duration = Duration::from_millis(400);

async fn paged() -> Scene {
    let mut scene = Scene::paged().await;
    scene.ledger.time_limit = TimeLimit::new(SHORT);
    scene
}

/// Commits until everything that waited is written.
async fn recorded(ledger: &WriteThroughLedger) {
    while ledger.health().not_recording.is_some() || !ledger.expiries().is_empty() {
        ledger.commit(&[], &[]).await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// A hang at one step of a write. With `fails`, the step ends with an error once the disk answers.
async fn hang_and_heal(step: usize, fails: bool) {
    let scene = paged().await;
    let [_, escalated, eased, resolved] = lifecycle(T0, &["chat"]);
    let file = scene.ledger.readable().unwrap();
    let disk = file.injected_for_test();
    for (round, told) in [(0, escalated), (1, eased)] {
        disk.hang(Some(step));
        let begun = Instant::now();
        for n in 1..=5 {
            scene.ledger.commit(&[row(round * 10 + n)], std::slice::from_ref(&told)).await.unwrap();
            assert_eq!(disk.hanging(), 1, "the call that hangs stays the only one");
        }
        let health = scene.ledger.health();
        let reason = health.not_recording.unwrap();
        assert!(reason.contains("has not answered for"), "{reason}");
        assert_eq!(health.faults, round.unsigned_abs() + 1, "told once");
        let marked = scene.ledger.latest_transitions(Timestamp::EPOCH).await.unwrap();
        assert!(marked[0].notice.not_recorded);
        assert_eq!(scene.deliver().await, [told.change.as_str()], "paged all the same");
        scene.ledger.record_deploy(&deploy()).await.unwrap_err();
        scene.ledger.counts("a", Timestamp::EPOCH).await.unwrap();
        assert!(begun.elapsed() < SHORT * 4, "only the first call waits: {:?}", begun.elapsed());
        disk.set(fails.then_some((7, 1.0)));
        disk.hang(None);
        while disk.hanging() > 0 {
            tokio::task::yield_now().await;
        }
        scene.ledger.commit(&[row(round * 10 + 6)], &[]).await.unwrap();
        disk.set(None);
        recorded(&scene.ledger).await;
    }
    scene.ledger.commit(&[], &[resolved]).await.unwrap();
    assert_eq!(scene.deliver().await, ["resolved"]);
    drop(file);
    scene.ledger.close().await;
    scene.is_whole().await;
    let counts = LedgerFile::open(&scene.path()).await.unwrap().counts("a", Timestamp::EPOCH).await.unwrap();
    assert_eq!(counts.total(), Counts { good: 13 * 3, bad: 13 }, "step {step}: none lost, none doubled");
}

#[tokio::test]
async fn a_write_that_hangs_before_its_transaction_stops_no_page_and_is_stored_once() {
    hang_and_heal(0, false).await;
    hang_and_heal(0, true).await;
}

#[tokio::test]
async fn a_write_that_hangs_before_its_commit_stops_no_page_and_is_stored_once() {
    hang_and_heal(1, false).await;
    hang_and_heal(1, true).await;
}

#[tokio::test]
async fn a_write_that_hangs_after_it_has_stored_stops_no_page_and_is_stored_once() {
    hang_and_heal(2, false).await;
    hang_and_heal(2, true).await;
}

#[tokio::test]
async fn a_lock_of_another_program_is_named() {
    let scene = Scene::paged().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(scene.path());
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    for n in 1..=2 {
        sqlx::query("begin immediate").execute(&mut other).await.unwrap();
        scene.ledger.commit(&[row(n)], &[]).await.unwrap();
        let reason = scene.ledger.health().not_recording.unwrap();
        assert!(reason.contains("database is locked"), "{reason}");
        sqlx::query("rollback").execute(&mut other).await.unwrap();
        scene.ledger.commit(&[], &[]).await.unwrap();
        assert_eq!(scene.ledger.health().not_recording, None);
    }
    scene.ledger.close().await;
}

#[tokio::test]
async fn reads_that_hang_delay_one_reader_and_no_page() {
    let scene = paged().await;
    let [_, escalated, eased, _] = lifecycle(T0, &["chat"]);
    for told in [escalated, eased] {
        let taken = scene.ledger.readable().unwrap().take_readers_for_test().await;
        let begun = Instant::now();
        for _ in 0..20 {
            let error = scene.ledger.counts("a", Timestamp::EPOCH).await.unwrap_err();
            assert!(matches!(error, LedgerError::NoAnswer { .. }), "{error:?}");
        }
        assert_eq!(scene.ledger.incidents(None, 9).await.unwrap().len(), 1, "from memory");
        // a tick is read back: it waits for the disk once
        scene.ledger.commit(&[row(1)], std::slice::from_ref(&told)).await.unwrap();
        scene.ledger.commit(&[row(2)], &[]).await.unwrap();
        assert_eq!(scene.deliver().await, [told.change.as_str()]);
        assert!(begun.elapsed() < SHORT * 4, "{:?}", begun.elapsed());
        drop(taken);
        recorded(&scene.ledger).await;
        while scene.ledger.counts("a", Timestamp::EPOCH).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    let counts = scene.ledger.counts("a", Timestamp::EPOCH).await.unwrap();
    assert_eq!(counts.total(), Counts { good: 5 * 3, bad: 5 });
    scene.ledger.close().await;
}

#[tokio::test]
async fn a_witness_that_hangs_delays_one_tick() {
    let scene = paged().await;
    let next = scene.folder.path().join("ledger.db.witness.next");
    let [_, escalated, eased, _] = lifecycle(T0, &["chat"]);
    for told in [escalated, eased] {
        // a pipe that nobody reads hangs whoever opens it
        assert!(Command::new("mkfifo").arg(&next).status().unwrap().success());
        let begun = Instant::now();
        for n in 1..=5 {
            scene.ledger.commit(&[row(n)], std::slice::from_ref(&told)).await.unwrap();
        }
        assert_eq!(scene.deliver().await, [told.change.as_str()]);
        assert!(begun.elapsed() < SHORT * 3, "{:?}", begun.elapsed());
        let reader = next.clone();
        let pipe = tokio::task::spawn_blocking(move || std::fs::File::open(reader)).await.unwrap().unwrap();
        std::fs::remove_file(&next).unwrap();
        drop(pipe);
        let remembered = || {
            let memory = Memory::read(&scene.path())?;
            let mut changes = memory.into_transitions().into_iter().map(|(transition, _)| transition.change);
            changes.any(|change| change == told.change).then_some(())
        };
        while remembered().is_none() {
            scene.ledger.commit(&[], &[]).await.unwrap();
            tokio::task::yield_now().await;
        }
    }
    scene.ledger.close().await;
}

#[tokio::test]
async fn whatever_hangs_and_fails_at_random_is_on_record_once() {
    for seed in 0..8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = open(&folder).await;
        ledger.time_limit = TimeLimit::new(Duration::from_millis(30));
        let scene = Scene { ledger, folder };
        let file = scene.ledger.readable().unwrap();
        let disk = file.injected_for_test();
        let mut told = lifecycle(T0, &["chat"]).into_iter();
        let (mut paged, mut hung) = (0, 0);
        for tick in 0..40 {
            match random.u8(..6) {
                0 | 1 => disk.hang(Some(random.usize(..8))),
                2 => disk.hang(None),
                3 => disk.set(Some((random.u64(..), 0.4))),
                4 => disk.set(None),
                _ => {}
            }
            let new: Vec<_> = if tick % 9 == 3 { told.next().into_iter().collect() } else { Vec::new() };
            scene.ledger.commit(&[row(tick), row(tick / 2)], &new).await.unwrap();
            let delivered = scene.deliver().await.len();
            assert_eq!(delivered, new.len(), "seed {seed}, tick {tick}: paged at once");
            paged += delivered;
            hung += disk.hanging();
            assert!(disk.hanging() <= 1, "seed {seed}, tick {tick}");
        }
        assert!(hung > 0, "seed {seed}: the disk hung");
        disk.set(None);
        disk.hang(None);
        recorded(&scene.ledger).await;
        drop(file);
        scene.ledger.close().await;
        let report = verify(&scene.path()).await.unwrap();
        assert_eq!(report.faults, Vec::<String>::new(), "seed {seed}");
        assert_eq!((report.transitions, report.waiting_deliveries), (4, 0), "seed {seed}");
        assert_eq!(paged, 4);
        let counts = LedgerFile::open(&scene.path()).await.unwrap();
        let counts = counts.counts("a", Timestamp::EPOCH).await.unwrap().total();
        assert_eq!(counts, Counts { good: 80 * 3, bad: 80 }, "seed {seed}: none lost, none doubled");
    }
}
