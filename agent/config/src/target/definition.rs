//! Targets as they are probed.

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{
    DnsCheck, DnsTransport, Down, GrpcCheck, HeartbeatCheck, HttpCheck, IcmpCheck, JourneyCheck,
    MaintenanceWindow, TcpCheck, WebSocketCheck,
};
use crate::allow_list::AllowList;
use crate::assertion::Assertion;

/// The deadline of a probe or scrape unless told otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Target of a probe.
#[derive(Debug, Clone)]
pub struct Target {
    /// Unique name; the label `target`.
    pub name: String,
    /// The target of the configuration that it is one address of. SLOs refer to that one.
    pub group: Option<String>,
    /// Time between probes; a multiple of a second.
    pub interval: Duration,
    /// One deadline over all phases, shorter than the interval.
    pub timeout: Duration,
    /// Addresses that are tried.
    pub family: Family,
    /// DNS server that is asked for names instead of the system's resolver.
    pub resolver: Option<SocketAddr>,
    /// Labels for people and queries, by name.
    pub labels: Vec<(String, String)>,
    /// Reason for which nobody probes it with this configuration.
    pub off: Option<String>,
    /// Windows in which nobody probes it.
    pub maintenance: Vec<MaintenanceWindow>,
    /// The incident about failures in a row, when it has one.
    pub down: Option<Down>,
    /// Addresses that it may reach; every one when it is absent.
    pub allowed: Option<Arc<AllowList>>,
    /// The protocol and its options.
    pub check: Check,
    /// All of them must hold. Targets that expect the same share them.
    pub expect: Arc<[Assertion]>,
}

impl Target {
    /// Returns the name in the configuration: that of the target which it is one address of, else its own.
    #[must_use]
    pub fn declared_name(&self) -> &str {
        self.group.as_deref().unwrap_or(&self.name)
    }

    /// Returns whether the name of a target in the configuration means this one.
    #[must_use]
    pub fn is_of(&self, name: &str) -> bool {
        self.name == name || self.group.as_deref() == Some(name)
    }
}

/// Families of addresses that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// Both, in the resolver's order.
    #[default]
    Auto,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// One address of each: both must be good.
    Both,
    /// Every address: each must be good.
    All,
}

impl Family {
    /// Returns whether a probe tries several addresses, each by itself.
    #[must_use]
    pub const fn is_several(self) -> bool {
        matches!(self, Self::Both | Self::All)
    }
}

/// A protocol and its options.
#[derive(Debug, Clone)]
pub enum Check {
    /// A request over HTTP.
    Http(Box<HttpCheck>),
    /// A connection, an optional dialogue, optional TLS.
    Tcp(Box<TcpCheck>),
    /// A query to a name server.
    Dns(Box<DnsCheck>),
    /// An echo request.
    Icmp(IcmpCheck),
    /// Calls that a job makes.
    Heartbeat(HeartbeatCheck),
    /// A call of the health service of gRPC.
    Grpc(Box<GrpcCheck>),
    /// An upgrade and an optional message.
    WebSocket(Box<WebSocketCheck>),
    /// Several requests that share variables.
    Journey(Box<JourneyCheck>),
}

impl Check {
    /// Returns whether a peer shows a certificate.
    #[must_use]
    pub fn uses_tls(&self) -> bool {
        match self {
            Self::Http(http) => http.url.scheme() == "https",
            Self::Tcp(tcp) => tcp.is_tls(),
            Self::Dns(dns) => matches!(dns.transport, DnsTransport::Tls(_)),
            Self::Grpc(grpc) => grpc.tls.is_some(),
            Self::WebSocket(websocket) => websocket.url.scheme() == "wss",
            Self::Journey(journey) => journey.steps.iter().any(|step| step.http.url.scheme() == "https"),
            Self::Icmp(_) | Self::Heartbeat(_) => false,
        }
    }

    /// Returns whether sessions of TLS are resumed, in one step of a journey at least.
    #[must_use]
    pub fn resumes_tls(&self) -> bool {
        let options = match self {
            Self::Http(http) => Some(&http.tls),
            Self::Tcp(tcp) => tcp.tls.as_ref().or_else(|| tcp.starttls.as_ref().map(|(_, options)| options)),
            Self::Dns(dns) => match &dns.transport {
                DnsTransport::Tls(options) => Some(&**options),
                _ => None,
            },
            Self::Grpc(grpc) => grpc.tls.as_ref(),
            Self::WebSocket(websocket) => Some(&websocket.tls),
            Self::Journey(journey) => return journey.steps.iter().any(|step| step.http.tls.resume),
            Self::Icmp(_) | Self::Heartbeat(_) => None,
        };
        options.is_some_and(|options| options.resume)
    }

    /// Returns whether a probe removes at its end what it created.
    #[must_use]
    pub fn has_cleanup(&self) -> bool {
        matches!(self, Self::Journey(journey) if journey.has_cleanup())
    }

    /// Returns the protocol, as the configuration names it.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp(tcp) if tcp.is_tls() => "tls",
            Self::Tcp(_) => "tcp",
            Self::Dns(_) => "dns",
            Self::Icmp(_) => "icmp",
            Self::Heartbeat(_) => "heartbeat",
            Self::Grpc(_) => "grpc",
            Self::WebSocket(_) => "websocket",
            Self::Journey(_) => "journey",
        }
    }
}

/// Returns the deadline of a check that runs every `interval`, when none is written.
pub(crate) fn default_timeout(interval: Duration) -> Duration {
    TIMEOUT.min(interval / 2)
}
