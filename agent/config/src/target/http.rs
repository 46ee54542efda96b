//! `http` of a target: a request.

use std::path::Path;
use std::sync::Arc;

use url::Url;

use super::super::assertion::parser::parse_size;
use super::super::reader::{At, Fields, Reader};
use super::super::secret::Secret;
use super::super::yaml::Value;
use super::oauth2::{self, OAuth2};
use super::proxy::{self, Proxy};
use super::tls::{self, TlsOptions};
use crate::credentials::{Credentials, read_credentials, read_headers};
use crate::keys::{Key, target};

/// Bytes of an answer that are read unless told otherwise.
const BODY_LIMIT: usize = 1024 * 1024;

/// Most bytes of an answer that may be asked for: a sidecar must stay small.
pub(crate) const BODY_LIMIT_LIMIT: usize = 64 * 1024 * 1024;

/// Most bytes of a body that is kept for an assertion.
pub(crate) const KEPT_BODY_LIMIT: usize = 8 * 1024 * 1024;

/// Header fields of an answer unless told otherwise.
const MAX_HEADERS: usize = 256;

/// A request over HTTP.
#[derive(Debug, Clone)]
pub struct HttpCheck {
    /// The URL that is requested.
    pub url: Url,
    /// Upper-case method.
    pub method: String,
    /// Extra request headers; values may be secret.
    pub headers: Vec<(String, Secret)>,
    /// Request body.
    pub body: Option<String>,
    /// Credentials. They and the extra headers go to the origin of `url` only.
    pub authorization: Credentials,
    /// Grant of a bearer token, which goes to the origin of `url` only.
    pub oauth2: Option<Arc<OAuth2>>,
    /// The way through a proxy.
    pub proxy: Option<Arc<Proxy>>,
    /// Version of the protocol.
    pub version: HttpVersion,
    /// Redirects that are followed.
    pub redirects: Redirects,
    /// Trust and identity.
    pub tls: TlsOptions,
    /// Bytes of body that are read at most.
    pub body_limit: usize,
    /// Header fields of an answer that are read at most.
    pub max_headers: usize,
}

/// Version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[default]
    One,
    /// HTTP/2: by ALPN over TLS, by prior knowledge without.
    Two,
    /// HTTP/2 where ALPN offers it, HTTP/1.1 elsewhere.
    Auto,
}

/// Redirects that are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redirects {
    /// Most of them; with none, the redirect is the answer.
    pub limit: u32,
    /// True if they may lead to another origin.
    pub any_origin: bool,
}

impl HttpCheck {
    /// Returns a plain request for a URL.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self {
            url,
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: None,
            authorization: Credentials::None,
            oauth2: None,
            proxy: None,
            version: HttpVersion::default(),
            redirects: Redirects::default(),
            tls: TlsOptions::default(),
            body_limit: BODY_LIMIT,
            max_headers: MAX_HEADERS,
        }
    }
}

/// Reads the keys of `http`.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<HttpCheck> {
    let url = reader.required(
        fields,
        target::http::URL,
        "say what is requested, like `http://127.0.0.1:8080/health`",
    );
    let url = url.and_then(|at| reader.url(&at));
    let method =
        fields.get(target::http::METHOD).map_or(Some("GET".to_owned()), |at| read_method(reader, &at));
    let headers =
        fields.get(target::http::HEADERS).map_or(Some(Vec::new()), |at| read_headers(reader, &at, folder));
    let body = fields
        .get(target::http::BODY)
        .map_or(Some(None), |at| reader.text(&at).map(|text| Some(text.to_owned())));
    let authorization = read_credentials(reader, fields, folder);
    let oauth2 = oauth2::read(reader, fields, folder);
    let proxy = proxy::read(reader, fields, folder);
    let version =
        fields.get(target::http::VERSION).map_or(Some(HttpVersion::One), |at| read_version(reader, &at));
    let redirects = fields
        .get(target::http::REDIRECTS)
        .map_or(Some(Redirects::default()), |at| read_redirects(reader, &at));
    let tls = tls::read_optional(reader, fields, folder);
    let body_limit = read_body_limit(reader, fields);
    let max_headers = fields.get(target::http::MAX_HEADERS).map_or(Some(MAX_HEADERS), |at| {
        read_whole(reader, &at, target::http::MAX_HEADERS).and_then(|most| usize::try_from(most).ok())
    });
    let (url, tls, redirects) = (url?, tls?, redirects?);
    // a redirect may lead to TLS
    if let (Some(at), "http", 0) = (fields.get(target::http::TLS), url.scheme(), redirects.limit) {
        let help = "write `https://`, follow a redirect to it with `redirects`, or leave `tls` out";
        reader.error(&at, "this URL is requested without TLS", help);
        return None;
    }
    Some(HttpCheck {
        url,
        method: method?,
        headers: headers?,
        body: body?,
        authorization: authorization?,
        oauth2: oauth2?.map(Arc::new),
        proxy: proxy?.map(Arc::new),
        version: version?,
        redirects,
        tls: tls.unwrap_or_default(),
        body_limit: body_limit?,
        max_headers: max_headers?,
    })
}

