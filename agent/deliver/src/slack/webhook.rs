//! An incoming webhook. Each transition is a message of its own, because the answer has no id of a message to edit.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;
use serde_json::Value;
use url::Url;

use super::{blocks, build_message};
use crate::{Receiver, Refused, Retry, http};
use lookout_model::Delivery;
use lookout_runtime::clock::Clock;

const WHO: &str = "slack webhook";
/// Time for which an unknown webhook is tried again: it may have been deleted by mistake, or pasted wrong.
const PATIENCE: Duration = Duration::from_secs(3600);

pub(crate) struct Webhook {
    name: String,
    /// The URL; all of it is secret.
    url: Url,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl Webhook {
    pub(crate) fn new(name: String, url: Url, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { name, url, client, clock }
    }

    async fn post(&self, payload: &Value) -> Result<http::Answer, Refused> {
        http::send(WHO, self.client.post(self.url.clone()).json(payload)).await
    }
}

impl Webhook {
    /// Returns the error of an answer. An unknown webhook can be put right, so that a page is not dropped for it at
    /// once.
    fn refused(&self, answer: &http::Answer, delivery: &Delivery) -> Refused {
        let mut refused = answer.refused(WHO, &[self.url.as_str(), self.url.path()]);
        if matches!(answer.status, 403 | 404 | 410) {
            refused.error.push_str(
                "; check that the webhook's URL is the one Slack shows, that its app is still installed and that its \
                 channel is not archived",
            );
            if self.clock.now().since(delivery.notice.at) < PATIENCE {
                refused.retry = Retry::BackOff;
            }
        }
        refused
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Receiver for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
        let message = build_message(delivery);
        let mut answer = self.post(&blocks::payload(&message)).await?;
        if answer.status == 400 {
            let refused = answer.refused(WHO, &[self.url.as_str(), self.url.path()]);
            tracing::warn!(destination.name = %self.name, error = %refused.error,
                "the blocks were refused, the message is sent as plain text");
            answer = self.post(&blocks::plain(&message)).await?;
        }
        if answer.is_success() {
            return Ok(None);
        }
        Err(self.refused(&answer, delivery))
    }
}
