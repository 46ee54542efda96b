//! A disk that is full, again and again, and a file that is taken away under a running ledger.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use lookout_engine::Counts;
use lookout_model::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::{CountStore as _, DeliveryStore as _, DeployStore as _};
use lookout_model::sample::{T0, deploy, lifecycle};
use lookout_model::{DeliveryResult, DeployRecord};

/// A file system of one megabyte. Only root may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=1200k", "tmpfs"];
        let status = Command::new("mount").args(options).arg(folder.path()).status().ok()?;
        status.success().then_some(Self(folder))
    }

    fn ledger(&self) -> PathBuf {
        self.0.path().join("ledger.db")
    }

    fn fill(&self) {
        let mut file =
            OpenOptions::new().create(true).append(true).open(self.0.path().join("filler")).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

const ROWS: i64 = 1000;

/// Returns a tick that does not fit into what is left of a page.
fn tick(n: i64) -> Vec<CountRow> {
    let row =
        |slot: i64| CountRow { slo_id: "a".to_owned(), start_s: slot * 10, width_s: 10, good: 3, bad: 1 };
    (n * ROWS..(n + 1) * ROWS).map(row).collect()
}

async fn total(ledger: &SqliteLedger) -> Counts {
    ledger.counts("a", Timestamp::EPOCH).await.unwrap().slots().iter().map(|(_, _, counts)| *counts).sum()
}

/// Asserts that every kind of write fails five times while the disk is full, and succeeds afterwards.
async fn full_and_free(ledger: &SqliteLedger, fill: impl AsyncFn(), free: impl AsyncFn()) {
    let mut waiting: Vec<CountRow> = Vec::new();
    for round in 0..3 {
        let told = lifecycle(T0 + Duration::from_secs(3600 * round as u64), &["slack"]);
        ledger.commit(&tick(round * 10), &told).await.unwrap();
        let delivery = ledger.due_deliveries("slack", T0, 9).await.unwrap().remove(0);
        fill().await;
        for attempt in 1..=5 {
            waiting.extend(tick(round * 10 + attempt));
            ledger.commit(&waiting, &[]).await.unwrap_err();
            let huge = DeployRecord {
                id: format!("{round}-{attempt}"),
                idempotency_key: format!("{round}-{attempt}"),
                version: "x".repeat(20_000),
                ..deploy()
            };
            ledger.record_deploy(&huge).await.unwrap_err();
        }
        free().await;
        ledger.begin_attempt(delivery.id, T0).await.unwrap();
        ledger.end_attempt(delivery.id, T0, &DeliveryResult::Delivered { thread: None }).await.unwrap();
        ledger.commit(&waiting, &[]).await.unwrap();
        waiting.clear();
        let slots = 1000 * 6 * (u64::try_from(round).unwrap() + 1);
        assert_eq!(total(ledger).await, Counts { good: 3 * slots, bad: slots }, "round {round}");
        assert_eq!(ledger.deploys(None, 9).await.unwrap(), []);
    }
    let report = verify(ledger.writer.files().path()).await.unwrap();
    assert_eq!((report.faults.as_slice(), report.waiting_deliveries), ([].as_slice(), 9));
    assert_eq!(
        (report.slos[0].good, report.slos[0].bad),
        (3 * 18_000, 18_000),
        "a reader sees what was stored"
    );
}

#[tokio::test]
async fn a_disk_that_is_full_again_and_again_is_survived() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: mounting a file system needs root");
        return;
    };
    let ledger = SqliteLedger::open(&disk.ledger()).await.unwrap();
    full_and_free(&ledger, async || disk.fill(), async || disk.free()).await;
    ledger.close().await;
}

#[tokio::test]
async fn a_database_that_may_not_grow_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
    let limit = async |full| ledger.writer.limit_pages(full).await;
    full_and_free(&ledger, async || limit(true).await, async || limit(false).await).await;
    ledger.close().await;
}

#[tokio::test]
async fn a_tick_whose_commit_fails_after_it_was_stored_is_not_counted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
    ledger.commit(&tick(0), &[]).await.unwrap();
    // readers that are gone: the tick is stored and cannot be read back
    ledger.readers.close().await;
    ledger.commit(&tick(1), &[]).await.unwrap_err();
    let more = [tick(1), tick(2)].concat();
    ledger.commit(&more, &[]).await.unwrap_err();
    let all = [more, tick(3)].concat();
    ledger.commit(&all, &[]).await.unwrap_err();
    ledger.close().await;
    let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
    assert_eq!(total(&ledger).await, Counts { good: 12_000, bad: 4000 });
    ledger.close().await;
}

#[tokio::test]
async fn a_writer_that_is_cancelled_leaves_no_transaction_behind() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
    for n in 0..20 {
        let rows = tick(n);
        let commit = ledger.commit(&rows, &[]);
        let patience = Duration::from_micros(n.unsigned_abs() * 150);
        let cancelled = tokio::time::timeout(patience, commit).await.is_err();
        if cancelled {
            ledger.commit(&rows, &[]).await.unwrap();
        }
    }
    assert_eq!(total(&ledger).await, Counts { good: 60_000, bad: 20_000 });
    ledger.close().await;
}

#[tokio::test]
async fn a_file_that_is_taken_away_is_noticed_at_the_next_write() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("it was deleted", |path| std::fs::remove_file(path).unwrap()),
        ("it was replaced by another file", |path| {
            std::fs::copy(path, path.with_extension("copy")).unwrap();
            std::fs::rename(path.with_extension("copy"), path).unwrap();
        }),
        ("it was truncated", |path| {
            OpenOptions::new().write(true).open(path).unwrap().set_len(8192).unwrap()
        }),
        ("its write-ahead log was deleted or replaced", |path| {
            std::fs::remove_file(path.with_extension("db-wal")).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let ledger = SqliteLedger::open(&path).await.unwrap();
        ledger.commit(&tick(0), &[]).await.unwrap();
        ledger.writer.checkpoint().await;
        ledger.commit(&tick(1), &[]).await.unwrap();
        harm(&path);
        for _ in 0..2 {
            let error = ledger.commit(&tick(2), &[]).await.unwrap_err();
            assert!(matches!(error, LedgerError::Lost { .. }), "{what}: {error:?}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
