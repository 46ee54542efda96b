//! The outbox: every transition reaches every destination, at least once and in order, after outages of any length.
//!
//! [`run`] delivers what the ledger holds for one destination. [`receiver`] makes the [`Receiver`] for a destination
//! of the config; to add a kind, implement the trait in a folder of its own and name it there.

mod alertmanager;
mod breaker;
mod component;
mod condition;
mod digest;
mod email;
mod group;
mod http;
mod inert;
mod instance;
mod message;
mod outbox;
mod pagerduty;
mod slack;
mod webhook;

#[cfg(test)]
mod alertmanager_pair_tests;
#[cfg(test)]
mod alertmanager_read_back_tests;
#[cfg(test)]
mod alertmanager_real_tests;
#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod local_tests;
#[cfg(test)]
mod receiver_tests;
#[cfg(test)]
mod rendering_tests;
#[cfg(test)]
mod test_certificate;
#[cfg(test)]
mod test_server;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use lookout_config::{Destination, DestinationKind, Secret};
use lookout_model::{Delivery, TransitionRecord};
use lookout_runtime::clock::Clock;

pub use condition::condition_text;
pub use group::{Grouping, Update};
pub use instance::{HeldAlert, HeldSilence, HeldState, InstanceState};
pub use message::{Message, Tone};
pub use outbox::{Ports, run};
pub use slack::slack_as_text;

/// Receiver of transitions.
#[async_trait]
pub trait Receiver: Send + Sync + 'static {
    /// Returns the name of the destination.
    fn name(&self) -> &str;

    /// Delivers one transition. Returns the receiver's own id of the message, if it gave one.
    ///
    /// # Errors
    /// Returns the reason of a failure, and whether trying again can help.
    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused>;

    /// Delivers transitions of several incidents in one message. Returns the receiver's own id of the message, if it
    /// gave one.
    ///
    /// # Errors
    /// As [`Receiver::deliver`].
    async fn deliver_group(&self, update: &Update) -> Result<Option<String>, Refused> {
        let mut id = None;
        for delivery in &update.deliveries {
            let sent = self.deliver(delivery).await?;
            id = id.or(sent);
        }
        Ok(id)
    }

    /// Returns the treatment of several incidents.
    fn grouping(&self) -> Grouping {
        Grouping::Alone
    }

    /// Returns how long an incident waits for others of its service.
    fn group_wait(&self) -> Duration {
        Duration::ZERO
    }

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

    /// Returns the interval between calls of [`Receiver::refresh`]; `None` for never.
    fn refresh_every(&self) -> Option<Duration> {
        None
    }

    /// Reads what the instances of the receiver do with what they were sent. A failure is part of their state.
    async fn read_back(&self) {}

    /// Returns the interval between calls of [`Receiver::read_back`]; `None` for never.
    fn read_back_every(&self) -> Option<Duration> {
        None
    }

    /// Returns the state of the instances, as it was read last.
    fn instances(&self) -> Vec<InstanceState> {
        Vec::new()
    }
}

/// Error of a delivery that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The reason, free of secrets.
    pub error: String,
    /// The decision about another try.
    pub retry: Retry,
}

/// Decision about another try, made where the answer was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// After the pause that the receiver asked for.
    After(Duration),
    /// With growing pauses.
    BackOff,
    /// With growing pauses. No answer came, so that the receiver may have accepted the message.
    Unsure,
    /// Never: the same request would be refused again.
    Never,
}

/// Failure to make the receiver of a destination.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// The secret value is no URL; it is not shown.
    #[error("destination {destination}: the webhook's secret is not an http(s) URL")]
    Url {
        /// The name of the destination.
        destination: String,
    },
    /// A setting of e-mail cannot be used.
    #[error("destination {destination}: {error}")]
    Mail {
        /// The name of the destination.
        destination: String,
        /// The fault.
        error: String,
    },
    /// The HTTP client cannot be made.
    #[error("destination {destination}: setting up HTTPS (are CA certificates installed?)")]
    Client {
        /// The name of the destination.
        destination: String,
        /// The error of the client.
        #[source]
        source: reqwest::Error,
    },
}

/// Returns the receiver for a destination of the config. Nothing is sent yet.
///
/// # Errors
/// Fails when its URL is unusable or TLS cannot be set up.
pub fn receiver(
    destination: &Destination,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Receiver>, ReceiverError> {
    let name = destination.name.clone();
    let wait = destination.group_wait;
    let client_with = |urls: &[Url], certificates| {
        let needs_tls = urls.iter().any(|url| url.scheme() == "https");
        http::client(needs_tls, certificates).map_err(|source| ReceiverError::Client {
            destination: name.clone(),
            source: source.without_url(),
        })
    };
    let client = |urls: &[Url]| client_with(urls, http::Certificates::default());
    Ok(match &destination.kind {
        DestinationKind::Alertmanager(settings) => {
            let identity = settings.identity.as_ref().map(|(certificate, key)| (certificate.as_str(), key));
            let certificates = http::Certificates { ca: settings.ca.as_deref(), identity };
            let network: Box<dyn http::Transport> = Box::new(http::Network);
            let (client, minimum) = (client_with(&settings.urls, certificates)?, destination.minimum);
            let means = (client, network);
            Arc::new(alertmanager::Alertmanager::new(name.clone(), minimum, settings, means, clock))
        }
        DestinationKind::SlackWebhook { url } => {
            let url = secret_url(url).ok_or_else(|| ReceiverError::Url { destination: name.clone() })?;
            let client = client(std::slice::from_ref(&url))?;
            Arc::new(slack::Webhook::new(name.clone(), url, client, clock, wait))
        }
        DestinationKind::PagerDuty { events_url, routing_key } => {
            let client = client(std::slice::from_ref(events_url))?;
            Arc::new(pagerduty::PagerDuty::new(name.clone(), events_url, routing_key.clone(), client))
        }
        DestinationKind::Webhook { url, signing_secret, headers, form } => {
            let url = secret_url(url).ok_or_else(|| ReceiverError::Url { destination: name.clone() })?;
            let client = client(std::slice::from_ref(&url))?;
            let (signing_secret, headers, form) = (signing_secret.clone(), headers.clone(), form.clone());
            let settings = webhook::Settings { signing_secret, headers, form };
            Arc::new(webhook::Webhook::new(name.clone(), url, settings, client, clock, wait))
        }
        DestinationKind::Email(settings) => Arc::new(email::Email::new(name.clone(), settings, clock, wait)?),
        DestinationKind::SlackApi { api_url, token, channel } => {
            let client = client(std::slice::from_ref(api_url))?;
            let (token, channel) = (token.clone(), channel.clone());
            Arc::new(slack::WebApi::new(name.clone(), api_url, token, channel, client, wait))
        }
    })
}

fn secret_url(secret: &Secret) -> Option<Url> {
    Url::parse(secret.reveal().trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}
