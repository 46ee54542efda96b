//! `websocket` of a target: an upgrade and an optional message.

use std::path::Path;

use regex::bytes::Regex;
use url::Url;

use super::super::reader::{At, Fields, Reader};
use super::super::secret::Secret;
use super::tcp::read_pattern;
use super::tls::{self, TlsOptions};
use crate::credentials::read_headers;
use crate::keys::target;

/// An upgrade to WebSocket and an optional message.
#[derive(Debug, Clone)]
pub struct WebSocketCheck {
    /// `ws` or `wss`.
    pub url: Url,
    /// Extra request headers; values may be secret.
    pub headers: Vec<(String, Secret)>,
    /// Trust and identity.
    pub tls: TlsOptions,
    /// A text message that is sent.
    pub send: Option<String>,
    /// A message that is awaited.
    pub expect_message: Option<Regex>,
}

/// Reads the keys of `websocket`.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<WebSocketCheck> {
    let url =
        reader.required(fields, target::websocket::URL, "name the endpoint, like `wss://example.org/events`");
    let url = url.and_then(|at| read_url(reader, &at));
    let headers = fields
        .get(target::websocket::HEADERS)
        .map_or(Some(Vec::new()), |at| read_headers(reader, &at, folder));
    let tls = tls::read_optional(reader, fields, folder);
    let send = fields
        .get(target::websocket::SEND)
        .map_or(Some(None), |at| reader.secret_text(&at, true, false).map(Some));
    let expect_message = fields
        .get(target::websocket::EXPECT_MESSAGE)
        .map_or(Some(None), |at| read_pattern(reader, &at).map(Some));
    Some(WebSocketCheck {
        url: url?,
        headers: headers?,
        tls: tls?.unwrap_or_default(),
        send: send?,
        expect_message: expect_message?,
    })
}

fn read_url(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Url> {
    let text = reader.expand(at)?;
    let url =
        Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "ws" | "wss") && url.host().is_some());
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
    if url.is_none() {
        reader.error(
            at,
            "expected a URL of a WebSocket",
            "write it like `wss://example.org/events`, without a user",
        );
    }
    url
}
