//! Secrets, headers and credentials: values that are kept out of every output.

use std::path::Path;

use super::placeholder::has_placeholder;
use super::reader::{At, Fields, Reader};
use super::secret::{Secret, Secrets, fill_in, read_file};
use super::yaml::Value;
use crate::keys::Key;
use crate::keys::server::{basic_auth, header, server};

/// Headers whose values are never secret; all others are kept out of snippets.
const PLAIN_HEADERS: [&str; 7] =
    ["accept", "accept-encoding", "accept-language", "cache-control", "content-type", "host", "user-agent"];

/// Credentials of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// No credentials.
    None,
    /// A bearer token.
    Bearer(Secret),
    /// User and password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
}

/// A secret as it was found.
pub(super) enum SecretValue {
    Secret(String),
    /// Only `${NAME:-}` is written, and NAME is not set.
    Empty,
}

/// Reads a secret that is written under one key or stands in the file under the other.
pub(super) fn read_secret(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    [direct, file]: [Key; 2],
    folder: &Path,
) -> Option<SecretValue> {
    if reader.needs == Secrets::Unneeded {
        return Some(SecretValue::Empty);
    }
    if let Some(at) = fields.get(file) {
        return reader.secret_from_file(&at, folder).map(SecretValue::Secret);
    }
    let text = reader.secret_text(&fields.get(direct)?, true, true)?;
    Some(if text.is_empty() { SecretValue::Empty } else { SecretValue::Secret(text) })
}

impl Reader<'_> {
    /// Returns the content of a file that a setting names, relative to the folder of the configuration.
    pub(super) fn secret_from_file(&mut self, at: &At<'_>, folder: &Path) -> Option<String> {
        let path = folder.join(self.expand(at)?);
        if self.needs == Secrets::Unneeded {
            return Some(String::new());
        }
        self.inputs.push(path.clone());
        match read_file(&path) {
            Ok(secret) => Some(secret),
            Err(message) => {
                self.error(
                    at,
                    message,
                    "make the file, or name another; it holds the secret and nothing else",
                );
                None
            }
        }
    }

    /// Returns a text that may be secret, with its variables filled in. What stands in the file itself is kept out of
    /// snippets when `masked`, and warned about when `warned`.
    pub(super) fn secret_text(&mut self, at: &At<'_>, masked: bool, warned: bool) -> Option<String> {
        let text = match self.text(at) {
            Some(text) => text,
            None => {
                self.secrets.push(at.node.place.span.clone());
                return None;
            }
        };
        let filled = fill_in(text, self.environment);
        // a scheme before a reference is no secret: `Bearer ${TOKEN}`
        let bare = |written: &str| matches!(written.trim(), "" | "Bearer" | "Basic" | "Token");
        let written = match &filled {
            Ok(filled) => !(filled.written.is_empty() || filled.named && bare(&filled.written)),
            Err(bad) => !bare(text.get(..bad.span.start).unwrap_or_default()) || text.len() > bad.span.end,
        };
        if written && masked {
            self.secrets.push(at.node.place.span.clone());
        }
        match filled {
            Ok(filled) => {
                if written && warned && !has_placeholder(text) {
                    let help = "take it from the environment (`${NAME}`) or from a file, and replace the one that was shown";
                    self.warn(at, "this file holds a secret in plain text", help);
                }
                Some(filled.value)
            }
            Err(_) if self.needs == Secrets::Unneeded => Some(String::new()),
            Err(bad) => {
                self.error_in(at, text, bad.span, bad.message, &bad.help);
                None
            }
        }
    }
}

pub(super) fn read_credentials(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    folder: &Path,
) -> Option<Credentials> {
    let token = [server::BEARER_TOKEN, server::BEARER_TOKEN_FILE];
    let all = token.into_iter().chain([server::BASIC_AUTH]);
    let written: Vec<At<'_>> = all.filter_map(|key| fields.get(key)).collect();
    if let [_, second, ..] = written.as_slice() {
        let help = "keep one of `bearer_token`, `bearer_token_file` and `basic_auth`";
        reader.error(second, "a request has one kind of credentials", help);
        return None;
    }
    let Some(at) = fields.get(server::BASIC_AUTH) else {
        return match written.is_empty() {
            true => Some(Credentials::None),
            false => Some(match read_secret(reader, fields, token, folder)? {
                SecretValue::Secret(token) => {
                    Credentials::Bearer(header_safe(reader, written.first()?, token)?)
                }
                SecretValue::Empty => Credentials::None,
            }),
        };
    };
    read_basic(reader, &at, folder)
}

/// Reads user and password.
pub(super) fn read_basic(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<Credentials> {
    let fields = reader.fields(at, basic_auth::OBJECT)?;
    let username =
        reader.required(&fields, basic_auth::USERNAME, "name the user").and_then(|at| reader.expand(&at));
    let password = [basic_auth::PASSWORD, basic_auth::PASSWORD_FILE];
    let named = password.into_iter().filter(|key| fields.get(*key).is_some()).count();
    if named != 1 && reader.needs == Secrets::Needed {
        reader.error(at, "basic_auth has one password", "write `password_file` or `password`");
        return None;
    }
    let password = match read_secret(reader, &fields, password, folder)? {
        SecretValue::Secret(password) => password,
        SecretValue::Empty => String::new(),
    };
    Some(Credentials::Basic { username: username?, password: Secret::new(password) })
}

/// Returns a token that can be sent; one with a line break in it cannot.
fn header_safe(reader: &mut Reader<'_>, at: &At<'_>, token: String) -> Option<Secret> {
    if http::HeaderValue::try_from(&token).is_err() {
        reader.error(
            at,
            "this token cannot be sent in a header",
            "leave line breaks and control characters out",
        );
        return None;
    }
    Some(Secret::new(token))
}

/// Reads `headers`: names to values, or to the files that hold them.
pub(super) fn read_headers(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    folder: &Path,
) -> Option<Vec<(String, Secret)>> {
    let fields = reader.open_fields(at, "from names to values")?;
    let mut headers = Vec::new();
    let mut whole = true;
    for (key, value) in fields.all() {
        let named = http::HeaderName::try_from(key.name.as_str()).is_ok();
        if !named {
            reader.error(&value, "this cannot be the name of a header", "use letters, digits and `-`");
        }
        let secret = read_header(reader, &key.name, &value, folder);
        match secret {
            Some(secret) if named => headers.push((key.name.clone(), secret)),
            _ => whole = false,
        }
    }
    whole.then_some(headers)
}

fn read_header(reader: &mut Reader<'_>, name: &str, at: &At<'_>, folder: &Path) -> Option<Secret> {
    let value = if matches!(at.node.value, Value::Map(_)) {
        let fields = reader.fields(at, header::OBJECT)?;
        let file = reader.required(&fields, header::FILE, "name the file that holds the value")?;
        reader.secret_from_file(&file, folder)?
    } else {
        let name = name.to_ascii_lowercase();
        let plain = PLAIN_HEADERS.contains(&name.as_str());
        let words = ["auth", "cookie", "key", "password", "secret", "token"];
        let credential = words.iter().any(|word| name.contains(word));
        reader.secret_text(at, !plain, credential)?
    };
    if http::HeaderValue::try_from(&value).is_err() {
        reader.error(
            at,
            "this cannot be the value of a header",
            "leave line breaks and control characters out",
        );
        return None;
    }
    Some(Secret::new(value))
}
