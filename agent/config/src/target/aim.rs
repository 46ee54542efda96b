//! Targets whose address a request replaces.

use std::net::SocketAddr;

use url::Url;

use super::address::{is_host, parse};
use super::definition::{Check, Target};
use super::{DnsTransport, HostPort};

impl Target {
    /// Returns the target with another address, written as blackbox_exporter takes it.
    ///
    /// # Errors
    /// Fails with a sentence when the text is no address of the protocol.
    pub fn aimed_at(&self, address: &str) -> Result<Self, String> {
        let mut target = self.clone();
        match &mut target.check {
            Check::Http(http) => {
                http.url = url_of(address, "http", &["http", "https"])
                    .ok_or("expected a URL of `http` or `https`, without user and password")?;
            }
            Check::WebSocket(websocket) => {
                websocket.url = url_of(address, "ws", &["ws", "wss"])
                    .ok_or("expected a URL of `ws` or `wss`, without user and password")?;
            }
            Check::Tcp(tcp) => tcp.address = peer_of(address)?,
            Check::Grpc(grpc) => grpc.address = peer_of(address)?,
            Check::Icmp(icmp) => {
                let host = address.trim_start_matches('[').trim_end_matches(']');
                if !is_host(host) && host.parse::<std::net::IpAddr>().is_err() {
                    return Err("expected a name or an address, without a port".to_owned());
                }
                host.clone_into(&mut icmp.host);
            }
            Check::Dns(dns) => {
                let port = if matches!(dns.transport, DnsTransport::Tls(_)) { 853 } else { 53 };
                dns.server = server_of(address, port).ok_or(
                    "expected the address of a name server by number, like `10.0.0.2` or `10.0.0.2:53`",
                )?;
            }
            Check::Heartbeat(_) | Check::Journey(_) => {
                return Err(format!("`{}` has no address", self.check.protocol()));
            }
        }
        Ok(target)
    }
}

fn url_of(text: &str, default: &str, schemes: &[&str]) -> Option<Url> {
    let text = if text.contains("://") { text.to_owned() } else { format!("{default}://{text}") };
    let url = Url::parse(&text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    (schemes.contains(&url.scheme()) && url.has_host() && plain).then_some(url)
}

fn peer_of(text: &str) -> Result<HostPort, String> {
    parse(text).ok_or_else(|| "expected a host and a port, like `db.example.org:5432`".to_owned())
}

fn server_of(text: &str, port: u16) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse().ok()?, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(target: &Target) -> String {
        match &target.check {
            Check::Http(http) => http.url.to_string(),
            Check::WebSocket(websocket) => websocket.url.to_string(),
            Check::Tcp(tcp) => tcp.address.to_string(),
            Check::Grpc(grpc) => grpc.address.to_string(),
            Check::Icmp(icmp) => icmp.host.clone(),
            Check::Dns(dns) => dns.server.to_string(),
            Check::Heartbeat(_) | Check::Journey(_) => String::new(),
        }
    }

    #[test]
    fn a_module_takes_the_address_of_its_protocol() {
        let module = |url: &str| Target::of_url(&url.parse().unwrap()).unwrap();
        for (url, address, peer) in [
            ("http://target", "example.org/health", Some("http://example.org/health")),
            ("http://target", "HTTPS://example.org", Some("https://example.org/")),
            ("http://target", "http://user:pass@example.org", None),
            ("http://target", "ftp://example.org", None),
            ("http://target", "file:///etc/passwd", None),
            ("http://target", "http://", None),
            ("tcp://target:1", "db:5432", Some("db:5432")),
            ("tcp://target:1", "[::1]:5432", Some("[::1]:5432")),
            ("tcp://target:1", "db", None),
            ("tls://target", "example.org:443", Some("example.org:443")),
            ("grpc://target:1", "rpc:50051", Some("rpc:50051")),
            ("icmp://target", "10.0.0.1", Some("10.0.0.1")),
            ("icmp://target", "10.0.0.1/24", None),
            ("dns://10.0.0.2/example.org", "10.0.0.3", Some("10.0.0.3:53")),
            ("dns://10.0.0.2/example.org", "10.0.0.3:5353", Some("10.0.0.3:5353")),
            ("dns://10.0.0.2/example.org", "ns.example.org", None),
            ("ws://target", "wss://example.org/events", Some("wss://example.org/events")),
        ] {
            let found = module(url).aimed_at(address).ok().map(|target| address_of(&target));
            assert_eq!(found.as_deref(), peer, "{url} at {address}");
        }
    }
}
