//! PagerDuty, webhooks and e-mail among `destinations`.
//!
//! Each reads `None` for what is wrong, `Some(None)` for what is off.

use std::path::Path;

use url::Url;

use super::template::read_body;
use crate::address::parse_http_url;
use crate::credentials::{SecretValue, read_headers, read_secret};
use crate::keys::Key;
use crate::keys::agent::{email, pagerduty, webhook};
use crate::model::{DestinationKind, Email, Encryption, WebhookForm};
use crate::reader::{At, Fields, Reader};
use crate::secret::Secret;

/// Base URL of the Events API of PagerDuty.
const EVENTS_URL: &str = "https://events.pagerduty.com/v2/";

/// Reads a secret that must be written in exactly one of two ways.
fn one_secret(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    fields: &Fields<'_>,
    keys: [Key; 2],
    folder: &Path,
) -> Option<SecretValue> {
    let written = keys.into_iter().filter(|key| fields.get(*key).is_some()).count();
    if written != 1 {
        let [direct, file] = keys.map(|key| key.name);
        let help = format!("write either `{file}` or `{direct}`");
        reader.error(at, format!("this destination has one `{direct}`"), help);
        return None;
    }
    read_secret(reader, fields, keys, folder)
}

pub(super) fn read_pagerduty(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    folder: &Path,
) -> Option<Option<DestinationKind>> {
    let fields = reader.fields(at, pagerduty::OBJECT)?;
    let keys = [pagerduty::ROUTING_KEY, pagerduty::ROUTING_KEY_FILE];
    let key = one_secret(reader, at, &fields, keys, folder);
    let url = match fields.get(pagerduty::EVENTS_URL) {
        Some(at) => reader.url(&at),
        None => Url::parse(EVENTS_URL).ok(),
    };
    let (key, mut events_url) = (key?, url?);
    // methods are joined to it: without the slash the last part would be replaced
    if !events_url.path().ends_with('/') {
        events_url.set_path(&format!("{}/", events_url.path()));
    }
    Some(match key {
        SecretValue::Secret(key) => {
            Some(DestinationKind::PagerDuty { events_url, routing_key: Secret::new(key) })
        }
        SecretValue::Empty => None,
    })
}

pub(super) fn read_webhook(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    folder: &Path,
) -> Option<Option<DestinationKind>> {
    let fields = reader.fields(at, webhook::OBJECT)?;
    let url = one_secret(reader, at, &fields, [webhook::URL, webhook::URL_FILE], folder);
    let keys = [webhook::SIGNING_SECRET, webhook::SIGNING_SECRET_FILE];
    let written = keys.into_iter().find_map(|key| fields.get(key));
    let secret = match &written {
        None => Some(None),
        Some(at) => match one_secret(reader, at, &fields, keys, folder) {
            Some(SecretValue::Secret(secret)) => Some(Some(Secret::new(secret))),
            Some(SecretValue::Empty) => Some(None),
            None => None,
        },
    };
    let headers =
        fields.get(webhook::HEADERS).map_or(Some(Vec::new()), |at| read_headers(reader, &at, folder));
    let form = read_form(reader, &fields);
    let (url, signing_secret, headers, form) = (url?, secret?, headers?, form?);
    let SecretValue::Secret(url) = url else { return Some(None) };
    if let Err((message, help)) = parse_http_url(&url) {
        let at = fields.get(webhook::URL).or_else(|| fields.get(webhook::URL_FILE))?;
        reader.error(&at, message, help);
        return None;
    }
    Some(Some(DestinationKind::Webhook { url: Secret::new(url), signing_secret, headers, form }))
}

