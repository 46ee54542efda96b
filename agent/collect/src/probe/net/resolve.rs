//! Names to addresses: by the system's resolver, or by the server that a target names.

use std::net::SocketAddr;

use lookout_config::{Family, HostPort, Phase, RecordType};

use super::super::Reason;
use super::super::attempt::{Attempt, Context, Failure};
use super::super::dns;
use crate::resources::is_exhausted;
use crate::wording::chain;

/// Addresses of one name that are tried at most.
const MOST_ADDRESSES: usize = 8;

/// Resolves a peer to the addresses that the target may use. An address that is written out needs no phase.
pub(in super::super) async fn resolve(
    context: &Context<'_>,
    attempt: &mut Attempt,
    peer: &HostPort,
) -> Result<Vec<SocketAddr>, Failure> {
    let family = context.target.family;
    if let Some(address) = peer.literal() {
        return allowed(vec![address], family, &peer.host);
    }
    attempt.timer.enter(Phase::Resolve);
    let found = match context.target.resolver {
        None => by_system(peer).await?,
        Some(server) => by_server(context, server, peer).await?,
    };
    allowed(found, family, &peer.host)
}

fn allowed(mut addresses: Vec<SocketAddr>, family: Family, host: &str) -> Result<Vec<SocketAddr>, Failure> {
    let kind = match family {
        Family::Auto => "",
        Family::V4 => "IPv4 ",
        Family::V6 => "IPv6 ",
    };
    addresses.retain(|address| match family {
        Family::Auto => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    });
    addresses.truncate(MOST_ADDRESSES);
    if addresses.is_empty() {
        return Err(Failure::new(Reason::Dns, format!("{host} has no {kind}address")));
    }
    Ok(addresses)
}

/// Asks the system's resolver, search domains and hosts file included.
async fn by_system(peer: &HostPort) -> Result<Vec<SocketAddr>, Failure> {
    let found = tokio::net::lookup_host((peer.host.as_str(), peer.port)).await.map_err(|error| {
        let reason = if is_exhausted(&error) { Reason::Resources } else { Reason::Dns };
        Failure::new(reason, format!("{} did not resolve: {}", peer.host, chain(&error)))
    })?;
    Ok(found.collect())
}

/// Asks one server for the records of the wanted families, at once.
async fn by_server(
    context: &Context<'_>,
    server: SocketAddr,
    peer: &HostPort,
) -> Result<Vec<SocketAddr>, Failure> {
    let ask = |record, wanted: bool| async move {
        if wanted { dns::addresses(context.random, server, &peer.host, record).await } else { Ok(Vec::new()) }
    };
    let family = context.target.family;
    let (v4, v6) = futures_util::future::join(
        ask(RecordType::A, family != Family::V6),
        ask(RecordType::Aaaa, family != Family::V4),
    )
    .await;
    let mut found = Vec::new();
    let mut failure = None;
    for answer in [v4, v6] {
        match answer {
            Ok(addresses) => found.extend(addresses),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(failure) if found.is_empty() => Err(failure),
        _ => Ok(found.into_iter().map(|ip| SocketAddr::new(ip, peer.port)).collect()),
    }
}
