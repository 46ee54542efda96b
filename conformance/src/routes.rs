//! Routes of Alertmanager, as they are deployed: each is asked by amtool where every alert of the rules would go.
//!
//! The agent tells people of the service's incidents itself, so a deployed Alertmanager is silent about them: two messages
//! about one outage are one too many. About the agent it speaks, because an agent that is down tells nobody. The generated
//! file is for those who let Alertmanager tell everything; the generated `AlertmanagerConfig` is about the agent.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use programs::{on_path, operator};
use serde_json::Value;

use crate::kubernetes;
use crate::tool::content;
use crate::tree::Tree;

const HOW: &str = "on Debian or Ubuntu: apt-get install prometheus-alertmanager";
const GENERATED: &str = "alerts/alertmanager.yaml";
/// The stack with the generated routes.
const PAGING: &str = "deploy/compose/paging.yaml";
const COMPOSE: &str = "deploy/compose/alertmanager.yaml";
/// Receivers that tell nobody: ours, and the one that the operator adds.
const SILENT: [&str; 2] = ["nobody", "null"];

/// Asks every configuration about every kind of alert, and compares what is deployed with what is generated.
pub fn check(tree: &Tree) -> Result<String> {
    let amtool = on_path(&["amtool"], HOW)?;
    let alerts = alerts(tree)?;
    let yaml = |file: &str| -> Result<Value> {
        serde_saphyr::from_str(&tree.read(Path::new(file))?).with_context(|| file.to_owned())
    };
    let (generated, compose) = (yaml(GENERATED)?, yaml(COMPOSE)?);
    let mut configs = vec![
        (GENERATED.to_owned(), generated.clone(), Notified::Everything),
        (COMPOSE.to_owned(), compose, Notified::Nothing),
    ];
    for (name, object) in kubernetes::alertmanagers(tree)? {
        let made = operator::alertmanager(&[object]).with_context(|| name.clone())?;
        configs.push((name, made, Notified::Agent));
    }
    let scratch = tempfile::tempdir().context("making a folder")?;
    let file = scratch.path().join("alertmanager.json");
    let mut faults = paging_faults(&yaml("compose.yaml")?, &yaml(PAGING)?, &generated);
    for (name, config, told) in &configs {
        faults.extend(differences(&generated, config).into_iter().map(|fault| format!("{name}: {fault}")));
        fs::write(&file, config.to_string()).context("writing a configuration")?;
        content(Command::new(&amtool).arg("check-config").arg(&file)).with_context(|| name.clone())?;
        for alert in &alerts {
            let mut ask = Command::new(&amtool);
            ask.args(["config", "routes", "test", "--config.file"]).arg(&file);
            let found = content(ask.args(alert)).with_context(|| name.clone())?;
            // the operator puts the object's name before its receivers
            let is_told =
                found.trim().split(',').any(|receiver| !SILENT.iter().any(|name| receiver.ends_with(name)));
            if is_told != told.of(alert) {
                faults.push(format!(
                    "{name}: {{{}}} goes to {:?}, {told:?} is told",
                    alert.join(", "),
                    found.trim()
                ));
            }
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(format!("{} kinds of alerts asked of {} configurations", alerts.len(), configs.len()))
}

/// The alerts that a configuration tells people of.
#[derive(Debug, Clone, Copy)]
enum Notified {
    Everything,
    /// Alerts about the agent alone.
    Agent,
    Nothing,
}

impl Notified {
    fn of(self, alert: &[String]) -> bool {
        match self {
            Self::Everything => true,
            Self::Agent => alert.iter().any(|label| label == "service=lookout"),
            Self::Nothing => false,
        }
    }
}

/// Labels of the alerts of the rules that routes can tell apart, each set once.
fn alerts(tree: &Tree) -> Result<BTreeSet<Vec<String>>> {
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for file in tree.files_in("alerts", &[".rules.yaml"]) {
        let rules: Value =
            serde_saphyr::from_str(&tree.read(file)?).with_context(|| file.display().to_string())?;
        let groups = rules.get("groups").and_then(Value::as_array).into_iter().flatten();
        let rules = groups.filter_map(|group| group.get("rules").and_then(Value::as_array)).flatten();
        for labels in rules.filter(|rule| rule.get("alert").is_some()).filter_map(|rule| rule.get("labels")) {
            let label = |name: &str| Some(format!("{name}={}", labels.get(name)?.as_str()?));
            found.insert(["service", "severity", "slo"].iter().filter_map(|name| label(name)).collect());
        }
    }
    let of_agent = found.iter().filter(|alert| Notified::Agent.of(alert)).count();
    if of_agent == 0 || of_agent == found.len() {
        bail!("alerts/ has {of_agent} of {} kinds of alerts about the agent", found.len());
    }
    Ok(found)
}

/// Returns the differences between the generated routes and those of the stack that pages by Alertmanager.
fn paging_faults(compose: &Value, paging: &Value, generated: &Value) -> Vec<String> {
    let texts = |value: &Value, place: &str| -> Vec<String> {
        let list = value.pointer(place).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut faults = Vec::new();
    let flags = texts(compose, "/services/alertmanager/command");
    let read = flags.iter().find_map(|flag| flag.strip_prefix("--config.file=")).unwrap_or_default();
    let mount = format!("./{GENERATED}:{read}:ro");
    if !texts(paging, "/services/alertmanager/volumes").contains(&mount) {
        faults.push(format!("{PAGING} does not mount {mount}"));
    }
    let wanted = generated.pointer("/receivers/0/slack_configs/0/api_url_file");
    let secret = paging.pointer("/services/alertmanager/secrets/0");
    if secret.and_then(|secret| secret.get("target")) != wanted {
        faults.push(format!("{PAGING} does not put the address of Slack where {GENERATED} reads it"));
    }
    let source = secret.and_then(|secret| secret.get("source")).and_then(Value::as_str).unwrap_or_default();
    if paging.pointer(&format!("/secrets/{source}/file")).is_none() {
        faults.push(format!("{PAGING} has no file for the secret {source:?}"));
    }
    if paging.pointer("/services/lookout/environment/SLACK_WEBHOOK_URL") != Some(&Value::from("")) {
        faults.push(format!("{PAGING} lets the agent tell people, too"));
    }
    faults
}

/// Returns the differences of a deployed configuration from the generated one that nothing asks for.
fn differences(generated: &Value, config: &Value) -> Vec<String> {
    let grouping = |config: &Value| {
        let places = ["/route/group_by", "/route/routes/0/group_by"];
        places.iter().find_map(|place| config.pointer(place)).cloned().unwrap_or_default()
    };
    let (wanted, found) = (grouping(generated), grouping(config));
    if wanted == found {
        return Vec::new();
    }
    vec![format!("groups by {found}, {GENERATED} by {wanted}: one incident becomes several messages")]
}
