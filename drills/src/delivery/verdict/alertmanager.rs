//! The notifications of the Alertmanagers. An alert names its incident by its labels and its start.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Finding, Recorded, finding, text};
use crate::delivery::agent::Incident;
use crate::delivery::recorder::Taken;

/// The labels of an alert that name the SLO, and its start in milliseconds.
type Key = (String, String, i64);

/// Time for which the second of a pair may still notify what it saw before the first told the end: it waits for the first
/// with what it saw.
const HANDOVER_MS: i64 = 2_000;

/// Notifications about one incident.
#[derive(Default)]
struct Heard {
    fired: bool,
    /// The instants at which its end was told.
    ends: Vec<i64>,
    /// The instance that told the end last, and when.
    over: Option<(String, i64)>,
    /// Number of times that it fired after it was resolved.
    again: usize,
    /// Number of times that the other instance was late to tell that it fired.
    late: usize,
    identities: BTreeSet<String>,
}

/// Returns the findings about the notifications of both Alertmanagers together: each incident fires, is resolved, and
/// fires again only when it reopened.
pub(crate) fn judge(recorded: &Recorded, taken: &[Taken]) -> Vec<Finding> {
    let heard = heard(taken);
    let of = |incident: &Incident| heard.get(&key(incident));
    let missing = |arrived: &dyn Fn(&Incident) -> bool| -> Vec<&str> {
        recorded.incidents.iter().filter(|one| !arrived(one)).map(|one| one.id.as_str()).collect()
    };
    let silent = missing(&|incident| of(incident).is_some_and(|one| one.fired));
    let endless = missing(&|incident| end_is_told(incident, &recorded.incidents, &heard));
    let flaps =
        |incident: &&Incident| of(incident).is_some_and(|one| one.again > recorded.reopened(&incident.id));
    let flapped: Vec<&str> =
        recorded.incidents.iter().filter(flaps).map(|incident| incident.id.as_str()).collect();
    let known: BTreeSet<Key> = recorded.incidents.iter().map(key).collect();
    let unknown: Vec<&Key> = heard.keys().filter(|key| !known.contains(key)).collect();
    let late: usize = heard.values().map(|one| one.late).sum();
    let doubled = heard.values().filter(|one| one.identities.len() > 1).count();
    let (total, messages) = (recorded.incidents.len(), taken.len());
    vec![
        finding(
            silent.is_empty(),
            format!(
                "Alertmanager: {} of {total} incidents never fired {:?} ({messages} notifications)",
                silent.len(),
                silent.first()
            ),
        ),
        finding(
            endless.is_empty(),
            format!(
                "Alertmanager: {} of {total} incidents never resolved {:?}",
                endless.len(),
                endless.first()
            ),
        ),
        finding(
            flapped.is_empty(),
            format!(
                "Alertmanager: {} incidents fired again after their end {:?}; {late} late notifications of the \
                 second instance",
                flapped.len(),
                flapped.first()
            ),
        ),
        finding(
            unknown.is_empty(),
            format!("Alertmanager: {} alerts without an incident {:?}", unknown.len(), unknown.first()),
        ),
        finding(doubled == 0, format!("Alertmanager: {doubled} incidents with two identities")),
    ]
}

fn key(incident: &Incident) -> Key {
    (incident.service.clone(), incident.slo.clone(), incident.detected_at_ms)
}

/// Returns whether an end of the SLO's alert was told between the end of the incident and that of the next one. An instance
/// that missed the end before tells both under the start of the earlier incident.
fn end_is_told(incident: &Incident, all: &[Incident], heard: &BTreeMap<Key, Heard>) -> bool {
    let (service, slo, start) = key(incident);
    let Some(end) = incident.resolved_at_ms else { return false };
    let later =
        all.iter().filter(|one| (&one.service, &one.slo) == (&service, &slo) && one.detected_at_ms > start);
    let next_end = later.filter_map(|one| one.resolved_at_ms).min().unwrap_or(i64::MAX);
    let same = heard.range((service.clone(), slo.clone(), i64::MIN)..=(service, slo, start));
    same.flat_map(|(_, one)| &one.ends).any(|at_ms| (end..next_end).contains(at_ms))
}

