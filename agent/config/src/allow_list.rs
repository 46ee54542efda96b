//! Names and networks that a probe may reach when a request chooses its target.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are not public, by the registry of special-purpose addresses.
const SPECIAL_V4: [([u8; 4], u8); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([255, 255, 255, 255], 32),
];

/// The public addresses of IPv6, and the networks in it that are special or hold an address of IPv4.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const SPECIAL_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Names and networks that a probe may reach.
///
/// The resolved address decides, so that a name cannot lead into the network of the agent: an address that is not public
/// is reached only through `networks`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    hosts: Vec<HostPattern>,
    networks: Vec<Network>,
}

/// One name, or every name below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPattern {
    /// In small letters; with a leading dot for every name below.
    name: String,
}

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u8,
}

impl AllowList {
    /// Creates a list.
    pub(crate) const fn new(hosts: Vec<HostPattern>, networks: Vec<Network>) -> Self {
        Self { hosts, networks }
    }

    /// Returns whether an address of a host may be reached.
    #[must_use]
    pub fn permits(&self, host: &str, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(address))
            || (is_public(address) && self.hosts.iter().any(|pattern| pattern.matches(host)))
    }

    /// Returns whether it permits nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.networks.is_empty()
    }
}

impl HostPattern {
    /// Parses `example.org` or `*.example.org`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (dot, name) = text.strip_prefix("*.").map_or(("", text.as_str()), |name| (".", name));
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let good = !name.is_empty() && name.chars().all(fits) && name.parse::<IpAddr>().is_err();
        good.then(|| Self { name: format!("{dot}{}", name.trim_end_matches('.')) })
    }

    fn matches(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if self.name.starts_with('.') { host.ends_with(&self.name) } else { host == self.name }
    }
}

impl Network {
    /// Parses an address, with or without the length of a prefix.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, Some(prefix.parse::<u8>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(whole);
        (prefix <= whole).then_some(Self { address, prefix })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32_u32.saturating_sub(self.prefix.into());
                let of = |address: Ipv4Addr| address.to_bits().checked_shr(shift).unwrap_or_default();
                of(network) == of(address)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128_u32.saturating_sub(self.prefix.into());
                let of = |address: Ipv6Addr| address.to_bits().checked_shr(shift).unwrap_or_default();
                of(network) == of(address)
            }
            _ => false,
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    let within = |(network, prefix): (IpAddr, u8)| Network { address: network, prefix }.contains(address);
    match address {
        IpAddr::V4(_) => !SPECIAL_V4.iter().any(|(network, prefix)| within(((*network).into(), *prefix))),
        IpAddr::V6(_) => {
            within((GLOBAL_V6.0.into(), GLOBAL_V6.1))
                && !SPECIAL_V6.iter().any(|(network, prefix)| within(((*network).into(), *prefix)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(hosts: &[&str], networks: &[&str]) -> AllowList {
        AllowList {
            hosts: hosts.iter().map(|text| HostPattern::parse(text).unwrap()).collect(),
            networks: networks.iter().map(|text| Network::parse(text).unwrap()).collect(),
        }
    }

    #[test]
    fn a_name_reaches_public_addresses_only() {
        let list = list(&["example.org", "*.Example.com"], &["10.1.0.0/16", "fd00::/8"]);
        for (host, address, permitted) in [
            ("example.org", "93.184.215.14", true),
            ("EXAMPLE.org.", "2606:2800:21f::1", true),
            ("www.example.org", "93.184.215.14", false),
            ("a.b.example.com", "93.184.215.14", true),
            ("example.com", "93.184.215.14", false),
            ("evilexample.com", "93.184.215.14", false),
            ("example.org", "127.0.0.1", false),
            ("example.org", "169.254.169.254", false),
            ("example.org", "::ffff:169.254.169.254", false),
            ("example.org", "::1", false),
            ("example.org", "fe80::1", false),
            ("example.org", "2002:7f00:1::", false),
            ("example.org", "64:ff9b::7f00:1", false),
            ("example.org", "0.0.0.0", false),
            ("example.org", "100.64.0.1", false),
            ("whatever", "10.1.2.3", true),
            ("whatever", "::ffff:10.1.2.3", true),
            ("whatever", "10.2.2.3", false),
            ("whatever", "fd12::1", true),
            ("93.184.215.14", "93.184.215.14", false),
        ] {
            assert_eq!(list.permits(host, address.parse().unwrap()), permitted, "{host} at {address}");
        }
    }

    #[test]
    fn a_prefix_of_nothing_is_everything_of_its_family() {
        let list = list(&[], &["0.0.0.0/0"]);
        assert!(
            list.permits("x", "169.254.0.1".parse().unwrap()) && !list.permits("x", "::1".parse().unwrap())
        );
        for bad in ["10.0.0.0/33", "10.0.0/8", "example.org", "::/129", ""] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
        for bad in ["", "*.", "10.0.0.1", "a b", "*"] {
            assert_eq!(HostPattern::parse(bad), None, "{bad}");
        }
    }
}
