//! The outbox: every transition reaches every destination, at least once and in order, however long it takes.
//!
//! [`run`] drains what the ledger holds for one destination. [`receiver`] makes the [`Receiver`] for a destination of
//! the config; to add a kind, implement the trait in a file of its own and name it there.

mod alertmanager;
mod breaker;
mod component;
mod condition;
mod http;
mod message;
mod outbox;
mod slack;

#[cfg(test)]
mod alertmanager_real;
#[cfg(test)]
mod local;
#[cfg(test)]
mod local_tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use lookout_config::{Destination, DestinationKind, Secret};
use lookout_model::{Delivery, TransitionRecord};
use lookout_runtime::clock::Clock;

pub use condition::condition_in_words;
pub use message::{Message, Tone};
pub use outbox::{Ports, run};
pub use slack::slack_as_text;

/// Someone who is told about transitions.
#[async_trait]
pub trait Receiver: Send + Sync + 'static {
    /// Name of the destination.
    fn name(&self) -> &str;

    /// Tells about one transition. Returns what the receiver called the message, if it did.
    ///
    /// # Errors
    /// Why it was not told, and whether trying again can help.
    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused>;

    /// Returns how many deliveries may be in flight at once; those of one incident never are.
    fn concurrency(&self) -> usize {
        4
    }

    /// Repeats the present state to receivers that forget (Alertmanager keeps alerts in memory only). `latest` are the
    /// newest transitions of incidents that are open or were resolved a short while ago.
    ///
    /// # Errors
    /// As [`Receiver::deliver`].
    async fn refresh(&self, latest: &[TransitionRecord]) -> Result<(), Refused> {
        let _ = latest;
        Ok(())
    }

    /// How often [`Receiver::refresh`] wants to be called; `None` for never.
    fn refresh_every(&self) -> Option<Duration> {
        None
    }
}

/// Why a delivery was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Free of secrets.
    pub error: String,
    /// Whether and when to try again.
    pub retry: Retry,
}

/// Whether and when to try again, decided where the answer was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The receiver said when.
    After(Duration),
    /// With growing pauses.
    BackOff,
    /// With growing pauses; the receiver may have got it all the same, because no answer came.
    Unsure,
    /// Never: the same request would be refused again.
    Never,
}

/// Why there is no receiver for a destination.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// The secret URL is none; it is not shown.
    #[error("destination {destination}: the webhook's secret is not an http(s) URL")]
    Url {
        /// Name of the destination.
        destination: String,
    },
    /// The HTTP client cannot be made.
    #[error("destination {destination}: setting up HTTPS (are CA certificates installed?)")]
    Client {
        /// Name of the destination.
        destination: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

/// The receiver for a destination of the config. Nothing is sent yet.
///
/// # Errors
/// When its URL is unusable or TLS cannot be set up.
pub fn receiver(
    destination: &Destination,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Receiver>, ReceiverError> {
    let name = destination.name.clone();
    let client = |urls: &[Url]| {
        let needs_tls = urls.iter().any(|url| url.scheme() == "https");
        http::client(needs_tls).map_err(|source| ReceiverError::Client {
            destination: name.clone(),
            source: source.without_url(),
        })
    };
    Ok(match &destination.kind {
        DestinationKind::Alertmanager { urls } => {
            let client = client(urls)?;
            let minimum = destination.minimum;
            Arc::new(alertmanager::Alertmanager::new(name.clone(), minimum, urls, client, clock))
        }
        DestinationKind::SlackWebhook { url } => {
            let url = secret_url(url).ok_or_else(|| ReceiverError::Url { destination: name.clone() })?;
            let client = client(std::slice::from_ref(&url))?;
            Arc::new(slack::Webhook::new(name.clone(), url, client, clock))
        }
        DestinationKind::SlackApi { api_url, token, channel } => {
            let client = client(std::slice::from_ref(api_url))?;
            Arc::new(slack::WebApi::new(name.clone(), api_url, token.clone(), channel.clone(), client))
        }
    })
}

fn secret_url(secret: &Secret) -> Option<Url> {
    Url::parse(secret.reveal().trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}
