//! Faults of the file and of the disk below it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use lookout_engine::Counts;
use lookout_model::{DecisionRecord, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::{CountStore as _, DecisionStore as _, DeliveryStore as _, IncidentStore as _};
use lookout_model::sample::{T0, lifecycle};

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    (folder, path)
}

fn row(start_s: i64) -> CountRow {
    CountRow { slo_id: "a".to_owned(), start_s, width_s: 10, good: 1, bad: 2 }
}

/// Returns a connection of another process.
async fn other(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// Returns a closed ledger with something in it.
async fn filled() -> (TempDir, PathBuf) {
    let (folder, path) = place();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    ledger.commit(&[row(0)], &lifecycle(T0, &["slack"])).await.unwrap();
    ledger.close().await;
    (folder, path)
}

/// Opens what must be refused, and holds the file against what it was.
async fn refused(path: &Path) -> LedgerError {
    let before = std::fs::read(path).unwrap();
    let error = SqliteLedger::open(path).await.unwrap_err();
    assert_eq!(std::fs::read(path).unwrap(), before, "the file was touched");
    error
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_drop_without_close() {
    let (_folder, path) = place();
    let [opened, ..] = lifecycle(T0, &["slack"]);
    let ledger = SqliteLedger::open(&path).await.unwrap();
    ledger.commit(&[row(0)], std::slice::from_ref(&opened)).await.unwrap();
    drop(ledger);
    let ledger = SqliteLedger::open(&path).await.unwrap();
    assert_eq!(
        ledger.counts("a", Timestamp::EPOCH).await.unwrap().slots(),
        [(0, 10, Counts { good: 1, bad: 2 })]
    );
    assert_eq!(ledger.open_incidents().await.unwrap(), [opened.incident]);
    assert_eq!(ledger.due_deliveries("slack", T0, 9).await.unwrap().len(), 1);
    assert_eq!(ledger.verify_chain().await.unwrap(), Chain::Whole { length: 0 });
}

#[tokio::test]
async fn a_copy_taken_in_mid_flight_opens() {
    let (folder, path) = place();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    ledger.commit(&[row(0)], &[]).await.unwrap();
    // what a power cut leaves: the file and its WAL, no process
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(folder.path().join("ledger.db-wal"), folder.path().join("copy.db-wal")).unwrap();
    let copied = SqliteLedger::open(&copy).await.unwrap();
    assert_eq!(copied.counts("a", Timestamp::EPOCH).await.unwrap().slots().len(), 1);
}

#[tokio::test]
async fn closing_leaves_one_file_that_only_its_owner_reads() {
    let (folder, path) = filled().await;
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["ledger.db", "ledger.db.lock"]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_full_disk_stores_nothing_of_a_tick() {
    let (_folder, path) = place();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    ledger.commit(&[row(0)], &[]).await.unwrap();
    ledger.writer.limit_pages(true).await;
    let mut story = lifecycle(T0, &["slack"]);
    story[3].notice.description = "x".repeat(100_000);
    let error = ledger.commit(&[row(0), row(10)], &story).await.unwrap_err();
    assert!(matches!(error, LedgerError::Query { .. }), "{error:?}");
    assert_eq!(
        ledger.counts("a", Timestamp::EPOCH).await.unwrap().slots(),
        [(0, 10, Counts { good: 1, bad: 2 })]
    );
    assert_eq!(ledger.incidents(None, 9).await.unwrap(), []);
    assert_eq!(ledger.waiting("slack").await.unwrap(), (None, 0));

    ledger.writer.limit_pages(false).await;
    ledger.commit(&[row(0), row(10)], &story).await.unwrap();
    assert_eq!(ledger.waiting("slack").await.unwrap().1, 4, "and works again when there is room");
}

#[tokio::test]
async fn a_second_process_is_kept_out_until_the_first_is_done() {
    let (_folder, path) = place();
    let first = SqliteLedger::open(&path).await.unwrap();
    let error = SqliteLedger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("ledger.db is in use by another lookout"), "{error}");
    // whoever takes the file of the lock away takes no ledger over
    std::fs::remove_file(path.with_file_name("ledger.db.lock")).unwrap();
    let error = SqliteLedger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::InUse { .. }), "{error:?}");
    first.close().await;
    SqliteLedger::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_text_file_is_refused_and_kept() {
    let (_folder, path) = place();
    for text in ["not a ledger\n", "SQLite format 3", "SQLite format 3\0 but nothing of the kind follows"] {
        std::fs::write(&path, text).unwrap();
        let error = refused(&path).await;
        assert!(matches!(error, LedgerError::Corrupt { .. }), "{text}: {error:?}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_kept() {
    let (_folder, path) = filled().await;
    let whole = std::fs::read(&path).unwrap();
    let mut scribbled = whole.clone();
    for page in scribbled.chunks_mut(4096).skip(2) {
        page[..64].fill(0xA5);
    }
    for damaged in [scribbled.as_slice(), &whole[..whole.len() / 2]] {
        std::fs::write(&path, damaged).unwrap();
        let error = refused(&path).await;
        assert!(matches!(error, LedgerError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("left untouched"), "{error}");
    }
    std::fs::write(&path, whole).unwrap();
    SqliteLedger::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_ledger_from_the_future_is_refused_and_kept() {
    let (_folder, path) = filled().await;
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values (7777, 'future', true, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let error = refused(&path).await;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap();
    assert!(
        matches!(error, LedgerError::Newer { found: 7777, known: ours, .. } if ours == known),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_file_of_another_program_is_refused_and_kept() {
    let (_folder, path) = place();
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("create table passenger (name text)").execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let error = refused(&path).await;
    assert!(error.to_string().contains("another program"), "{error}");
}

#[tokio::test]
async fn an_empty_file_becomes_a_ledger_and_a_missing_folder_is_named() {
    let (folder, path) = place();
    std::fs::write(&path, "").unwrap();
    SqliteLedger::open(&path).await.unwrap().close().await;
    let missing = folder.path().join("no/such/ledger.db");
    let error = SqliteLedger::open(&missing).await.unwrap_err();
    assert!(matches!(error, LedgerError::Open { .. }), "{error:?}");
    assert!(error.to_string().contains("no/such/ledger.db"), "{error}");
}

#[tokio::test]
async fn a_decision_changed_behind_our_back_is_noticed() {
    let (_folder, path) = place();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    for n in 1..=600 {
        let decision = DecisionRecord {
            id: n.to_string(),
            sequence: 0,
            at: Timestamp::from_millis(n),
            service: "titanic".to_owned(),
            answer: "deny".to_owned(),
            previous_hash: String::new(),
            hash: String::new(),
        };
        ledger.record_decision(decision).await.unwrap();
    }
    assert_eq!(ledger.verify_chain().await.unwrap(), Chain::Whole { length: 600 });
    sqlx::query("update decision set answer = 'allow' where sequence = 550")
        .execute(&mut other(&path).await)
        .await
        .unwrap();
    assert_eq!(ledger.verify_chain().await.unwrap(), Chain::Broken { at: 550 });
}

#[tokio::test]
async fn decisions_beyond_the_quota_are_forgotten_and_the_rest_is_still_proven() {
    let (_folder, path) = place();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let decision = |n: i64| DecisionRecord {
        id: n.to_string(),
        sequence: 0,
        at: T0,
        service: "titanic".to_owned(),
        answer: "deny".to_owned(),
        previous_hash: String::new(),
        hash: String::new(),
    };
    ledger.record_decision(decision(1)).await.unwrap();
    // as if as many had been asked as are kept, and a few more
    let kept = i64::from(crate::retention::DECISIONS_KEPT);
    sqlx::query("update decision set sequence = $1")
        .bind(5 - kept)
        .execute(&mut other(&path).await)
        .await
        .unwrap();
    for n in 2..=4 {
        let row = decision(n);
        sqlx::query("insert into decision values ($1, $2, 0, 'titanic', 'deny', '', $2)")
            .bind(if n == 2 { 6 - kept } else { n })
            .bind(row.id)
            .execute(&mut other(&path).await)
            .await
            .unwrap();
    }
    let fifth = ledger.record_decision(decision(5)).await.unwrap();
    assert_eq!((fifth.sequence, fifth.previous_hash.as_str()), (5, "4"));
    ledger.prune(T0).await.unwrap();
    assert_eq!(ledger.decision("1").await.unwrap(), None, "the quota is over");
    assert!(ledger.decision("2").await.unwrap().is_some(), "the oldest that is kept");
    ledger.close().await;
}

#[tokio::test]
async fn a_notice_that_cannot_be_read_back_holds_up_no_other() {
    let (_folder, path) = place();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let [broken, ..] = lifecycle(T0, &["slack"]);
    let [fine, ..] = lifecycle(T0 + Duration::from_secs(60), &["slack"]);
    ledger.commit(&[], &[broken.clone(), fine.clone()]).await.unwrap();
    sqlx::query("update transition set notice = '{}' where incident_id = $1")
        .bind(&broken.incident.id)
        .execute(&mut other(&path).await)
        .await
        .unwrap();
    let due = ledger.due_deliveries("slack", T0, 9).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].notice, fine.notice);
    assert_eq!(ledger.waiting("slack").await.unwrap().1, 1);
    let (state, error): (String, String) =
        sqlx::query_as("select state, last_error from delivery where incident_id = $1")
            .bind(&broken.incident.id)
            .fetch_one(&mut other(&path).await)
            .await
            .unwrap();
    assert_eq!((state.as_str(), error.as_str()), ("failed", "cannot be read back"));
    for _ in 0..2 {
        assert_eq!(ledger.latest_transitions(Timestamp::EPOCH).await.unwrap(), std::slice::from_ref(&fine));
    }
    assert_eq!(ledger.unreadable.lock().unwrap().len(), 1, "told of once");
}

#[tokio::test]
async fn minutes_of_an_older_lookout_are_read_at_once_and_move_into_hours() {
    let (_folder, path) = place();
    let mut connection = of_before(&path, 1).await;
    for statement in [
        "insert into slo (id, name) values (1, 'a')",
        "insert into slot values (1, 0, 10, 1, 2)",
        "with recursive n (n) as (select 0 union all select n + 1 from n where n < 49999) \
         insert into minute (slo, minute, good, bad) select 1, 600 + n, 7, n % 3 from n",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    sqlx::Connection::close(connection).await.unwrap();
    let expected: Vec<(i64, Counts)> =
        (0..50_000).map(|n| (600 + n, Counts { good: 7, bad: n as u64 % 3 })).collect();
    let file = LedgerFile::open(&path).await.unwrap();
    assert_eq!(file.counts("a", Timestamp::EPOCH).await.unwrap().minutes(), expected, "without an agent");
    file.close().await;

    let ledger = SqliteLedger::open(&path).await.unwrap();
    assert_eq!(
        ledger.counts("a", Timestamp::EPOCH).await.unwrap().minutes(),
        expected,
        "before they are moved"
    );
    // one more event for a minute that is there already
    ledger.commit(&[row(36_000)], &[]).await.unwrap();
    ledger.prune(Timestamp::from_millis(36_000_000 + 8 * 3_600_000)).await.unwrap();
    let left: i64 =
        sqlx::query_scalar("select count(*) from minute").fetch_one(&mut other(&path).await).await.unwrap();
    assert_eq!(left, 0);
    let mut moved = expected;
    moved[0].1 += Counts { good: 1, bad: 2 };
    // the slot
    moved.insert(0, (0, Counts { good: 1, bad: 2 }));
    assert_eq!(ledger.counts("a", Timestamp::EPOCH).await.unwrap().minutes(), moved);
    ledger.close().await;
}

#[tokio::test]
async fn a_backlog_is_rolled_up_in_parts_without_loss() {
    let (_folder, path) = place();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let slo = |name: &str, n: i64| CountRow { slo_id: name.to_owned(), start_s: n * 10, ..row(0) };
    let rows: Vec<_> = (0..15_000).flat_map(|n| ["a", "b", "c"].map(|name| slo(name, n))).collect();
    ledger.commit(&rows, &[]).await.unwrap();
    ledger.prune(Timestamp::from_millis(149_990_000 + 7 * 3_600_000)).await.unwrap();
    for name in ["a", "b", "c"] {
        let counts = ledger.counts(name, Timestamp::EPOCH).await.unwrap();
        assert_eq!(counts.minutes().len(), 2499, "{name}");
        assert!(counts.minutes().iter().all(|(_, counts)| *counts == Counts { good: 6, bad: 12 }));
        assert_eq!(counts.slots().len(), 15_000 - 2499 * 6, "{name}: a minute that is not wholly past");
    }
}

/// Returns a ledger as the schema was once.
async fn of_before(path: &Path, version: i64) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let known = MIGRATIONS.iter().filter(|migration| migration.version <= version).cloned().collect();
    Migrator::with_migrations(known).run(&mut connection).await.unwrap();
    connection
}

#[tokio::test]
async fn the_first_minute_of_hours_is_remembered_when_first_seconds_are_new() {
    for (minutes, first) in [(vec![0], 0), (vec![5, 59], 5), (vec![31], 31), (vec![62, 119, 180], 62)] {
        let (_folder, path) = place();
        let mut connection = of_before(&path, 4).await;
        let mut hours = hours::Hours::default();
        sqlx::raw_sql("insert into slo (id, name) values (1, 'a'), (2, 'b'), (3, 'c')")
            .execute(&mut connection)
            .await
            .unwrap();
        for minute in &minutes {
            hours.add(1, 6000 + minute, Counts { good: 300, bad: 1 });
            hours.add(2, 12_000 + minute, Counts::ZERO);
        }
        hours.store(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
        let ledger = SqliteLedger::open(&path).await.unwrap();
        assert_eq!(ledger.counts("a", Timestamp::EPOCH).await.unwrap().first_s(), Some((6000 + first) * 60));
        assert_eq!(
            ledger.counts("b", Timestamp::EPOCH).await.unwrap().first_s(),
            Some((12_000 + first) * 60)
        );
        assert_eq!(ledger.counts("c", Timestamp::EPOCH).await.unwrap().first_s(), None);
        ledger.close().await;
    }
}

#[tokio::test]
async fn many_hours_become_quarters_in_parts_without_loss() {
    let (_folder, path) = place();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let minute = |name: &str, n: i64| CountRow { slo_id: name.to_owned(), start_s: n * 60, ..row(0) };
    let hours = 700;
    let rows: Vec<_> = (0..hours * 6).flat_map(|n| ["a", "b"].map(|name| minute(name, n * 10))).collect();
    ledger.commit(&rows, &[]).await.unwrap();
    ledger.prune(Timestamp::from_millis((90 * 24 + hours - 1) * 3_600_000)).await.unwrap();
    for name in ["a", "b"] {
        let counts = ledger.counts(name, Timestamp::EPOCH).await.unwrap();
        assert_eq!((counts.minutes().len(), counts.quarters().len() as i64), (6, (hours - 1) * 4), "{name}");
        let sum = counts.quarters().iter().map(|(_, counts)| *counts).sum::<Counts>();
        let rows = (hours as u64 - 1) * 6;
        assert_eq!(sum, Counts { good: rows, bad: 2 * rows });
    }
    ledger.close().await;
}

#[tokio::test]
async fn a_ledger_of_before_keeps_what_it_knows() {
    let (_folder, path) = place();
    let mut connection = of_before(&path, 1).await;
    sqlx::raw_sql(
        "insert into slo (id, name) values (1, 'api-up'), (2, 'api-new'); \
         insert into minute values (1, 1000, 5, 1), (1, 2000, 7, 0); \
         insert into slot values (1, 300000, 10, 3, 0), (2, 300010, 10, 1, 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    sqlx::Connection::close(connection).await.unwrap();

    // it can be looked at before an agent of this version opened it
    let file = LedgerFile::open(&path).await.unwrap();
    let counts = file.counts("api-up", Timestamp::EPOCH).await.unwrap();
    assert_eq!((counts.minutes().len(), counts.slots().len()), (2, 1));
    file.close().await;

    let ledger = SqliteLedger::open(&path).await.unwrap();
    let counts = ledger.counts("api-up", Timestamp::EPOCH).await.unwrap();
    assert_eq!((counts.minutes().len(), counts.slots().len()), (2, 1));
    assert_eq!(counts.first_s(), Some(60_000), "the first minute is as far as it remembers");
    assert_eq!(ledger.counts("api-new", Timestamp::EPOCH).await.unwrap().first_s(), Some(300_010));
    ledger.close().await;
}
