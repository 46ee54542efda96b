//! Failures in a row open an incident without an objective: a whole agent under simulated time.

use lookout_config::{Config, Destination, DestinationKind, FoundAddress, GatePolicy, Secret, load_with};
use lookout_engine::{Cause, Severity, Status};
use lookout_gate::{Code, Decision, Question, decide};
use lookout_ledger::IncidentStore as _;
use lookout_model::{DeployClass, PauseRecord};

use super::simulated::{Event, HOUR, Simulation};

const CONFIG: &str = "
ledger: memory
listen: 127.0.0.1:0
interval: 10s
slos: []
targets:
  - name: api
    http: { url: \"http://api.test/health\" }
    down: { after: 3, up_after: 2 }
";

fn config(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lookout.yaml");
    std::fs::write(&file, text).unwrap();
    let (mut config, _) = load_with(&file, &|_| None).unwrap();
    let kind = DestinationKind::SlackWebhook { url: Secret::new("http://slack.test/") };
    config.destinations = vec![Destination { minimum: Severity::Ticket, ..Destination::new("oncall", kind) }];
    config
}

/// Seconds after `from` at which the probe of the target starts.
fn phase(simulation: &Simulation, from: i64) -> i64 {
    let starts = simulation.world.starts.lock().unwrap()["api"].clone();
    starts[0].millis_since(simulation.start).div_euclid(1000).rem_euclid(10) + from
}

fn fail(simulation: &Simulation, from: i64, to: i64) {
    *simulation.world.fault.lock().unwrap() = Some((from, to));
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn three_failures_page_and_two_successes_end_it_each_time() {
    let simulation = Simulation::of(config(CONFIG));
    let script = async |board: &lookout_evaluate::Board| {
        simulation.sleep_until(HOUR).await;
        let first = phase(&simulation, HOUR);
        for time in 0..2 {
            let at = first + time * 600;
            // two failures, one success, two failures
            fail(&simulation, at, at + 20);
            simulation.sleep_until(at + 25).await;
            fail(&simulation, at + 30, at + 50);
            simulation.sleep_until(at + 100).await;
            assert_eq!(
                simulation.told().len() as i64,
                2 * time,
                "no three in a row: {:?}",
                simulation.told()
            );
            fail(&simulation, at + 200, at + 230);
            simulation.sleep_until(at + 220 + 12).await;
            assert_eq!(simulation.told().last().map(String::as_str), Some("opened"), "within an interval");
            let snapshot = board.read();
            assert_eq!(snapshot.slos[0].evidence.present.as_ref().unwrap().status, Status::Paging);
            let question = Question { service: "api".to_owned(), class: DeployClass::Feature };
            let answer = decide(&question, &snapshot, &GatePolicy::default(), snapshot.at);
            let reason = answer.reasons.iter().find(|reason| reason.code == Code::IncidentOpen).unwrap();
            assert_eq!(answer.decision, Decision::Deny, "{answer:?}");
            assert!(reason.text.contains("its probes fail one after the other"), "{}", reason.text);
            simulation.sleep_until(at + 300).await;
            assert_eq!(simulation.told().last().map(String::as_str), Some("resolved"));
        }
    };
    simulation.run_while(script).await;
    assert_eq!(simulation.told(), ["opened", "resolved", "opened", "resolved"]);
    for incident in simulation.incidents().await {
        assert_eq!((incident.cause, incident.severity), (Cause::TargetDown, Severity::Page));
        assert_eq!((incident.service.as_str(), incident.slo.as_str()), ("api", "api-probes"));
        let opened = incident.detected_at.millis_since(incident.started_at.unwrap());
        assert_eq!(opened, 30_000, "it began with the first failure of the row");
        let over = incident.resolved_at.unwrap().millis_since(incident.detected_at);
        assert!((10_000..=30_000).contains(&over), "{over} ms");
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_killed_agent_goes_on_with_the_row_and_with_the_incident() {
    let simulation = Simulation::of(config(CONFIG));
    for time in 0..2_i64 {
        let from = (time + 1) * HOUR;
        simulation.run(from, &[]).await;
        let first = phase(&simulation, from);
        fail(&simulation, first, i64::MAX);
        // two failures are stored with the end of their slots
        simulation.run_until_killed(first + 10 + 9).await;
        assert_eq!(simulation.told().len() as i64, 2 * time, "two failures: {:?}", simulation.told());
        simulation.run_until_killed(first + 20 + 19).await;
        assert_eq!(simulation.told().len() as i64, 2 * time + 1, "the third after the kill");
        let heal = first + 60;
        fail(&simulation, 0, heal);
        simulation.run_until_killed(heal + 9).await;
        assert_eq!(simulation.told().len() as i64, 2 * time + 1, "one success: {:?}", simulation.told());
        simulation.run(heal + 10 + 29, &[]).await;
        assert_eq!(simulation.told().len() as i64, 2 * time + 2, "{:?}", simulation.told());
    }
    assert_eq!(simulation.told(), ["opened", "resolved", "opened", "resolved"]);
    assert_eq!(simulation.incidents().await.len(), 2);
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn silence_does_not_end_the_incident_and_a_reload_keeps_the_row() {
    let other = format!("{CONFIG}  - name: web\n    http: {{ url: \"http://web.test/\" }}\n");
    let simulation = Simulation::of(config(CONFIG));
    simulation
        .run_reloading(async |_, reloader| {
            simulation.sleep_until(HOUR).await;
            let first = phase(&simulation, HOUR);
            fail(&simulation, first, i64::MAX);
            simulation.sleep_until(first + 15).await;
            reloader.reload(config(&other)).await.unwrap();
            simulation.sleep_until(first + 35).await;
            assert_eq!(simulation.told(), ["opened"]);
            // no probe ends any more: nothing is known, and nothing is resolved
            let hang: Event = |world| world.hang.store(true, std::sync::atomic::Ordering::SeqCst);
            hang(&simulation.world);
            simulation.sleep_until(2 * HOUR).await;
            assert!(!simulation.told().contains(&"resolved".to_owned()), "{:?}", simulation.told());
        })
        .await;
    let open = simulation.ledger.open_incidents().await.unwrap();
    let causes: Vec<Cause> = open.iter().map(|incident| incident.cause).collect();
    assert!(causes.contains(&Cause::TargetDown) && causes.contains(&Cause::DataMissing), "{causes:?}");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_target_that_loses_its_key_loses_its_incident() {
    let simulation = Simulation::of(config(CONFIG));
    let without = CONFIG.replace("    down: { after: 3, up_after: 2 }\n", "");
    simulation
        .run_reloading(async |_, reloader| {
            simulation.sleep_until(HOUR).await;
            fail(&simulation, HOUR, i64::MAX);
            simulation.sleep_until(HOUR + 60).await;
            assert_eq!(simulation.told(), ["opened"]);
            reloader.reload(config(&without)).await.unwrap();
            simulation.sleep_until(HOUR + 120).await;
        })
        .await;
    assert_eq!(simulation.told(), ["opened", "resolved"]);
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_maintenance_window_neither_ends_a_row_nor_makes_it_longer() {
    // the simulation begins at midnight
    let window =
        "    maintenance: [{ from: 2026-11-20T01:00:00Z, to: 2026-11-20T01:30:00Z, reason: a move }]\n";
    let simulation = Simulation::of(config(&format!("{CONFIG}{window}")));
    let script = async |_: &lookout_evaluate::Board| {
        let half = HOUR / 2;
        simulation.sleep_until(60).await;
        // two failures before the window
        fail(&simulation, phase(&simulation, HOUR - 20), i64::MAX);
        simulation.sleep_until(HOUR + half - 1).await;
        let down = async || {
            let open = simulation.ledger.open_incidents().await.unwrap();
            open.iter().filter(|incident| incident.cause == Cause::TargetDown).count()
        };
        assert_eq!(down().await, 0, "no row grows in a window");
        simulation.sleep_until(HOUR + half + 25).await;
        assert_eq!(down().await, 1, "the first failure after the window is the third of the row");
    };
    simulation.run_while(script).await;
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_pause_by_an_operator_neither_ends_a_row_nor_makes_it_longer() {
    let simulation = Simulation::of(config(CONFIG));
    let pause = async |from: i64, end: i64| {
        simulation.sleep_until(from).await;
        let (target, reason, actor) = ("api".to_owned(), "a move".to_owned(), "ops".to_owned());
        let (now, until) = (simulation.clock.now(), simulation.start.plus_millis((from + HOUR) * 1000));
        simulation.pauses.put(PauseRecord { target, from: now, until, reason, actor });
        simulation.sleep_until(end).await;
    };
    let end = || assert!(simulation.pauses.end("api", simulation.clock.now()).is_some());
    let script = async |_: &lookout_evaluate::Board| {
        simulation.sleep_until(HOUR).await;
        for time in 0..2_usize {
            let first = phase(&simulation, HOUR + 2 * HOUR * i64::try_from(time).unwrap());
            // two failures before the pause, and the third when it is over
            fail(&simulation, first, first + 1840);
            pause(first + 15, first + 1799).await;
            assert_eq!(simulation.told().len(), 2 * time, "no row grows in a pause: {:?}", simulation.told());
            end();
            simulation.sleep_until(first + 1812).await;
            assert_eq!(simulation.told().len(), 2 * time + 1, "the row went on: {:?}", simulation.told());
            // one good probe before the next pause, and the second when it is over
            pause(first + 1845, first + 2439).await;
            assert_eq!(
                simulation.told().len(),
                2 * time + 1,
                "a pause ends nothing: {:?}",
                simulation.told()
            );
            end();
            simulation.sleep_until(first + 2452).await;
            assert_eq!(simulation.told().last().map(String::as_str), Some("resolved"));
        }
    };
    simulation.run_while(script).await;
    assert_eq!(simulation.told(), ["opened", "resolved", "opened", "resolved"]);
}

const DISCOVERING: &str = "
ledger: memory
listen: 127.0.0.1:0
interval: 10s
slos: []
targets:
  - name: shop
    http: { url: \"http://{{address}}/health\" }
    discover: { dns: { names: [shop.test] }, refresh: 10s }
    down: { after: 3, up_after: 2 }
";

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_target_of_several_addresses_is_down_when_no_address_is_up() {
    let simulation = Simulation::of(config(DISCOVERING));
    let list = |addresses: &[&str]| {
        let found = |one: &&str| FoundAddress { address: (*one).to_owned(), labels: Vec::new() };
        *simulation.world.addresses.lock().unwrap() = Ok(addresses.iter().map(found).collect());
    };
    let spare = |addresses: &[&str]| {
        let names = addresses.iter().map(|one| format!("shop@{one}")).collect();
        *simulation.world.spared.lock().unwrap() = names;
    };
    let script = async |board: &lookout_evaluate::Board| {
        // no address is found: that is no evidence
        simulation.sleep_until(HOUR).await;
        let nothing = board.read();
        assert_eq!((nothing.slos.len(), nothing.slos[0].evidence.total), (1, 0));
        let open = simulation.ledger.open_incidents().await.unwrap();
        assert_eq!(open.iter().map(|one| one.cause).collect::<Vec<_>>(), [Cause::DataMissing]);
        list(&["a:1", "b:1", "c:1"]);
        simulation.sleep_until(HOUR + 300).await;
        let told = || simulation.told().split_off(2);
        assert_eq!(told(), Vec::<String>::new());
        fail(&simulation, 0, i64::MAX);
        for time in 0..2_i64 {
            let at = 2 * HOUR + time * HOUR;
            spare(&["c:1"]);
            simulation.sleep_until(at).await;
            assert_eq!(told().len() as i64, 2 * time, "one of three is up: {:?}", told());
            spare(&[]);
            simulation.sleep_until(at + 45).await;
            assert_eq!(told().len() as i64, 2 * time + 1, "none is up: {:?}", told());
            simulation.sleep_until(at + 600).await;
            assert_eq!(told().len() as i64, 2 * time + 1, "one incident, not three: {:?}", told());
            spare(&["b:1"]);
            simulation.sleep_until(at + 645).await;
            assert_eq!(told().len() as i64, 2 * time + 2, "one is up again: {:?}", told());
        }
        // the address that is up goes, and with it what it proves
        list(&["a:1", "c:1"]);
        simulation.sleep_until(5 * HOUR).await;
        assert_eq!(told(), ["opened", "resolved", "opened", "resolved", "opened"]);
        let total = board.read().slos[0].evidence.total;
        assert!((1400..=1460).contains(&total), "a round of all addresses is one event: {total} in 4 hours");
    };
    simulation.run_while(script).await;
    let down = simulation.incidents().await.into_iter().filter(|one| one.cause == Cause::TargetDown);
    assert!(down.into_iter().all(|one| (one.service.as_str(), one.slo.as_str()) == ("shop", "shop-probes")));
}
