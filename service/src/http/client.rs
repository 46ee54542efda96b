//! The client of a request: the address of the peer, or the one that a trusted proxy reports.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, Request};
use http_server::network_of;

pub use http_server::PeerAddress;

use super::access::{MOST_BYTES, secret};
use crate::config::{ClientPolicy, Keys, Network};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client that limits count: the holder of a key, wherever it is used, else an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Client {
    /// The name of a key.
    Key(String),
    /// An address; of version 6 its first half, which is what one household is given.
    Address(IpAddr),
    /// Nobody knows: a request that came over no connection.
    Unknown,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => write!(f, "key {name}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Client {
    /// Identifies the client of a request.
    pub fn of<B>(request: &Request<B>, policy: &ClientPolicy, keys: &Keys) -> Self {
        let key = secret(request.headers(), MOST_BYTES).and_then(|secret| keys.find(secret));
        if let Some(key) = key {
            return Self::Key(key.name.clone());
        }
        let peer = request.extensions().get::<PeerAddress>();
        peer.map_or(Self::Unknown, |PeerAddress(peer)| {
            Self::Address(network_of(address(peer.ip(), request.headers(), &policy.proxies)))
        })
    }
}

/// The last address on the way that is not one of our proxies. What stands further to the left anyone may have written.
fn address(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let trusted = |address: IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut last = peer.to_canonical();
    if proxies.is_empty() || !trusted(last) {
        return last;
    }
    let told: Vec<_> =
        headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in told.iter().rev().flat_map(|value| value.rsplit(',')) {
        let hop = hop.trim();
        // Some proxies add the port.
        let hop = hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()));
        let Some(hop) = hop else { break };
        last = hop.to_canonical();
        if !trusted(last) {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use axum::http::HeaderValue;

    use super::*;
    use crate::Config;

    fn told(peer: &str, forwarded: &[&'static str]) -> String {
        let variables = HashMap::from([("TRUSTED_PROXIES", "10.0.0.0/8,2001:db8::/32")]);
        let proxies = Config::of_test(&variables).unwrap().clients.proxies;
        let headers = forwarded
            .iter()
            .map(|value| (FORWARDED_FOR, HeaderValue::from_static(value)))
            .collect::<HeaderMap>();
        address(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_as_far_as_the_trust_goes() {
        assert_eq!(told("203.0.113.5", &["198.51.100.1"]), "203.0.113.5");
        assert_eq!(told("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(told("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.9.9.9"]), "198.51.100.1");
        assert_eq!(told("10.0.0.1", &["1.1.1.1", "198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(told("10.0.0.1", &["1.1.1.1, nonsense"]), "10.0.0.1");
        assert_eq!(told("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(told("2001:db8::1", &["::ffff:198.51.100.1"]), "198.51.100.1");
    }
}