/// Reads the whole number of a key, within the bounds that the key declares.
pub(crate) fn read_whole(reader: &mut Reader<'_>, at: &At<'_>, key: Key) -> Option<u64> {
    let (least, most) = key.shape.whole().unwrap_or((0, u64::MAX));
    let found = match &at.node.value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let found = found.filter(|number| (least..=most).contains(number));
    if found.is_none() {
        reader.error(at, format!("expected a whole number from {least} to {most}"), "");
    }
    found
}

fn read_version(reader: &mut Reader<'_>, at: &At<'_>) -> Option<HttpVersion> {
    match &at.node.value {
        Value::Int(2) => Some(HttpVersion::Two),
        Value::Float(version) if (*version - 1.1).abs() < 1e-9 => Some(HttpVersion::One),
        Value::Text(text) if text == "1.1" => Some(HttpVersion::One),
        Value::Text(text) if text == "2" => Some(HttpVersion::Two),
        Value::Text(text) if text == "auto" => Some(HttpVersion::Auto),
        _ => {
            reader.error(at, "expected `1.1`, `2` or `auto`", "leave it out for HTTP/1.1");
            None
        }
    }
}

fn read_redirects(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Redirects> {
    if let Value::Int(_) = at.node.value {
        let limit = read_whole(reader, at, target::http::REDIRECTS)?;
        return Some(Redirects { limit: u32::try_from(limit).ok()?, any_origin: false });
    }
    let fields = reader.fields(at, target::redirects::OBJECT)?;
    let limit = reader.required(
        &fields,
        target::redirects::LIMIT,
        "say how many are followed at most, like `limit: 5`",
    );
    let limit = limit.and_then(|at| read_whole(reader, &at, target::redirects::LIMIT));
    let any_origin = fields
        .get(target::redirects::ORIGIN)
        .map_or(Some(false), |at| reader.choice(&at, &[("same", false), ("any", true)]));
    Some(Redirects { limit: u32::try_from(limit?).ok()?, any_origin: any_origin? })
}

fn read_body_limit(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<usize> {
    let Some(at) = fields.get(target::http::BODY_LIMIT) else { return Some(BODY_LIMIT) };
    let bytes = match &at.node.value {
        Value::Int(bytes) => usize::try_from(*bytes).ok(),
        Value::Text(text) => parse_size(text),
        _ => None,
    };
    let Some(bytes) = bytes.filter(|bytes| (1..=BODY_LIMIT_LIMIT).contains(bytes)) else {
        reader.error(
            &at,
            "expected a size from 1 byte to 64 MiB",
            "write it like `64KiB`, `1MiB` or in bytes",
        );
        return None;
    };
    if bytes > KEPT_BODY_LIMIT && keeps_body(fields) {
        let message = "a body that assertions look into has at most 8 MiB";
        reader.error(&at, message, "leave it out for 1 MiB, or assert nothing about the body");
        return None;
    }
    Some(bytes)
}

/// Returns whether an expectation looks into the body. What cannot be read is told elsewhere.
fn keeps_body(fields: &Fields<'_>) -> bool {
    let Some(Value::Map(expect)) = fields.get(target::http::EXPECT).map(|at| at.node.value.clone()) else {
        return false;
    };
    expect.iter().any(|(key, node)| match (key.name.as_str(), &node.value) {
        (name, _) if name == target::http_expect::JSON.name => true,
        (name, Value::Text(text)) if name == target::http_expect::ASSERT.name => looks_into_body(text),
        (name, Value::List(nodes)) if name == target::http_expect::ASSERT.name => {
            nodes.iter().any(|node| matches!(&node.value, Value::Text(text) if looks_into_body(text)))
        }
        _ => false,
    })
}

fn looks_into_body(text: &str) -> bool {
    let parsed = super::super::assertion::Assertion::parse(text);
    parsed.is_ok_and(|assertion| assertion.root.looks_at(&|subject| subject.needs_body()))
}

fn read_method(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let method = reader.text(at)?.to_ascii_uppercase();
    let good = !method.is_empty() && method.len() <= 32 && method.bytes().all(|b| b.is_ascii_uppercase());
    if !good {
        reader.error(at, "this is not a request method", "write one like `GET`, `HEAD` or `POST`");
        return None;
    }
    Some(method)
}

/// Returns the value of JSON that a value of YAML stands for.
pub(super) fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(value) => value.as_str().into(),
        Value::List(nodes) => nodes.iter().map(|node| json(&node.value)).collect(),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| (key.name.clone(), json(&node.value)));
            serde_json::Value::Object(entries.collect())
        }
    }
}
