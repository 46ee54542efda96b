//! An incoming webhook. A rise in severity and the end are messages of their own, because the answer has no id of a
//! message to edit.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;
use serde_json::Value;
use url::Url;

use super::{blocks, build_group_message, build_message};
use crate::{Grouping, Message, Receiver, Refused, Retry, Update, http};
use lookout_model::{Delivery, Timestamp};
use lookout_runtime::clock::Clock;

const WHO: &str = "slack webhook";
/// Time for which an unknown webhook is tried again: it may have been deleted by mistake, or pasted wrong.
const UNKNOWN_RETRIED_FOR: Duration = Duration::from_secs(3600);

pub(crate) struct Webhook {
    name: String,
    /// The URL; all of it is secret.
    url: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    group_wait: Duration,
}

impl Webhook {
    pub(crate) fn new(
        name: String,
        url: Url,
        client: Client,
        clock: Arc<dyn Clock>,
        group_wait: Duration,
    ) -> Self {
        Self { name, url, client, clock, group_wait }
    }

    async fn post(&self, payload: &Value) -> Result<http::Answer, Refused> {
        http::send(WHO, self.client.post(self.url.clone()).json(payload)).await
    }
}

impl Webhook {
    /// Returns the error of an answer. An unknown webhook can be put right, so that a page is not dropped for it at
    /// once.
    fn refused(&self, answer: &http::Answer, at: Timestamp) -> Refused {
        let mut refused = answer.refused(WHO, &[self.url.as_str(), self.url.path()]);
        if matches!(answer.status, 403 | 404 | 410) {
            refused.error.push_str(
                "; check that the webhook's URL is the one Slack shows, that its app is still installed and that its \
                 channel is not archived",
            );
            if self.clock.now().since(at) < UNKNOWN_RETRIED_FOR {
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
        self.send(&build_message(delivery), delivery.notice.at).await.map(|()| None)
    }

    async fn deliver_group(&self, update: &Update) -> Result<Option<String>, Refused> {
        let newest = update.deliveries.iter().map(|delivery| delivery.notice.at).max();
        let newest = newest.unwrap_or_else(|| self.clock.now());
        self.send(&build_group_message(update), newest).await.map(|()| None)
    }

    fn grouping(&self) -> Grouping {
        Grouping::Followed
    }

    fn group_wait(&self) -> Duration {
        self.group_wait
    }

    fn concurrency(&self) -> usize {
        super::CONCURRENCY
    }
}

impl Webhook {
    async fn send(&self, message: &Message, at: Timestamp) -> Result<(), Refused> {
        let mut answer = self.post(&blocks::payload(message)).await?;
        if answer.status == 400 {
            let refused = answer.refused(WHO, &[self.url.as_str(), self.url.path()]);
            tracing::warn!(destination.name = %self.name, error = %refused.error,
                "the blocks were refused, the message is sent as plain text");
            answer = self.post(&blocks::plain(message)).await?;
        }
        if answer.is_success() {
            return Ok(());
        }
        Err(self.refused(&answer, at))
    }
}
