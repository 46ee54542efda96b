//! A destination that takes nothing while incidents come and go: memory is bounded, and nothing is lost or doubled.

use lookout_engine::Change;
use lookout_model::sample::{T0, lifecycle};
use lookout_model::{DeliveryResult, Timestamp};
use tempfile::TempDir;

use super::tests::open;
use super::*;
use crate::{DeliveryStore as _, IncidentStore as _};

const INCIDENTS: u32 = 2000;
const AT_ONCE: u32 = 200;

/// Returns the transitions of incidents that open and end.
fn stories(numbers: std::ops::Range<u32>) -> Vec<TransitionRecord> {
    let story = |number| {
        let [opened, .., resolved] = lifecycle(T0 + number * Duration::from_secs(1), &["slow", "quick"]);
        [opened, resolved]
    };
    numbers.flat_map(story).collect()
}

/// Delivers everything that is due. Returns the incidents and changes in their order.
async fn deliver(ledger: &WriteThroughLedger, destination: &str) -> Vec<(String, Change)> {
    let mut told = Vec::new();
    loop {
        let due = ledger.due_deliveries(destination, T0, 500).await.unwrap();
        if due.is_empty() {
            return told;
        }
        let ids: Vec<i64> = due.iter().map(|delivery| delivery.id).collect();
        ledger.begin_attempts(&ids, T0).await.unwrap();
        ledger.end_attempts(&ids, T0, &DeliveryResult::Delivered { thread: None }).await.unwrap();
        told.extend(due.into_iter().map(|one| (one.notice.incident.id, one.notice.change)));
    }
}

fn in_memory(ledger: &WriteThroughLedger) -> usize {
    ledger.working().known().len()
}

/// Stores incidents of which `quick` hears at once and `slow` nothing.
async fn store_all(ledger: &WriteThroughLedger) {
    for first in (0..INCIDENTS).step_by(AT_ONCE as usize) {
        ledger.commit(&[], &stories(first..first + AT_ONCE)).await.unwrap();
        let heard = deliver(ledger, "quick").await.len();
        assert_eq!(heard, 2 * AT_ONCE as usize, "a slow destination delays no other one");
        assert!(in_memory(ledger) <= MAX_ENDED + 2 * AT_ONCE as usize, "{}", in_memory(ledger));
    }
    assert_eq!(ledger.waiting("slow").await.unwrap().1, 2 * u64::from(INCIDENTS));
    assert_eq!(ledger.waiting("quick").await.unwrap().1, 0);
}

/// Asserts that each incident was told once, its end after its beginning.
fn is_complete(told: &[(String, Change)]) {
    assert_eq!(told.len(), 2 * INCIDENTS as usize);
    let mut of_incident: BTreeMap<&str, Vec<Change>> = BTreeMap::new();
    for (id, change) in told {
        of_incident.entry(id).or_default().push(*change);
    }
    assert_eq!(of_incident.len(), INCIDENTS as usize);
    assert!(of_incident.values().all(|changes| *changes == [Change::Opened, Change::Resolved]));
}

#[tokio::test]
async fn what_a_slow_destination_leaves_waiting_stands_in_the_file() {
    let folder = TempDir::new().unwrap();
    let ledger = open(&folder).await;
    store_all(&ledger).await;
    let told = deliver(&ledger, "slow").await;
    is_complete(&told);
    let opened: Vec<_> = told.iter().filter(|(_, change)| *change == Change::Opened).collect();
    let expected = stories(0..INCIDENTS);
    let first = expected.iter().step_by(2).take(AT_ONCE as usize).map(|one| &one.incident.id);
    assert!(first.eq(opened.iter().take(AT_ONCE as usize).map(|(id, _)| id)), "the oldest go first");
    assert_eq!(ledger.waiting("slow").await.unwrap(), (None, 0));
    ledger.commit(&[], &[]).await.unwrap();
    assert!(in_memory(&ledger) <= MAX_ENDED, "{}", in_memory(&ledger));
    ledger.close().await;
    assert_eq!(crate::verify(&folder.path().join("ledger.db")).await.unwrap().waiting_deliveries, 0);
}

