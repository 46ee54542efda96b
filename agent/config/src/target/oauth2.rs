//! `oauth2` of `http`: a bearer token by the client credentials grant (RFC 6749, 4.4).
//!
//! ```yaml
//! oauth2:
//!   token_url: https://login.example.org/oauth2/token
//!   client_id: lookout
//!   client_secret_file: secrets/client
//!   scopes: [health.read]
//!   endpoint_params: { audience: api }
//! ```

use std::path::Path;

use url::Url;

use super::super::reader::{At, Fields, Reader};
use super::super::secret::{Secret, Secrets};
use super::tls::{self, TlsOptions};
use crate::credentials::{SecretValue, read_secret};
use crate::keys::server::server;
use crate::keys::target::{http, oauth2};
use crate::placeholder::has_placeholder;

/// Most scopes and most parameters.
const MOST_ITEMS: usize = 64;

/// A client credentials grant.
#[derive(Debug, Clone)]
pub struct OAuth2 {
    /// The token endpoint.
    pub token_url: Url,
    /// Identifier of the client.
    pub client_id: String,
    /// Secret of the client.
    pub client_secret: Secret,
    /// Scopes that are asked for.
    pub scopes: Vec<String>,
    /// Further parameters of the request; values may be secret.
    pub parameters: Vec<(String, Secret)>,
    /// Place of identifier and secret in the request.
    pub auth: ClientAuth,
    /// Trust and identity in the handshake with the token endpoint.
    pub tls: TlsOptions,
}

/// Place of a client's identifier and secret in the request for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// The header `Authorization`.
    Basic,
    /// The form.
    Post,
}

/// Reads `oauth2` of a protocol.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<Option<OAuth2>> {
    let Some(at) = fields.get(http::OAUTH2) else { return Some(None) };
    let others = [server::BASIC_AUTH, server::BEARER_TOKEN, server::BEARER_TOKEN_FILE];
    if let Some(other) = others.into_iter().find(|key| fields.get(*key).is_some()) {
        let help = format!("keep one of `oauth2` and `{}`", other.name);
        reader.error(&at, "a request has one kind of credentials", help);
        return None;
    }
    read_grant(reader, &at, folder).map(Some)
}

fn read_grant(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<OAuth2> {
    let fields = reader.fields(at, oauth2::OBJECT)?;
    let how = "name the token endpoint, like `https://login.example.org/oauth2/token`";
    let token_url = reader.required(&fields, oauth2::TOKEN_URL, how);
    let token_url = token_url.and_then(|at| constant(reader, &at).and_then(|()| reader.url(&at)));
    let client_id = reader.required(&fields, oauth2::CLIENT_ID, "name the client");
    let client_id = client_id.and_then(|at| constant(reader, &at).and_then(|()| reader.expand(&at)));
    let client_secret = read_client_secret(reader, &fields, folder);
    let scopes = fields.get(oauth2::SCOPES).map_or(Some(Vec::new()), |at| read_scopes(reader, &at));
    let parameters =
        fields.get(oauth2::ENDPOINT_PARAMS).map_or(Some(Vec::new()), |at| read_parameters(reader, &at));
    let auth = fields.get(oauth2::AUTH_METHOD).map_or(Some(ClientAuth::Basic), |at| {
        reader.choice(&at, &[("basic", ClientAuth::Basic), ("post", ClientAuth::Post)])
    });
    let tls = tls::read_under(reader, &fields, oauth2::TLS, folder);
    Some(OAuth2 {
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scopes: scopes?,
        parameters: parameters?,
        auth: auth?,
        tls: tls?.unwrap_or_default(),
    })
}

fn read_client_secret(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<Secret> {
    let keys = [oauth2::CLIENT_SECRET, oauth2::CLIENT_SECRET_FILE];
    let written: Vec<At<'_>> = keys.into_iter().filter_map(|key| fields.get(key)).collect();
    if written.len() != 1 && reader.needs == Secrets::Needed {
        let help = "write `client_secret_file` or `client_secret: ${NAME}`";
        reader.error(&fields.at, "`oauth2` has one client secret", help);
        return None;
    }
    if let Some(at) = fields.get(oauth2::CLIENT_SECRET) {
        constant(reader, &at)?;
    }
    Some(Secret::new(match read_secret(reader, fields, keys, folder)? {
        SecretValue::Secret(secret) => secret,
        SecretValue::Empty => String::new(),
    }))
}

fn read_scopes(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<String>> {
    let items = reader.list(at)?;
    if items.len() > MOST_ITEMS {
        reader.error(at, format!("there are at most {MOST_ITEMS} scopes"), "");
        return None;
    }
    let read = items.iter().map(|at| {
        constant(reader, at)?;
        let scope = reader.expand(at)?;
        // RFC 6749, 3.3
        let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        if !scope.is_empty() && scope.chars().all(fits) {
            return Some(scope);
        }
        reader.error(at, "this cannot be a scope", "write each scope as an item of its own, without spaces");
        None
    });
    let read: Vec<_> = read.collect();
    read.into_iter().collect()
}

fn read_parameters(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<(String, Secret)>> {
    const TAKEN: [&str; 4] = ["grant_type", "client_id", "client_secret", "scope"];
    let fields = reader.open_fields(at, "from names to values")?;
    let mut parameters = Vec::new();
    let mut whole = true;
    for (key, value) in fields.all() {
        if TAKEN.contains(&key.name.as_str()) {
            let help = "leave it out; other keys of `oauth2` set it";
            reader.error(&value, format!("`{}` is no further parameter", key.name), help);
            whole = false;
        }
        match constant(reader, &value).and_then(|()| reader.secret_text(&value, true, false)) {
            Some(text) => parameters.push((key.name.clone(), Secret::new(text))),
            None => whole = false,
        }
    }
    if parameters.len() > MOST_ITEMS {
        reader.error(at, format!("there are at most {MOST_ITEMS} parameters"), "");
        return None;
    }
    whole.then_some(parameters)
}

/// Refuses the variables of a journey: a token outlives the requests that would set them.
fn constant(reader: &mut Reader<'_>, at: &At<'_>) -> Option<()> {
    if !has_placeholder(reader.text(at)?) {
        return Some(());
    }
    let help = "use variables of the environment here: `${NAME}`";
    reader.error(at, "a token cannot depend on a variable of a journey", help);
    None
}
