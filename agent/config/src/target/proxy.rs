//! `proxy_url` of `http`: the way through a proxy.
//!
//! ```yaml
//! proxy_url: http://proxy.example.org:3128
//! proxy_basic_auth: { username: lookout, password_file: secrets/proxy }
//! proxy_connect_header: { X-Team: shop }
//! no_proxy: [example.org, 10.0.0.0/8]
//! ```

use std::path::Path;

use url::Url;

use super::super::reader::{At, Fields, Reader};
use super::super::secret::Secret;
use super::super::yaml::Value;
use super::address::HostPort;
use super::no_proxy::ProxyException;
use crate::credentials::{Credentials, read_basic, read_headers};
use crate::keys::target::http;
use crate::placeholder::has_placeholder;

/// Most hosts that `no_proxy` names.
const MOST_EXCEPTIONS: usize = 256;

/// The way through a proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// The proxy, of scheme `http` or `https`, without credentials.
    pub url: Url,
    /// Credentials for the proxy.
    pub credentials: Credentials,
    /// Headers of `CONNECT`; values may be secret.
    pub connect_headers: Vec<(String, Secret)>,
    /// Hosts that are reached without the proxy.
    pub exceptions: Vec<ProxyException>,
}

impl Proxy {
    /// Returns the way through a proxy, without credentials and for every host.
    #[must_use]
    pub const fn new(url: Url) -> Self {
        Self { url, credentials: Credentials::None, connect_headers: Vec::new(), exceptions: Vec::new() }
    }

    /// Returns whether a peer is reached through the proxy.
    #[must_use]
    pub fn applies_to(&self, peer: &HostPort) -> bool {
        !self.exceptions.iter().any(|exception| exception.names(peer))
    }
}

/// Reads the keys about a proxy.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<Option<Proxy>> {
    let Some(at) = fields.get(http::PROXY_URL) else {
        let others = [http::PROXY_BASIC_AUTH, http::PROXY_CONNECT_HEADER, http::NO_PROXY];
        return match others.into_iter().find_map(|key| Some((key, fields.get(key)?))) {
            None => Some(None),
            Some((key, at)) => {
                let help = "name the proxy, or leave the key out";
                reader.error(&at, format!("`{}` needs `{}`", key.name, http::PROXY_URL.name), help);
                None
            }
        };
    };
    let url = read_url(reader, &at);
    let credentials = fields
        .get(http::PROXY_BASIC_AUTH)
        .map_or(Some(Credentials::None), |at| read_basic(reader, &at, folder));
    let connect_headers = fields
        .get(http::PROXY_CONNECT_HEADER)
        .map_or(Some(Vec::new()), |at| read_headers(reader, &at, folder));
    let written = credentials.as_ref().is_some_and(is_of_journey)
        || connect_headers.iter().flatten().any(|(_, value)| has_placeholder(value.reveal()))
        || url.as_ref().is_some_and(|url| has_placeholder(url.as_str()));
    if written {
        let help = "use variables of the environment here: `${NAME}`";
        reader.error(&at, "a proxy cannot depend on a variable of a journey", help);
        return None;
    }
    let exceptions = fields.get(http::NO_PROXY).map_or(Some(Vec::new()), |at| read_exceptions(reader, &at));
    Some(Some(Proxy {
        url: url?,
        credentials: credentials?,
        connect_headers: connect_headers?,
        exceptions: exceptions?,
    }))
}

/// Returns whether a variable of a journey stands in credentials.
fn is_of_journey(credentials: &Credentials) -> bool {
    match credentials {
        Credentials::None => false,
        Credentials::Bearer(token) => has_placeholder(token.reveal()),
        Credentials::Basic { username, password } => {
            has_placeholder(username) || has_placeholder(password.reveal())
        }
    }
}

fn read_url(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Url> {
    let url = reader.expand(at)?;
    if Url::parse(&url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some()) {
        reader.secrets.push(at.node.place.span.clone());
        let help = "write them under `proxy_basic_auth`";
        reader.error(at, "this URL holds a user name or password", help);
        return None;
    }
    let url = reader.url(at)?;
    if url.path() != "/" || url.query().is_some() {
        reader.error(at, "a proxy has no path", "write scheme, host and port, like `http://proxy:3128`");
        return None;
    }
    Some(url)
}

fn read_exceptions(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<ProxyException>> {
    let texts: Vec<String> = match &at.node.value {
        Value::List(_) => {
            let read: Vec<_> = reader.list(at)?.iter().map(|at| reader.expand(at)).collect();
            read.into_iter().collect::<Option<_>>()?
        }
        _ => reader.expand(at)?.split(',').map(|part| part.trim().to_owned()).collect(),
    };
    let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    if texts.len() > MOST_EXCEPTIONS {
        reader.error(at, format!("`no_proxy` names at most {MOST_EXCEPTIONS} hosts"), "");
        return None;
    }
    let mut exceptions = Vec::new();
    for text in &texts {
        let Some(exception) = ProxyException::parse(text) else {
            let help = "write `example.org`, `.example.org`, `10.0.0.0/8`, `[::1]:8080` or `*`";
            reader.error(at, format!("`{text}` names no host and no network"), help);
            return None;
        };
        exceptions.push(exception);
    }
    Some(exceptions)
}
