//! A message as Block Kit. The header comes first and everything else is in one attachment, because only attachments
//! have a colour.
//!
//! Slack refuses a whole message for one text too long or one block too many. Each part is cut to its own limit.
//! Together they stay below about 13,000 characters, the total above which Slack refuses a message without documenting
//! it.

use serde_json::{Value, json};

use super::escape::escape;
use crate::{Message, Tone};

const HEADER: usize = 150;
const TEXT: usize = 600;
const NAME: usize = 60;
const VALUE: usize = 400;
const FIELDS: usize = 10;
const CONTEXT: usize = 300;
const PLAIN: usize = 2500;
const LINE: usize = 240;
const LIST: usize = 2600;

/// Returns the message with blocks. `text` is for notifications and screen readers.
pub(super) fn payload(message: &Message) -> Value {
    let headline = escape(&message.headline, HEADER);
    let sentence = escape(&message.sentence, TEXT);
    let mut blocks = vec![section(&sentence)];
    blocks.extend(message.trend.iter().map(|trend| section(&escape(trend, LINE))));
    if !message.description.is_empty() {
        blocks.push(section(&escape(&message.description, TEXT)));
    }
    let fields: Vec<Value> = message
        .fields
        .iter()
        .take(FIELDS)
        .map(|(name, value)| marked(&format!("*{}*\n{}", escape(name, NAME), escape(value, VALUE))))
        .collect();
    if !fields.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    if !message.list.is_empty() {
        blocks.push(section(&escape_lines(&message.list)));
    }
    let buttons: Vec<Value> = message
        .links
        .iter()
        .map(|(label, url)| {
            json!({ "type": "button", "text": { "type": "plain_text", "text": label }, "url": url })
        })
        .collect();
    if !buttons.is_empty() {
        blocks.push(json!({ "type": "actions", "elements": buttons }));
    }
    let footnote = escape(&message.footnote, CONTEXT);
    blocks.push(json!({ "type": "context", "elements": [marked(&footnote)] }));
    json!({
        "text": format!("{headline}. {sentence}"),
        "blocks": [{ "type": "header", "text": { "type": "plain_text", "text": headline, "emoji": false } }],
        "attachments": [{ "color": colour(message.tone), "fallback": headline, "blocks": blocks }],
    })
}

/// Returns the message in plain text, for when Slack refuses the blocks: everything that is needed to act.
pub(super) fn plain(message: &Message) -> Value {
    let mut lines = vec![message.headline.clone(), message.sentence.clone()];
    lines.extend(message.fields.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.extend(message.list.iter().cloned());
    lines.extend(message.links.iter().map(|(label, url)| format!("{label}: {url}")));
    json!({ "text": escape(&lines.join("\n"), PLAIN) })
}

/// Returns as many lines as a section takes; the last names the number of those left out, if it was given.
fn escape_lines(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        let line = format!("• {}\n", escape(line, LINE));
        if text.encode_utf16().count() + line.encode_utf16().count() > LIST {
            text.push('…');
            break;
        }
        text.push_str(&line);
    }
    text.trim_end().to_owned()
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": marked(text) })
}

/// Returns text with Slack's markup; `verbatim` prevents links and mentions in plain words.
fn marked(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

const fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Page => "#c62828",
        Tone::Ticket => "#e69500",
        Tone::Good => "#2e7d32",
    }
}
