//! Rules as objects of the Prometheus operator.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::{elsewhere, promtool};
use crate::{Difference, artifacts, drift, write};
use lookout_config::OperatorObjects;

#[test]
fn objects_hold_the_very_rules_of_the_plain_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = elsewhere(folder.path());
    let objects = folder.path().join("objects");
    config.outputs.prometheus_rules = Some(OperatorObjects {
        folder: objects.clone(),
        namespace: Some("monitoring".to_owned()),
        labels: BTreeMap::from([("release".into(), "stack".into()), ("role".into(), "slo".into())]),
    });
    let list = artifacts(&config);
    write(&list).unwrap();
    let read = |path: &std::path::Path| -> Value {
        serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let file = objects.join("titanic.prometheusrule.yaml");
    let object = read(&file);
    assert_eq!(
        (&object["apiVersion"], &object["kind"]),
        (&"monitoring.coreos.com/v1".into(), &"PrometheusRule".into())
    );
    let metadata = &object["metadata"];
    assert_eq!(
        (&metadata["name"], &metadata["namespace"]),
        (&"lookout-titanic".into(), &"monitoring".into())
    );
    let labels = &metadata["labels"];
    assert_eq!(labels["release"], "stack");
    assert_eq!(
        (&labels["prometheus"], &labels["role"]),
        (&"k8s".into(), &"slo".into()),
        "the user's own label wins"
    );

    let plain = read(&folder.path().join("alerts/titanic.rules.yaml"));
    assert_eq!(object["spec"]["groups"], plain["groups"]);
    // what an operator does with it
    fs::write(objects.join("unwrapped.yaml"), object["spec"].to_string()).unwrap();
    promtool(&objects, &["check", "rules", "--lint=all", "--lint-fatal", "unwrapped.yaml"]);

    assert_eq!(drift(&list).unwrap(), []);
    fs::write(&file, fs::read_to_string(&file).unwrap().replacen("0.999", "0.99", 1)).unwrap();
    let found = drift(&list).unwrap();
    assert!(
        matches!(found[..], [ref one] if matches!(one.difference, Difference::Different { .. })),
        "{found:?}"
    );
}
