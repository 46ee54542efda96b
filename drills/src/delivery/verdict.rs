//! The comparison of what the ledger holds with what each receiver took.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::agent::{Delivery, Incident, Transition};
use super::recorder::Taken;

/// One line of the report.
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) holds: bool,
}

/// Incidents and their deliveries, as the ledger has them.
pub(super) struct Recorded {
    pub(super) incidents: Vec<Incident>,
    pub(super) deliveries: BTreeMap<String, Vec<Delivery>>,
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
pub(super) fn webhook(recorded: &Recorded, taken: &[Taken]) -> Vec<Finding> {
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

/// Returns the findings about PagerDuty: one alert per incident, which is resolved at the end.
pub(super) fn pagerduty(recorded: &Recorded, taken: &[Taken], refused: u64) -> Vec<Finding> {
    #[derive(Default)]
    struct Alert {
        open: bool,
        opened: usize,
        events: usize,
    }
    let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
    let about_a_service = |event: &&Taken| {
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

/// Bounds of what may be repeated at Slack.
pub(super) struct SlackBounds {
    pub(super) kills: u64,
    /// Messages that were taken without an answer.
    pub(super) cut: u64,
    /// Most messages under way at one kill.
    pub(super) at_once: usize,
}

/// Returns the findings about Slack: every incident is told, at most one marked repetition per crash.
pub(super) fn slack(recorded: &Recorded, taken: &[Taken], bounds: &SlackBounds) -> Vec<Finding> {
    let bodies: Vec<String> = taken.iter().map(|message| message.body.to_string()).collect();
    let headline = |message: &Taken| text(&message.body, "text").to_owned();
    let digests: Vec<&String> = bodies.iter().filter(|body| body.contains("*Services*")).collect();
    let told = |incident: &Incident| {
        let name = format!("{} {}", incident.service, incident.slo);
        let named = |body: &String| body.contains(&format!("{name}:"));
        let in_digest = |body: &&String| body.contains(&format!("{} ", incident.service));
        bodies.iter().any(named) || digests.iter().any(in_digest)
    };
    let lost = recorded.incidents.iter().filter(|incident| !told(incident)).count();
    let posts: Vec<&Taken> = taken.iter().filter(|message| message.path == "/api/chat.postMessage").collect();
    let marked = posts.iter().filter(|message| is_marked(message)).count() as u64;
    let unmarked = unmarked_repetitions(&posts, |incident| recorded.reopened(incident));
    let mut last: BTreeMap<&str, String> = BTreeMap::new();
    for message in taken.iter().filter(|message| message.body.get("thread_ts").is_none()) {
        last.insert(message.ts.as_deref().unwrap_or_default(), headline(message));
    }
    let open = last.values().filter(|head| !head.starts_with("[RESOLVED]")).count() as u64;
    let begun_again =
        posts.iter().filter(|one| is_marked(one) && one.body.get("thread_ts").is_none()).count();
    let allowed = bounds.kills + bounds.cut;
    vec![
        finding(
            lost == 0,
            format!(
                "Slack: {lost} of {} incidents lost ({} messages)",
                recorded.incidents.len(),
                posts.len()
            ),
        ),
        finding(
            unmarked.is_empty(),
            format!("Slack: {} repetitions without a mark {:?}", unmarked.len(), unmarked.first()),
        ),
        finding(
            marked <= allowed && bounds.at_once <= 1,
            format!(
                "Slack: {marked} marked repetitions after {} crashes and {} cut connections; at most {} under way \
                 at a crash",
                bounds.kills, bounds.cut, bounds.at_once
            ),
        ),
        // the id of a first message whose answer was lost is not known: it cannot be edited
        finding(
            open <= begun_again as u64,
            format!(
                "Slack: {open} of {} messages still open, {begun_again} were begun again without their answer",
                last.len()
            ),
        ),
    ]
}

const MARK: &str = " (re-sent)";

fn is_marked(message: &Taken) -> bool {
    text(&message.body, "text").contains(MARK)
}

/// Returns the headlines that were repeated without a mark. The end of a thread may be told again after an alarm in it;
/// any other message as often as its incident reopened.
fn unmarked_repetitions(posts: &[&Taken], reopened: impl Fn(&str) -> usize) -> Vec<String> {
    let mut over: BTreeMap<&str, bool> = BTreeMap::new();
    let mut times: BTreeMap<(&str, String, String), usize> = BTreeMap::new();
    let mut unmarked = Vec::new();
    for message in posts {
        let (thread, head) = (text(&message.body, "thread_ts"), text(&message.body, "text"));
        let ends = head.starts_with("[RESOLVED]");
        // every first message is a thread of its own
        let was_over = !thread.is_empty() && over.insert(thread, ends).unwrap_or(false);
        let footer = footer(&message.body);
        let copies = times.entry((thread, footer.clone(), head.replace(MARK, ""))).or_default();
        *copies += 1;
        let allowed = 1 + footer.rsplit_once(" · ").map_or(0, |(_, incident)| reopened(incident));
        let again = if ends && !thread.is_empty() { was_over } else { *copies > allowed };
        if again && !is_marked(message) {
            unmarked.push(head.to_owned());
        }
    }
    unmarked
}

/// Returns the last line of a message, which names an incident.
fn footer(body: &Value) -> String {
    let blocks = body.pointer("/attachments/0/blocks").and_then(Value::as_array);
    let last = blocks.and_then(|blocks| blocks.last());
    last.and_then(|block| block.pointer("/elements/0/text"))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Returns the findings about the notifications of the Alertmanagers: one identity per SLO, and each of them fires.
pub(super) fn alertmanager(expected: &BTreeSet<String>, taken: &[Taken]) -> Vec<Finding> {
    let mut identities: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut fired: BTreeSet<String> = BTreeSet::new();
    for message in taken {
        for alert in message.body.get("alerts").and_then(Value::as_array).into_iter().flatten() {
            let Some(labels) = alert.get("labels") else { continue };
            let name = format!("{} {}", text(labels, "service"), text(labels, "slo"));
            if !expected.contains(&name) {
                continue;
            }
            if text(alert, "status") == "firing" {
                fired.insert(name.clone());
            }
            let key = format!("{name} {} {}", text(labels, "alertname"), text(labels, "severity"));
            identities.entry(key).or_default().insert(labels.to_string());
        }
    }
    let doubled = identities.values().filter(|labels| labels.len() > 1).count();
    let silent = expected.difference(&fired).count();
    vec![
        finding(
            silent == 0,
            format!(
                "Alertmanager: {silent} of {} alerts never notified ({} notifications)",
                expected.len(),
                taken.len()
            ),
        ),
        finding(doubled == 0, format!("Alertmanager: {doubled} alerts with two identities")),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn post(thread: Option<&str>, head: &str, incident: &str) -> Taken {
        let footer = json!([{ "elements": [{ "text": format!("Alert · {incident}") }] }]);
        let mut body = json!({ "text": head, "attachments": [{ "blocks": footer }] });
        if let Some(thread) = thread {
            body["thread_ts"] = json!(thread);
        }
        Taken { path: "/api/chat.postMessage".to_owned(), body, ts: None }
    }

    fn found(posts: &[Taken], reopened: usize) -> Vec<String> {
        unmarked_repetitions(&posts.iter().collect::<Vec<_>>(), |_| reopened)
    }

    #[test]
    fn a_repetition_needs_a_mark_or_a_reason() {
        let (page, over) = ("[PAGE] a: burning", "[RESOLVED] a: 2 incidents over");
        let first = post(None, page, "1");
        let end = post(Some("17.1"), over, "1");
        let other_end = post(Some("17.1"), "[RESOLVED] a: 3 incidents over", "2");
        assert_eq!(found(&[first.clone(), end.clone()], 0), [""; 0]);
        assert_eq!(found(&[end.clone(), end.clone()], 0), [over]);
        assert_eq!(found(&[end.clone(), other_end], 0), ["[RESOLVED] a: 3 incidents over"]);
        assert_eq!(
            found(&[end.clone(), post(Some("17.1"), &format!("{over}{MARK}. It lasted 2 min."), "1")], 0),
            [""; 0]
        );
        assert_eq!(found(&[end.clone(), post(Some("17.2"), over, "1")], 0), [""; 0], "another thread");
        let again = post(Some("17.1"), page, "1");
        assert_eq!(found(&[end.clone(), again.clone(), end], 0), [""; 0], "it opened again meanwhile");
        assert_eq!(found(&[again.clone(), again.clone()], 0), [page]);
        assert_eq!(found(&[again.clone(), again], 1), [""; 0]);
        assert_eq!(found(&[first.clone(), first], 0), [page]);
    }
}