#[tokio::test]
async fn a_restart_reads_no_more_than_memory_may_hold_and_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let ledger = open(&folder).await;
    store_all(&ledger).await;
    // half of the first portion is to be tried again in the future of a clock that is set back later
    let due = ledger.due_deliveries("slow", T0, 500).await.unwrap();
    let ids: Vec<i64> = due.iter().map(|delivery| delivery.id).collect();
    ledger.begin_attempts(&ids, T0).await.unwrap();
    let later = DeliveryResult::Retry { at: Timestamp::MAX, error: "503".to_owned() };
    ledger.end_attempts(&ids, T0, &later).await.unwrap();
    let mut told = Vec::new();
    drop(ledger);
    for _ in 0..2 {
        let ledger = open(&folder).await;
        assert!(in_memory(&ledger) <= 2 * MAX_ENDED, "{}", in_memory(&ledger));
        let waiting = 2 * INCIDENTS as usize - told.len();
        assert_eq!(ledger.waiting("slow").await.unwrap().1, waiting as u64);
        let due = ledger.due_deliveries("slow", T0, 300).await.unwrap();
        let ids: Vec<i64> = due.iter().map(|delivery| delivery.id).collect();
        ledger.begin_attempts(&ids, T0).await.unwrap();
        ledger.end_attempts(&ids, T0, &DeliveryResult::Delivered { thread: None }).await.unwrap();
        told.extend(due.into_iter().map(|one| (one.notice.incident.id, one.notice.change)));
        drop(ledger);
    }
    let ledger = open(&folder).await;
    told.extend(deliver(&ledger, "slow").await);
    is_complete(&told);
    ledger.close().await;
}

#[tokio::test]
async fn those_that_fail_again_and_again_keep_the_others_out_of_memory_for_no_longer_than_their_pause() {
    let folder = TempDir::new().unwrap();
    let ledger = open(&folder).await;
    store_all(&ledger).await;
    let mut refused = 0;
    // twice as many as memory holds
    while refused < 2 * MAX_ENDED {
        let due = ledger.due_deliveries("slow", T0, 500).await.unwrap();
        assert!(!due.is_empty(), "after {refused} refusals others are due");
        let ids: Vec<i64> = due.iter().map(|delivery| delivery.id).collect();
        ledger.begin_attempts(&ids, T0).await.unwrap();
        let later = DeliveryResult::Retry { at: T0 + Duration::from_secs(60), error: "503".to_owned() };
        ledger.end_attempts(&ids, T0, &later).await.unwrap();
        refused += ids.len();
        ledger.commit(&[], &[]).await.unwrap();
        assert!(in_memory(&ledger) <= 2 * MAX_ENDED, "{}", in_memory(&ledger));
    }
    // twice: what is not due is not read
    for _ in 0..2 {
        assert_eq!(ledger.due_deliveries("slow", T0, 500).await.unwrap(), [], "all of them wait");
        assert!(in_memory(&ledger) <= MAX_ENDED + MAX_ENDED / 2, "{}", in_memory(&ledger));
    }
    let again = ledger.due_deliveries("slow", T0 + Duration::from_secs(60), 500).await.unwrap();
    assert_eq!((again.len(), again[0].attempts), (500, 1));
    ledger.close().await;
}

#[tokio::test]
async fn an_incident_of_the_file_that_opens_again_is_told_in_order() {
    let folder = TempDir::new().unwrap();
    let ledger = open(&folder).await;
    store_all(&ledger).await;
    // what was under way a moment ago leaves memory with the next tick
    ledger.commit(&[], &[]).await.unwrap();
    let all = stories(0..INCIDENTS);
    let ended = &all[2 * INCIDENTS as usize - 1];
    assert!(!ledger.working().holds(&ended.incident.id), "it is in the file only");
    let mut again = ended.clone();
    again.change = Change::Reopened;
    again.at = ended.at + Duration::from_secs(60);
    again.incident.resolved_at = None;
    (again.notice.change, again.notice.at, again.notice.incident) =
        (again.change, again.at, again.incident.clone());
    ledger.commit(&[], std::slice::from_ref(&again)).await.unwrap();
    assert_eq!(ledger.open_incidents().await.unwrap(), [again.incident.clone()]);
    let told = deliver(&ledger, "slow").await;
    let of_it = told.iter().filter(|(id, _)| *id == again.incident.id).map(|(_, change)| *change);
    assert_eq!(of_it.collect::<Vec<_>>(), [Change::Opened, Change::Resolved, Change::Reopened]);
    let told = deliver(&ledger, "quick").await;
    assert_eq!(told, [(again.incident.id.clone(), Change::Reopened)]);
    ledger.close().await;
}
