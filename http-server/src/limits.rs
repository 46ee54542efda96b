//! The limits of a server.

use std::time::Duration;

use ipnet::IpNet;

/// The limits of a server.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections of one client: an address, or a network of IPv6.
    pub per_client: usize,
    /// Connections beyond both limits, for probes.
    pub reserved: usize,
    /// Networks without a limit per client: proxies that stand for many.
    pub exempt: Vec<IpNet>,
    /// Bytes of responses that clients have not taken.
    pub unsent: u64,
    /// The time until the head of a request has arrived, also of the next one on the same connection. It ends idle connections.
    pub head: Duration,
    /// The time for which a client may read more slowly than a KiB a second.
    pub behind: Duration,
    /// True to speak HTTP/2 as well, where the feature `http2` is on.
    pub http2: bool,
}

impl Limits {
    /// Creates limits for so many connections, with the usual times.
    #[must_use]
    pub const fn new(connections: usize, per_client: usize) -> Self {
        Self {
            connections,
            per_client,
            reserved: 16,
            exempt: Vec::new(),
            unsent: 16 << 20,
            head: Duration::from_secs(30),
            behind: Duration::from_secs(30),
            http2: cfg!(feature = "http2"),
        }
    }
}
