//! Corrections: maintenance that pages nobody, an outage that is excluded later, and revocations; under simulated
//! time, and with the agent and the command line as processes.

use std::path::Path;
use std::process::{Command, Output};

use lookout_evaluate::Board;
use lookout_ledger::CorrectionStore as _;
use lookout_model::{CorrectionKind, CorrectionRecord, CorrectionScope, Revocation, Timestamp};
use serde_json::Value;
use sha2::Digest as _;

use super::simulated::{HOUR, Simulation};
use super::support::{Lookout, Target};

/// A correction between two seconds after the start.
fn correction(simulation: &Simulation, id: &str, from_s: i64, to_s: i64) -> CorrectionRecord {
    CorrectionRecord {
        id: id.to_owned(),
        scope: CorrectionScope::All,
        kind: CorrectionKind::Maintenance,
        from: simulation.start.plus_millis(from_s * 1000),
        to: Some(simulation.start.plus_millis(to_s * 1000)),
        recurrence: None,
        reason: "The database moves".to_owned(),
        actor: "ops".to_owned(),
        created_at: simulation.start,
        revoked: None,
    }
}

/// Bad events of the period, the share of the budget that is left, and seconds that do not count.
fn figures(board: &lookout_evaluate::Snapshot) -> (u64, f64, u64) {
    let evidence = &board.slos[0].evidence;
    (evidence.bad, evidence.budget_left_ratio, evidence.corrected.seconds)
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn an_outage_during_maintenance_pages_no_one() {
    let simulation = Simulation::new();
    *simulation.world.fault.lock().unwrap() = Some((4 * HOUR, 4 * HOUR + 600));
    let planned = correction(&simulation, "cor-1", 4 * HOUR - 300, 4 * HOUR + 900);
    assert!(simulation.ledger.record_correction(&planned).await.unwrap());
    simulation.run_while(async |_: &Board| simulation.sleep_until(8 * HOUR).await).await;
    assert!(simulation.told().is_empty(), "{:?}", simulation.told());
    assert!(simulation.incidents().await.is_empty());
    assert_eq!(figures(&simulation.shown()), (0, 1.0, 1200));
    assert_eq!(simulation.counted().await.1, 60, "the ledger keeps what was counted");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn an_outage_is_corrected_and_the_correction_is_revoked() {
    let simulation = Simulation::new();
    *simulation.world.fault.lock().unwrap() = Some((4 * HOUR, 4 * HOUR + 600));
    let after_the_fact = correction(&simulation, "cor-1", 4 * HOUR, 4 * HOUR + 600);
    let first_day = async |board: &Board| {
        simulation.sleep_until(4 * HOUR + 615).await;
        assert_eq!(simulation.told(), ["opened"]);
        let (bad, left, _) = figures(&board.read());
        assert!(bad >= 59 && left < 0.9, "{bad} bad, {left} left");
        let open = simulation.incidents().await;

        simulation.ledger.record_correction(&after_the_fact).await.unwrap();
        simulation.sleep_until(4 * HOUR + 645).await;
        assert_eq!(simulation.told(), ["opened", "resolved"]);
        let ended = simulation.incidents().await;
        assert_eq!((ended.len(), &ended[0].id), (1, &open[0].id), "it is the same incident that ends");
        assert_eq!(ended[0].detected_at, open[0].detected_at);
        assert_eq!(figures(&board.read()), (0, 1.0, 600));
        simulation.sleep_until(5 * HOUR).await;
    };
    simulation.run_while(first_day).await;

    // the process has ended and another one starts
    let second = async |board: &Board| {
        simulation.sleep_until(5 * HOUR + 60).await;
        assert_eq!(figures(&board.read()), (0, 1.0, 600));
        assert_eq!(simulation.told(), ["opened", "resolved"]);
        let second_thoughts =
            Revocation { at: Timestamp::EPOCH, actor: "ops".to_owned(), reason: "It was us".to_owned() };
        simulation.ledger.revoke_correction("cor-1", &second_thoughts).await.unwrap();
        simulation.sleep_until(5 * HOUR + 90).await;
        let (bad, left, seconds) = figures(&board.read());
        assert_eq!((bad, seconds), (60, 0));
        assert!(left < 0.9, "{left} left");
    };
    simulation.run_while(second).await;
    let third = async |_: &Board| simulation.sleep_until(5 * HOUR + 300).await;
    simulation.run_while(third).await;
    let (bad, _, seconds) = figures(&simulation.shown());
    assert_eq!((bad, seconds), (60, 0), "revoked stays revoked");
}

fn write_config(folder: &Path, target: &Target) -> std::path::PathBuf {
    let config = folder.join("lookout.yaml");
    let digest: String = sha2::Sha256::digest("open-sesame").iter().map(|b| format!("{b:02x}")).collect();
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\n\
         auth: {{ tokens: [ {{ name: ops, sha256: {digest}, scopes: [correct] }} ] }}\n\
         targets:\n  - name: api\n    http: {{ url: {url} }}\n    interval: 1s\n    timeout: 500ms\n",
        url = target.url()
    );
    std::fs::write(&config, text).unwrap();
    let slo = r#"
apiVersion: openslo/v1
kind: SLO
metadata: { name: availability, annotations: { lookout.dev/tiers: page 6s/3s x2 } }
spec:
  service: api
  description: The API answers.
  budgetingMethod: Occurrences
  timeWindow: [{ duration: 1h, isRolling: true }]
  objectives: [{ target: 0.9 }]
  indicator:
    metadata: { name: probes }
    spec:
      ratioMetric:
        counter: true
        good: { metricSource: { type: probe, spec: { target: api, outcome: ok } } }
        total: { metricSource: { type: probe, spec: { target: api } } }
"#;
    std::fs::write(folder.join("api.slo.yaml"), slo).unwrap();
    config
}

async fn verb(agent: &Lookout, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lookout"));
    command.arg("correction").args(arguments).args(["--url", &agent.url]).env("LOOKOUT_TOKEN", token);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn bad(slos: &Value) -> u64 {
    slos["slos"][0]["evidence"]["bad"].as_u64().unwrap_or(0)
}

fn corrected_seconds(slos: &Value) -> u64 {
    slos["slos"][0]["evidence"]["corrected"]["seconds"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_corrects_lists_and_revokes_and_kill_9_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::start().await;
    let config = write_config(folder.path(), &target);
    let agent = Lookout::run(&config);
    target.answer(503);
    agent
        .slos("an open incident", |slos| {
            slos["slos"][0]["incidents"].as_array().is_some_and(|all| all.len() == 1)
        })
        .await;

    let add = ["add", "--slo", "api-availability", "--last", "10m", "--reason", "A drill", "--json"];
    let refused = verb(&agent, "wrong", &add).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not known here"));
    let refused =
        verb(&agent, "open-sesame", &["add", "--slo", "api-x", "--last", "10m", "--reason", "A drill"]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("known are: api-availability"), "{said}");

    target.answer(200);
    let written = json(&verb(&agent, "open-sesame", &add).await);
    assert_eq!((&written["actor"], &written["kind"]), (&"ops".into(), &"maintenance".into()), "{written}");
    let corrected = |slos: &Value| {
        let none_open = slos["slos"][0]["incidents"].as_array().is_some_and(Vec::is_empty);
        bad(slos) == 0 && corrected_seconds(slos) >= 600 && none_open
    };
    agent.slos("the budget back and no incident", corrected).await;
    let ended = agent.incidents().await;
    assert_eq!(ended.len(), 1);
    assert!(ended[0]["resolved_at_ms"].is_i64(), "{ended:?}");
    agent.kill();

    let agent = Lookout::run(&config);
    agent.slos("the same after kill -9", |slos| slos["at_ms"].as_i64() > Some(0) && corrected(slos)).await;
    let list = json(&verb(&agent, "open-sesame", &["list", "--json"]).await);
    assert_eq!(list["corrections"], serde_json::json!([written]));
    let id = written["id"].as_str().unwrap();
    let revoked = verb(&agent, "open-sesame", &["revoke", id, "--reason", "It was an outage"]).await;
    assert!(revoked.status.success() && String::from_utf8_lossy(&revoked.stdout).contains(id));
    agent.slos("the outage again", |slos| bad(slos) > 0 && corrected_seconds(slos) == 0).await;
    let table = verb(&agent, "", &["list"]).await;
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains(id) && table.contains("by ops: It was an outage"), "reading is open: {table}");
}
