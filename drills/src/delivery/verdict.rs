//! The comparison of what the ledger holds with what each receiver took.

mod alert_history;
pub(super) mod alertmanager;
#[cfg(test)]
mod alertmanager_tests;
mod notified;
pub(super) mod slack;
pub(super) mod told;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::told::Sent;
use super::agent::{Delivery, Incident, Transition};
use super::recorder::ReceivedMessage;

/// One line of the report.
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) holds: bool,
}

/// Incidents and their deliveries, as the ledger has them.
pub(super) struct Recorded {
    pub(super) incidents: Vec<Incident>,
    pub(super) deliveries: BTreeMap<String, Vec<Delivery>>,
    /// Transitions for Slack, with the message of each.
    pub(super) sent: Vec<Sent>,
    /// Transitions for Alertmanager.
    pub(super) posted: Vec<Sent>,
}

impl Recorded {
    /// Returns the transitions for a destination.
    pub(super) fn transitions(&self, destination: &str) -> BTreeSet<Transition> {
        let all = self.deliveries.iter().flat_map(|(id, all)| all.iter().map(move |one| (id, one)));
        all.filter(|(_, one)| one.destination == destination)
            .map(|(id, one)| (id.clone(), one.change.clone(), one.at_ms))
            .collect()
    }

    pub(super) fn undelivered(&self) -> usize {
        self.deliveries.values().flatten().filter(|one| one.state != "delivered").count()
    }

    /// Returns the incidents without an opening or an end for one of the destinations.
    pub(super) fn incomplete(&self, destinations: &[&str]) -> usize {
        let has = |id: &str, destination: &str, change: &str| {
            let all = self.deliveries.get(id).into_iter().flatten();
            all.filter(|one| one.destination == destination).any(|one| one.change == change)
        };
        let whole = |incident: &&Incident| {
            let both =
                |name: &&str| ["opened", "resolved"].iter().all(|change| has(&incident.id, name, change));
            destinations.iter().all(both)
        };
        self.incidents.len() - self.incidents.iter().filter(whole).count()
    }

    /// Returns how often an incident was resolved and opened again.
    fn reopened(&self, id: &str) -> usize {
        let count = |change: &str, destination: &str| {
            let all = self.deliveries.get(id).into_iter().flatten();
            all.filter(|one| one.change == change && one.destination == destination).count()
        };
        count("reopened", "pagerduty")
    }
}

