//! E-mail by SMTP: plain text and simple HTML. Messages about an incident refer to the first, so that mail programs show
//! them as one conversation.

mod mail;
#[cfg(test)]
mod real_tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

pub(crate) use mail::{Place, build};
#[cfg(test)]
pub(crate) use mail::{html, text};

use crate::message::clean;
use crate::{Grouping, Message, Receiver, ReceiverError, Refused, Retry, Update};
use lookout_config::{Email as Settings, Encryption, Secret};
use lookout_model::Delivery;
use lookout_runtime::clock::Clock;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Number of characters of an answer that an error quotes.
const QUOTE: usize = 400;

pub(crate) struct Email {
    name: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    /// Host and port, for errors.
    server: String,
    password: Option<Secret>,
    clock: Arc<dyn Clock>,
    group_wait: Duration,
}

impl Email {
    pub(crate) fn new(
        name: String,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        group_wait: Duration,
    ) -> Result<Self, ReceiverError> {
        let bad = |error: String| ReceiverError::Mail { destination: name.clone(), error };
        let mailbox = |text: &String| {
            let address = text.parse().map_err(|error| bad(format!("{text} is no address: {error}")))?;
            Ok(Mailbox::new(None, address))
        };
        let to = settings.to.iter().map(mailbox).collect::<Result<Vec<_>, ReceiverError>>()?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.as_str())
            .port(settings.port)
            .timeout(Some(TIMEOUT))
            .tls(tls(settings).map_err(|error| bad(error.to_string()))?);
        if let Some((user, password)) = &settings.login {
            transport = transport.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        Ok(Self {
            from: mailbox(&settings.from)?,
            to,
            transport: transport.build(),
            server: format!("mail server {}:{}", settings.host, settings.port),
            password: settings.login.as_ref().map(|(_, password)| password.clone()),
            name,
            clock,
            group_wait,
        })
    }

    async fn send(&self, message: &Message, place: &Place) -> Result<(), Refused> {
        let mail = build(&self.from, &self.to, message, place).map_err(|error| Refused {
            error: format!("the message cannot be written as e-mail: {error}"),
            retry: Retry::Never,
        })?;
        self.transport.send(mail).await.map(|_| ()).map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &lettre::transport::smtp::Error) -> Refused {
        let mut text = format!("{}: {error}", self.server);
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        if let Some(password) = self.password.as_ref().map(Secret::reveal).filter(|text| !text.is_empty()) {
            text = text.replace(password, "***");
        }
        let retry = if error.is_permanent() || error.is_client() {
            Retry::Never
        } else if error.is_timeout() {
            // the message may be in the queue of the server
            Retry::Unsure
        } else {
            Retry::BackOff
        };
        Refused { error: clean(&text, QUOTE), retry }
    }

    /// Returns the place of a message about an incident. `thread` is the id of the incident that began the message.
    fn place(&self, delivery: Option<&Delivery>, thread: Option<&str>) -> Place {
        let domain = self.from.email.domain();
        let root = |incident: &str| format!("<{incident}@{domain}>");
        let Some(delivery) = delivery else {
            return Place { id: root("lookout"), first: None, at: self.clock.now() };
        };
        let (incident, notice) = (&delivery.notice.incident.id, &delivery.notice);
        match thread {
            None => Place { id: root(incident), first: None, at: notice.at },
            Some(thread) => {
                let id = format!("<{incident}.{}.{}@{domain}>", notice.word(), notice.at.as_millis());
                Place { id, first: Some(root(thread)), at: notice.at }
            }
        }
    }
}

fn tls(settings: &Settings) -> Result<Tls, lettre::transport::smtp::Error> {
    if settings.encryption == Encryption::None {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(settings.host.clone());
    if let Some(pem) = &settings.ca {
        parameters = parameters.add_root_certificate(Certificate::from_pem(pem.as_bytes())?);
    }
    let parameters = parameters.build_rustls()?;
    Ok(match settings.encryption {
        Encryption::StartTls => Tls::Required(parameters),
        Encryption::Tls => Tls::Wrapper(parameters),
        Encryption::None => Tls::None,
    })
}

#[async_trait]
impl Receiver for Email {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
        let message = Message::of(&delivery.notice);
        let message = if delivery.unsure { message.resent() } else { message };
        let place = self.place(Some(delivery), delivery.thread.as_deref());
        self.send(&message, &place).await.map(|()| None)
    }

    async fn deliver_group(&self, update: &Update) -> Result<Option<String>, Refused> {
        let message = Message::of_update(update);
        let message = if update.is_unsure() { message.resent() } else { message };
        let place = self.place(update.deliveries.first(), update.thread.as_deref());
        self.send(&message, &place).await.map(|()| None)
    }

    fn grouping(&self) -> Grouping {
        Grouping::Followed
    }

    fn group_wait(&self) -> Duration {
        self.group_wait
    }
}
