//! Backups of a ledger under load, and files that must not replace a ledger.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lookout_model::Timestamp;
use tempfile::TempDir;

use super::super::{MIGRATIONS, SqliteLedger};
use super::*;
use crate::{CountStore as _, DecisionStore as _, Faults, IncidentStore as _, Ledger as _};
use lookout_model::sample::{T0, lifecycle};
use lookout_model::{CountRow, DecisionRecord};

struct Place {
    folder: TempDir,
    ledger: PathBuf,
    backup: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, backup) = (folder.path().join("ledger.db"), folder.path().join("backup.db"));
        Self { folder, ledger, backup }
    }

    /// Creates a ledger with something of everything, closed, and a backup of it.
    async fn filled() -> Self {
        let place = Self::new();
        let ledger = SqliteLedger::open(&place.ledger).await.unwrap();
        ledger.commit(&[row(0), row(10)], &lifecycle(T0, &["slack"])).await.unwrap();
        for n in 1..=3 {
            ledger.record_decision(decision(n)).await.unwrap();
        }
        ledger.prune(Timestamp::from_millis(12 * 3_600_000)).await.unwrap();
        ledger.commit(&[row(60 * 60 * 12)], &[]).await.unwrap();
        ledger.close().await;
        backup(&place.ledger, &place.backup).await.unwrap();
        place
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    async fn restore(&self) -> Result<Restored, BackupError> {
        restore(&self.backup, &self.ledger, Faults::Refuse, at()).await
    }
}

/// Returns the version of the schema of this lookout.
fn newest() -> i64 {
    MIGRATIONS.iter().map(|step| step.version).max().unwrap()
}

fn at() -> Timestamp {
    "2026-03-01T10:00:00Z".parse().unwrap()
}

fn row(start_s: i64) -> CountRow {
    CountRow { slo_id: "api-up".to_owned(), start_s, width_s: 10, good: 5, bad: 1 }
}

fn decision(n: i64) -> DecisionRecord {
    DecisionRecord {
        id: n.to_string(),
        sequence: 0,
        at: Timestamp::from_millis(n),
        service: "titanic".to_owned(),
        answer: "{}".to_owned(),
        previous_hash: String::new(),
        hash: String::new(),
    }
}

