//! Hosts that are reached without a proxy.

use std::net::IpAddr;

use super::address::{HostPort, is_host};

/// A host, or several, that are reached without a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyException {
    hosts: Hosts,
    /// The only port; every port when it is absent.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    All,
    /// A name in small letters and every name below it.
    Name(String),
    /// Every name below one that begins with a dot.
    Below(String),
    /// The addresses that share their first bits.
    Network(IpAddr, u32),
}

impl ProxyException {
    /// Parses `example.org`, `.example.org`, an address or a network, with an optional port, or `*`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let whole = |hosts| Some(Self { hosts, port: None });
        if let Some(hosts) = Hosts::parse(text) {
            return whole(hosts);
        }
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some(Self { hosts: Hosts::parse(host)?, port: Some(port.parse().ok().filter(|port| *port > 0)?) })
    }

    /// Returns whether it names a peer.
    pub(super) fn names(&self, peer: &HostPort) -> bool {
        self.port.is_none_or(|port| port == peer.port) && self.hosts.contain(&peer.host)
    }
}

impl Hosts {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        if let Ok(address) = address.parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
            return Some(Self::Network(address, bits));
        }
        let name = text.to_ascii_lowercase();
        let below = name.strip_prefix('*').unwrap_or(&name);
        match below.strip_prefix('.') {
            Some(rest) if is_host(rest) => Some(Self::Below(below.to_owned())),
            None if is_host(&name) => Some(Self::Name(name)),
            _ => None,
        }
    }

    fn contain(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match self {
            Self::All => true,
            Self::Name(name) => {
                host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Self::Below(name) => host.len() > name.len() && host.ends_with(name),
            Self::Network(network, bits) => {
                host.parse().is_ok_and(|address: IpAddr| share_bits(*network, address.to_canonical(), *bits))
            }
        }
    }
}

/// Returns whether two addresses of one family have the same first bits.
fn share_bits(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    let (differ, width) = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(one.to_bits() ^ other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits(), 128),
        _ => return false,
    };
    differ.checked_shr(width - bits).unwrap_or_default() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_as_other_tools_name_them() {
        for (text, named, others) in [
            ("*", "example.org:443 10.0.0.1:80", ""),
            ("example.org", "example.org:443 API.example.org.:80", "myexample.org:443 example.com:443"),
            (".example.org", "api.example.org:443", "example.org:443 .example.org:443"),
            ("*.example.org", "api.example.org:443", "example.org:443"),
            ("example.org:8080", "example.org:8080", "example.org:443"),
            ("10.0.0.0/8", "10.1.2.3:80", "11.0.0.1:80 example.org:80 [::1]:80"),
            ("10.0.0.1", "10.0.0.1:80", "10.0.0.2:80"),
            ("0.0.0.0/0", "10.0.0.1:80", "[::1]:80"),
            ("[::1]:8080", "[::1]:8080", "[::1]:80"),
            ("fd00::/8", "[fd12::1]:80", "[fe80::1]:80"),
        ] {
            let exception = ProxyException::parse(text).unwrap_or_else(|| panic!("{text}"));
            let peer = |text: &str| {
                let (host, port) = text.rsplit_once(':').unwrap();
                HostPort { host: host.trim_matches(['[', ']']).to_owned(), port: port.parse().unwrap() }
            };
            for host in named.split_whitespace() {
                assert!(exception.names(&peer(host)), "{text} names {host}");
            }
            for host in others.split_whitespace() {
                assert!(!exception.names(&peer(host)), "{text} does not name {host}");
            }
        }
        for text in ["", "10.0.0.0/33", "a b", "example.org:0", "http://example.org", "."] {
            assert_eq!(ProxyException::parse(text), None, "{text}");
        }
    }
}
