//! An incoming webhook: each transition is a message of its own, because the answer names none that could be edited.

use async_trait::async_trait;
use reqwest::Client;
use serde_json::Value;
use url::Url;

use super::{blocks, words};
use crate::deliver::{Receiver, Refused, http};
use crate::ledger::Delivery;

const WHO: &str = "slack webhook";

pub(in crate::deliver) struct Webhook {
    name: String,
    /// All of it is the secret.
    url: Url,
    client: Client,
}

impl Webhook {
    pub(in crate::deliver) const fn new(name: String, url: Url, client: Client) -> Self {
        Self { name, url, client }
    }

    async fn post(&self, payload: &Value) -> Result<http::Answer, Refused> {
        http::send(WHO, self.client.post(self.url.clone()).json(payload)).await
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
        let message = words(delivery);
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
        Err(answer.refused(WHO, &[self.url.as_str(), self.url.path()]))
    }
}
