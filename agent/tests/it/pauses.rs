//! Time in which nobody is to probe: maintenance windows, pauses by operators, targets that are off.

use std::sync::Arc;
use std::time::Duration;

use lookout_config::{GatePolicy, MaintenanceWindow, WindowTimes};
use lookout_engine::{Cause, DataState, Severity};
use lookout_evaluate::Snapshot;
use lookout_gate::{Answer, Code, Decision, Question, decide};
use lookout_model::{DeployClass, PauseCause, Timestamp};
use serde_json::Value;

use super::simulated::{HOUR, START, Simulation, config_of};
use super::support::{Lookout, Target, eventually, run_to_end};

fn asked(snapshot: &Snapshot) -> Answer {
    let service = snapshot.slos[0].service.clone();
    decide(&Question { service, class: DeployClass::Feature }, snapshot, &GatePolicy::default(), snapshot.at)
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_maintenance_window_is_unseen_time_without_a_ticket_and_the_gate_waits() {
    let start: Timestamp = START.parse().unwrap();
    let at = |second: i64| start.plus_millis(second * 1000);
    let mut config = config_of(&["http://service.test/health".to_owned()]);
    config.destinations[0].minimum = Severity::Ticket;
    Arc::make_mut(&mut config.targets[0]).maintenance = vec![MaintenanceWindow {
        times: WindowTimes::Once(at(4 * HOUR), at(6 * HOUR)),
        reason: "new disks".to_owned(),
    }];
    let simulation = Simulation::of(config);
    // the maintenance itself breaks the service, and a little of the fault shows after it
    *simulation.world.fault.lock().unwrap() = Some((4 * HOUR, 6 * HOUR));
    let script = async |board: &lookout_evaluate::Board| {
        simulation.sleep_until(4 * HOUR - 30).await;
        assert_eq!(asked(&board.read()).decision, Decision::Allow);
        simulation.sleep_until(5 * HOUR).await;
        let snapshot = board.read();
        let slo = &snapshot.slos[0];
        let pause = slo.paused.clone().unwrap();
        assert_eq!((pause.cause, pause.until), (PauseCause::Maintenance, Some(at(6 * HOUR))));
        assert_eq!(slo.evidence.data_state, DataState::Stale, "what nobody sees is not known");
        assert_eq!(slo.incidents, []);
        let answer = asked(&snapshot);
        assert_eq!(answer.decision, Decision::Hold, "{answer:?}");
        assert!(answer.reasons.iter().any(|reason| reason.code == Code::TargetPaused), "{answer:?}");
        simulation.sleep_until(8 * HOUR).await;
        assert_eq!(board.read().slos[0].paused, None);
    };
    simulation.run_while(script).await;
    assert_eq!(simulation.told(), Vec::<String>::new());
    let probes = simulation.counted().await;
    assert_eq!(probes.1, 0, "nothing bad was seen");
    assert!((6 * 360 - 2..=6 * 360 + 2).contains(&probes.0), "two of eight hours are unseen: {probes:?}");
    let shown = simulation.shown();
    let present = shown.slos[0].evidence.present.as_ref().unwrap();
    let observed = present.observed_s;
    assert!((6 * 3600 - 60..=6 * 3600 + 60).contains(&observed), "the window was not watched: {observed} s");
    assert_eq!(asked(&shown).decision, Decision::Allow, "{:?}", asked(&shown));
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn data_that_stay_away_after_a_window_are_told() {
    let start: Timestamp = START.parse().unwrap();
    let mut config = config_of(&["http://service.test/health".to_owned()]);
    config.destinations[0].minimum = Severity::Ticket;
    Arc::make_mut(&mut config.targets[0]).maintenance = vec![MaintenanceWindow {
        times: WindowTimes::Once(start.plus_millis(HOUR * 1000), start.plus_millis(2 * HOUR * 1000)),
        reason: "new disks".to_owned(),
    }];
    let simulation = Simulation::of(config);
    let script = async |board: &lookout_evaluate::Board| {
        simulation.sleep_until(2 * HOUR - 5).await;
        assert_eq!(board.read().slos[0].incidents, []);
        // from now on no probe ends
        simulation.world.hang.store(true, std::sync::atomic::Ordering::SeqCst);
        simulation.sleep_until(2 * HOUR + 30).await;
        assert_eq!(board.read().slos[0].incidents, [], "the first probe has its time");
        simulation.sleep_until(2 * HOUR + 300).await;
        let causes: Vec<Cause> =
            board.read().slos[0].incidents.iter().map(|incident| incident.cause).collect();
        assert_eq!(causes, [Cause::DataMissing]);
    };
    simulation.run_while(script).await;
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_target_that_is_off_holds_no_other_objective_back_and_allows_nothing_alone() {
    let urls = ["http://service.test/health".to_owned(), "http://service.test/journey".to_owned()];
    let mut config = config_of(&urls);
    let service = config.slos[0].service.clone();
    config.slos.iter_mut().for_each(|slo| slo.service.clone_from(&service));
    config.destinations[0].minimum = Severity::Ticket;
    Arc::make_mut(&mut config.targets[1]).off = Some("`${KEY:-}` is empty here".to_owned());
    let simulation = Simulation::of(config);
    simulation.run(3 * HOUR, &[]).await;
    let snapshot = simulation.shown();
    let answer = asked(&snapshot);
    assert_eq!(answer.decision, Decision::Allow, "{answer:?}");
    let told = answer.reasons.iter().find(|reason| reason.code == Code::TargetOff).unwrap();
    assert!(told.text.contains("`${KEY:-}` is empty here"), "{}", told.text);
    assert_eq!(simulation.told(), Vec::<String>::new(), "nobody misses its data");
    let mut alone = Snapshot::clone(&snapshot);
    alone.slos.remove(0);
    assert_eq!(asked(&alone).decision, Decision::Hold);
}

/// `printf secret | sha256sum`
const SHA256: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

fn total(slos: &Value) -> u64 {
    slos["slos"][0]["evidence"]["total"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_pauses_a_target_and_a_restart_keeps_the_pause() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::start().await;
    let config = folder.path().join("lookout.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\n\
         auth: {{ tokens: [{{ name: ops, sha256: {SHA256}, scopes: [pause] }}] }}\n\
         targets:\n  - {{ name: api, interval: 1s, timeout: 500ms, labels: {{ team: crew }}, http: {{ url: {} }} }}\n",
        target.url()
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(folder.path().join("api.slo.yaml"), super::support::PROBED_SLO).unwrap();
    let agent = Lookout::run(&config);
    agent.slos("good slots", |slos| total(slos) >= 3).await;
    let token = folder.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    let verb = |agent: &Lookout, arguments: &[&str]| {
        let mut all = vec!["target"];
        all.extend(arguments);
        let (url, token) = (agent.url.clone(), token.to_str().unwrap().to_owned());
        all.extend(["--url", url.as_str(), "--token-file", token.as_str()]);
        let output = run_to_end(&all);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text)
    };
    let (code, said) = verb(&agent, &["pause", "other", "--for", "2h", "--reason", "x"]);
    assert!(code == 2 && said.contains("known are api"), "{code} {said}");
    let (code, said) = verb(&agent, &["pause", "api", "--for", "2h", "--reason", "new disks"]);
    assert!(code == 0 && said.contains("api: paused until"), "{code} {said}");
    let paused = |slos: &Value| slos["slos"][0]["paused"]["actor"] == "ops";
    agent.slos("the pause", paused).await;
    let status = run_to_end(&["status", "--url", &agent.url]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("the target api is paused by ops until"), "{status}");
    assert!(agent.text("/metrics").await.contains("lookout_probe_paused{target=\"api\"} 1"));
    assert!(agent.text("/metrics").await.contains("team=\"crew\""));
    agent.kill();

    let agent = Lookout::run(&config);
    let before = total(&agent.slos("the pause after a restart", paused).await);
    let (_, listed) = verb(&agent, &["list"]);
    assert!(listed.contains("team=crew") && listed.contains("new disks"), "{listed}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(total(&agent.slos("any", |_| true).await) <= before + 1, "nobody probes");
    let (code, said) = verb(&agent, &["resume", "api"]);
    assert!(code == 0 && said.contains("api: probed again"), "{code} {said}");
    agent.slos("probes again", |slos| total(slos) >= before + 3 && slos["slos"][0]["paused"].is_null()).await;
    let (code, said) = verb(&agent, &["resume", "api"]);
    assert!(code == 2 && said.contains("no operator paused"), "{code} {said}");
    eventually("no incident", || async { agent.incidents().await.is_empty().then_some(()) }).await;
}
