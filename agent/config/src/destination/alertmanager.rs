//! Alertmanager among `destinations`.

use std::path::Path;

use crate::credentials::{SecretValue, read_secret};
use crate::keys::Key;
use crate::keys::agent::alertmanager;
use crate::model::{AlertmanagerSettings, DestinationKind};
use crate::reader::{At, Fields, Reader};
use crate::secret::Secret;

/// Reads `None` for what is wrong, `Some(None)` for what is off.
pub(super) fn read_alertmanager(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    folder: &Path,
) -> Option<Option<DestinationKind>> {
    let fields = reader.fields(at, alertmanager::OBJECT)?;
    let list = reader.required(
        &fields,
        alertmanager::URLS,
        "list the base URL of every instance: `urls: [http://…:9093]`",
    )?;
    let mut urls = Vec::new();
    let mut whole = true;
    for item in reader.list(&list)? {
        if reader.expand(&item).is_some_and(|text| text.is_empty()) {
            continue;
        }
        match reader.url_with_login(&item) {
            Some(url) => urls.push(url),
            None => whole = false,
        }
    }
    let keys = [alertmanager::TOKEN, alertmanager::TOKEN_FILE];
    let token = if keys.iter().any(|key| fields.get(*key).is_some()) {
        match read_secret(reader, &fields, keys, folder)? {
            SecretValue::Secret(token) => Some(Secret::new(token)),
            SecretValue::Empty => None,
        }
    } else {
        None
    };
    let ca = read_file(reader, &fields, alertmanager::CA_FILE, folder);
    let identity = read_identity(reader, at, &fields, folder);
    let watchdog = fields.get(alertmanager::WATCHDOG).map_or(Some(false), |at| reader.switch(&at));
    let (ca, identity, watchdog) = (ca?, identity?, watchdog?);
    let settings = AlertmanagerSettings { urls, token, ca, identity, watchdog };
    whole.then(|| (!settings.urls.is_empty()).then_some(DestinationKind::Alertmanager(settings)))
}

/// Reads the certificate that the agent presents, and its key. One without the other is a mistake.
fn read_identity(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    fields: &Fields<'_>,
    folder: &Path,
) -> Option<Option<(String, Secret)>> {
    let (cert, key) = (alertmanager::CERT_FILE, alertmanager::KEY_FILE);
    for (one, other) in [(cert, key), (key, cert)] {
        if fields.get(one).is_some() && fields.get(other).is_none() {
            let message = "a certificate goes with its key";
            reader.error(at, message, format!("add `{}`", other.name));
            return None;
        }
    }
    let (certificate, key) =
        (read_file(reader, fields, cert, folder)?, read_file(reader, fields, key, folder)?);
    Some(certificate.zip(key.map(Secret::new)))
}

/// Reads the content of a file that a key names, if it does.
fn read_file(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: Key,
    folder: &Path,
) -> Option<Option<String>> {
    let Some(at) = fields.get(key) else { return Some(None) };
    let text = reader.secret_from_file(&at, folder)?;
    Some(Some(text).filter(|text| !text.is_empty()))
}
