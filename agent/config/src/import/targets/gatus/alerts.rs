//! Alerts of Gatus: the thresholds of failures and successes in a row become `down`.

use super::super::parts::Parts;
use crate::foreign::{Document, map, scalar_text};
use crate::reader::{At, Reader};
use crate::yaml::{Node, Value};

/// Thresholds of Gatus unless an alert sets others.
const FAILURES: u32 = 3;
const SUCCESSES: u32 = 2;

/// Thresholds of one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Thresholds {
    failures: u32,
    successes: u32,
}

/// Defaults that a file sets for the alerts of a type.
#[derive(Default)]
pub(super) struct DefaultAlerts<'n>(Option<&'n Node>);

impl<'n> DefaultAlerts<'n> {
    /// Finds them in a file. The rest of `alerting` is about receivers, and is listed as before.
    pub(super) fn of(file: &'n Node) -> Self {
        Self(child(file, "alerting"))
    }

    fn threshold(&self, kind: &str, key: &str) -> Option<u32> {
        let defaults = child(child(self.0?, kind)?, "default-alert")?;
        scalar_text(child(defaults, key)?)?.parse().ok()
    }
}

fn child<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value),
        _ => None,
    }
}

/// Reads `alerts` of an endpoint. Returns `down` of the alert that fires first.
pub(super) fn read(
    reader: &mut Reader<'_>,
    endpoint: &mut Parts<'_>,
    defaults: &DefaultAlerts<'_>,
) -> Option<Document> {
    let alerts = endpoint.items(reader, "alerts");
    let read: Vec<(At<'_>, Thresholds)> =
        alerts.into_iter().filter_map(|at| Some((at.clone(), read_alert(reader, &at, defaults)?))).collect();
    let (_, first) = read.iter().min_by_key(|(_, thresholds)| thresholds.failures)?;
    for (at, _) in read.iter().filter(|(_, thresholds)| thresholds != first) {
        let Thresholds { failures, successes } = first;
        let help = "a target has one `down`; later messages are the work of `escalate` at a destination";
        let what = format!(
            "an alert with other thresholds; {failures} failures and {successes} successes are written"
        );
        reader.changed(at, what, help);
    }
    let number = |value: u32| Document::Number(f64::from(value));
    Some(map([("after", number(first.failures)), ("up_after", number(first.successes))]))
}

fn read_alert(reader: &mut Reader<'_>, at: &At<'_>, defaults: &DefaultAlerts<'_>) -> Option<Thresholds> {
    let mut alert = Parts::open(reader, at)?;
    let kind = alert.text("type").unwrap_or_default();
    if alert.switch("enabled") == Some(false) {
        reader.lost(at, "an alert that is switched off", "write `down` when it is needed");
        return None;
    }
    let mut threshold = |key: &str, usual: u32| match alert.take(key) {
        Some(at) => {
            let read = scalar_text(at.node).and_then(|text| text.parse().ok());
            if read.is_none() {
                reader.error(&at, format!("`{key}` is no number"), "write a whole number");
            }
            read
        }
        None => Some(defaults.threshold(&kind, key).unwrap_or(usual)),
    };
    let (failures, successes) =
        (threshold("failure-threshold", FAILURES), threshold("success-threshold", SUCCESSES));
    let help = "it pages; write `severity: ticket` in `down` for less, and a destination for the receiver";
    reader.changed(at, format!("an alert to `{kind}` is an incident of its target"), help);
    alert.list_rest(reader);
    Some(Thresholds { failures: failures?, successes: successes? })
}
