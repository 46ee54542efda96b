//! The name servers of the system.

use std::net::{IpAddr, SocketAddr};

use super::DiscoveryError;

const FILE: &str = "/etc/resolv.conf";

/// Servers that are asked at most, as the system's resolver does.
const MAX_NAME_SERVERS: usize = 3;

/// Reads the servers, each time anew: a network may change.
pub(super) async fn of_system() -> Result<Vec<SocketAddr>, DiscoveryError> {
    let text = tokio::fs::read_to_string(FILE).await;
    let text = text.map_err(|error| DiscoveryError::Dns(format!("{FILE} cannot be read: {error}")))?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
        Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, 53))
    };
    text.lines().filter_map(server).take(MAX_NAME_SERVERS).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn servers_are_read_as_the_system_reads_them() {
        let text = "# nameserver 10.0.0.9\nsearch a.test\nnameserver 10.0.0.2\n nameserver\tfd00::2 # two\nnameserver x\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n";
        let found: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.2:53", "[fd00::2]:53", "10.0.0.3:53"]);
        assert!(parse("").is_empty());
    }
}
