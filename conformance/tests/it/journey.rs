//! The shipped journey against the real service on SQLite: it burns when changes fail, which `/health` does not see.

use std::path::Path;
use std::time::Duration;

use programs::running::{Running, field};
use programs::{api_key, http, refused_writes, workspace};
use reqwest::Client;
use serde_json::Value;
use tokio::time::{Instant, sleep};

const KEY: &str = "journey-key";
/// Time that a level may take to come.
const DEADLINE: Duration = Duration::from_secs(60);

struct Stage {
    client: Client,
    service: Running,
    api: String,
    agent: String,
    _agent: Running,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn open() -> Self {
        workspace::must_succeed(workspace::cargo().args([
            "build",
            "--quiet",
            "--workspace",
            "--bin",
            "lookout",
            "--bin",
            "titanic",
        ]))
        .unwrap();
        let programs = workspace::target_directory().unwrap().join("debug");
        // a second test of this process may have installed it
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", folder.path().join("titanic.db").display());
        let keys = api_key::line("journey", "passengers:write", KEY);
        let mut service = refused_writes::start("titanic", &programs.join("titanic"), |command| {
            command.envs([("PORT", "0"), ("ADMIN_PORT", "0"), ("BIND", "127.0.0.1")]);
            command.env("ENVIRONMENT", "test").env("DATABASE_URL", database).env("API_KEYS", keys);
            command.current_dir(folder.path());
        })
        .unwrap();
        let line = service.listening().await.unwrap();
        let api = format!("http://{}", field(&line, "address").unwrap());
        let metrics = format!("http://{}/metrics", field(&line, "admin_address").unwrap());
        let config = write(folder.path());
        let mut agent = Running::start("lookout", programs.join("lookout"), |command| {
            command.args(["run", "--log", "json", "-c"]).arg(config).current_dir(folder.path());
            command.env("LOOKOUT_LISTEN", "127.0.0.1:0").env("LOOKOUT_LEDGER", "memory");
            command.env("TITANIC_URL", &api).env("TITANIC_METRICS_URL", metrics).env("TITANIC_API_KEY", KEY);
        })
        .unwrap();
        let line = agent.listening().await.unwrap();
        let address = format!("http://{}", field(&line, "address").unwrap());
        let client = http::client().unwrap();
        Self { client, service, api, agent: address, _agent: agent, _folder: folder }
    }

    async fn get(&self, url: &str) -> Value {
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
    }

    /// Good and bad events of an SLO, and its highest burn over a long window.
    async fn counted(&self, slo: &str) -> (u64, u64, f64) {
        let answer = self.get(&format!("{}/api/v1/slos", self.agent)).await;
        let found = answer["slos"].as_array().unwrap().iter().find(|one| one["slo"] == slo).cloned();
        let Some(found) = found else { return (0, 0, 0.0) };
        let evidence = &found["evidence"];
        let (bad, total) = (evidence["bad"].as_u64().unwrap(), evidence["total"].as_u64().unwrap());
        let burns =
            evidence["tiers"].as_array().unwrap().iter().filter_map(|tier| tier["long_burn"].as_f64());
        (total - bad, bad, burns.fold(0.0, f64::max))
    }

    async fn journey(&self, what: &str, holds: impl Fn(u64, u64, f64) -> bool) -> (u64, u64, f64) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (good, bad, burn) = self.counted("journey").await;
            if holds(good, bad, burn) {
                return (good, bad, burn);
            }
            assert!(Instant::now() < deadline, "{what}: {good} good, {bad} bad, burn {burn}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Writes the shipped files with intervals of a second.
fn write(folder: &Path) -> std::path::PathBuf {
    let slo = workspace::root().join("slo");
    for entry in std::fs::read_dir(&slo).unwrap() {
        let path = entry.unwrap().path();
        let mut text = std::fs::read_to_string(&path).unwrap();
        for (shipped, short) in [
            ("interval: 10s", "interval: 1s"),
            ("interval: 30s", "interval: 1s"),
            ("timeout: 2s", "timeout: 900ms"),
            ("timeout: 8s", "timeout: 900ms"),
        ] {
            text = text.replace(shipped, short);
        }
        std::fs::write(folder.join(path.file_name().unwrap()), text).unwrap();
    }
    folder.join("lookout.yaml")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journey_burns_when_changes_fail_and_health_stays_good() {
    let stage = Stage::open().await;
    let (_, bad, _) = stage.journey("good journeys", |good, _, _| good >= 3).await;
    assert_eq!(bad, 0);
    // twice: a fault that was healed may come again
    for round in 0..2 {
        let before = stage.counted("journey").await;
        refused_writes::refuse(&stage.service).await.unwrap();
        let (_, bad, burn) =
            stage.journey("a burning journey", |_, bad, burn| bad >= before.1 + 3 && burn > 14.4).await;
        assert!(bad > before.1 && burn > 14.4, "round {round}");
        let page = stage.client.get(format!("{}/health", stage.api)).send().await.unwrap();
        assert_eq!(page.status(), 200, "round {round}");
        refused_writes::accept(&stage.service).await.unwrap();
        let after = stage.counted("journey").await;
        stage.journey("good journeys again", |good, _, _| good >= after.0 + 3).await;
    }
    let (good, bad, burn) = stage.counted("probes-availability").await;
    assert!(good > 5 && bad == 0 && burn == 0.0, "/health: {good} good, {bad} bad, burn {burn}");
    // at most the journey that is on its way
    let left = stage.get(&format!("{}/api/v1/passengers?name=Lookout&total=true", stage.api)).await;
    assert!(left["total"].as_u64().unwrap() <= 1, "the cleanup removes what a journey added: {left}");
}
