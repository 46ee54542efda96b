//! A backup of the ledger beside a running agent, its loss, and its restore: the budget is that of the backup, to the
//! event.

use std::io::Write as _;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;
use serde_json::Value;

use super::support::{Lookout, eventually, run_to_end};

/// A neighbour with two counters.
#[derive(Clone, Default)]
struct Counters {
    good: Arc<AtomicU64>,
    bad: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Counters {
    async fn serve(&self) -> String {
        let counters = self.clone();
        let text = async move || {
            counters.asked.fetch_add(1, Ordering::SeqCst);
            let [good, bad] = [&counters.good, &counters.bad].map(|counter| counter.load(Ordering::SeqCst));
            format!(
                "# TYPE served_total counter\nserved_total{{code=\"200\"}} {good}\nserved_total{{code=\"500\"}} {bad}\n"
            )
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/metrics", get(text));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}/metrics")
    }

    /// Waits until an agent that has just started has scraped twice.
    async fn known(&self) {
        let before = self.asked.load(Ordering::SeqCst);
        let known = || async { (self.asked.load(Ordering::SeqCst) >= before + 2).then_some(()) };
        eventually("two scrapes", known).await;
    }

    fn add(&self, good: u64, bad: u64) {
        self.good.fetch_add(good, Ordering::SeqCst);
        self.bad.fetch_add(bad, Ordering::SeqCst);
    }
}

fn write_config(folder: &Path, url: &str) -> std::path::PathBuf {
    let config = folder.join("lookout.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\n\
         scrapes:\n  - name: api\n    url: {url}\n    timeout: 900ms\n"
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(
        folder.join("api.slo.yaml"),
        r#"
apiVersion: openslo/v1
kind: SLO
metadata: { name: availability, annotations: { lookout.dev/tiers: page 10s/5s x5 } }
spec:
  service: api
  description: The API answers.
  budgetingMethod: Occurrences
  timeWindow: [{ duration: 1h, isRolling: true }]
  objectives: [{ target: 0.9 }]
  indicator:
    metadata: { name: requests }
    spec:
      ratioMetric:
        counter: true
        bad: { metricSource: { type: scrape, spec: { source: api, selector: 'served_total{code="500"}' } } }
        total: { metricSource: { type: scrape, spec: { source: api, selector: served_total } } }
"#,
    )
    .unwrap();
    config
}

/// Bad and all events, and what is left of the budget.
fn budget(slos: &Value) -> (u64, u64, f64) {
    let evidence = &slos["slos"][0]["evidence"];
    let number = |name: &str| evidence[name].as_u64().unwrap_or_default();
    (number("bad"), number("total"), evidence["budget_left_ratio"].as_f64().unwrap_or_default())
}

async fn budget_of(agent: &Lookout, bad: u64, total: u64) -> (u64, u64, f64) {
    let what = format!("{bad} bad events of {total}");
    let slos = agent.slos(&what, |slos| (budget(slos).0, budget(slos).1) == (bad, total)).await;
    budget(&slos)
}

async fn ledger(arguments: &[&str]) -> Output {
    let arguments: Vec<String> = ["ledger"].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
    let run = move || run_to_end(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_the_budget_is_that_of_the_backup() {
    let folder = tempfile::tempdir().unwrap();
    let counters = Counters::default();
    let config = write_config(folder.path(), &counters.serve().await);
    let config = config.to_str().unwrap();
    let backup = folder.path().join("backup.db");
    let backup = backup.to_str().unwrap();

    let agent = Lookout::run(Path::new(config));
    counters.known().await;
    counters.add(97, 3);
    let noted = budget_of(&agent, 3, 100).await;
    let taken = ledger(&["backup", "--json", "-c", config, backup]).await;
    assert_eq!(taken.status.code(), Some(0), "{}", said(&taken));
    let taken: Value = serde_json::from_slice(&taken.stdout).unwrap();
    assert_eq!(
        taken["slos"][0],
        serde_json::json!({"id": "api-availability", "rows": taken["slos"][0]["rows"],
        "good": 97, "bad": 3}),
        "{taken}"
    );
    assert_eq!((&taken["sealed"], &taken["faults"]), (&true.into(), &serde_json::json!([])), "{taken}");

    // what happens after the backup is what a restore loses
    counters.add(50, 50);
    assert!(budget_of(&agent, 53, 200).await.2 < noted.2);
    for (verb, code, words) in [
        (&["restore", "-c", config, backup][..], 5, "an agent holds the ledger"),
        (&["backup", "-c", config, backup][..], 2, "exists already and is not overwritten"),
        (&["verify", "-c", config][..], 0, "whole"),
        (&["verify", backup][..], 0, "the seal fits"),
    ] {
        let output = ledger(verb).await;
        assert_eq!(output.status.code(), Some(code), "{verb:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{verb:?}: {}", said(&output));
    }
    assert_eq!(budget(&agent.get("/api/v1/slos").await).0, 53, "nothing of it touched the ledger");
    agent.kill();

    // the disaster
    for name in ["lookout.db", "lookout.db-wal", "lookout.db-shm"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    let cut = folder.path().join("cut.db");
    let whole = std::fs::read(backup).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    for verb in ["verify", "restore"] {
        let output = ledger(&[verb, "-c", config, cut.to_str().unwrap()]).await;
        assert_eq!(output.status.code(), Some(1), "{verb}: {}", said(&output));
        assert!(said(&output).contains("cut.db is not a whole ledger"), "{verb}: {}", said(&output));
    }
    assert!(!folder.path().join("lookout.db").exists());
    let restored = ledger(&["restore", "-c", config, backup]).await;
    assert_eq!(restored.status.code(), Some(0), "{}", said(&restored));

    let agent = Lookout::run(Path::new(config));
    let again = budget_of(&agent, 3, 100).await;
    // the same events; the share they are of an hour's budget grows with the part of the hour that has been seen
    assert!((again.2 - noted.2).abs() < 0.3 * 60.0 / 3600.0, "{again:?}, not {noted:?}");
    // and it counts on from there
    counters.known().await;
    counters.add(9, 1);
    budget_of(&agent, 4, 110).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_through_pipes() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "http://127.0.0.1:9/metrics");
    let agent = Lookout::run(&config);
    let names = || std::fs::read_dir(folder.path()).unwrap().count();
    let before = names();
    let taken = ledger(&["backup", "-c", config.to_str().unwrap(), "-"]).await;
    assert_eq!(taken.status.code(), Some(0), "{}", String::from_utf8_lossy(&taken.stderr));
    assert!(String::from_utf8_lossy(&taken.stderr).contains("the seal fits"));
    assert_eq!(names(), before, "nothing is left beside the ledger");
    agent.kill();

    let elsewhere = tempfile::tempdir().unwrap();
    let place = elsewhere.path().join("lookout.db");
    for (length, code, files) in [(taken.stdout.len() / 2, 1, 0), (taken.stdout.len(), 0, 2)] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_lookout"))
            .args(["ledger", "restore", "-", "--ledger", place.to_str().unwrap()])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&taken.stdout[..length]).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{length} bytes");
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), files, "the ledger and its lock");
    }
    let output = ledger(&["verify", place.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let config = write_config(folder.path(), "http://127.0.0.1:9/metrics");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("ledger: lookout.db", "ledger: memory")).unwrap();
    let (config, to, gone) = (path("lookout.yaml"), path("backup.db"), path("gone.db"));
    for (verb, code, words) in [
        (&["backup", "--ledger", &gone, &to][..], 2, "gone.db"),
        (&["restore", "--ledger", &gone, &to][..], 2, "backup.db"),
        (&["verify", &to][..], 2, "backup.db"),
        (&["verify", "-c", &gone][..], 2, "--ledger FILE"),
        (&["backup", "--timeout", "soon", &to][..], 2, "--timeout"),
        (&["backup", "--ledger", &config, &to][..], 1, "it is not an SQLite file"),
        (&["backup", "-c", &config, &to][..], 2, "is in memory"),
    ] {
        let output = ledger(verb).await;
        assert_eq!(output.status.code(), Some(code), "{verb:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{verb:?}: {}", said(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is made");
}
