//! Targets of several addresses: one SLO counts all of them, and a change of the addresses loses no slot.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lookout_collect::discover::DiscoveryError;
use lookout_config::{Config, FoundAddress, Indicator, Target, load_with};
use lookout_engine::{Cause, Severity};
use lookout_export::detached_recorder;
use lookout_ledger::IncidentStore as _;
use lookout_model::IncidentRecord;
use lookout_runtime::clock::Clock as _;
use lookout_runtime::events::names;
use lookout_runtime::exposition::Format;

use super::reloaded::{counted, scheduled};
use super::simulated::{Simulation, config_of};
use super::support::{Lookout, eventually};

/// The configuration with its one target at several addresses.
fn at(config: &Config, addresses: &[&str]) -> Config {
    let template = &config.targets[0];
    let target = |address: &&str| Target {
        name: format!("{}@{address}", template.name),
        group: Some(template.name.clone()),
        ..Target::clone(template)
    };
    Config { targets: addresses.iter().map(target).map(Arc::new).collect(), ..config.clone() }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn an_slo_counts_every_address_and_those_that_stay_go_on() {
    let local = detached_recorder();
    let _lent = metrics::set_default_local_recorder(&local);
    let template = config_of(&["http://service.test/health".to_owned()]);
    let (before, after) = (at(&template, &["a", "b"]), at(&template, &["b", "c"]));
    let simulation = Simulation::of(before.clone());
    let evidence = std::sync::Mutex::new(Vec::new());
    simulation
        .run_reloading(async |board, reloader| {
            simulation.sleep_until(123).await;
            reloader.reload(after.clone()).await.unwrap();
            evidence.lock().unwrap().push(board.read().slos[0].evidence.total);
            simulation.sleep_until(225).await;
            evidence.lock().unwrap().push(board.read().slos[0].evidence.total);
        })
        .await;
    let (end, text) = (simulation.ended(), local.text(Format::Text));
    let starts = simulation.world.starts.lock().unwrap().clone();
    let stays = &before.targets[1];
    assert_eq!(starts[&stays.name], scheduled(stays, simulation.start, end), "an address that stays");
    let counts = |name: &str| counted(&text, names::PROBES, name);
    let each: Vec<u64> =
        ["a", "b", "c"].map(|address| counts(&format!("{}@{address}", template.targets[0].name))).into();
    assert!(each.iter().all(|count| *count >= 10), "{each:?}");
    assert_eq!(counts(&template.targets[0].name), each.iter().sum::<u64>(), "the sum over all addresses");
    // a probe of every address is an event once its slot is over
    let begun = |second: u64| {
        let until = simulation.start + Duration::from_secs(second);
        starts.values().flatten().filter(|start| **start < until).count() as u64
    };
    for (total, second) in evidence.into_inner().unwrap().into_iter().zip([123, 225]) {
        assert!((begun(second - 20)..=begun(second)).contains(&total), "{total} at {second} s");
        assert!(total > begun(second) / 2 + 5, "more than one address counts");
    }
}

/// The configuration whose one target has the addresses that a lookup finds.
fn discovering() -> Config {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
slos: []
targets:
  - name: shop
    interval: 10s
    http: { url: "http://{{address}}/health" }
    discover: { dns: { names: [shop.test] }, refresh: 30s, limit: 2 }
"#;
    std::fs::write(folder.path().join("lookout.yaml"), text).unwrap();
    let (found, _) = load_with(folder.path(), &|_| None).unwrap();
    let mut config = config_of(&["http://service.test/health".to_owned()]);
    config.slos[0].indicator = Indicator::Probe { target: "shop".to_owned(), certificate_days: None };
    Config { targets: found.targets, discoveries: found.discoveries, ..config }
}

fn found(addresses: &[&str]) -> Vec<FoundAddress> {
    addresses.iter().map(|one| FoundAddress { address: (*one).to_owned(), labels: Vec::new() }).collect()
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn lookups_that_fail_keep_the_addresses_and_a_change_keeps_phase_and_incident() {
    let local = detached_recorder();
    let _lent = metrics::set_default_local_recorder(&local);
    let simulation = Simulation::of(discovering());
    *simulation.world.fault.lock().unwrap() = Some((60, 290));
    let answers = |answer: Result<Vec<FoundAddress>, DiscoveryError>| {
        *simulation.world.addresses.lock().unwrap() = answer;
    };
    let count = |outcome: &str| {
        let text = local.text(Format::Text);
        let line = format!("{}{{target=\"shop\",outcome=\"{outcome}\"}} ", names::DISCOVERIES);
        text.lines().find_map(|shown| shown.strip_prefix(&line)).map_or(0, |n| n.parse::<u64>().unwrap())
    };
    let in_use = || {
        let text = local.text(Format::Text);
        let line = format!("{}{{target=\"shop\"}} ", names::DISCOVERED);
        text.lines().find_map(|shown| shown.strip_prefix(&line).map(str::to_owned)).unwrap()
    };
    let succeeded = || {
        let text = local.text(Format::Text);
        let line = format!("{}{{target=\"shop\"}} ", names::DISCOVERY_SUCCEEDED);
        text.lines().find_map(|shown| shown.strip_prefix(&line).map(str::to_owned))
    };
    let targets = |reloaded: &Config| reloaded.targets.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert!(targets(&discovering()).is_empty());
    answers(Ok(found(&["a:1", "b:1"])));
    simulation
        .run_reloading(async |_, reloader| {
            simulation.sleep_until(125).await;
            assert_eq!((count("fail"), in_use().as_str()), (0, "2"));
            let before = simulation.ledger.open_incidents().await.unwrap();
            assert_eq!(before.len(), 1);
            // twice each: an error, an empty answer, and too many addresses
            for answer in [
                Err(DiscoveryError::Dns("shop.test: no answer".to_owned())),
                Ok(Vec::new()),
                Ok(found(&["a:1", "b:1", "c:1"])),
            ] {
                let (failed, second) = (count("fail"), simulation.world.clock.now());
                answers(answer);
                let second = second.millis_since(simulation.start) / 1000;
                simulation.sleep_until(second + 60).await;
                assert_eq!((count("fail") - failed, in_use().as_str()), (2, "2"));
                assert_eq!(succeeded().as_deref(), Some("0"));
            }
            // a configuration that was read anew has the addresses in use
            reloader.reload(discovering()).await.unwrap();
            assert_eq!((in_use().as_str(), succeeded().as_deref()), ("2", Some("0")));
            answers(Ok(found(&["b:1", "c:1"])));
            let ok = count("ok");
            simulation.sleep_until(425).await;
            assert!(count("ok") >= ok + 2);
            assert_eq!(succeeded().as_deref(), Some("1"));
            let open = simulation.ledger.open_incidents().await.unwrap();
            let ids = |all: &[IncidentRecord]| all.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
            assert_eq!(ids(&open), ids(&before), "the incident goes on");
        })
        .await;
    let end = simulation.ended();
    let starts = simulation.world.starts.lock().unwrap().clone();
    let probed = |address: &str| {
        let target = Target {
            name: format!("shop@{address}"),
            ..Target::clone(&config_of(&["http://x.test/".to_owned()]).targets[0])
        };
        let target = Target { interval: Duration::from_secs(10), ..target };
        (starts[&target.name].clone(), target)
    };
    let (stays, target) = probed("b:1");
    assert_eq!(stays, scheduled(&target, simulation.start, end), "no failure and no change costs a slot");
    let (gone, target) = probed("a:1");
    let until = *gone.last().unwrap() + Duration::from_millis(1);
    assert_eq!(gone, scheduled(&target, simulation.start, until));
    assert!(until < end - Duration::from_secs(80) && until > simulation.start + Duration::from_secs(300));
    let (new, target) = probed("c:1");
    assert_eq!(new, scheduled(&target, new[0] - Duration::from_millis(1), end));
    assert_eq!(simulation.told(), ["opened"], "nobody is told of it twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_of_addresses_is_told_twice_and_healed_while_the_configuration_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (super::support::Target::start().await, super::support::Target::start().await);
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let list = |all: &[&super::support::Target]| {
        let all: Vec<String> = all.iter().map(|target| format!("\"{}\"", target.address)).collect();
        write("shop.yaml", &format!("- targets: [{}]\n", all.join(", ")));
    };
    list(&[&one]);
    let target = r#"{ name: shop, interval: 1s, timeout: 400ms, http: { url: "http://{{address}}/health" }, discover: { files: [shop.yaml], limit: 2, refresh: 1s } }"#;
    write(
        "lookout.yaml",
        &format!("listen: 127.0.0.1:0\nledger: memory\ninterval: 1s\nslos: []\ntargets: [{target}]\n"),
    );
    let agent = Lookout::run(&folder.path().join("lookout.yaml"));
    let shows = async |what: &str, path: &str, text: &str, shown: bool| {
        eventually(what, || async { (agent.text(path).await.contains(text) == shown).then_some(()) }).await;
    };
    let (first, second) = (format!("shop@{}", one.address), format!("shop@{}", two.address));
    shows("the first address", "/", &first, true).await;
    for (wrong, told) in [
        ("- targets: [\"10.0.0.1:1\"", "shop.yaml is not YAML or JSON"),
        (
            "- targets: [\"10.0.0.1:1\", \"10.0.0.2:1\", \"10.0.0.3:1\"]\n",
            "3 addresses were found, more than `limit: 2`",
        ),
    ] {
        write("shop.yaml", wrong);
        shows("the failure", "/", told, true).await;
        let page = agent.text("/").await;
        assert!(page.contains(&first) && !page.contains("10.0.0."), "the address of before: {page}");
        assert!(!page.contains("was refused"), "the configuration stands: {page}");
        let api = agent.get("/api/v1/targets").await;
        assert_eq!(
            (&api["discoveries"][0]["addresses"], &api["discoveries"][0]["source"]),
            (&1.into(), &"files".into())
        );
        assert!(api["discoveries"][0]["failure"]["text"].as_str().unwrap().contains(told), "{api}");
        assert!(agent.text("/readyz").await.contains("addresses of shop cannot be looked up"));
        list(&[&one]);
        shows("no failure any more", "/", "Addresses not found", false).await;
    }
    list(&[&one, &two]);
    shows("the second address", "/", &second, true).await;
    assert!(agent.text("/metrics").await.contains(&format!("target=\"{first}\"")));
    list(&[&two]);
    shows("an address that is gone", "/", &first, false).await;
    shows("series of an address that is gone", "/metrics", &first, false).await;
    let text = agent.text("/metrics").await;
    assert!(
        text.contains(&second) && text.contains("lookout_discovery_addresses{target=\"shop\"} 1"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_source_that_is_removed_raises_no_alert_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let target = super::support::Target::start().await;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let shop = r#"targets: [{ name: shop, interval: 1s, timeout: 400ms, http: { url: "http://{{address}}/health" }, discover: { files: [shop.yaml], refresh: 1s } }]"#;
    let config = |targets: &str| {
        write(
            "lookout.yaml",
            &format!("listen: 127.0.0.1:0\nledger: memory\ninterval: 1s\nslos: []\n{targets}\n"),
        );
    };
    let list = || write("shop.yaml", &format!("- targets: [\"{}\"]\n", target.address));
    list();
    config(shop);
    let agent = Lookout::run(&folder.path().join("lookout.yaml"));
    let failing = format!("{}{{target=\"shop\"}} 0", names::DISCOVERY_SUCCEEDED);
    let shows = async |what: &str, text: &str, shown: bool| {
        eventually(what, || async { (agent.text("/metrics").await.contains(text) == shown).then_some(()) })
            .await;
    };
    for _ in 0..2 {
        shows("a lookup that succeeds", &failing.replace("} 0", "} 1"), true).await;
        write("shop.yaml", "- targets: []\n");
        shows("the failure", &failing, true).await;
        config("targets: []");
        agent.signal("HUP");
        shows("no series of a target that is removed", "target=\"shop\"", false).await;
        list();
        config(shop);
        agent.signal("HUP");
    }
}

/// A name server that tells one address for every name, or SERVFAIL.
async fn name_server(fails: &Arc<AtomicBool>) -> SocketAddr {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (address, fails) = (socket.local_addr().unwrap(), Arc::clone(fails));
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let fails = fails.load(Ordering::Relaxed);
            let [a, b] = [query[0], query[1]];
            // the head: the id, an answer, one question and one record, or a code alone
            let mut answer =
                vec![a, b, 0x81, if fails { 0x82 } else { 0x80 }, 0, 1, 0, u8::from(!fails), 0, 0, 0, 0];
            // the question ends with its type and class; what follows it are options
            let end = 12 + query[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
            answer.extend_from_slice(&query[12..end]);
            if !fails {
                answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&answer, from).await;
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn lookout_probe_looks_addresses_up_and_probes_all_or_one() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (super::support::Target::start().await, super::support::Target::start().await);
    let fails = Arc::new(AtomicBool::new(false));
    let server = name_server(&fails).await;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("shop.yaml", &format!("- targets: [\"{}\", \"{}\"]\n", one.address, two.address));
    let port = one.address.port();
    let health = "interval: 1s, timeout: 400ms, http: { url: \"http://{{address}}/health\" }";
    let text = format!(
        "slos: []\ntargets:\n  - {{ name: shop, {health}, discover: {{ files: [shop.yaml] }} }}\n  \
         - {{ name: cart, {health}, discover: {{ dns: {{ names: [cart.test], type: A, port: {port}, server: \"{server}\" }} }} }}\n"
    );
    write("lookout.yaml", &text);
    let config = folder.path().join("lookout.yaml").to_str().unwrap().to_owned();
    let probe = async |name: &str, more: &[&str]| {
        let arguments = [&["probe", name, "-c", &config], more].concat();
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let ended = tokio::task::spawn_blocking(move || {
            super::support::run_to_end(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let ended = ended.await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
    };
    let (code, told, _) = probe("shop", &[]).await;
    assert_eq!((code, told.matches("ok: status 200").count()), (0, 2), "{told}");
    assert!(told.contains("2 of 2 addresses are good"), "{told}");
    two.answer(503);
    let (code, told, _) = probe("shop", &["--json"]).await;
    let all: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (code, &all[0]["ok"], &all[1]["ok"], &all[1]["status"]),
        (1, &true.into(), &false.into(), &503.into())
    );
    assert_eq!(all[1]["target"], format!("shop@{}", two.address));
    let (code, told, _) = probe(&format!("shop@{}", one.address), &[]).await;
    assert!(code == 0 && told.contains("ok: status 200") && !told.contains("addresses are good"), "{told}");
    let (code, _, told) = probe("shop@10.0.0.1:1", &[]).await;
    assert!(code == 2 && told.contains(&format!("it has shop@{}", one.address)), "{code} {told}");
    let (code, _, told) = probe("nobody", &[]).await;
    assert!(code == 2 && told.contains(", shop, cart"), "{code} {told}");
    for _ in 0..2 {
        fails.store(true, Ordering::Relaxed);
        let (code, _, told) = probe("cart", &[]).await;
        assert_eq!(code, 2, "{told}");
        assert!(
            told.contains("the addresses of `cart` cannot be looked up (dns): ") && told.contains("SERVFAIL"),
            "{told}"
        );
        fails.store(false, Ordering::Relaxed);
        let (code, told, _) = probe("cart", &[]).await;
        assert!(code == 0 && told.contains("1 of 1 addresses are good"), "{told}");
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn after_a_restart_nothing_is_probed_until_the_first_answer_and_that_is_told() {
    let mut config = discovering();
    config.destinations[0].minimum = Severity::Ticket;
    let simulation = Simulation::of(config);
    let answers = |answer: Result<Vec<FoundAddress>, DiscoveryError>| {
        *simulation.world.addresses.lock().unwrap() = answer;
    };
    let probes =
        || -> Vec<_> { simulation.world.starts.lock().unwrap().get("shop@a:1").cloned().unwrap_or_default() };
    answers(Ok(found(&["a:1", "b:1"])));
    simulation.run(600, &[]).await;
    let (phase, mut known) = (probes()[0].as_seconds().rem_euclid(10), probes().len());
    assert!(known >= 50, "{known}");
    for restart in 1..=2_i64 {
        answers(Err(DiscoveryError::Dns("no answer".to_owned())));
        simulation.run(restart * 3600, &[]).await;
        assert_eq!(probes().len(), known, "no address is known");
        let open = simulation.ledger.open_incidents().await.unwrap();
        assert_eq!(open.iter().map(|one| one.cause).collect::<Vec<_>>(), [Cause::DataMissing], "it is told");
        answers(Ok(found(&["a:1", "b:1"])));
        simulation.run(restart * 3600 + 600, &[]).await;
        let now = probes();
        assert!(now.len() > known + 50, "{} after {known}", now.len());
        assert!(
            now.iter().all(|at| at.as_seconds().rem_euclid(10) == phase),
            "the phase is that of its name"
        );
        assert_eq!(simulation.ledger.open_incidents().await.unwrap(), []);
        known = now.len();
    }
}
