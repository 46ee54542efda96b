//! Targets of several addresses: one SLO counts all of them, and a change of the addresses loses no slot.

use std::time::Duration;

use lookout_config::{Config, Target};
use lookout_export::detached_recorder;
use lookout_runtime::clock::Clock as _;
use lookout_runtime::events::names;
use lookout_runtime::exposition::Format;

use super::reloaded::{counted, scheduled};
use super::simulated::{Simulation, config_of};

/// The configuration with its one target at several addresses.
fn at(config: &Config, addresses: &[&str]) -> Config {
    let template = &config.targets[0];
    let target = |address: &&str| Target {
        name: format!("{}@{address}", template.name),
        group: Some(template.name.clone()),
        ..template.clone()
    };
    Config { targets: addresses.iter().map(target).collect(), ..config.clone() }
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
    let (end, text) = (simulation.world.clock.now(), local.text(Format::Text));
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
