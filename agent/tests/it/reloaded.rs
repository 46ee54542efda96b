//! Another configuration while the agent runs: state that stays, state that is restored, and refusals.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lookout::agent::{ReloadError, Reloader};
use lookout_collect::Schedule;
use lookout_config::{Config, Indicator, Slo, Target};
use lookout_engine::{Grid, Objective};
use lookout_export::detached_recorder;
use lookout_ledger::{CountStore as _, IncidentStore as _};
use lookout_model::Timestamp;
use lookout_runtime::clock::Clock as _;
use lookout_runtime::events::names;
use lookout_runtime::exposition::Format;

use super::simulated::{Simulation, config_of};
use super::support::{Lookout, Slack, eventually};

fn urls(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("http://service-{n}.test/health")).collect()
}

/// The sum of a counter of a target over all other labels.
pub(super) fn counted(text: &str, metric: &str, target: &str) -> u64 {
    let label = format!("target=\"{target}\"");
    let of_target = |line: &&str| line.starts_with(&format!("{metric}{{")) && line.contains(&label);
    text.lines().filter(of_target).map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Starts of a target between two instants.
pub(super) fn scheduled(target: &Target, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let schedule = Schedule::new(&target.name, target.interval);
    let (first, last) = (schedule.number_at(from) + 1, schedule.number_at(to));
    (first..=last).map(|number| schedule.start_of(number)).collect()
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn of_a_thousand_targets_one_changes_and_the_others_keep_phase_counters_and_incidents() {
    let local = detached_recorder();
    let _lent = metrics::set_default_local_recorder(&local);
    let config = config_of(&urls(1000));
    let simulation = Simulation::of(config.clone());
    let mut changed = config.clone();
    Arc::make_mut(&mut changed.targets[500]).interval = Duration::from_secs(20);
    // incidents of everything are open when the configuration changes
    *simulation.world.fault.lock().unwrap() = Some((30, 150));
    let before = std::sync::Mutex::new((Vec::new(), Vec::new()));
    simulation
        .run_reloading(async |board, reloader| {
            simulation.sleep_until(123).await;
            let open = simulation.ledger.open_incidents().await.unwrap();
            let totals = board.read().slos.iter().map(|slo| slo.evidence.total).collect::<Vec<_>>();
            *before.lock().unwrap() = (open, totals);
            reloader.reload(changed.clone()).await.unwrap();
            let (open, totals) = before.lock().unwrap().clone();
            assert_eq!(simulation.ledger.open_incidents().await.unwrap(), open, "incidents go on");
            let now = board.read();
            for (slo, total) in now.slos.iter().zip(&totals) {
                assert!(slo.evidence.total >= *total && !slo.incidents.is_empty(), "{}", slo.id);
            }
            simulation.sleep_until(225).await;
        })
        .await;
    assert_eq!(before.lock().unwrap().0.len(), 1000, "every SLO had an incident");

    let (end, text) = (simulation.ended(), local.text(Format::Text));
    let starts = simulation.world.starts.lock().unwrap().clone();
    for (place, target) in config.targets.iter().enumerate().filter(|(place, _)| *place != 500) {
        let expected = scheduled(target, simulation.start, end);
        assert_eq!(starts[&target.name], expected, "target {place} keeps its phase");
        assert_eq!(
            counted(&text, names::PROBES, &target.name),
            expected.len() as u64,
            "one outcome per slot"
        );
        assert_eq!(counted(&text, names::PROBE_MISSED, &target.name), 0, "no slot is missed");
    }
    let reloaded_at = simulation.start + Duration::from_secs(123);
    let (one, other) = (&config.targets[500], &changed.targets[500]);
    let expected =
        [scheduled(one, simulation.start, reloaded_at), scheduled(other, reloaded_at, end)].concat();
    assert_eq!(starts[&one.name], expected, "the changed one goes on with its new interval");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn whatever_is_reloaded_every_slot_of_every_target_has_one_outcome() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let local = detached_recorder();
        let _lent = metrics::set_default_local_recorder(&local);
        let all = config_of(&urls(12));
        let simulation = Simulation::of(all.clone());
        let mut slots: BTreeMap<String, usize> = BTreeMap::new();
        let mut second = 0;
        simulation
            .run_reloading(async |_, reloader| {
                let (mut running, mut since) = (all.clone(), simulation.start);
                let mut account = |running: &Config, since, now| {
                    for target in &running.targets {
                        *slots.entry(target.name.clone()).or_default() += scheduled(target, since, now).len();
                    }
                };
                for _ in 0..25 {
                    second += random.i64(7..90);
                    simulation.sleep_until(second).await;
                    match random.u8(..4) {
                        0 => tokio::time::advance(Duration::from_secs(random.u64(..60))).await,
                        1 => {
                            let by_ms = random.i64(0..40_000);
                            simulation.world.clock.ahead_ms.fetch_add(by_ms, Ordering::SeqCst);
                        }
                        _ => {}
                    }
                    // every loop looks at its clock before the configuration changes
                    for _ in 0..50 {
                        tokio::task::yield_now().await;
                    }
                    let now = simulation.world.clock.now();
                    let next = variant(&all, &mut random);
                    account(&running, since, now);
                    reloader.reload(next.clone()).await.unwrap();
                    assert_eq!(simulation.world.clock.now(), now, "a reload takes no simulated time");
                    (running, since) = (next, now);
                    second = second.max(now.millis_since(simulation.start) / 1000);
                }
                simulation.sleep_until(second + 61).await;
                account(&running, since, simulation.world.clock.now());
            })
            .await;
        let text = local.text(Format::Text);
        for (target, slots) in &slots {
            let outcomes = counted(&text, names::PROBES, target);
            assert_eq!(outcomes, *slots as u64, "seed {seed}, {target}");
        }
        let probes: usize = simulation.world.starts.lock().unwrap().values().map(Vec::len).sum();
        assert!(probes > 500, "seed {seed}: {probes} probes");
    }
}

/// A configuration with some of the targets and SLOs, some of them changed.
fn variant(all: &Config, random: &mut fastrand::Rng) -> Config {
    let mut config = all.clone();
    config.targets.retain_mut(|target| {
        if random.u8(..4) == 0 {
            Arc::make_mut(target).interval = Duration::from_secs(random.u64(6..30));
        }
        random.u8(..5) > 0
    });
    let targets = config.targets.clone();
    config.slos.retain_mut(|slo| {
        if random.u8(..4) == 0 {
            slo.policy.objective = Objective::try_from_percent(99.0).unwrap();
        }
        random.u8(..5) > 0
            && matches!(&slo.indicator, Indicator::Probe { target, .. } if targets.iter().any(|t| t.name == *target))
    });
    random.shuffle(&mut config.targets);
    random.shuffle(&mut config.slos);
    config
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn every_probe_is_counted_once_for_its_slo_across_reloads() {
    let all = config_of(&urls(3));
    let simulation = Simulation::of(all.clone());
    let ids: Vec<String> = all.slos.iter().map(Slo::id).collect();
    let counts = async |id: &str| simulation.ledger.counts(id, Timestamp::EPOCH).await.unwrap().total();
    simulation
        .run_reloading(async |board, reloader| {
            let mut without_first = all.clone();
            without_first.slos.remove(0);
            let mut stricter = all.clone();
            stricter.slos[2].policy.objective = Objective::try_from_percent(99.99).unwrap();
            for (second, config) in [(103, &without_first), (207, &all), (311, &stricter), (413, &all)] {
                simulation.sleep_until(second).await;
                reloader.reload(config.clone()).await.unwrap();
                let shown: Vec<String> = board.read().slos.iter().map(|slo| slo.id.clone()).collect();
                assert_eq!(shown, config.slos.iter().map(Slo::id).collect::<Vec<_>>(), "shown at once");
            }
            simulation.sleep_until(600).await;
            let shown = board.read();
            for (slo, wanted) in shown.slos.iter().zip([&ids[0], &ids[1], &ids[2]]) {
                let stored = counts(wanted).await;
                let probes = stored.good + stored.bad;
                assert!(
                    slo.evidence.total.abs_diff(probes) <= 1,
                    "{wanted}: {} of {probes}",
                    slo.evidence.total
                );
            }
        })
        .await;
    let starts = simulation.world.starts.lock().unwrap().clone();
    for (id, target) in ids.iter().zip(&all.targets).skip(1) {
        let stored = counts(id).await;
        assert_eq!(stored.good + stored.bad, starts[&target.name].len() as u64, "{id}");
    }
    let (first, probes) = (counts(&ids[0]).await, starts[&all.targets[0].name].len() as u64);
    assert!((10..=11).contains(&(probes - first.good)), "only the time without the SLO is not counted");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn an_slo_that_is_gone_ends_its_incident_and_one_that_stays_does_not_page_twice() {
    let all = config_of(&urls(2));
    let simulation = Simulation::of(all.clone());
    *simulation.world.fault.lock().unwrap() = Some((60, 5000));
    simulation
        .run_reloading(async |_, reloader| {
            simulation.sleep_until(400).await;
            let mut one = all.clone();
            one.slos.remove(0);
            reloader.reload(one).await.unwrap();
            simulation.sleep_until(600).await;
        })
        .await;
    assert_eq!(simulation.told(), ["opened", "opened", "resolved"]);
    let open = simulation.ledger.open_incidents().await.unwrap();
    assert_eq!(open.iter().map(|record| record.slo_id.clone()).collect::<Vec<_>>(), [all.slos[1].id()]);
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn keys_that_need_a_restart_are_refused_and_nothing_changes() {
    let local = detached_recorder();
    let _lent = metrics::set_default_local_recorder(&local);
    let all = config_of(&urls(2));
    let simulation = Simulation::of(all.clone());
    let successful = || {
        let text = local.text(Format::Text);
        text.lines().find(|line| line.starts_with(names::CONFIG_RELOADED)).unwrap().ends_with(" 1")
    };
    let refuse = async |reloader: &Reloader, config: Config, keys: &str| {
        let error = reloader.reload(config).await.unwrap_err();
        assert!(matches!(&error, ReloadError::Restart(found) if found == keys), "{error}");
        assert!(!successful());
    };
    simulation
        .run_reloading(async |board, reloader| {
            simulation.sleep_until(60).await;
            let wider =
                Config { grid: Grid::MINUTE, listen: "127.0.0.1:1".parse().unwrap(), ..config_of(&urls(1)) };
            refuse(reloader, wider, "`listen`, `interval`").await;
            simulation.sleep_until(120).await;
            assert_eq!(board.read().slos.len(), 2, "the configuration before is in use");
            reloader.reload(config_of(&urls(1))).await.unwrap();
            assert!(successful());
            assert_eq!(board.read().slos.len(), 1);
        })
        .await;
}

/// Writes a configuration with targets by their names.
fn write(folder: &Path, targets: &[(&str, String)]) {
    let head = "listen: 127.0.0.1:0\nledger: memory\ninterval: 1s\nslos: []\ntargets:\n".to_owned();
    let text = targets.iter().fold(head, |text, (name, url)| {
        text + &format!("  - {{ name: {name}, interval: 1s, timeout: 400ms, http: {{ url: '{url}' }} }}\n")
    });
    std::fs::write(folder.join("lookout.yaml"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_agent_reloads_at_sighup_and_at_a_change_and_shows_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let target = super::support::Target::start().await;
    write(folder.path(), &[("first", target.url())]);
    let agent = Lookout::run(&folder.path().join("lookout.yaml"));
    let shows = async |what: &str, text: &str, shown: bool| {
        eventually(what, || async { (agent.text("/").await.contains(text) == shown).then_some(()) }).await;
    };
    shows("the first target", "first", true).await;

    write(folder.path(), &[("first", target.url()), ("second", target.url())]);
    agent.signal("HUP");
    shows("the second target after SIGHUP", "second", true).await;

    write(folder.path(), &[("first", target.url()), ("third", "ftp://nowhere.test/".to_owned())]);
    shows("the refusal of a changed file", "was refused; the one before is in use", true).await;
    let page = agent.text("/").await;
    assert!(page.contains("second") && !page.contains("ftp:"), "{page}");
    assert!(page.contains("lookout.yaml:7:"), "the place of the error is shown: {page}");
    assert!(agent.text("/metrics").await.contains(&format!("\n{} 0\n", names::CONFIG_RELOADED)));

    write(folder.path(), &[("third", target.url())]);
    shows("the repaired file", "third", true).await;
    shows("no refusal any more", "was refused", false).await;
    let page = agent.text("/").await;
    assert!(!page.contains("second"), "a target that is gone is not shown: {page}");
    assert!(agent.text("/metrics").await.contains(&format!("\n{} 1\n", names::CONFIG_RELOADED)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_changed_in_its_file_is_used_and_the_incident_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let target = super::support::Target::start().await;
    let (before, after) = (Slack::start().await, Slack::start().await);
    let agent = Lookout::run(&super::restart::write_config(folder.path(), &target, &before));
    let seen = |slos: &serde_json::Value| slos["slos"][0]["evidence"]["total"].as_u64().unwrap_or(0);
    agent.slos("a healthy start", |slos| seen(slos) >= 2).await;
    target.answer(503);
    eventually("the page", || async { (before.texts().len() == 1).then_some(()) }).await;
    let opened = agent.incidents().await;

    let taken_at = async || {
        let text = agent.text("/metrics").await;
        text.lines().find(|line| line.starts_with(names::CONFIG_RELOADED_AT)).unwrap().to_owned()
    };
    let first = taken_at().await;
    std::fs::write(folder.path().join("webhook"), after.webhook()).unwrap();
    eventually("the new secret in use", || async { (taken_at().await != first).then_some(()) }).await;
    assert_eq!(agent.incidents().await[0]["id"], opened[0]["id"]);
    target.answer(200);
    eventually("the end at the other webhook", || async { (!after.texts().is_empty()).then_some(()) }).await;
    assert_eq!(before.texts().len(), 1, "nothing more goes to the one before: {:?}", before.texts());
    assert_eq!(agent.incidents().await.len(), 1);
}
