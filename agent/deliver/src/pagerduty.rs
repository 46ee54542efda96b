//! PagerDuty, Events API v2. The incident's id is the deduplication key, so that a repetition is no second alert. A deploy
//! before the incident is sent as a change event, which PagerDuty shows beside the alert.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use lookout_engine::{Change, Severity};
use reqwest::Client;
use serde_json::{Value, json};
use url::Url;

use crate::message::{TEXT, clean};
use crate::{Message, Receiver, Refused, http};
use lookout_config::Secret;
use lookout_model::format::rfc3339;
use lookout_model::{Delivery, DeployRecord, News, Notice};

const WHO: &str = "pagerduty";
/// Largest length of a summary in characters.
const SUMMARY: usize = 1024;
/// Number of deploys whose change events are remembered.
const REMEMBERED: usize = 1000;

pub(super) struct PagerDuty {
    name: String,
    events_url: Url,
    routing_key: Secret,
    client: Client,
    /// Ids of the deploys that were sent.
    deploys: Mutex<BTreeSet<String>>,
}

impl PagerDuty {
    pub(super) fn new(name: String, events_url: &Url, routing_key: Secret, client: Client) -> Self {
        Self { name, events_url: events_url.clone(), routing_key, client, deploys: Mutex::default() }
    }

    async fn post(&self, path: &[&str], event: &Value) -> Result<(), Refused> {
        let mut url = self.events_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let answer = http::send(WHO, self.client.post(url).json(event)).await?;
        if answer.is_success() { Ok(()) } else { Err(answer.refused(WHO, &[self.routing_key.reveal()])) }
    }

    /// Sends the deploy once. A failure is ignored: the alert names the deploy too.
    async fn mark_deploy(&self, deploy: &DeployRecord) {
        {
            let mut sent = self.deploys.lock().unwrap_or_else(PoisonError::into_inner);
            if !sent.insert(deploy.id.clone()) {
                return;
            }
            if sent.len() > REMEMBERED {
                sent.pop_first();
            }
        }
        let event = change_event(deploy, self.routing_key.reveal());
        if let Err(refused) = self.post(&["change", "enqueue"], &event).await {
            tracing::warn!(destination.name = %self.name, error = %refused.error, "a deploy was not marked");
        }
    }
}

/// Returns the event of a transition.
pub(super) fn event(delivery: &Delivery, routing_key: &str) -> Value {
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

fn change_event(deploy: &DeployRecord, routing_key: &str) -> Value {
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

#[async_trait]
impl Receiver for PagerDuty {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
        self.post(&["enqueue"], &event(delivery, self.routing_key.reveal())).await?;
        if let Some(deploy) = &delivery.notice.last_deploy {
            self.mark_deploy(deploy).await;
        }
        Ok(None)
    }
}
