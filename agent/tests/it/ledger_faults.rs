//! A disk that is full for a while, and a ledger that is deleted: the outage is paged all the same.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::support::{Lookout, PROBED_SLO, Slack, Target, eventually};

/// A file system of two megabytes. Only root may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs"];
        let status = Command::new("mount").args(options).arg(folder.path()).status().ok()?;
        status.success().then_some(Self(folder))
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    fn fill(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.filler()).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn write_config(folder: &Path, ledger: &Path, target: &Target, slack: &Slack) -> PathBuf {
    let text = format!(
        "listen: 127.0.0.1:0\nledger: {ledger}\ninterval: 1s\n\
         targets:\n  - name: api\n    http: {{ url: {url} }}\n    interval: 1s\n    timeout: 500ms\n\
         destinations:\n  - name: oncall\n    slack: {{ webhook_url_file: webhook }}\n",
        ledger = ledger.display(),
        url = target.url()
    );
    std::fs::write(folder.join("lookout.yaml"), text).unwrap();
    std::fs::write(folder.join("webhook"), slack.webhook()).unwrap();
    std::fs::write(folder.join("api.slo.yaml"), PROBED_SLO).unwrap();
    folder.join("lookout.yaml")
}

/// Waits for a message that has all of these words.
async fn heard(slack: &Slack, words: &[&str]) -> String {
    eventually(&format!("a message with {words:?}"), || async {
        slack.texts().into_iter().find(|text| words.iter().all(|word| text.contains(word)))
    })
    .await
}

/// An outage is paged, recorded and resolved.
async fn outage(target: &Target, slack: &Slack, round: usize) {
    target.answer(503);
    heard_times(slack, &["[PAGE]", "api availability"], round).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    target.answer(200);
    heard_times(slack, &["[RESOLVED]", "api availability"], round).await;
}

async fn healthy(agent: &Lookout) {
    let enough = |slos: &serde_json::Value| slos["slos"][0]["evidence"]["total"].as_u64() >= Some(2);
    agent.slos("a healthy start", enough).await;
}

#[tokio::test]
async fn an_outage_after_a_full_disk_is_paged_recorded_and_resolved() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: mounting a file system needs root");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (target, slack) = (Target::start().await, Slack::start().await);
    let ledger = disk.0.path().join("lookout.db");
    let config = write_config(folder.path(), &ledger, &target, &slack);
    let agent = Lookout::run(&config);
    healthy(&agent).await;
    for round in 1..=2 {
        // four seconds of a full disk are four ticks; `cargo xtask drill ledger` fills it for longer
        for _ in 0..4 {
            disk.fill();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        heard_times(&slack, &["[PAGE]", "lookout ledger"], round).await;
        std::fs::remove_file(disk.filler()).unwrap();
        heard_times(&slack, &["[RESOLVED]", "lookout ledger"], round).await;
        outage(&target, &slack, round).await;
    }
    drop(agent);
    let report = lookout_ledger::SqliteLedger::open(&ledger).await.unwrap();
    let incidents = lookout_ledger::IncidentStore::incidents(&report, None, 9).await.unwrap();
    // one about the ledger in each round; the second outage is a new incident, or reopens the first
    assert!((3..=4).contains(&incidents.len()), "{incidents:?}");
    assert!(incidents.iter().all(|incident| incident.resolved_at.is_some()), "{incidents:?}");
}