async fn change(path: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(false);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_backup_tells_what_is_in_it_and_is_for_its_owner_alone() {
    let place = Place::filled().await;
    let report = verify(&place.backup).await.unwrap();
    assert!(report.sealed && report.faults.is_empty(), "{report:?}");
    assert_eq!(report.slos, [SloTotals { id: "api-up".to_owned(), rows: 2, good: 15, bad: 3 }]);
    assert_eq!(report.counted_until_s, Some(60 * 60 * 12 + 10));
    assert_eq!((report.incidents, report.decisions, report.schema_version), (1, 3, newest()));
    assert_eq!(report.bytes, std::fs::metadata(&place.backup).unwrap().len());
    assert_eq!(std::fs::metadata(&place.backup).unwrap().permissions().mode() & 0o777, 0o600);
    let of_ledger = verify(&place.ledger).await.unwrap();
    assert_eq!(Report { bytes: of_ledger.bytes, sealed: false, ..report }, of_ledger);
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_half_done_is_left() {
    let place = Place::filled().await;
    let before = std::fs::read(&place.backup).unwrap();
    let names = place.names();
    let error = backup(&place.ledger, &place.backup).await.unwrap_err();
    assert!(matches!(error, BackupError::Exists { .. }), "{error}");
    assert_eq!(std::fs::read(&place.backup).unwrap(), before);
    assert!(matches!(backup(&place.ledger, &place.ledger).await, Err(BackupError::Exists { .. })));
    let nowhere = place.folder.path().join("no/such/folder/backup.db");
    assert!(matches!(backup(&place.ledger, &nowhere).await, Err(BackupError::File { .. })));
    let error = backup(&nowhere, &place.folder.path().join("new.db")).await.unwrap_err();
    assert!(error.to_string().contains("no/such/folder/backup.db"), "{error}");
    std::fs::write(place.folder.path().join("other"), "time,good,bad\n").unwrap();
    let other = place.folder.path().join("other");
    let error = backup(&other, &place.folder.path().join("new.db")).await.unwrap_err();
    assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
    std::fs::remove_file(&other).unwrap();
    assert_eq!(place.names(), names);
}

/// Every tick writes one row for each of two SLOs in one transaction, and a decision: a backup with an odd tick is
/// torn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_under_write_load_are_each_of_one_moment() {
    let place = Place::new();
    let ledger = Arc::new(SqliteLedger::open(&place.ledger).await.unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (ledger, done) = (Arc::clone(&ledger), Arc::clone(&done));
        async move {
            let mut ticks = 0;
            while !done.load(Ordering::Relaxed) {
                let rows = ["a", "b"].map(|id| CountRow { slo_id: id.to_owned(), ..row(ticks * 10) });
                ledger.commit(&rows, &[]).await.unwrap();
                ledger.record_decision(decision(ticks)).await.unwrap();
                ticks += 1;
            }
            ticks
        }
    });
    let mut last = 0;
    for n in 0..8 {
        let to = place.folder.path().join(format!("backup-{n}.db"));
        let report = backup(&place.ledger, &to).await.unwrap();
        assert_eq!(verify(&to).await.unwrap(), report);
        assert!(report.faults.is_empty(), "{report:?}");
        if let [a, b] = report.slos.as_slice() {
            assert_eq!((a.rows, a.good, a.bad), (b.rows, b.good, b.bad));
            assert_eq!(a.good, 5 * a.rows);
            let decisions = u64::try_from(report.decisions).unwrap();
            assert!(decisions == a.rows || decisions + 1 == a.rows, "{decisions} of {}", a.rows);
            assert!(a.rows >= last, "time goes forward");
            last = a.rows;
        }
    }
    done.store(true, Ordering::Relaxed);
    let ticks = writer.await.unwrap();
    assert!(last > 0 && ticks as u64 >= last, "{last} of {ticks}");
    let refused =
        restore(&place.folder.path().join("backup-7.db"), &place.ledger, Faults::Refuse, at()).await;
    assert!(matches!(refused, Err(BackupError::InUse { .. })), "{refused:?}");
    ledger.close().await;
    let restored =
        restore(&place.folder.path().join("backup-7.db"), &place.ledger, Faults::Refuse, at()).await;
    assert_eq!(restored.unwrap().report.slos[0].rows, last);
    let ledger = SqliteLedger::open(&place.ledger).await.unwrap();
    assert_eq!(ledger.counts("a", Timestamp::EPOCH).await.unwrap().slots().len() as u64, last);
    ledger.record_decision(decision(-1)).await.unwrap();
    ledger.close().await;
    assert!(verify(&place.ledger).await.unwrap().faults.is_empty());
}

#[tokio::test]
async fn what_is_cut_off_or_changed_is_refused_and_nothing_is_lost() {
    let place = Place::filled().await;
    let whole = std::fs::read(&place.backup).unwrap();
    let ledger = std::fs::read(&place.ledger).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let middle = whole.len() / 2;
    let mut damaged = vec![
        Vec::new(),
        b"SQLite format 3".to_vec(),
        whole[..middle].to_vec(),
        whole[..whole.len() - 5000].to_vec(),
        vec![0xA5; whole.len()],
        // the last digit of the digest
        flipped(whole.len() - 2),
    ];
    damaged.extend((0..20).map(|n| flipped(100 + n * (whole.len() - 200) / 20)));
    let names = place.names();
    for (n, bytes) in damaged.iter().enumerate() {
        std::fs::write(&place.backup, bytes).unwrap();
        let error = verify(&place.backup).await.unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }), "{n}: {error:?}");
        assert!(error.to_string().contains("backup.db is not a whole ledger"), "{n}: {error}");
        let error = place.restore().await.unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }), "{n}: {error:?}");
        assert_eq!(std::fs::read(&place.ledger).unwrap(), ledger, "{n}");
        assert_eq!(place.names(), names, "{n}");
    }
    std::fs::remove_file(&place.backup).unwrap();
    assert!(matches!(place.restore().await, Err(BackupError::File { .. })));
    std::fs::write(&place.backup, whole).unwrap();
    place.restore().await.unwrap();
}

