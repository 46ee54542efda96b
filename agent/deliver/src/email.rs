//! E-mail by SMTP: plain text and simple HTML. Messages about an incident refer to the first, so that mail programs show
//! them as one conversation.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use crate::message::clean;
use crate::{Grouping, Message, Receiver, ReceiverError, Refused, Retry, Update};
use lookout_config::{Email as Settings, Encryption, Secret};
use lookout_model::{Delivery, Timestamp};
use lookout_runtime::clock::Clock;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Number of characters of an answer that an error quotes.
const QUOTE: usize = 400;

pub(super) struct Email {
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

/// Place of a message in its conversation.
pub(super) struct Place {
    /// Unique; the same for every attempt.
    id: String,
    /// The id of the first message, unless this is the first.
    first: Option<String>,
    at: Timestamp,
}

impl Email {
    pub(super) fn new(
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

#[cfg(test)]
impl Place {
    /// Returns a place in the middle of a conversation.
    pub(super) fn sample() -> Self {
        let first = Some("<inc-1@example.org>".to_owned());
        Self { id: "<inc-1.resolved.1@example.org>".to_owned(), first, at: lookout_model::sample::T0 }
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

/// Returns the e-mail of a message.
pub(super) fn build(
    from: &Mailbox,
    to: &[Mailbox],
    message: &Message,
    place: &Place,
) -> Result<lettre::Message, lettre::error::Error> {
    let millis = u64::try_from(place.at.as_millis()).unwrap_or(0);
    let date = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis.min(MOST_MILLIS)));
    let mut mail = lettre::Message::builder()
        .from(from.clone())
        .subject(message.headline.clone())
        .message_id(Some(place.id.clone()))
        .date(date.unwrap_or(SystemTime::UNIX_EPOCH));
    for mailbox in to {
        mail = mail.to(mailbox.clone());
    }
    if let Some(first) = &place.first {
        mail = mail.in_reply_to(first.clone()).references(first.clone());
    }
    // a holiday reply to a page helps nobody
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    mail = mail.raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
    mail.multipart(MultiPart::alternative_plain_html(text(message), html(message)))
}

/// Last instant that a date of an e-mail can be: the end of the year 9999.
const MOST_MILLIS: u64 = 253_402_300_799_000;

/// Returns the message as plain text.
pub(super) fn text(message: &Message) -> String {
    let mut lines = vec![message.headline.clone(), String::new(), message.sentence.clone()];
    lines.extend(Some(message.description.clone()).filter(|text| !text.is_empty()));
    lines.push(String::new());
    lines.extend(message.fields.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.extend(message.list.iter().map(|line| format!("- {line}")));
    lines.push(String::new());
    lines.extend(message.links.iter().map(|(label, url)| format!("{label}: {url}")));
    lines.extend([String::new(), message.footnote.clone()]);
    lines.join("\r\n")
}

/// Returns the message as HTML: no style sheet, no image, nothing that is loaded.
pub(super) fn html(message: &Message) -> String {
    let mut html = format!(
        "<!doctype html><html><body><h2>{}</h2><p>{}</p>",
        escaped(&message.headline),
        escaped(&message.sentence)
    );
    if !message.description.is_empty() {
        html.push_str(&format!("<p>{}</p>", escaped(&message.description)));
    }
    html.push_str("<table>");
    for (name, value) in &message.fields {
        let (name, value) = (escaped(name), escaped(value));
        html.push_str(&format!("<tr><th align=\"left\">{name}</th><td>{value}</td></tr>"));
    }
    html.push_str("</table>");
    if !message.list.is_empty() {
        html.push_str("<ul>");
        for line in &message.list {
            html.push_str(&format!("<li>{}</li>", escaped(line)));
        }
        html.push_str("</ul>");
    }
    let links: Vec<String> = message
        .links
        .iter()
        .map(|(label, url)| format!("<a href=\"{}\">{}</a>", escaped(url), escaped(label)))
        .collect();
    html.push_str(&format!(
        "<p>{}</p><p>{}</p></body></html>",
        links.join(" · "),
        escaped(&message.footnote)
    ));
    html
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
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