#[tokio::test]
async fn a_ledger_that_is_harmed_while_it_runs_is_paged_and_the_open_incident_is_resolved() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 5] = [
        ("malformed", flip_bits),
        ("deleted", |path| std::fs::remove_file(path).unwrap()),
        ("truncated", |path| OpenOptions::new().write(true).open(path).unwrap().set_len(2048).unwrap()),
        ("write-ahead log", |path| std::fs::remove_file(path.with_extension("db-wal")).unwrap()),
        ("replaced", |path| {
            std::fs::write(path.with_extension("new"), "not a ledger").unwrap();
            std::fs::rename(path.with_extension("new"), path).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let folder = tempfile::tempdir().unwrap();
        let (target, slack) = (Target::start().await, Slack::start().await);
        let ledger = folder.path().join("lookout.db");
        let config = write_config(folder.path(), &ledger, &target, &slack);
        let agent = Lookout::run(&config);
        healthy(&agent).await;
        target.answer(503);
        heard(&slack, &["[PAGE]", "api availability"]).await;
        if what == "malformed" {
            fold_log(&ledger).await;
        }
        harm(&ledger);
        heard(&slack, &["[PAGE]", "lookout ledger", what]).await;
        target.answer(200);
        heard(&slack, &["[RESOLVED]", "api availability"]).await;
        heard(&slack, &["[RESOLVED]", "lookout ledger"]).await;
        agent.kill();
        let report = lookout_ledger::verify(&ledger).await.unwrap();
        assert_eq!((report.incidents, report.open_incidents), (2, 0), "{what}");
    }
}

/// Moves the log into the file: it may hold whole copies of all pages, and then damage to the file harms nothing.
async fn fold_log(path: &Path) {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(10));
    let mut connection = options.connect().await.unwrap();
    let folded = sqlx::query_as::<_, (i64, i64, i64)>("pragma wal_checkpoint(truncate)");
    let (busy, ..) = folded.fetch_one(&mut connection).await.unwrap();
    assert_eq!(busy, 0, "a reader kept the log");
    connection.close().await.unwrap();
}

/// Flips bits of eight pages after the first. The agent has the file open meanwhile.
fn flip_bits(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let pages = bytes.iter_mut().skip(4096).take(4096 * 8);
    pages.for_each(|byte| *byte ^= 0x5A);
    OpenOptions::new().write(true).open(path).unwrap().write_all(&bytes).unwrap();
}

/// Harms a ledger that no agent uses.
fn harm_between_runs(what: &str, path: &Path) {
    // the log may hold whole copies of all pages, and then nothing is lost
    std::fs::remove_file(path.with_extension("db-wal")).unwrap();
    match what {
        "log removed" => {}
        "deleted" => std::fs::remove_file(path).unwrap(),
        "truncated" => OpenOptions::new().write(true).open(path).unwrap().set_len(6000).unwrap(),
        "bits flipped" => flip_bits(path),
        "replaced" => std::fs::write(path, "time,good,bad\n").unwrap(),
        other => panic!("{other}"),
    }
}

async fn a_harmed_ledger_is_paged_at_the_next_start(what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (target, first, second) = (Target::start().await, Slack::start().await, Slack::start().await);
    let ledger = folder.path().join("lookout.db");
    let config = write_config(folder.path(), &ledger, &target, &first);
    let with_two = std::fs::read_to_string(&config).unwrap()
        + "  - name: second\n    slack: { webhook_url_file: second }\n";
    std::fs::write(&config, with_two).unwrap();
    std::fs::write(folder.path().join("second"), second.webhook()).unwrap();
    let start = || {
        let config = config.clone();
        tokio::task::spawn_blocking(move || Lookout::run(&config))
    };
    let mut agent = start().await.unwrap();
    healthy(&agent).await;
    target.answer(503);
    for slack in [&first, &second] {
        heard(slack, &["[PAGE]", "api availability"]).await;
    }
    // twice: the second harm meets the ledger that took the place of the first
    for round in 1..=2 {
        // a tick after the delivery, which the witness sees
        tokio::time::sleep(Duration::from_millis(2500)).await;
        agent.kill();
        harm_between_runs(what, &ledger);
        agent = start().await.unwrap();
        for slack in [&first, &second] {
            heard_times(slack, &["[PAGE]", "lookout ledger"], round).await;
            heard_times(slack, &["[RESOLVED]", "lookout ledger"], round).await;
        }
    }
    target.answer(200);
    for slack in [&first, &second] {
        heard(slack, &["[RESOLVED]", "api availability"]).await;
        let texts = slack.texts();
        let pages = texts.iter().filter(|text| text.contains("[PAGE]") && text.contains("api availability"));
        assert_eq!(pages.count(), 1, "{what}: nobody is paged twice: {texts:#?}");
    }
    agent.kill();
    let report = lookout_ledger::verify(&ledger).await.unwrap();
    assert_eq!((report.faults, report.open_incidents), (Vec::new(), 0), "{what}");
}

