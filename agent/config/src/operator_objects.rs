//! `generate.prometheus_rules` and `generate.alertmanager_config`: objects for the Prometheus operator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::model::{AlertmanagerConfig, OperatorObjects, RoutedAlerts, SecretKey};
use super::reader::{At, Fields, Reader};
use crate::keys::agent::{routes, rules, slack_address};

pub(super) fn read_rules(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    absolute: impl Fn(&Path) -> PathBuf,
) -> Option<OperatorObjects> {
    let fields = reader.fields(at, rules::OBJECT)?;
    read(reader, &fields, absolute)
}

/// Reads the object of the routes. `agent_job` is the job that the rules about the agent read.
pub(super) fn read_routes(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    agent_job: Option<&str>,
    absolute: impl Fn(&Path) -> PathBuf,
) -> Option<AlertmanagerConfig> {
    let fields = reader.fields(at, routes::OBJECT)?;
    let alerts = match fields.get(routes::ALERTS) {
        Some(at) => {
            let alerts = reader.choice(&at, &[("all", RoutedAlerts::All), ("own", RoutedAlerts::Own)]);
            if alerts == Some(RoutedAlerts::Own) && agent_job.is_none() {
                let help = "give `agent_job` the job that scrapes the agent, or write `alerts: all`";
                reader.error(&at, "there are no alerts about the agent, because `agent_job` is empty", help);
            }
            alerts
        }
        None => Some(RoutedAlerts::All),
    };
    let slack = fields.get(routes::SLACK).map_or_else(
        || Some(slack_secret(slack_address::NAME.default, slack_address::KEY.default)),
        |at| read_slack(reader, &at),
    );
    let objects = read(reader, &fields, absolute)?;
    Some(AlertmanagerConfig { objects, alerts: alerts?, slack_secret: slack? })
}

fn read_slack(reader: &mut Reader<'_>, at: &At<'_>) -> Option<SecretKey> {
    let fields = reader.fields(at, slack_address::OBJECT)?;
    let secret = match fields.get(slack_address::NAME) {
        Some(at) => read_name(reader, &at, "Secret", 253),
        None => Some(slack_address::NAME.default.to_owned()),
    };
    let key = match fields.get(slack_address::KEY) {
        Some(at) => reader.name(&at),
        None => Some(slack_address::KEY.default),
    };
    Some(slack_secret(&secret?, key?))
}

fn slack_secret(secret: &str, key: &str) -> SecretKey {
    SecretKey { secret: secret.to_owned(), key: key.to_owned() }
}

/// Reads what both have: folder, namespace and labels.
fn read(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    absolute: impl Fn(&Path) -> PathBuf,
) -> Option<OperatorObjects> {
    let folder = reader
        .required(fields, rules::FOLDER, "say where the objects go: `folder: k8s/rules`")
        .and_then(|at| reader.expand(&at));
    let namespace = fields.get(rules::NAMESPACE).and_then(|at| read_name(reader, &at, "namespace", 63));
    let labels = fields.get(rules::LABELS).map(|at| read_labels(reader, &at)).unwrap_or_default();
    Some(OperatorObjects { folder: absolute(Path::new(&folder?)), namespace, labels })
}

/// Reads the name of an object of Kubernetes.
fn read_name(reader: &mut Reader<'_>, at: &At<'_>, kind: &str, longest: usize) -> Option<String> {
    let name = reader.text(at)?;
    let dns = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = !name.starts_with('-') && !name.ends_with('-');
    if ends && !name.is_empty() && name.len() <= longest && name.chars().all(dns) {
        return Some(name.to_owned());
    }
    let help = format!("use 1 to {longest} of a-z, 0-9 and `-`, with a letter or digit at both ends");
    reader.error(at, format!("this cannot be the name of a {kind}"), help);
    None
}

/// Reads labels as Kubernetes takes them.
fn read_labels(reader: &mut Reader<'_>, at: &At<'_>) -> BTreeMap<String, String> {
    let Some(fields) = reader.open_fields(at, "from names to values") else { return BTreeMap::new() };
    let mut labels = BTreeMap::new();
    for (key, value) in fields.all() {
        let Some(text) = reader.scalar(&value) else { continue };
        let (prefix, name) = key.name.split_once('/').unwrap_or(("x", &key.name));
        if prefix.len() > 253 || !is_word(prefix) || !is_word(name) || name.len() > 63 {
            let help = "write `name` or `example.com/name`, of letters, digits, `-`, `_` and `.`";
            reader.error(&value, format!("`{}` cannot be the name of a label in Kubernetes", key.name), help);
        } else if text.len() > 63 || !(text.is_empty() || is_word(&text)) {
            let help = "use at most 63 letters, digits, `-`, `_` and `.`";
            reader.error(&value, "this cannot be the value of a label in Kubernetes", help);
        } else {
            labels.insert(key.name.clone(), text);
        }
    }
    labels
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_word(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(|c| ends(c) || matches!(c, '-' | '_' | '.'))
}
