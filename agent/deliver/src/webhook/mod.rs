//! A program that takes JSON. Its form is documented in `docs/schema/webhook.schema.json`; a change of it that breaks a
//! reader changes `version`.

mod body;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use ring::hmac;
use url::Url;

#[cfg(test)]
pub(crate) use body::body;
pub(crate) use body::payload;

use crate::{Grouping, Receiver, Refused, Retry, Update, http};
use lookout_config::{Secret, WebhookForm};
use lookout_model::{Delivery, Timestamp};
use lookout_runtime::clock::Clock;

const WHO: &str = "webhook";
/// Header with the time and the signature of a message.
const SIGNATURE: &str = "lookout-signature";

pub(crate) struct Webhook {
    name: String,
    /// The URL; it may be secret.
    url: Url,
    settings: Settings,
    client: Client,
    clock: Arc<dyn Clock>,
    group_wait: Duration,
}

/// Settings of a webhook beside its URL.
pub(crate) struct Settings {
    pub(crate) signing_secret: Option<Secret>,
    pub(crate) headers: Vec<(String, Secret)>,
    pub(crate) form: WebhookForm,
}

impl Webhook {
    pub(crate) fn new(
        name: String,
        url: Url,
        settings: Settings,
        client: Client,
        clock: Arc<dyn Clock>,
        group_wait: Duration,
    ) -> Self {
        Self { name, url, settings, client, clock, group_wait }
    }

    async fn post(&self, update: &Update) -> Result<(), Refused> {
        let Settings { signing_secret, headers, form } = &self.settings;
        let text = payload(form, update).map_err(|error| Refused {
            error: format!("{WHO}: the message cannot be written: {error}"),
            retry: Retry::Never,
        })?;
        let content_type = match form {
            WebhookForm::CloudEvents => "application/cloudevents+json",
            WebhookForm::Lookout | WebhookForm::Template(_) => "application/json",
        };
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, content_type);
        for (name, value) in headers {
            request = request.header(name, value.reveal());
        }
        if let Some(secret) = signing_secret {
            request = request.header(SIGNATURE, signature(secret, self.clock.now(), &text));
        }
        let answer = http::send(WHO, request.body(text)).await?;
        if answer.is_success() {
            return Ok(());
        }
        let mut secrets = vec![self.url.as_str(), self.url.path()];
        // the path `/` stands in any text
        secrets.retain(|secret| secret.len() > 1);
        secrets.extend(headers.iter().map(|(_, value)| value.reveal()));
        secrets.extend(signing_secret.as_ref().map(Secret::reveal));
        Err(answer.refused(WHO, &secrets))
    }
}

/// Returns `t=SECONDS,v1=HEX`: the HMAC-SHA-256 of the seconds, a dot and the body. The time lets a reader refuse an old
/// message that somebody sends again.
pub(crate) fn signature(secret: &Secret, now: Timestamp, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let seconds = now.as_seconds();
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

#[async_trait]
impl Receiver for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
        let update = Update::new(vec![delivery.clone()], delivery.thread.clone(), Vec::new());
        self.deliver_group(&update).await
    }

    async fn deliver_group(&self, update: &Update) -> Result<Option<String>, Refused> {
        self.post(update).await.map(|()| None)
    }

    fn grouping(&self) -> Grouping {
        Grouping::Batched
    }

    fn group_wait(&self) -> Duration {
        self.group_wait
    }
}
