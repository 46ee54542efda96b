//! Connections over TCP.
//!
//! Addresses are tried in the order of the resolver. The next one is tried only when one refuses at once, which costs no
//! time: a target must not look slow because an address before it was. An address that stays silent uses up the deadline,
//! as it would for a user.

use std::io;
use std::net::{IpAddr, SocketAddr};

use lookout_config::HostPort;
use tokio::net::TcpStream;
use url::{Host, Url};

use super::super::Reason;
use super::super::attempt::Failure;
use crate::resources::is_exhausted;

/// The peer that a URL names.
pub(in super::super) fn host_of(url: &Url, default_port: u16) -> Option<HostPort> {
    let port = url.port_or_known_default().unwrap_or(default_port);
    let host = match url.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(_) => url.host_str()?.to_owned(),
        Host::Ipv6(ip) => IpAddr::V6(ip).to_string(),
    };
    Some(HostPort { host, port })
}

/// Connects to the first address that does not refuse at once.
pub(in super::super) async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
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
        if is_exhausted(&error) {
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

const fn refuses_at_once(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::AddrNotAvailable
    )
}