fn read_form(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<WebhookForm> {
    let (format, body) = (fields.get(webhook::FORMAT), fields.get(webhook::BODY));
    if let (Some(at), Some(_)) = (&format, &body) {
        reader.error(at, "a message has one form", "write either `format` or `body`");
        return None;
    }
    if let Some(at) = body {
        return read_body(reader, &at).map(WebhookForm::Template);
    }
    let cloud_events =
        format.map_or(Some(false), |at| reader.choice(&at, &[("lookout", false), ("cloudevents", true)]));
    Some(if cloud_events? { WebhookForm::CloudEvents } else { WebhookForm::Lookout })
}

pub(super) fn read_email(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    folder: &Path,
) -> Option<Option<DestinationKind>> {
    let fields = reader.fields(at, email::OBJECT)?;
    let host = reader.required(&fields, email::HOST, "name the mail server: `host: smtp.example.org`");
    let host = host.and_then(|at| reader.expand(&at));
    let kinds = [("starttls", Encryption::StartTls), ("tls", Encryption::Tls), ("none", Encryption::None)];
    let encryption =
        fields.get(email::ENCRYPTION).map_or(Some(Encryption::StartTls), |at| reader.choice(&at, &kinds));
    let port = fields.get(email::PORT).map_or(Some(None), |at| read_port(reader, &at).map(Some));
    let ca = fields.get(email::CA_FILE).map_or(Some(None), |at| {
        let text = reader.secret_from_file(&at, folder)?;
        Some(Some(text).filter(|text| !text.is_empty()))
    });
    let login = read_login(reader, at, &fields, folder);
    let from = reader
        .required(&fields, email::FROM, "name the sender: `from: lookout@example.org`")
        .and_then(|at| read_address(reader, &at));
    let to = reader
        .required(&fields, email::TO, "list the readers: `to: [oncall@example.org]`")
        .and_then(|at| read_addresses(reader, &at));
    let (host, encryption, from) = (host?, encryption?, from?);
    let default = match encryption {
        Encryption::StartTls => 587,
        Encryption::Tls => 465,
        Encryption::None => 25,
    };
    let (port, ca, login, to) = (port?.unwrap_or(default), ca?, login?, to?);
    if host.is_empty() {
        return Some(None);
    }
    Some(Some(DestinationKind::Email(Email { host, port, encryption, ca, login, from, to })))
}

fn read_port(reader: &mut Reader<'_>, at: &At<'_>) -> Option<u16> {
    let number = reader.number(at)?;
    if number.fract() != 0.0 || !(1.0..=65535.0).contains(&number) {
        reader.error(at, "a port is a whole number from 1 to 65535", "write `587`");
        return None;
    }
    format!("{number:.0}").parse().ok()
}

/// Reads user and password. A password without a user is a mistake, and the other way round.
fn read_login(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    fields: &Fields<'_>,
    folder: &Path,
) -> Option<Option<(String, Secret)>> {
    let keys = [email::PASSWORD, email::PASSWORD_FILE];
    let password = keys.into_iter().any(|key| fields.get(key).is_some());
    let username = match fields.get(email::USERNAME) {
        None if !password => return Some(None),
        None => {
            reader.error(at, "a password goes with a user", "add `username`");
            return None;
        }
        Some(at) => reader.expand(&at),
    };
    match one_secret(reader, at, fields, keys, folder)? {
        SecretValue::Secret(password) => Some(Some((username?, Secret::new(password)))),
        SecretValue::Empty => Some(None),
    }
}

fn read_addresses(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<String>> {
    let items = reader.list(at)?;
    if items.is_empty() {
        reader.error(at, "nobody would read the messages", "list one address at least");
        return None;
    }
    let addresses: Vec<Option<String>> = items.iter().map(|item| read_address(reader, item)).collect();
    addresses.into_iter().collect()
}

/// Reads an address, without a name before it.
fn read_address(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let text = reader.expand(at)?;
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && !"<>(),;:\\\"@[]".contains(c))
    };
    let whole = text.split_once('@').is_some_and(|(user, host)| plain(user) && plain(host));
    if !whole {
        reader.error(at, "this is no address of a mailbox", "write it like `oncall@example.org`");
        return None;
    }
    Some(text)
}
