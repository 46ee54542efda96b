//! The events: one for each transition, and one for a deploy before the incident.

use lookout_engine::{Change, Severity};
use serde_json::{Value, json};

use crate::Message;
use crate::message::{TEXT, clean};
use lookout_model::format::rfc3339;
use lookout_model::{Delivery, DeployRecord, News, Notice};

/// Largest length of a summary in characters.
const SUMMARY: usize = 1024;

/// Returns the event of a transition.
pub(crate) fn event(delivery: &Delivery, routing_key: &str) -> Value {
    let (notice, incident) = (&delivery.notice, &delivery.notice.incident);
    let message = Message::of(notice);
    let action = match (&notice.news, notice.change) {
        (Some(News::Acknowledged), _) => "acknowledge",
        (_, Change::Resolved) => "resolve",
        _ => "trigger",
    };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": incident.id,
        "client": "lookout",
        "payload": payload(notice, &message),
    });
    if let Some(fields) = event.as_object_mut() {
        let links: Vec<Value> =
            message.links.iter().map(|(label, url)| json!({ "href": url, "text": label })).collect();
        fields.insert("links".to_owned(), Value::Array(links));
        let page = message.links.iter().find(|(label, _)| *label == "Explain");
        fields.extend(page.map(|(_, url)| ("client_url".to_owned(), json!(url))));
    }
    event
}

fn payload(notice: &Notice, message: &Message) -> Value {
    let incident = &notice.incident;
    let severity = match incident.severity {
        Severity::Page => "critical",
        Severity::Ticket => "warning",
    };
    let mut details: serde_json::Map<String, Value> =
        message.fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    details.insert("Summary".to_owned(), json!(message.sentence));
    if !message.description.is_empty() {
        details.insert("Bad event".to_owned(), json!(message.description));
    }
    details.insert("Incident".to_owned(), json!(incident.id));
    let source = clean(&incident.service, TEXT);
    json!({
        "summary": clean(&message.headline, SUMMARY),
        // an empty source is refused
        "source": if source.is_empty() { "lookout".to_owned() } else { source },
        "severity": severity,
        "timestamp": rfc3339(notice.at),
        "component": clean(&incident.slo, TEXT),
        "group": clean(&incident.service, TEXT),
        "class": incident.cause.as_str(),
        "custom_details": details,
    })
}

pub(super) fn change_event(deploy: &DeployRecord, routing_key: &str) -> Value {
    json!({
        "routing_key": routing_key,
        "payload": {
            "summary": clean(&format!("Deploy of {} {}", deploy.service, deploy.version), SUMMARY),
            "source": clean(&deploy.service, TEXT),
            "timestamp": rfc3339(deploy.started_at),
            "custom_details": {
                "Commit": clean(&deploy.commit, TEXT),
                "Actor": clean(&deploy.actor, TEXT),
                "Environment": clean(&deploy.environment, TEXT),
            },
        },
    })
}
