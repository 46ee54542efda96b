//! Hosts with ports.

use core::fmt;
use std::net::{IpAddr, SocketAddr};

use super::super::reader::{At, Reader};

/// A name or an address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// Returns the address, when the host is none that must be resolved.
    #[must_use]
    pub fn literal(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Parses `host:port`.
pub(super) fn parse(text: &str) -> Option<HostPort> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').filter(|ip| ip.parse::<IpAddr>().is_ok())?,
        None => Some(host).filter(|host| is_host(host))?,
    };
    Some(HostPort { host: host.to_owned(), port })
}

/// Returns whether a text can be a name or an IPv4 address.
pub(super) fn is_host(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    !text.is_empty() && text.len() <= 253 && text.chars().all(fits)
}

/// Reads `host:port`.
pub(super) fn read(reader: &mut Reader<'_>, at: &At<'_>) -> Option<HostPort> {
    let text = reader.expand(at)?;
    let found = parse(&text);
    if found.is_none() {
        reader.error(at, "expected a host and a port", "write it like `db.example.org:5432` or `[::1]:5432`");
    }
    found
}

/// Reads the address of a server, by number; the port may be left out.
pub(super) fn read_server(reader: &mut Reader<'_>, at: &At<'_>, port: u16) -> Option<SocketAddr> {
    let text = reader.expand(at)?;
    let found = text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse().ok()?, port)));
    if found.is_none() {
        let help = format!("write it by number, like `10.0.0.2` or `10.0.0.2:{port}`");
        reader.error(at, "expected the address of a server", help);
    }
    found
}
