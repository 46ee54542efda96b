//! The e-mail of a message: its headers, and its text and HTML.

use std::time::{Duration, SystemTime};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use crate::Message;
use lookout_model::Timestamp;

/// Place of a message in its conversation.
pub(crate) struct Place {
    /// Unique; the same for every attempt.
    pub(super) id: String,
    /// The id of the first message, unless this is the first.
    pub(super) first: Option<String>,
    pub(super) at: Timestamp,
}

#[cfg(test)]
impl Place {
    /// Returns a place in the middle of a conversation.
    pub(crate) fn sample() -> Self {
        let first = Some("<inc-1@example.org>".to_owned());
        Self { id: "<inc-1.resolved.1@example.org>".to_owned(), first, at: lookout_model::sample::T0 }
    }
}

/// Returns the e-mail of a message.
pub(crate) fn build(
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
pub(crate) fn text(message: &Message) -> String {
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
pub(crate) fn html(message: &Message) -> String {
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