#[tokio::test]
async fn the_replaced_ledger_keeps_all_it_had_and_can_be_put_back() {
    let place = Place::filled().await;
    // as after `kill -9`: the newest counts are in the WAL alone
    let agent = SqliteLedger::open(&place.ledger).await.unwrap();
    agent.commit(&[row(60 * 60 * 12 + 10)], &[]).await.unwrap();
    let left =
        [place.ledger.clone(), with_suffix(&place.ledger, "-wal")].map(|path| std::fs::read(path).unwrap());
    agent.close().await;
    std::fs::write(&place.ledger, &left[0]).unwrap();
    std::fs::write(with_suffix(&place.ledger, "-wal"), &left[1]).unwrap();

    let restored = place.restore().await.unwrap();
    assert_eq!(restored.report.slos[0].rows, 2);
    let kept = restored.kept.unwrap();
    assert_eq!(kept.file_name().unwrap(), "ledger.db.replaced-20260301T100000Z");
    assert_eq!(verify(&kept).await.unwrap().slos[0].rows, 3);
    assert_eq!(verify(&place.ledger).await.unwrap().slos[0].rows, 2);
    // within the same second, too: no name is taken twice
    let back = restore(&kept, &place.ledger, Faults::Refuse, at()).await.unwrap();
    assert_eq!(back.report.slos[0].rows, 3);
    assert_eq!(back.kept.unwrap().file_name().unwrap(), "ledger.db.replaced-20260301T100000Z-2");
    let agent = SqliteLedger::open(&place.ledger).await.unwrap();
    assert_eq!(agent.counts("api-up", Timestamp::EPOCH).await.unwrap().slots().len(), 2);
    agent.close().await;
}

#[tokio::test]
async fn a_ledger_that_is_gone_or_damaged_is_replaced_and_its_remains_are_kept() {
    let place = Place::filled().await;
    let damaged = [b"SQLite format 3\0".as_slice(), &[7; 9000]].concat();
    std::fs::write(&place.ledger, &damaged).unwrap();
    std::fs::write(with_suffix(&place.ledger, "-wal"), "remains").unwrap();
    let kept = place.restore().await.unwrap().kept.unwrap();
    assert_eq!(std::fs::read(&kept).unwrap(), damaged);
    assert_eq!(std::fs::read(with_suffix(&kept, "-wal")).unwrap(), b"remains");
    assert!(verify(&place.ledger).await.unwrap().faults.is_empty());
    assert!(!place.names().contains(&"ledger.db-wal".to_owned()));

    std::fs::remove_file(&place.ledger).unwrap();
    assert_eq!(place.restore().await.unwrap().kept, None);
    SqliteLedger::open(&place.ledger).await.unwrap().close().await;
    let itself = restore(&place.ledger, &place.ledger, Faults::Refuse, at()).await;
    assert!(matches!(itself, Err(BackupError::SameFile { .. })), "{itself:?}");
}

