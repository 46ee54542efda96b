//! `kubernetes` of `discover`: the endpoints of services, read from EndpointSlices.

use std::path::{Path, PathBuf};

use url::Url;

use crate::keys::Key;
use crate::keys::target::endpoint_slices as keys;
use crate::reader::{At, Fields, Reader};
use crate::secret::Secrets;
use crate::yaml::Value;

/// Folder in which a pod finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Variables in which a pod finds the API server.
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";

/// Most letters of a selector.
const MOST_LETTERS: usize = 1000;

/// EndpointSlices that are selected by their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSlices {
    /// The API server; none where nothing names it.
    pub server: Option<Url>,
    /// The namespace; that of the service account when it is absent.
    pub namespace: Option<String>,
    /// Labels of the slices.
    pub selector: String,
    /// Name or number of the port; the only one when it is absent.
    pub port: Option<String>,
    /// File of the token, which is read for each request.
    pub token_file: PathBuf,
    /// File of the certificate authorities of the API server.
    pub ca_file: PathBuf,
    /// File that names the namespace of the service account.
    pub namespace_file: PathBuf,
}

pub(super) fn read(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<EndpointSlices> {
    let fields = reader.fields(at, keys::OBJECT)?;
    let how = "select the slices of a service, like `selector: kubernetes.io/service-name=shop`";
    let selector = reader.required(&fields, keys::SELECTOR, how).and_then(|at| read_selector(reader, &at));
    let namespace = match fields.get(keys::NAMESPACE) {
        Some(at) => read_namespace(reader, &at).map(Some),
        None => Some(None),
    };
    let port = match fields.get(keys::PORT) {
        Some(at) => read_port(reader, &at).map(Some),
        None => Some(None),
    };
    let server = match fields.get(keys::SERVER) {
        Some(at) => reader.url(&at).map(Some),
        None => Some(find_server(reader, at)),
    };
    let mut file = |key: Key, usual: &str| path(reader, &fields, key, folder, usual);
    let (token_file, ca_file) = (file(keys::TOKEN_FILE, "token")?, file(keys::CA_FILE, "ca.crt")?);
    Some(EndpointSlices {
        server: server?,
        namespace: namespace?,
        selector: selector?,
        port: port?,
        token_file,
        ca_file,
        namespace_file: Path::new(ACCOUNT).join("namespace"),
    })
}

fn path(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: Key,
    folder: &Path,
    usual: &str,
) -> Option<PathBuf> {
    match fields.get(key) {
        Some(at) => reader.expand(&at).map(|path| folder.join(path)),
        None => Some(Path::new(ACCOUNT).join(usual)),
    }
}

/// Returns the API server of the cluster that this process runs in. Outside of one, a warning says what is missing.
fn find_server(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Url> {
    let variable = |name: &str| (reader.environment)(name).filter(|value| !value.is_empty());
    let (host, port) = (variable(HOST), variable(PORT).unwrap_or_else(|| "443".to_owned()));
    let url = host.and_then(|host| {
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Url::parse(&format!("https://{host}:{port}")).ok()
    });
    if url.is_none() && reader.needs == Secrets::Needed {
        let help = "name the API server (`server`), unless the agent will run in a pod";
        reader.warn(at, format!("no API server is known: {HOST} is not set"), help);
    }
    url
}

fn read_selector(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let selector = reader.expand(at)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./=!,() ".contains(c);
    if selector.trim().is_empty() || selector.len() > MOST_LETTERS || !selector.chars().all(fits) {
        let help = "write it like `kubernetes.io/service-name=shop` or `app in (shop, cart)`";
        reader.error(at, "this cannot be a selector of labels", help);
        return None;
    }
    Some(selector)
}

fn read_namespace(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let name = reader.expand(at)?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 63 || !name.chars().all(fits) {
        reader.error(at, "this cannot be a namespace", "use lower-case letters, digits and `-`");
        return None;
    }
    Some(name)
}

fn read_port(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let port = match at.node.value {
        Value::Int(number) => {
            u16::try_from(number).ok().filter(|port| *port > 0).map(|port| port.to_string())
        }
        _ => reader.text(at).map(str::to_owned),
    };
    if port.as_ref().is_none_or(String::is_empty) {
        reader.error(at, "expected the name or the number of a port", "write it like `port: http`");
        return None;
    }
    port
}
