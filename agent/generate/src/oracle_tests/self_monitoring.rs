//! The rules about the agent: promtool accepts them, and they exist when they should.

use std::fs;

use lookout_engine::Grid;
use serde_json::Value;

use super::{elsewhere, promtool, tool};
use crate::{Difference, artifacts, drift, write};
use lookout_config::{Config, OWN_ALERTS, OperatorObjects};

/// Returns the fixture with objects as well.
fn complete(folder: &std::path::Path) -> Config {
    let mut config = elsewhere(folder);
    let objects = OperatorObjects { folder: folder.join("objects"), ..OperatorObjects::default() };
    config.outputs.prometheus_rules = Some(objects);
    config
}

fn names(config: &Config) -> Vec<String> {
    let names = artifacts(config).into_iter().filter_map(|file| {
        let name = file.path.file_name()?.to_string_lossy().into_owned();
        name.to_ascii_lowercase().starts_with("lookout").then_some(name)
    });
    names.collect()
}

#[test]
fn every_alert_fires_in_time_and_none_for_what_passes() {
    for seconds in [1, 60, 300] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = complete(folder.path());
        config.grid = Grid::try_new(seconds).unwrap();
        write(&artifacts(&config)).unwrap();
        let alerts = folder.path().join("alerts");
        promtool(&alerts, &["check", "rules", "--lint=all", "--lint-fatal", "lookout.rules.yaml"]);
        promtool(&alerts, &["test", "rules", "lookout.tests.yaml"]);
    }
}

/// The tests can fail: each of these likely mistakes in the rules makes one fail.
#[test]
fn the_tests_see_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    write(&artifacts(&complete(folder.path()))).unwrap();
    let alerts = folder.path().join("alerts");
    let rules = fs::read_to_string(alerts.join("lookout.rules.yaml")).unwrap();
    for (right, wrong) in [
        ("or\nabsent(up{", "or\nvector(0) > absent(up{"),
        ("for: 3m", "for: 10s"),
        ("for: 3m", "for: 30m"),
        ("changes(lookout_task_last_success", "0 * changes(lookout_task_last_success"),
        ("deliver .+", "deliver"),
        ("up{job=\"lookout\"} == 1", "up{job=\"lookout\"} == 2"),
        ("lookout_ledger_failures_total", "lookout_ledger_failure_total"),
        ("lookout_delivery_waiting{job=\"lookout\"} > 0", "lookout_delivery_waiting{job=\"lookout\"} > 9"),
        ("outcome=\"delivered\"", "outcome=\"retry\""),
        ("outcome=\"failed\"", "outcome=\"retry\""),
        ("lookout_task_panics_total{", "lookout_task_panics{"),
        ("[1h]) > 3", "[1h]) > 2"),
        ("[1h]) > 3", "[1h]) > 4"),
        ("[1h:5m]) >= 3", "[1h:5m]) >= 1"),
        ("[1h:5m]) >= 3", "[1h:5m]) >= 9"),
        ("abs(timestamp(", "0 * abs(timestamp("),
        ("lookout_config_last_reload_successful", "lookout_config_last_reload_success"),
        (
            "lookout_discovery_last_lookup_successful{job=\"lookout\"} == 0",
            "lookout_discovery_last_lookup_successful == 2",
        ),
    ] {
        // expressions are indented further
        let lines: Vec<&str> = right.split('\n').collect();
        let found = rules.lines().collect::<Vec<_>>();
        let at = found
            .windows(lines.len())
            .position(|part| part.iter().zip(&lines).all(|(line, text)| line.contains(text)))
            .unwrap_or_else(|| panic!("{right} is not in {rules}"));
        let mut changed: Vec<String> = found.iter().map(|line| (*line).to_owned()).collect();
        for (index, (right, wrong)) in lines.iter().zip(wrong.split('\n')).enumerate() {
            changed[at + index] = changed[at + index].replace(right, wrong);
        }
        fs::write(alerts.join("lookout.rules.yaml"), changed.join("\n") + "\n").unwrap();
        let out = std::process::Command::new("promtool")
            .args(["test", "rules", "lookout.tests.yaml"])
            .current_dir(&alerts)
            .output()
            .unwrap();
        assert!(!out.status.success(), "nobody sees `{wrong}` for `{right}`");
    }
}

#[test]
fn the_object_holds_the_group_and_each_alert_its_page_and_its_route() {
    let folder = tempfile::tempdir().unwrap();
    let config = complete(folder.path());
    write(&artifacts(&config)).unwrap();
    let read = |path: &str| -> Value {
        serde_saphyr::from_str(&fs::read_to_string(folder.path().join(path)).unwrap()).unwrap()
    };
    let (object, plain) = (read("objects/lookout.prometheusrule.yaml"), read("alerts/lookout.rules.yaml"));
    assert_eq!(object["spec"]["groups"], plain["groups"]);
    assert_eq!(object["metadata"]["name"], "lookout");
    let rules = plain["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect::<Vec<_>>(), OWN_ALERTS);
    for rule in rules {
        let (alert, severity) =
            (rule["alert"].as_str().unwrap(), rule["labels"]["severity"].as_str().unwrap());
        let page = fs::read_to_string(folder.path().join(format!("runbooks/{alert}.md"))).unwrap();
        assert!(page.contains(&format!("\nseverity: [{severity}]\n")), "{page}");
        let expr = rule["expr"].as_str().unwrap();
        assert!(page.contains(&format!("```promql\n{expr}\n```")), "{page}");
        let label = format!("severity={severity}");
        let alerts = folder.path().join("alerts");
        let routes = ["config", "routes", "show", "--config.file=alertmanager.yaml"];
        let tree = tool("amtool", "prometheus-alertmanager", &alerts, &routes);
        assert!(
            tree.contains(&format!("severity=\"{severity}\"")),
            "{label} has no route of its own: {tree}"
        );
    }
}

#[test]
fn they_follow_the_job_and_go_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = complete(folder.path());
    let all = names(&config);
    assert_eq!(all.len(), 3 + OWN_ALERTS.len(), "{all:?}");
    config.outputs.agent_job = Some("monitoring/\"lookout\"".to_owned());
    write(&artifacts(&config)).unwrap();
    let alerts = folder.path().join("alerts");
    let rules = fs::read_to_string(alerts.join("lookout.rules.yaml")).unwrap();
    assert!(
        !rules.contains("job=\"lookout\"") && rules.contains(r#"job="monitoring/\"lookout\"""#),
        "{rules}"
    );
    promtool(&alerts, &["test", "rules", "lookout.tests.yaml"]);
    let page = fs::read_to_string(folder.path().join("runbooks/LookoutDown.md")).unwrap();
    assert!(!page.contains("job=\"lookout\""), "{page}");

    config.outputs.agent_job = None;
    assert_eq!(names(&config), [""; 0], "nobody scrapes the agent");
    let stale = drift(&artifacts(&config)).unwrap();
    assert_eq!(stale.len(), all.len(), "{stale:?}");
    assert!(stale.iter().all(|found| found.difference == Difference::Stale), "{stale:?}");
}

#[test]
fn a_service_of_that_name_keeps_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = complete(folder.path());
    config.slos[0].service = "lookout".to_owned();
    let all = names(&config);
    for name in ["lookout.rules.yaml", "lookout-agent.rules.yaml", "lookout-agent.prometheusrule.yaml"] {
        assert_eq!(all.iter().filter(|other| *other == name).count(), 1, "{all:?}");
    }
    write(&artifacts(&config)).unwrap();
    promtool(&folder.path().join("alerts"), &["test", "rules", "lookout-agent.tests.yaml"]);
}
