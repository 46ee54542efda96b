//! A target that a URL says all about: `tcp://db:5432`, `tls://example.org`, `dns://10.0.0.2/example.org`.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::definition::{Check, Family, TIMEOUT, Target};
use super::protocol::Protocol;
use super::tls::TlsOptions;
use super::{
    DnsCheck, DnsTransport, GrpcCheck, HostPort, HttpCheck, IcmpCheck, RecordType, TcpCheck, WebSocketCheck,
    expect,
};

/// Schemes that name a protocol.
pub const SCHEMES: [&str; 10] = ["http", "https", "tcp", "tls", "dns", "icmp", "grpc", "grpcs", "ws", "wss"];

impl Target {
    /// Makes the target of a URL with what its protocol expects of every answer; none where the URL does not say enough.
    #[must_use]
    pub fn of_url(url: &Url) -> Option<Self> {
        let (protocol, check) = check_of(url)?;
        Some(Self {
            name: url.host_str().unwrap_or_default().to_owned(),
            interval: 2 * TIMEOUT,
            timeout: TIMEOUT,
            family: Family::Auto,
            resolver: None,
            labels: Vec::new(),
            off: None,
            maintenance: Vec::new(),
            group: None,
            down: None,
            allowed: None,
            check,
            expect: expect::with_defaults(protocol, Vec::new()),
        })
    }
}

fn check_of(url: &Url) -> Option<(Protocol, Check)> {
    let path = url.path().trim_matches('/').to_owned();
    let address = |port| peer_of(url, port);
    let tls = |wanted: bool| wanted.then(TlsOptions::default);
    Some(match url.scheme() {
        "http" | "https" => (Protocol::Http, Check::Http(Box::new(HttpCheck::get(url.clone())))),
        scheme @ ("tcp" | "tls") => {
            let secure = scheme == "tls";
            let address = address(secure.then_some(443))?;
            let check = TcpCheck { address, tls: tls(secure), starttls: None, dialogue: Vec::new() };
            (if secure { Protocol::Tls } else { Protocol::Tcp }, Check::Tcp(Box::new(check)))
        }
        scheme @ ("grpc" | "grpcs") => {
            let secure = scheme == "grpcs";
            let address = address(secure.then_some(443))?;
            (Protocol::Grpc, Check::Grpc(Box::new(GrpcCheck { address, service: path, tls: tls(secure) })))
        }
        "icmp" => (Protocol::Icmp, Check::Icmp(IcmpCheck { host: address(Some(0))?.host, size: 56 })),
        "dns" if !path.is_empty() => {
            let peer = address(Some(53))?;
            let server = SocketAddr::new(peer.host.parse::<IpAddr>().ok()?, peer.port);
            let (record, transport) = (RecordType::A, DnsTransport::Udp);
            (
                Protocol::Dns,
                Check::Dns(Box::new(DnsCheck { server, query: path, record, transport, recursion: true })),
            )
        }
        "ws" | "wss" => {
            let check = WebSocketCheck {
                url: url.clone(),
                headers: Vec::new(),
                tls: TlsOptions::default(),
                send: None,
                expect_message: None,
            };
            (Protocol::WebSocket, Check::WebSocket(Box::new(check)))
        }
        _ => return None,
    })
}

fn peer_of(url: &Url, default_port: Option<u16>) -> Option<HostPort> {
    let host = url.host_str().filter(|host| !host.is_empty())?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(HostPort { host, port: url.port().or(default_port)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_share_what_most_of_them_expect() {
        let [one, other] =
            ["http://a.test/", "https://b.test/"].map(|url| Target::of_url(&url.parse().unwrap()).unwrap());
        assert!(std::sync::Arc::ptr_eq(&one.expect, &other.expect));
    }

    #[test]
    fn every_scheme_is_a_protocol() {
        for (url, protocol, expected) in [
            ("https://example.org/health", "http", 1),
            ("tcp://db:5432", "tcp", 0),
            ("tls://[::1]", "tls", 0),
            ("dns://10.0.0.2/example.org", "dns", 1),
            ("icmp://10.0.0.1", "icmp", 0),
            ("grpc://rpc:50051/shop.v1.Cart", "grpc", 1),
            ("grpcs://rpc", "grpc", 1),
            ("wss://example.org/events", "websocket", 0),
        ] {
            let target = Target::of_url(&url.parse().unwrap()).unwrap_or_else(|| panic!("{url}"));
            assert_eq!((target.check.protocol(), target.expect.len()), (protocol, expected), "{url}");
        }
        for url in ["tcp://db", "dns://10.0.0.2", "dns://ns.example.org/a", "ftp://example.org", "grpc://rpc"]
        {
            assert!(Target::of_url(&url.parse().unwrap()).is_none(), "{url}");
        }
    }
}
