//! A ledger that lookout 0.1.0 wrote: a minute of an API that failed twice, killed while a page could not be delivered.

use std::path::PathBuf;

use lookout_engine::{Counts, Evaluator, Grid, Guard, Method, Objective, Period, Policy, Slot, Tier, Window};
use lookout_model::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::{
    CorrectionStore as _, CountStore as _, DeliveryStore as _, DeployStore as _, IncidentStore as _,
    Ledger as _, ObjectiveStore as _, WriteThroughLedger,
};
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
    let incidents = ledger.incidents(None, 9).await.unwrap();
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

/// Budgets that 0.1.0 computed: the second after the last one it had counted, and the share that was left.
async fn budgets_of_then(ledger: &SqliteLedger) -> Vec<(i64, f64)> {
    let mut connection = ledger.readers.acquire().await.unwrap();
    let told: Vec<(i64, String)> = sqlx::query_as("select at_ms, notice from transition order by id")
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    let answered: Vec<(i64, String)> =
        sqlx::query_as("select at_ms, answer from decision").fetch_all(&mut *connection).await.unwrap();
    let read = |path: &'static str| {
        move |(at_ms, json): (i64, String)| {
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            (at_ms, json.pointer(path).unwrap().as_f64().unwrap(), json["change"] == "opened")
        }
    };
    let told = told.into_iter().map(read("/evidence/budget_left_ratio"));
    let answered = answered.into_iter().map(read("/reasons/0/measured"));
    let all = told.chain(answered).map(|(at_ms, left, early)| {
        // an incident that opened early counted the slot that was not over; the gate read the evaluation of before
        let end_s = if early { at_ms.div_euclid(1000) + 1 } else { at_ms.div_euclid(1000) };
        (end_s, left)
    });
    all.collect()
}

#[tokio::test]
async fn the_budgets_that_0_1_0_computed_are_still_those_of_its_counts() {
    const OBJECTIVE_PPB: u32 = 900_000_000;
    const PERIOD: Window = Window::days(30);
    let (_folder, path) = copy();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let slots = ledger.counts("api-availability", Timestamp::EPOCH).await.unwrap().slots();
    let budgets = budgets_of_then(&ledger).await;
    assert_eq!(budgets.len(), 4, "three transitions and a decision");
    for (end_s, then) in budgets {
        let seen: Vec<_> = slots.iter().filter(|(start_s, ..)| *start_s < end_s).collect();
        // by hand: as many events in thirty days as in the seconds that were seen, a tenth of which may be bad
        let bad = seen.iter().map(|(_, _, counts)| counts.bad).sum::<u64>() as f64;
        let total = seen.iter().map(|(_, _, counts)| counts.good + counts.bad).sum::<u64>() as f64;
        let expected = total / (end_s - COUNTED.0) as f64 * PERIOD.as_seconds() as f64;
        let by_hand = 1.0 - bad / (expected * (1.0 - f64::from(OBJECTIVE_PPB) / 1e9));
        assert!((by_hand - then).abs() < 1e-9, "until {end_s}: {by_hand}, and then {then}");

        let policy = Policy {
            grid: Grid::try_new(1).unwrap(),
            objective: Objective::try_from_ppb(OBJECTIVE_PPB).unwrap(),
            period: Period::Rolling(PERIOD),
            method: Method::Occurrences,
            tiers: Tier::defaults(PERIOD),
            guard: Guard::default(),
            conditions: Vec::new(),
            stale_after_seconds: 60,
            data_alert: None,
        };
        let mut evaluator = Evaluator::new(policy, Slot(end_s - 1));
        for (start_s, _, counts) in seen {
            evaluator.record(Slot(*start_s), *counts);
        }
        evaluator.set_first_observation(COUNTED.0);
        let today = evaluator.assess(Slot(end_s - 1)).budget;
        assert_eq!((today.bad as f64, today.total as f64), (bad, total), "until {end_s}");
        assert!((today.left_ratio - then).abs() < 1e-9, "until {end_s}: {today:?}, and then {then}");
    }
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
