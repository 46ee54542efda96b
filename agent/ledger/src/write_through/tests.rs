//! A file that is full, gone or damaged while the agent runs, and at its start.

use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use lookout_model::{CountRow, DeliveryResult, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::{CountStore as _, DeliveryStore as _, DeployStore as _, IncidentStore as _, LedgerFile, verify};
use lookout_engine::Change;
use lookout_model::sample::{T0, lifecycle};
use lookout_runtime::clock::SystemClock;

pub(super) struct Scene {
    pub(super) folder: TempDir,
    pub(super) ledger: WriteThroughLedger,
}

pub(super) fn row(n: i64) -> CountRow {
    CountRow { slo_id: "a".to_owned(), start_s: T0.as_seconds() + n * 10, width_s: 10, good: 3, bad: 1 }
}

pub(super) async fn open(folder: &TempDir) -> WriteThroughLedger {
    WriteThroughLedger::open(&folder.path().join("ledger.db"), Arc::new(SystemClock)).await.unwrap()
}

impl Scene {
    /// Creates a ledger with an incident whose page was delivered.
    pub(super) async fn paged() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(&folder).await;
        let [opened, ..] = lifecycle(T0, &["chat"]);
        ledger.commit(&[row(0)], &[opened]).await.unwrap();
        let scene = Self { folder, ledger };
        assert_eq!(scene.deliver().await, ["opened"]);
        scene
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// Delivers what is due, as an outbox does.
    pub(super) async fn deliver(&self) -> Vec<String> {
        let mut changes = Vec::new();
        loop {
            let due = self.ledger.due_deliveries("chat", Timestamp::MAX, 9).await.unwrap();
            let Some(delivery) = due.into_iter().next() else { return changes };
            self.ledger.begin_attempt(delivery.id, T0).await.unwrap();
            let thread = Some("C1:1".to_owned());
            let delivered = DeliveryResult::Delivered { thread };
            self.ledger.end_attempt(delivery.id, T0, &delivered).await.unwrap();
            changes.push(delivery.notice.change.as_str().to_owned());
        }
    }

    /// Returns the names of files that were set aside.
    fn aside(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> =
            names.filter(|name| name.contains(".damaged-") && !name.ends_with("-wal")).collect();
        names.sort();
        names
    }

    /// Asserts that every page is on record, and that another reader agrees.
    pub(super) async fn is_whole(&self) {
        let report = verify(&self.path()).await.unwrap();
        assert_eq!(report.faults, Vec::<String>::new());
        assert_eq!((report.incidents, report.open_incidents), (1, 0));
        assert_eq!((report.transitions, report.deliveries, report.waiting_deliveries), (4, 4, 0));
    }
}

pub(super) fn flip(path: &Path, at: u64, bytes: usize) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&vec![0xA5; bytes]).unwrap();
}

type Harm = fn(&Path);

