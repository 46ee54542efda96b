//! Receivers of messages about incidents.

use core::fmt;
use std::time::Duration;

use lookout_engine::Severity;
use lookout_model::Timestamp;
use url::Url;

use super::route::{NotRouted, Route};
use super::slo::Slo;
use crate::destination::BodyTemplate;
use crate::secret::Secret;

/// A receiver of transitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Unique name; the label `destination`.
    pub name: String,
    /// Least severity that is sent here.
    pub minimum: Severity,
    /// The incidents and hours at which it is sent here.
    pub route: Route,
    /// Time that an incident waits for others of its service, to share a message.
    pub group_wait: Duration,
    /// The destination that gets what this one refuses for good.
    pub fallback: Option<String>,
    /// The kind of receiver.
    pub kind: DestinationKind,
}

impl Destination {
    /// Creates a destination with the defaults of its keys.
    #[must_use]
    pub fn new(name: &str, kind: DestinationKind) -> Self {
        let (minimum, group_wait) = (Severity::Ticket, Self::GROUP_WAIT);
        let route = Route::default();
        Self { name: name.to_owned(), minimum, route, group_wait, fallback: None, kind }
    }

    /// Time that an incident waits for others of its service, unless another is set.
    pub(crate) const GROUP_WAIT: Duration = Duration::from_secs(2);

    /// Checks whether it takes an incident of the SLO with this severity at an instant.
    ///
    /// # Errors
    /// Returns the reason why it does not.
    pub fn check_takes(&self, slo: &Slo, severity: Severity, at: Timestamp) -> Result<(), NotRouted> {
        if self.route.standby {
            return Err(NotRouted::Standby);
        }
        if self.minimum > severity {
            return Err(NotRouted::Severity);
        }
        if !self.route.matcher.selects(&slo.service, &slo.id(), &slo.labels) {
            return Err(NotRouted::Selection);
        }
        if self.route.is_active(at) { Ok(()) } else { Err(NotRouted::Hour) }
    }

    /// Returns whether it takes an incident of the SLO with this severity at an instant.
    #[must_use]
    pub fn takes(&self, slo: &Slo, severity: Severity, at: Timestamp) -> bool {
        self.check_takes(slo, severity, at).is_ok()
    }
}

/// Instances of Alertmanager.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AlertmanagerSettings {
    /// Base URLs, route prefix included. They may hold a user and a password, and are never printed as they are.
    pub urls: Vec<Url>,
    /// Bearer token for a proxy before the instances.
    pub token: Option<Secret>,
    /// Certificates in PEM that are trusted beside those of the system.
    pub ca: Option<String>,
    /// Certificate of the client in PEM, and its key.
    pub identity: Option<(String, Secret)>,
    /// True if an alert fires all the time.
    pub watchdog: bool,
}

impl fmt::Debug for AlertmanagerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins: Vec<String> = self.urls.iter().map(|url| url.origin().ascii_serialization()).collect();
        f.debug_struct("AlertmanagerSettings")
            .field("urls", &origins)
            .field("token", &self.token)
            .field("ca", &self.ca)
            .field("identity", &self.identity)
            .field("watchdog", &self.watchdog)
            .finish()
    }
}

/// The kinds of receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationKind {
    /// Alertmanager, API v2: every instance gets every alert.
    Alertmanager(AlertmanagerSettings),
    /// A Slack incoming webhook. Each transition is a message of its own.
    SlackWebhook {
        /// The URL is the secret.
        url: Secret,
    },
    /// Slack's Web API: the first message is edited, changes go into its thread.
    SlackApi {
        /// `https://slack.com/api/` unless told otherwise.
        api_url: Url,
        /// A bot token with `chat:write`.
        token: Secret,
        /// The channel id or name.
        channel: String,
    },
    /// PagerDuty's Events API v2: one alert per incident.
    PagerDuty {
        /// `https://events.pagerduty.com/v2/` unless told otherwise.
        events_url: Url,
        /// The integration key of the service.
        routing_key: Secret,
    },
    /// A program that takes JSON.
    Webhook {
        /// The URL may be secret.
        url: Secret,
        /// The secret that signs each message.
        signing_secret: Option<Secret>,
        /// Headers of each message.
        headers: Vec<(String, Secret)>,
        /// The form of each message.
        form: WebhookForm,
    },
    /// Mailboxes.
    Email(Email),
}

/// The form of a message of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookForm {
    /// The documented form.
    Lookout,
    /// The documented form in an envelope of CloudEvents 1.0.
    CloudEvents,
    /// A form of the user's own.
    Template(BodyTemplate),
}

/// A mail server and the mailboxes that get messages through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The encryption of the connection.
    pub encryption: Encryption,
    /// Certificates in PEM that are trusted beside those of the system.
    pub ca: Option<String>,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// The address of the sender.
    pub from: String,
    /// The addresses of the readers.
    pub to: Vec<String>,
}

/// Encryption of a connection to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// The connection turns to TLS before anything is sent.
    StartTls,
    /// The connection begins with TLS.
    Tls,
    /// No encryption.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_printed_show_no_password() {
        let settings = AlertmanagerSettings {
            urls: vec![Url::parse("http://operator:hunter2@am.test:9093/route").unwrap()],
            token: Some(Secret::new("t0ken")),
            ..AlertmanagerSettings::default()
        };
        let destination = Destination::new("am", DestinationKind::Alertmanager(settings));
        for printed in [format!("{destination:?}"), format!("{destination:#?}")] {
            assert!(printed.contains("http://am.test:9093"), "{printed}");
            assert!(
                ["operator", "hunter2", "t0ken"].iter().all(|secret| !printed.contains(secret)),
                "{printed}"
            );
        }
    }
}
