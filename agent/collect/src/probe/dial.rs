//! From a URL to a connection, step by step, so that each step can be timed and blamed.
//!
//! Addresses are tried in the order of the resolver. The next one is tried only when one refuses at once (nobody
//! listens, no route), which costs no time: a target must not look slow because an address before it was. An address that
//! stays silent uses up the deadline, as it would for a user.

use std::io;
use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::Reason;
use crate::wording::chain;

/// Addresses of one name that are tried at most.
const MOST_ADDRESSES: usize = 8;

/// Why a probe ended early.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// The address that a URL spells out; `None` when its host is a name.
pub(super) fn literal(url: &Url) -> Option<SocketAddr> {
    let port = url.port_or_known_default()?;
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(ip) => Some(SocketAddr::from((ip, port))),
        Host::Ipv6(ip) => Some(SocketAddr::from((ip, port))),
    }
}

/// Asks the system's resolver, search domains and hosts file included.
pub(super) async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Failure> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(Failure::new(Reason::Dns, "the URL names no host"));
    };
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
        let reason = if is_ours(&error) { Reason::Resources } else { Reason::Dns };
        Failure::new(reason, format!("{host} did not resolve: {}", chain(&error)))
    })?;
    let addresses: Vec<SocketAddr> = found.take(MOST_ADDRESSES).collect();
    if addresses.is_empty() {
        return Err(Failure::new(Reason::Dns, format!("{host} has no address")));
    }
    Ok(addresses)
}

/// Connects to the first address that does not refuse at once.
pub(super) async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let mut refusals: Vec<String> = Vec::new();
    let mut reason = Reason::ConnectRefused;
    for address in addresses {
        let error = match TcpStream::connect(address).await {
            Ok(stream) => {
                // the request is one small write; without this it may wait for an acknowledgement
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => error,
        };
        if is_ours(&error) {
            return Err(Failure::new(Reason::Resources, format!("no connection could be tried: {error}")));
        }
        refusals.push(format!("{address}: {error}"));
        reason = match error.kind() {
            io::ErrorKind::ConnectionRefused => reason,
            io::ErrorKind::TimedOut => Reason::ConnectTimeout,
            _ => Reason::Connect,
        };
        if !refuses_at_once(error.kind()) {
            break;
        }
    }
    Err(Failure::new(reason, format!("no connection to {}", refusals.join(", "))))
}

/// Too many open files, in this process or on this machine: numbers that are the same on every Unix.
fn is_ours(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

const fn refuses_at_once(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::AddrNotAvailable
    )
}

/// Shakes hands, and says whether it was the certificate when that goes wrong.
pub(super) async fn secure(
    connector: &TlsConnector,
    url: &Url,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = match url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
        Some(Host::Ipv4(ip)) => Some(ServerName::IpAddress(std::net::IpAddr::V4(ip).into())),
        Some(Host::Ipv6(ip)) => Some(ServerName::IpAddress(std::net::IpAddr::V6(ip).into())),
        None => None,
    };
    let Some(name) = name else {
        return Err(Failure::new(Reason::Tls, "the host is no name that a certificate could carry"));
    };
    connector.connect(name, stream).await.map_err(|error| {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let reason = match cause {
            Some(rustls::Error::InvalidCertificate(_)) => Reason::TlsVerify,
            _ => Reason::Tls,
        };
        Failure::new(reason, format!("TLS handshake: {}", chain(&error)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_open_files_are_our_trouble_and_a_refusal_is_not() {
        for ours in [23, 24] {
            let error = io::Error::from_raw_os_error(ours);
            assert!(is_ours(&error), "{error}");
        }
        assert!(!is_ours(&io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert!(!is_ours(&io::Error::from_raw_os_error(13)));
    }
}