/// Returns each harm, and whether counts of before remain afterwards.
fn harms() -> [(&'static str, Harm, bool); 5] {
    [
        ("deleted", |path| std::fs::remove_file(path).unwrap(), true),
        (
            "replaced",
            |path| {
                std::fs::write(path.with_extension("other"), "time,good,bad\n").unwrap();
                std::fs::rename(path.with_extension("other"), path).unwrap();
            },
            false,
        ),
        (
            "truncated",
            |path| OpenOptions::new().write(true).open(path).unwrap().set_len(4096).unwrap(),
            false,
        ),
        ("write-ahead log", |path| std::fs::remove_file(path.with_extension("db-wal")).unwrap(), true),
        ("malformed", |path| flip(path, 4096, 4096 * 8), false),
    ]
}

#[tokio::test]
async fn a_file_that_is_harmed_while_it_is_used_stops_no_page() {
    for (what, harm, counts_stay) in harms() {
        let scene = Scene::paged().await;
        let file = scene.ledger.readable().unwrap();
        file.checkpoint_for_test().await;
        drop(file);
        harm(&scene.path());
        scene.ledger.check().await;
        let [_, escalated, eased, resolved] = lifecycle(T0, &["chat"]);
        scene.ledger.commit(&[row(1)], &[escalated]).await.unwrap();
        assert_eq!(scene.deliver().await, ["escalated"], "{what}");
        let health = scene.ledger.health();
        assert_eq!((health.faults, health.not_recording), (1, None), "{what}: {}", health.last_fault);
        assert!(health.last_fault.contains(what) || what == "malformed", "{what}: {}", health.last_fault);
        scene.ledger.commit(&[row(2)], &[eased, resolved]).await.unwrap();
        assert_eq!(scene.deliver().await, ["eased", "resolved"], "{what}");
        scene.ledger.close().await;
        scene.is_whole().await;
        let file = LedgerFile::open(&scene.path()).await.unwrap();
        let slots = file.counts("a", Timestamp::EPOCH).await.unwrap().slots().len();
        assert_eq!(slots, if counts_stay { 3 } else { 2 }, "{what}");
        assert_eq!(scene.aside().is_empty(), counts_stay, "{what}: {:?}", scene.aside());
    }
}

#[tokio::test]
async fn a_file_that_takes_nothing_gets_everything_once_it_does() {
    let scene = Scene::paged().await;
    let [_, escalated, eased, resolved] = lifecycle(T0, &["chat"]);
    for round in 0..2 {
        scene.ledger.readable().unwrap().refuse_writes_for_test(true).await;
        for n in 1..=5 {
            let mut told = if round == 0 { escalated.clone() } else { eased.clone() };
            told.notice.description = "x".repeat(30_000);
            scene.ledger.commit(&[row(round * 10 + n)], &[told]).await.unwrap();
        }
        let health = scene.ledger.health();
        assert!(health.not_recording.is_some());
        assert_eq!(health.faults, u64::try_from(round).unwrap() + 1);
        let marked = scene.ledger.latest_transitions(Timestamp::EPOCH).await.unwrap();
        assert!(marked[0].notice.not_recorded);
        assert_eq!(scene.deliver().await.len(), 1, "round {round}: paged all the same");
        assert!(matches!(
            scene.ledger.record_deploy(&lookout_model::sample::deploy()).await,
            Err(LedgerError::NotRecording { .. })
        ));
        scene.ledger.readable().unwrap().refuse_writes_for_test(false).await;
        scene.ledger.commit(&[], &[]).await.unwrap();
        assert_eq!(scene.ledger.health().not_recording, None);
    }
    scene.ledger.commit(&[], &[resolved]).await.unwrap();
    assert_eq!(scene.deliver().await, ["resolved"]);
    scene.ledger.close().await;
    scene.is_whole().await;
    let counts = LedgerFile::open(&scene.path()).await.unwrap().counts("a", Timestamp::EPOCH).await.unwrap();
    assert_eq!(
        counts.slots().iter().map(|(_, _, counts)| counts.bad).sum::<u64>(),
        11,
        "none lost, none doubled"
    );
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_untouched_and_a_new_one_begins() {
    for cut in [false, true] {
        let scene = Scene::paged().await;
        scene.ledger.close().await;
        match cut {
            true => OpenOptions::new().write(true).open(scene.path()).unwrap().set_len(6000).unwrap(),
            false => flip(&scene.path(), 4096, 4096 * 8),
        }
        let damaged = std::fs::read(scene.path()).unwrap();
        let ledger = open(&scene.folder).await;
        let health = ledger.health();
        assert_eq!((health.faults, health.not_recording), (1, None));
        let aside = scene.aside();
        assert_eq!(aside.len(), 1, "{aside:?}");
        assert!(health.last_fault.contains(&aside[0]), "{}", health.last_fault);
        assert_eq!(std::fs::read(scene.folder.path().join(&aside[0])).unwrap(), damaged);
        ledger.commit(&[row(1)], &[]).await.unwrap();
        ledger.close().await;
    }
}

#[tokio::test]
async fn a_ledger_that_was_set_aside_can_be_recovered_and_put_back() {
    let scene = Scene::paged().await;
    let rows: Vec<CountRow> = (1..5000).map(row).collect();
    scene.ledger.commit(&rows, &[]).await.unwrap();
    scene.ledger.close().await;
    let pages = std::fs::metadata(scene.path()).unwrap().len() / 4096;
    flip(&scene.path(), (pages - 8) * 4096, 4096);
    let ledger = open(&scene.folder).await;
    assert_eq!(ledger.open_incidents().await.unwrap().len(), 1, "from the witness");
    ledger.close().await;
    let aside = scene.folder.path().join(&scene.aside()[0]);
    let saved = scene.folder.path().join("saved.db");
    let recovered = crate::recover(&aside, &saved).await.unwrap();
    let slots = recovered.iter().find(|table| table.table == "slot").unwrap();
    assert!(!slots.whole && (4000..5000).contains(&slots.rows), "{slots:?}");
    crate::restore(&saved, &scene.path(), crate::Faults::Refuse, T0).await.unwrap();
    let ledger = open(&scene.folder).await;
    assert_eq!(ledger.health(), Health::default(), "it was put there on purpose");
    assert_eq!(ledger.open_incidents().await.unwrap().len(), 1);
    let counts = ledger.counts("a", Timestamp::EPOCH).await.unwrap();
    assert_eq!(counts.slots().len() as u64, slots.rows);
    ledger.close().await;
}

#[tokio::test]
async fn deliveries_in_progress_go_on_after_a_restart() {
    let scene = Scene::paged().await;
    let [_, escalated, ..] = lifecycle(T0, &["chat"]);
    scene.ledger.commit(&[], &[escalated]).await.unwrap();
    let delivery = scene.ledger.due_deliveries("chat", Timestamp::EPOCH, 9).await.unwrap().remove(0);
    scene.ledger.begin_attempt(delivery.id, T0).await.unwrap();
    drop(scene.ledger);
    let ledger = open(&scene.folder).await;
    let again = ledger.due_deliveries("chat", Timestamp::EPOCH, 9).await.unwrap().remove(0);
    assert_eq!((again.attempts, again.unsure), (1, true), "it may have arrived");
    assert_eq!(again.thread.as_deref(), Some("C1:1"));
    let latest = ledger.latest_transitions(Timestamp::EPOCH).await.unwrap();
    assert_eq!(latest.last().unwrap().change, Change::Escalated);
    ledger.close().await;
}

#[tokio::test]
async fn a_forwarded_delivery_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let clock = Arc::new(SystemClock);
    let first = WriteThroughLedger::open(&path, clock.clone()).await.unwrap();
    let [opened, ..] = lifecycle(clock.now(), &["chat"]);
    first.commit(&[], std::slice::from_ref(&opened)).await.unwrap();
    assert!(first.forward(&opened.notice, "mail").await.unwrap());
    first.close().await;
    drop(first);
    let again = WriteThroughLedger::open(&path, clock).await.unwrap();
    assert_eq!(again.waiting("mail").await.unwrap().1, 1);
}