async fn heard_times(slack: &Slack, words: &[&str], times: usize) {
    eventually(&format!("{times} messages with {words:?}"), || async {
        let all = slack.texts();
        let found = all.iter().filter(|text| words.iter().all(|word| text.contains(word))).count();
        (found >= times).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_is_harmed_between_runs_is_paged_and_the_open_incident_is_resolved() {
    for what in ["deleted", "truncated", "bits flipped", "log removed", "replaced"] {
        a_harmed_ledger_is_paged_at_the_next_start(what).await;
    }
}

/// A disk below the ledger of a running agent that fails or hangs: strace injects that into the system calls.
struct FaultyDisk(Child);

impl FaultyDisk {
    /// Fails two of three writes with EIO.
    fn failing(ledger: &Path, agent: &Lookout) -> Self {
        const CALLS: &str = "pwrite64,fdatasync,fsync,ftruncate";
        let errors = ["when=1+3", "when=2+3"].map(|when| format!("inject={CALLS}:error=EIO:{when}"));
        Self::below(ledger, agent, CALLS, &errors)
    }

    /// Answers none of these calls until it heals.
    fn hanging(ledger: &Path, agent: &Lookout, calls: &str) -> Self {
        let hour_us = 3_600_000_000_u64;
        Self::below(ledger, agent, calls, &[format!("inject={calls}:delay_enter={hour_us}")])
    }

    fn below(ledger: &Path, agent: &Lookout, calls: &str, faults: &[String]) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        for fault in faults {
            strace.args(["-e", fault]);
        }
        for suffix in ["", "-wal"] {
            strace.arg("-P").arg(format!("{}{suffix}", ledger.display()));
        }
        Self(strace.args(["-p", &agent.id().to_string()]).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Returns whether processes may be traced here.
    fn is_possible() -> bool {
        let ran = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
        let possible = ran.is_ok_and(|ran| ran.success());
        if !possible {
            eprintln!("skipped: strace is not there, or may not trace");
        }
        possible
    }

    fn heal(mut self) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success(), "it traced until now");
        self.0.wait().unwrap();
    }
}

/// Asserts that an outage on a faulty disk is paged at once and on record once it heals, twice.
async fn an_outage_on_a_disk_that(harm: impl Fn(usize, &Path, &Lookout) -> FaultyDisk, title: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (target, slack) = (Target::start().await, Slack::start().await);
    let ledger = folder.path().join("lookout.db");
    let config = write_config(folder.path(), &ledger, &target, &slack);
    let agent = Lookout::run(&config);
    healthy(&agent).await;
    for round in 1..=2 {
        let disk = harm(round, &ledger, &agent);
        heard_times(&slack, &["[PAGE]", "lookout ledger", title], round).await;
        target.answer(503);
        heard_times(&slack, &["[PAGE]", "api availability"], round).await;
        agent.slos("pages are served", |slos| slos["slos"][0]["evidence"]["bad"].as_u64() > Some(0)).await;
        disk.heal();
        heard_times(&slack, &["[RESOLVED]", "lookout ledger"], round).await;
        target.answer(200);
        heard_times(&slack, &["[RESOLVED]", "api availability"], round).await;
    }
    agent.kill();
    let report = lookout_ledger::verify(&ledger).await.unwrap();
    assert_eq!((report.faults, report.open_incidents, report.waiting_deliveries), (Vec::new(), 0, 0));
    // two about the ledger; the second outage is a new incident, or reopens the first
    assert!((3..=4).contains(&report.incidents), "{}", report.incidents);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_on_a_disk_with_errors_is_paged_at_once_and_recorded_when_it_heals() {
    if FaultyDisk::is_possible() {
        an_outage_on_a_disk_that(|_, ledger, agent| FaultyDisk::failing(ledger, agent), "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_on_a_disk_that_hangs_is_paged_and_recorded_when_it_answers() {
    if FaultyDisk::is_possible() {
        let hangs = |round, ledger: &Path, agent: &Lookout| {
            // at first writes only, then all calls
            let calls = ["pwrite64,fdatasync", "pwrite64,fdatasync,pread64"][round - 1];
            FaultyDisk::hanging(ledger, agent, calls)
        };
        an_outage_on_a_disk_that(hangs, "nothing is recorded").await;
    }
}
