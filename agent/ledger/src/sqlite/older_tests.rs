//! A ledger that lookout 0.1.0 wrote: a minute of an API that failed twice, killed while a page could not be delivered.

use std::path::PathBuf;

use lookout_engine::Counts;
use lookout_model::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::{Ledger as _, WriteThroughLedger};
use lookout_runtime::clock::SystemClock;

/// The first second and the last that were counted.
const COUNTED: (i64, i64) = (1_795_271_452, 1_795_271_497);

fn copy() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    std::fs::write(&path, include_bytes!("../../tests/ledger-0.1.0.db")).unwrap();
    (folder, path)
}

#[tokio::test]
async fn a_ledger_of_0_1_0_is_migrated_and_says_what_it_said() {
    let (_folder, path) = copy();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let counts = ledger.counts("api-availability", Timestamp::EPOCH).await.unwrap();
    assert_eq!((counts.spans().len(), counts.total()), (46, Counts { good: 26, bad: 20 }));
    assert_eq!(counts.first_s(), Some(COUNTED.0));
    assert_eq!(counts.spans().last().map(|span| span.start_s), Some(COUNTED.1));
    let incidents = ledger.incidents(9).await.unwrap();
    let known: Vec<_> = incidents.iter().map(|known| (known.id.as_str(), known.resolved_at)).collect();
    assert_eq!(
        known,
        [
            ("inc-37f561602f092557", None),
            ("inc-314f652a7ee17b4a", Some(Timestamp::from_seconds(1_795_271_476)))
        ]
    );
    assert_eq!(incidents[0].detected_at, Timestamp::from_millis(1_795_271_489_425));
    let due = ledger.due_deliveries("oncall", Timestamp::MAX, 9).await.unwrap();
    assert_eq!((due.len(), due[0].notice.incident.id.as_str()), (1, "inc-37f561602f092557"));
    assert_eq!(ledger.deploys(None, 9).await.unwrap()[0].version, "1.0.1");
    assert_eq!(ledger.verify_chain().await.unwrap(), Chain::Whole { length: 1 });
    assert_eq!(ledger.corrections(None, 9).await.unwrap()[0].reason, "A drill");
    let objectives = ledger.objectives("api-availability").await.unwrap();
    assert_eq!(objectives[0].good_ppb, 900_000_000);
    ledger.close().await;
    let report = verify(&path).await.unwrap();
    let newest = MIGRATIONS.iter().map(|step| step.version).max().unwrap();
    assert_eq!((report.schema_version, report.faults.len()), (newest, 0));
}

#[tokio::test]
async fn a_copy_of_what_was_migrated_is_kept_and_can_be_put_back() {
    let (folder, path) = copy();
    SqliteLedger::open(&path).await.unwrap().close().await;
    let kept = folder.path().join("ledger.db.schema-5");
    let report = verify(&kept).await.unwrap();
    assert_eq!((report.schema_version, report.incidents, report.slos[0].bad), (5, 2, 20));
    let written = std::fs::metadata(&kept).unwrap().modified().unwrap();
    SqliteLedger::open(&path).await.unwrap().close().await;
    assert_eq!(std::fs::metadata(&kept).unwrap().modified().unwrap(), written, "once is enough");
}

#[tokio::test]
async fn a_page_that_0_1_0_could_not_deliver_is_still_to_be_delivered() {
    let (_folder, path) = copy();
    let ledger = WriteThroughLedger::open(&path, std::sync::Arc::new(SystemClock)).await.unwrap();
    let due = ledger.due_deliveries("oncall", Timestamp::MAX, 9).await.unwrap();
    assert_eq!((due.len(), due[0].notice.change.as_str()), (1, "opened"));
    assert!(due[0].attempts > 0);
    assert_eq!(ledger.open_incidents().await.unwrap().len(), 1);
    ledger.close().await;
}

#[tokio::test]
async fn what_can_be_read_of_a_damaged_ledger_is_recovered() {
    let (folder, path) = copy();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let row = |n: i64| CountRow { slo_id: "b".to_owned(), start_s: n * 10, width_s: 10, good: 3, bad: 1 };
    let rows: Vec<CountRow> = (0..5000).map(row).collect();
    ledger.commit(&rows, &[]).await.unwrap();
    ledger.close().await;
    let whole = recover(&path, &folder.path().join("whole.db")).await.unwrap();
    assert!(whole.iter().all(|table| table.whole), "{whole:?}");

    // a page in the middle of the counts
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 8 * 4096;
    bytes[at..at + 4096].fill(0xA5);
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(SqliteLedger::open(&path).await, Err(LedgerError::Corrupt { .. })));
    let saved = folder.path().join("saved.db");
    let recovered = recover(&path, &saved).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "the damaged one is as it was");
    let slots = recovered.iter().find(|table| table.table == "slot").unwrap();
    assert!(!slots.whole && (4000..5046).contains(&slots.rows), "{slots:?}");
    let report = verify(&saved).await.unwrap();
    assert_eq!((report.faults.len(), report.incidents, report.decisions, report.deploys), (0, 2, 1, 1));
    assert!(recover(&path, &saved).await.is_err(), "nothing is overwritten");
}
