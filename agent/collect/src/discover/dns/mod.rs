//! Records of DNS: services with their ports, or addresses.

mod name_servers;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;
use lookout_config::{DnsAddresses, FoundAddress, HostPort};
use lookout_runtime::random::Random;

use super::{Discoverer, DiscoveryError};
use crate::probe::{code_name, look_up};

/// Time that one server may take before the next one is asked.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// Records of names.
pub(super) struct Records {
    source: DnsAddresses,
    random: Arc<Random>,
}

impl Records {
    pub(super) const fn new(source: DnsAddresses, random: Arc<Random>) -> Self {
        Self { source, random }
    }

    /// Asks one server after the other until one knows whether the name exists.
    async fn records(&self, name: &str, servers: &[SocketAddr]) -> Result<Vec<FoundAddress>, DiscoveryError> {
        let mut failure = String::from("no name server is known: write `server`");
        for server in servers {
            let asked = look_up(&self.random, *server, name, self.source.record);
            failure = match tokio::time::timeout(QUERY_TIMEOUT, asked).await {
                Ok(Ok(answer)) => match answer.metadata.response_code {
                    ResponseCode::NoError => return Ok(self.addresses(&answer)),
                    code @ ResponseCode::NXDomain => {
                        let says = code_name(code);
                        return Err(DiscoveryError::Dns(format!("{name}: {server} says {says}")));
                    }
                    code => format!("{server} says {}", code_name(code)),
                },
                Ok(Err(detail)) => detail,
                Err(_) => format!("{server} gave no answer within {QUERY_TIMEOUT:?}"),
            };
        }
        Err(DiscoveryError::Dns(format!("{name}: {failure}")))
    }

    fn addresses(&self, answer: &Message) -> Vec<FoundAddress> {
        let peers = answer.answers.iter().filter_map(|record| match &record.data {
            // a service whose target is the root is not there (RFC 2782)
            RData::SRV(service) if !service.target.is_root() => {
                let host = service.target.to_ascii().trim_end_matches('.').to_owned();
                Some(HostPort { host, port: service.port })
            }
            RData::SRV(_) => None,
            data => Some(HostPort { host: data.ip_addr()?.to_string(), port: self.source.port? }),
        });
        peers.map(|peer| FoundAddress { address: peer.to_string(), labels: Vec::new() }).collect()
    }
}

#[async_trait]
impl Discoverer for Records {
    async fn discover(&self) -> Result<Option<Vec<FoundAddress>>, DiscoveryError> {
        let servers = match self.source.server {
            Some(server) => vec![server],
            None => name_servers::of_system().await?,
        };
        let names = self.source.names.iter().map(|name| self.records(name, &servers));
        let mut found = try_join_all(names).await?.concat();
        // a server may turn its answers round
        found.sort();
        Ok(Some(found))
    }
}
