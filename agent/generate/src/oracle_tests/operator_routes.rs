//! Routes as an object of the Prometheus operator: Alertmanager is asked where each alert goes.

use std::fs;
use std::path::Path;

use lookout_config::{AlertmanagerConfig, Config, OperatorObjects, RoutedAlerts, SecretKey};
use programs::operator;
use serde_json::{Value, json};

use super::{elsewhere, tool};
use crate::{artifacts, write};

/// Returns the fixture with the object in a folder.
fn with_object(folder: &Path, alerts: RoutedAlerts) -> Config {
    let mut config = elsewhere(folder);
    let objects = OperatorObjects {
        folder: folder.join("objects"),
        namespace: Some("titanic".to_owned()),
        labels: [("team".to_owned(), "sre".to_owned())].into(),
    };
    let slack_secret = SecretKey { secret: "our-slack".to_owned(), key: "address".to_owned() };
    config.outputs.alertmanager_config = Some(AlertmanagerConfig { objects, alerts, slack_secret });
    config
}

fn read(path: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Writes the files of a config, and the configuration that the operator makes of the object.
fn written(config: &Config, folder: &Path) -> (Value, Value) {
    write(&artifacts(config)).unwrap();
    let object = read(&folder.join("objects/lookout.alertmanagerconfig.yaml"));
    let made = operator::alertmanager(std::slice::from_ref(&object)).unwrap();
    fs::write(folder.join("made.yaml"), made.to_string()).unwrap();
    tool("amtool", "prometheus-alertmanager", folder, &["check-config", "made.yaml"]);
    (object, made)
}

/// Returns the receivers of an alert with these labels.
fn receivers(folder: &Path, labels: &[String]) -> String {
    let mut ask = vec!["config", "routes", "test", "--config.file=made.yaml"];
    ask.extend(labels.iter().map(String::as_str));
    // a warning may follow
    let answer = tool("amtool", "prometheus-alertmanager", folder, &ask);
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Returns the labels of every alert of the rules that are written.
fn alerts(folder: &Path) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for file in ["titanic.rules.yaml", "lookout.rules.yaml"] {
        let rules = read(&folder.join("alerts").join(file));
        for rule in
            rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap())
        {
            let labels = rule["labels"].as_object().into_iter().flatten();
            let labels = labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap()));
            found.extend(rule["alert"].as_str().map(|_| (file.to_owned(), labels.collect())));
        }
    }
    found
}

#[test]
fn an_object_for_all_alerts_is_the_plain_file() {
    let folder = tempfile::tempdir().unwrap();
    let (object, mut made) = written(&with_object(folder.path(), RoutedAlerts::All), folder.path());
    assert_eq!(
        object["metadata"],
        json!({ "name": "lookout", "namespace": "titanic",
            "labels": { "app.kubernetes.io/name": "lookout", "team": "sre" } })
    );
    let slack = &object["spec"]["receivers"][0]["slackConfigs"][0];
    assert_eq!(slack["apiURL"], json!({ "name": "our-slack", "key": "address" }));
    // the operator puts a root above, and prefixes receivers
    let mut route = made["route"]["routes"][0].take();
    assert_eq!(route.as_object_mut().unwrap().remove("continue"), Some(true.into()));
    made["route"] = route;
    made["receivers"].as_array_mut().unwrap().remove(0);
    let made: Value = serde_json::from_str(&made.to_string().replace("titanic/lookout/", "")).unwrap();
    assert_eq!(made, read(&folder.path().join("alerts/alertmanager.yaml")));
}

#[test]
fn an_object_about_the_agent_tells_people_of_the_agent_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = with_object(folder.path(), RoutedAlerts::Own);
    written(&config, folder.path());
    let alerts = alerts(folder.path());
    assert!(alerts.len() > 2 * config.slos.len(), "{alerts:?}");
    for (file, labels) in &alerts {
        let receiver = if file == "lookout.rules.yaml" { "slack" } else { "nobody" };
        assert_eq!(receivers(folder.path(), labels), format!("titanic/lookout/{receiver}"), "{labels:?}");
    }
}

#[test]
fn a_service_of_the_agents_name_is_not_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = with_object(folder.path(), RoutedAlerts::Own);
    config.slos[0].service = "lookout".to_owned();
    let (_, made) = written(&config, folder.path());
    let labels = |slo: &[&str]| -> Vec<String> {
        ["service=lookout", "severity=critical"].iter().chain(slo).map(|text| (*text).to_owned()).collect()
    };
    assert_eq!(receivers(folder.path(), &labels(&[])), "titanic/lookout/slack");
    assert_eq!(receivers(folder.path(), &labels(&["slo=availability"])), "titanic/lookout/nobody");
    // nor does its page hide a ticket about the agent
    let inhibit = &made["inhibit_rules"][0];
    assert_eq!(
        inhibit["source_matchers"],
        json!(["service=\"lookout\"", "slo=\"\"", "severity=\"critical\""])
    );
    assert_eq!(
        inhibit["target_matchers"],
        json!(["service=\"lookout\"", "slo=\"\"", "severity=\"warning\""])
    );
}
