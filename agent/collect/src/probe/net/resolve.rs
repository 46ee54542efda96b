//! Names to addresses: by the system's resolver, or by the server that a target names.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use lookout_config::{AllowList, Family, HostPort, Phase, RecordType};
use lookout_runtime::random::Random;

use super::super::Reason;
use super::super::attempt::{Attempt, Failure};
use super::dns_wire::code_name;
use super::known_answers::KnownAnswers;
use super::records::records;
use super::system::SystemResolver;

/// Addresses of one name that are tried at most.
const MOST_ADDRESSES: usize = 8;

/// Rules by which the names of a target resolve.
#[derive(Clone, Copy)]
pub(in super::super) struct Lookup<'a> {
    pub(in super::super) family: Family,
    /// The only address of a host, where a probe tries several, each by itself.
    pub(in super::super) pinned: Option<(&'a str, IpAddr)>,
    /// Server that is asked instead of the system's resolver.
    pub(in super::super) server: Option<SocketAddr>,
    pub(in super::super) random: &'a Random,
    pub(in super::super) system: &'a SystemResolver,
    /// Answers of servers that hold.
    pub(in super::super) known: &'a KnownAnswers,
    /// Addresses that may be reached; every one when it is absent.
    pub(in super::super) allowed: Option<&'a AllowList>,
}

impl Lookup<'_> {
    /// Keeps the addresses of a host that may be reached; fails when none is left.
    pub(in super::super) fn permit(
        self,
        host: &str,
        mut addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let Some(allowed) = self.allowed else { return Ok(addresses) };
        addresses.retain(|address| allowed.permits(host, address.ip()));
        if addresses.is_empty() {
            // the address itself would tell a stranger about the network of the agent
            return Err(Failure::new(Reason::Forbidden, format!("{host} is no target that may be reached")));
        }
        Ok(addresses)
    }
}

/// Resolves a peer to the addresses that the target may use. An address that is written out needs no phase.
pub(in super::super) async fn resolve(
    lookup: Lookup<'_>,
    attempt: &mut Attempt,
    peer: &HostPort,
) -> Result<Vec<SocketAddr>, Failure> {
    let family = lookup.family;
    let found = match lookup.pinned.filter(|(host, _)| *host == peer.host) {
        Some((_, address)) => vec![SocketAddr::new(address, peer.port)],
        None => of_family(find(lookup, attempt, peer).await?, family, &peer.host)?,
    };
    let addresses = lookup.permit(&peer.host, found)?;
    attempt.facts.resolved = addresses.first().map(SocketAddr::ip);
    Ok(addresses)
}

/// Resolves a peer to the addresses that a probe tries each by itself.
pub(in super::super) async fn resolve_several(
    lookup: Lookup<'_>,
    attempt: &mut Attempt,
    peer: &HostPort,
) -> Result<Vec<SocketAddr>, Failure> {
    let mut found = find(lookup, attempt, peer).await?;
    if lookup.family == Family::Both {
        let first = |family| of_family(found.clone(), family, &peer.host).map(|all| all.into_iter().next());
        found = first(Family::V4)?.into_iter().chain(first(Family::V6)?).collect();
    }
    // an address twice is tried once
    let mut seen = HashSet::new();
    found.retain(|address| seen.insert(*address));
    lookup.permit(&peer.host, of_family(found, Family::Auto, &peer.host)?)
}

async fn find(
    lookup: Lookup<'_>,
    attempt: &mut Attempt,
    peer: &HostPort,
) -> Result<Vec<SocketAddr>, Failure> {
    if let Some(address) = peer.literal() {
        return Ok(vec![address]);
    }
    attempt.timer.enter(Phase::Resolve);
    match lookup.server {
        None => lookup.system.resolve(peer).await,
        Some(server) => {
            let found = by_server(lookup, server, peer).await?;
            attempt.facts.cached_name = found.is_cached;
            Ok(found.addresses)
        }
    }
}

fn of_family(mut addresses: Vec<SocketAddr>, family: Family, host: &str) -> Result<Vec<SocketAddr>, Failure> {
    let kind = match family {
        Family::Auto | Family::Both | Family::All => "",
        Family::V4 => "IPv4 ",
        Family::V6 => "IPv6 ",
    };
    addresses.retain(|address| match family {
        Family::Auto | Family::Both | Family::All => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    });
    addresses.truncate(MOST_ADDRESSES);
    if addresses.is_empty() {
        return Err(Failure::new(Reason::Dns, format!("{host} has no {kind}address")));
    }
    Ok(addresses)
}

/// Addresses of a name.
struct Resolved<T> {
    addresses: Vec<T>,
    /// True if nobody was asked, because answers of before hold.
    is_cached: bool,
}

/// Asks one server for the records of the wanted families, at once.
async fn by_server(
    lookup: Lookup<'_>,
    server: SocketAddr,
    peer: &HostPort,
) -> Result<Resolved<SocketAddr>, Failure> {
    let ask = |record, wanted: bool| async move {
        match wanted {
            true => addresses(lookup, server, &peer.host, record).await,
            false => Ok(Resolved { addresses: Vec::new(), is_cached: true }),
        }
    };
    let family = lookup.family;
    let (v4, v6) = futures_util::future::join(
        ask(RecordType::A, family != Family::V6),
        ask(RecordType::Aaaa, family != Family::V4),
    )
    .await;
    let (mut found, mut is_cached) = (Vec::new(), true);
    let mut failure = None;
    for answer in [v4, v6] {
        match answer {
            Ok(one) => {
                found.extend(one.addresses);
                is_cached &= one.is_cached;
            }
            Err(error) => failure = Some(error),
        }
    }
    is_cached &= failure.is_none();
    match failure {
        // with `all` an address that is not known is one that is not probed
        Some(failure) if found.is_empty() || family == Family::All => Err(failure),
        _ => {
            let addresses = found.into_iter().map(|ip| SocketAddr::new(ip, peer.port)).collect();
            Ok(Resolved { addresses, is_cached })
        }
    }
}

/// Asks a server for the addresses of a name, unless its last answer holds.
async fn addresses(
    lookup: Lookup<'_>,
    server: SocketAddr,
    host: &str,
    record: RecordType,
) -> Result<Resolved<IpAddr>, Failure> {
    let is_v6 = record == RecordType::Aaaa;
    if let Some(addresses) = lookup.known.get(server, host, is_v6) {
        return Ok(Resolved { addresses, is_cached: true });
    }
    let answer = records(lookup.random, server, host, record).await.map_err(as_dns)?;
    match answer.metadata.response_code {
        ResponseCode::NoError => {
            let found: Vec<IpAddr> =
                answer.answers.iter().filter_map(|record| record.data.ip_addr()).collect();
            // an alias on the way may hold for less long than the address
            let ttl = answer.answers.iter().map(|record| record.ttl).min().unwrap_or(0);
            lookup.known.keep((server, host, is_v6), &found, Duration::from_secs(ttl.into()));
            Ok(Resolved { addresses: found, is_cached: false })
        }
        code => Err(Failure::new(
            Reason::Dns,
            format!("{host} did not resolve: {server} says {}", code_name(code)),
        )),
    }
}

/// A resolver that cannot be asked is a failure of the name.
fn as_dns(failure: Failure) -> Failure {
    if failure.reason.is_local() { failure } else { Failure { reason: Reason::Dns, ..failure } }
}
