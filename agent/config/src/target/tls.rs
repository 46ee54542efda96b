//! `tls` of a protocol.

use std::path::Path;

use super::super::reader::{At, Fields, Reader};
use super::super::secret::Secret;
use super::super::yaml::Value;
use super::address::is_host;
use crate::keys::{Key, target};

/// Trust and identity in a TLS handshake.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// Accept any certificate. Its facts are recorded all the same.
    pub insecure: bool,
    /// Certificates in PEM that are trusted instead of the system's.
    pub ca: Option<String>,
    /// Name that is asked for and verified, instead of the host.
    pub server_name: Option<String>,
    /// Certificate chain and key in PEM that are shown to the server.
    pub identity: Option<(String, Secret)>,
    /// Resume sessions: a resumed one verifies no certificate.
    pub resume: bool,
}

/// Reads `tls`: a mapping, `true` for the defaults, or `false` for none.
pub(super) fn read_optional(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    folder: &Path,
) -> Option<Option<TlsOptions>> {
    read_under(reader, fields, target::http::TLS, folder)
}

/// Reads the options under a key.
pub(super) fn read_under(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: Key,
    folder: &Path,
) -> Option<Option<TlsOptions>> {
    let Some(at) = fields.get(key) else { return Some(None) };
    match at.node.value {
        Value::Bool(on) => Some(on.then(TlsOptions::default)),
        _ => read(reader, &at, folder).map(Some),
    }
}

/// Reads a mapping of options.
pub(super) fn read(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<TlsOptions> {
    let fields = reader.fields(at, target::tls::OBJECT)?;
    let resume = fields.get(target::tls::RESUME).map_or(Some(false), |at| reader.switch(&at));
    let options = read_fields(reader, &fields, folder)?;
    Some(TlsOptions { resume: resume?, ..options })
}

/// Reads the options out of a mapping that may hold others.
pub(super) fn read_fields(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<TlsOptions> {
    let insecure = fields.get(target::tls::INSECURE).map_or(Some(false), |at| reader.switch(&at));
    let ca = fields
        .get(target::tls::CA_FILE)
        .map_or(Some(None), |at| read_pem(reader, &at, folder, "CERTIFICATE").map(Some));
    let certificate = fields
        .get(target::tls::CERT_FILE)
        .map_or(Some(None), |at| read_pem(reader, &at, folder, "CERTIFICATE").map(Some));
    let key = fields
        .get(target::tls::KEY_FILE)
        .map_or(Some(None), |at| read_pem(reader, &at, folder, "PRIVATE KEY").map(Some));
    let server_name = fields.get(target::tls::SERVER_NAME).map_or(Some(None), |at| {
        let name = reader.expand(&at)?;
        if is_host(&name) {
            return Some(Some(name));
        }
        reader.error(&at, "this cannot be the name of a server", "write it like `example.org`");
        None
    });
    let identity = match (certificate?, key?) {
        (Some(certificate), Some(key)) => Some((certificate, Secret::new(key))),
        (None, None) => None,
        (present, _) => {
            let (chain, key) = (target::tls::CERT_FILE, target::tls::KEY_FILE);
            let (here, other) = if present.is_some() { (chain, key) } else { (key, chain) };
            let at = fields.get(here).unwrap_or_else(|| fields.at.clone());
            reader.error(&at, format!("`{}` needs `{}`", here.name, other.name), "name both, or none");
            return None;
        }
    };
    Some(TlsOptions { insecure: insecure?, ca: ca?, server_name: server_name?, identity, resume: false })
}

fn read_pem(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path, what: &str) -> Option<String> {
    let text = reader.secret_from_file(at, folder)?;
    // a reader without secrets sees no files
    if text.is_empty() || (text.contains("-----BEGIN") && text.contains(&format!("{what}-----"))) {
        return Some(text);
    }
    let message = format!("the file holds no {}", what.to_lowercase());
    reader.error(at, message, format!("it needs a block `-----BEGIN {what}-----`"));
    None
}
