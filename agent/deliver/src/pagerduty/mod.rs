//! PagerDuty, Events API v2. The incident's id is the deduplication key, so that a repetition is no second alert. A deploy
//! before the incident is sent as a change event, which PagerDuty shows beside the alert.

mod event;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use reqwest::Client;
use serde_json::Value;
use url::Url;

use event::change_event;
pub(crate) use event::event;

use crate::{Receiver, Refused, http};
use lookout_config::Secret;
use lookout_model::{Delivery, DeployRecord};

const WHO: &str = "pagerduty";
/// Number of deploys whose change events are remembered.
const REMEMBERED: usize = 1000;

pub(crate) struct PagerDuty {
    name: String,
    events_url: Url,
    routing_key: Secret,
    client: Client,
    /// Ids of the deploys that were sent.
    deploys: Mutex<BTreeSet<String>>,
}

impl PagerDuty {
    pub(crate) fn new(name: String, events_url: &Url, routing_key: Secret, client: Client) -> Self {
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