fn heard(taken: &[Taken]) -> BTreeMap<Key, Heard> {
    let mut heard: BTreeMap<Key, Heard> = BTreeMap::new();
    let alerts = taken.iter().flat_map(|message| {
        let alerts = message.body.get("alerts").and_then(Value::as_array).into_iter().flatten();
        alerts.map(move |alert| (message, alert))
    });
    for (message, alert) in alerts {
        let Some(labels) = alert.get("labels") else { continue };
        let (service, slo) = (text(labels, "service").to_owned(), text(labels, "slo").to_owned());
        if !service.starts_with("svc-") {
            continue;
        }
        let started = text(alert, "startsAt").parse::<jiff::Timestamp>();
        let started = started.map_or(-1, jiff::Timestamp::as_millisecond);
        let one = heard.entry((service, slo, started)).or_default();
        one.identities.insert(Value::to_string(labels));
        let is_over = text(alert, "status") == "resolved";
        let instance = text(&message.body, "externalURL");
        match &one.over {
            _ if is_over => one.over = Some((instance.to_owned(), message.at_ms)),
            Some((first, at_ms)) if first != instance && message.at_ms - at_ms <= HANDOVER_MS => {
                one.late += 1
            }
            Some(_) => {
                one.again += 1;
                one.over = None;
            }
            None => {}
        }
        one.fired |= !is_over;
        one.ends.extend(is_over.then_some(message.at_ms));
    }
    heard
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::delivery::verdict::tests::{incident, recorded};

    fn notified_by(instance: u8, status: &str, start_ms: i64, at_ms: i64) -> Taken {
        let start = jiff::Timestamp::from_millisecond(start_ms).unwrap().to_string();
        let labels = json!({ "alertname": "A", "service": "svc-1", "slo": "slo-1", "severity": "page" });
        let alert = json!({ "status": status, "labels": labels, "startsAt": start });
        let body = json!({ "alerts": [alert], "externalURL": format!("http://am-{instance}") });
        Taken { path: "/notified".to_owned(), body, ts: None, at_ms }
    }

    fn notified(status: &str, start_ms: i64) -> Taken {
        notified_by(1, status, start_ms, start_ms + if status == "resolved" { 20 } else { 0 })
    }

    fn broken(taken: &[Taken]) -> Vec<String> {
        let recorded = recorded(vec![incident("inc-1", 1_000), incident("inc-2", 60_000)]);
        judge(&recorded, taken).into_iter().filter(|one| !one.holds).map(|one| one.what).collect()
    }

    #[test]
    fn each_notification_of_each_incident_counts() {
        let whole = [
            notified("firing", 1_000),
            notified("resolved", 1_000),
            notified("firing", 60_000),
            notified("resolved", 60_000),
        ];
        assert_eq!(broken(&whole), [""; 0]);
        for (lost, expected) in [
            (0, "1 of 2 incidents never fired Some(\"inc-1\")"),
            (1, "1 of 2 incidents never resolved Some(\"inc-1\")"),
            (2, "1 of 2 incidents never fired Some(\"inc-2\")"),
            (3, "1 of 2 incidents never resolved Some(\"inc-2\")"),
        ] {
            let mut taken = whole.to_vec();
            taken.remove(lost);
            let broken = broken(&taken);
            assert!(matches!(broken.as_slice(), [one] if one.contains(expected)), "{lost}: {broken:?}");
        }
    }

    #[test]
    fn an_incident_that_fires_again_after_its_end_is_found() {
        let flap = [
            notified("firing", 1_000),
            notified("resolved", 1_000),
            notified("firing", 1_000),
            notified("resolved", 1_000),
            notified("firing", 60_000),
            notified("resolved", 60_000),
        ];
        let flaps = |taken: &[Taken]| matches!(broken(taken).as_slice(), [one] if one.contains("1 incidents fired again after their end"));
        assert!(flaps(&flap));
        for (instance, at_ms, expected) in [(2, 3_020, false), (2, 3_021, true), (1, 3_020, true)] {
            let mut late = flap.to_vec();
            late[2] = notified_by(instance, "firing", 1_000, at_ms);
            assert_eq!(flaps(&late), expected, "by {instance} at {at_ms}");
        }
        let stranger = [&flap[..2], &flap[4..], &[notified("resolved", 7)]].concat();
        assert_eq!(broken(&stranger).len(), 1);
    }
}