fn finding(holds: bool, what: String) -> Finding {
    Finding { what, holds }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the findings about the webhook: every transition arrives, and a repetition is marked.
pub(super) fn webhook(recorded: &Recorded, taken: &[ReceivedMessage]) -> Vec<Finding> {
    let stored = recorded.transitions("webhook");
    let mut seen: BTreeMap<Transition, u64> = BTreeMap::new();
    let (mut marked, mut unmarked) = (0_u64, 0_u64);
    for message in taken {
        let resent = message.body.get("resent").and_then(Value::as_bool).unwrap_or(false);
        for item in message.body.get("incidents").and_then(Value::as_array).into_iter().flatten() {
            let at = text(item, "at").parse::<jiff::Timestamp>().map_or(-1, jiff::Timestamp::as_millisecond);
            let transition = (text(item, "id").to_owned(), text(item, "change").to_owned(), at);
            let times = seen.entry(transition).or_default();
            *times += 1;
            if *times > 1 {
                *(if resent { &mut marked } else { &mut unmarked }) += 1;
            }
        }
    }
    let arrived: BTreeSet<Transition> = seen.keys().cloned().collect();
    let (lost, unknown) = (stored.difference(&arrived).count(), arrived.difference(&stored).count());
    let total = stored.len();
    vec![
        finding(lost == 0, format!("webhook: {lost} of {total} transitions lost")),
        finding(unknown == 0, format!("webhook: {unknown} transitions that the ledger does not have")),
        finding(unmarked == 0, format!("webhook: {unmarked} repetitions without a mark, {marked} with one")),
    ]
}

/// Returns the findings about both Alertmanagers together: what they accepted, and what they told.
pub(super) fn alertmanagers(recorded: &Recorded, instances: &[alertmanager::Instance]) -> Vec<Finding> {
    let incidents = alertmanager::Incidents::of(recorded, instances);
    let mut findings = wire::judge(&incidents);
    findings.extend(notified::judge(&incidents));
    findings.extend(alertmanager::judge(&incidents));
    findings
}

/// Returns the findings about PagerDuty: one alert per incident, which is resolved at the end.
pub(super) fn pagerduty(recorded: &Recorded, taken: &[ReceivedMessage], refused: u64) -> Vec<Finding> {
    #[derive(Default)]
    struct Alert {
        open: bool,
        opened: usize,
        events: usize,
    }
    let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
    let about_a_service = |event: &&ReceivedMessage| {
        let group = event.body.pointer("/payload/group").and_then(Value::as_str);
        event.path == "/v2/enqueue" && group.is_some_and(|group| group.starts_with("svc-"))
    };
    for event in taken.iter().filter(about_a_service) {
        let alert = alerts.entry(text(&event.body, "dedup_key").to_owned()).or_default();
        let trigger = text(&event.body, "event_action") == "trigger";
        alert.opened += usize::from(trigger && !alert.open);
        alert.open = trigger;
        alert.events += 1;
    }
    let stored: BTreeSet<String> =
        recorded.transitions("pagerduty").into_iter().map(|(id, _, _)| id).collect();
    let keys: BTreeSet<String> = alerts.keys().cloned().collect();
    let (lost, unknown) = (stored.difference(&keys).count(), keys.difference(&stored).count());
    let open = alerts.values().filter(|alert| alert.open).count();
    let mute = alerts.values().filter(|alert| alert.opened == 0).count();
    // an alert opens again when its incident does, or when a refused event is delivered after all
    let again: usize =
        alerts.iter().map(|(id, alert)| alert.opened.saturating_sub(1 + recorded.reopened(id))).sum();
    let events: usize = alerts.values().map(|alert| alert.events).sum();
    vec![
        finding(
            lost + mute == 0,
            format!(
                "PagerDuty: {lost} of {} incidents lost, {mute} never triggered ({events} events)",
                stored.len()
            ),
        ),
        finding(unknown == 0, format!("PagerDuty: {unknown} deduplication keys without an incident")),
        finding(open == 0, format!("PagerDuty: {open} alerts still open")),
        finding(
            again as u64 <= refused,
            format!("PagerDuty: {again} alerts opened again, after {refused} refused events"),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn incident(id: &str, detected_at_ms: i64) -> Incident {
        Incident {
            id: id.to_owned(),
            service: "svc-1".to_owned(),
            slo: "slo-1".to_owned(),
            cause: "burn".to_owned(),
            detected_at_ms,
            resolved_at_ms: Some(detected_at_ms + 10),
        }
    }

    fn delivery(destination: &str, change: &str) -> Delivery {
        Delivery {
            destination: destination.to_owned(),
            change: change.to_owned(),
            at_ms: 1,
            state: "delivered".to_owned(),
        }
    }

    pub(super) fn recorded(incidents: Vec<Incident>) -> Recorded {
        let of = |destination| ["opened", "resolved"].map(|change| delivery(destination, change));
        let deliveries = incidents.iter().map(|one| (one.id.clone(), [of("slack"), of("webhook")].concat()));
        let deliveries = deliveries.collect();
        Recorded { incidents, deliveries, sent: Vec::new(), posted: Vec::new() }
    }

    #[test]
    fn an_incident_without_its_end_is_incomplete() {
        let mut recorded = recorded(vec![incident("inc-1", 1), incident("inc-2", 60)]);
        assert_eq!(recorded.incomplete(&["slack", "webhook"]), 0);
        assert_eq!(recorded.incomplete(&["slack", "pagerduty"]), 2);
        recorded.deliveries.get_mut("inc-2").unwrap().remove(1);
        assert_eq!(recorded.incomplete(&["slack", "webhook"]), 1);
    }
}