#[tokio::test]
async fn what_contradicts_itself_is_told_and_restored_only_when_wanted() {
    let place = Place::filled().await;
    for (statement, fault) in [
        ("update decision set answer = 'allow' where sequence = 2", "decision 2 does not follow"),
        ("update slot set bad = -1", "a slot has fewer events than none (1 times)"),
        ("update hour set counts = x'01'", "an hour of counts cannot be read back (1 times)"),
        ("delete from slo", "a slot belongs to a slo that is not there"),
        ("delete from transition", "an incident has no transition"),
        ("update transition set notice = '{'", "a transition cannot be read back"),
    ] {
        let to = place.folder.path().join("faulty.db");
        let copy = place.folder.path().join("copy.db");
        std::fs::copy(&place.ledger, &copy).unwrap();
        change(&copy, statement).await;
        let report = backup(&copy, &to).await.unwrap();
        assert!(report.faults.iter().any(|told| told.contains(fault)), "{statement}: {:?}", report.faults);
        assert_eq!(verify(&to).await.unwrap(), report);
        let refused = restore(&to, &place.ledger, Faults::Refuse, at()).await.unwrap_err();
        assert!(matches!(refused, BackupError::Faulty { .. }), "{refused}");
        std::fs::remove_file(&to).unwrap();
        std::fs::remove_file(&copy).unwrap();
    }
    assert!(verify(&place.ledger).await.unwrap().faults.is_empty());
    change(&place.ledger, "delete from decision where sequence = 1").await;
    std::fs::remove_file(&place.backup).unwrap();
    backup(&place.ledger, &place.backup).await.unwrap();
    let restored = restore(&place.backup, &place.ledger, Faults::Accept, at()).await.unwrap();
    assert_eq!(restored.report.decisions, 2);
}

#[tokio::test]
async fn a_ledger_of_another_version_or_program_is_told_apart() {
    let place = Place::filled().await;
    let steps = MIGRATIONS.iter().count();
    let missing = format!("its schema has {} steps of {steps}", steps - 1);
    for (statement, expected) in [
        (
            "update _sqlx_migrations set version = 7777 \
             where version = (select max(version) from _sqlx_migrations)",
            "schema version 7777, this lookout knows",
        ),
        (
            "update _sqlx_migrations set checksum = x'00' where version = 3",
            "step 3 of its schema is not the one",
        ),
        ("delete from _sqlx_migrations where version = 4", &*missing),
        ("pragma application_id = 5", "it is no ledger of lookout's"),
    ] {
        let copy = place.folder.path().join("copy.db");
        std::fs::copy(&place.ledger, &copy).unwrap();
        change(&copy, statement).await;
        let error = verify(&copy).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        let newer = matches!(error, BackupError::Newer { found: 7777, .. });
        assert_eq!(newer, expected.contains("7777"), "{error:?}");
        assert!(restore(&copy, &place.ledger, Faults::Accept, at()).await.is_err());
        std::fs::remove_file(&copy).unwrap();
    }
}

#[tokio::test]
async fn a_backup_from_before_an_update_takes_the_place_of_the_newer_ledger() {
    let place = Place::filled().await;
    change(
        &place.ledger,
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values (7777, 'future', true, x'00', 0)",
    )
    .await;
    let told = SqliteLedger::open(&place.ledger).await.unwrap_err().to_string();
    assert!(told.contains("restore a backup from before it"), "{told}");

    let restored = place.restore().await.unwrap();
    let newer = verify(&restored.kept.unwrap()).await.unwrap_err();
    assert!(matches!(newer, BackupError::Newer { found: 7777, .. }), "{newer:?}");
    let ledger = SqliteLedger::open(&place.ledger).await.unwrap();
    assert_eq!(ledger.incidents(None, 5).await.unwrap().len(), 1);
    ledger.close().await;
}

#[tokio::test]
async fn a_ledger_of_an_older_lookout_is_verified_and_restored() {
    let place = Place::new();
    let old = SqliteConnectOptions::new().filename(&place.backup).create_if_missing(true);
    let mut connection = old.connect().await.unwrap();
    let first = MIGRATIONS.iter().filter(|step| step.version == 1).cloned().collect();
    sqlx::migrate::Migrator::with_migrations(first).run(&mut connection).await.unwrap();
    let counts = "insert into slo values (1, 'a'); insert into minute values (1, 1000, 5, 1)";
    sqlx::raw_sql(counts).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();

    let report = place.restore().await.unwrap().report;
    assert_eq!((report.schema_version, report.slos[0].good, report.counted_until_s), (1, 5, Some(60_060)));
    let ledger = SqliteLedger::open(&place.ledger).await.unwrap();
    assert_eq!(ledger.counts("a", Timestamp::EPOCH).await.unwrap().minutes().len(), 1);
    ledger.close().await;
    assert_eq!(verify(&place.ledger).await.unwrap().schema_version, newest());
}
