//! ICMP: an echo request on an unprivileged socket.

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use lookout_config::{HostPort, IcmpCheck, Phase};
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use tokio::net::UdpSocket;

use super::Reason;
use super::attempt::{Attempt, Failure};
use super::net;
use super::protocol::{Context, Protocol};
use crate::resources::is_exhausted;
use crate::wording::chain;

/// Header of an echo: type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;

#[async_trait]
impl Protocol for IcmpCheck {
    async fn run(&self, context: &Context<'_>, attempt: &mut Attempt) -> Result<(), Failure> {
        let peer = HostPort { host: self.host.clone(), port: 0 };
        let addresses = net::resolve(context.lookup(), attempt, &peer).await?;
        let Some(address) = addresses.first() else {
            return Err(Failure::new(Reason::Dns, format!("{} has no address", self.host)));
        };
        attempt.timer.enter(Phase::Connect);
        let socket = open(*address).map_err(|error| refused(&error))?;
        attempt.facts.address = Some(*address);
        attempt.timer.enter(Phase::Processing);
        let sequence = u16::try_from(context.random.next() & 0xffff).unwrap_or_default();
        let request = echo(*address, sequence, self.size);
        socket.send(&request).await.map_err(|error| unreachable(*address, &error))?;
        let mut buffer = vec![0; request.len() + 64];
        loop {
            let length = socket.recv(&mut buffer).await.map_err(|error| unreachable(*address, &error))?;
            // the kernel sets the identifier and passes on the replies to it only
            let reply = buffer.get(..length).unwrap_or_default();
            if answers(*address, &request, reply) {
                attempt.facts.body_size = Some(length.saturating_sub(HEADER));
                return Ok(());
            }
        }
    }
}

/// Opens a datagram socket of ICMP. The kernel allows it to the groups in `net.ipv4.ping_group_range`.
fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let (domain, protocol) = match address {
        SocketAddr::V4(_) => (Domain::IPV4, SocketProtocol::ICMPV4),
        SocketAddr::V6(_) => (Domain::IPV6, SocketProtocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.connect(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn refused(error: &io::Error) -> Failure {
    match error.kind() {
        _ if is_exhausted(error) => {
            Failure::new(Reason::Resources, format!("no socket could be opened: {error}"))
        }
        io::ErrorKind::PermissionDenied => Failure::new(
            Reason::Permission,
            format!(
                "this process may not send echo requests ({error}): add its group to net.ipv4.ping_group_range"
            ),
        ),
        _ => Failure::new(Reason::Connect, format!("no echo could be sent: {}", chain(error))),
    }
}

fn unreachable(address: SocketAddr, error: &io::Error) -> Failure {
    Failure::new(Reason::Connect, format!("{} is not reachable: {}", address.ip(), chain(error)))
}

/// An echo request. Its checksum is needed for IPv4 only: the kernel computes that of IPv6.
fn echo(address: SocketAddr, sequence: u16, size: usize) -> Vec<u8> {
    let kind = if address.is_ipv4() { 8 } else { 128 };
    let [high, low] = sequence.to_be_bytes();
    let mut packet = vec![kind, 0, 0, 0, 0, 0, high, low];
    packet.extend((0..size).map(|n| u8::try_from(n & 0xff).unwrap_or_default()));
    let checksum = checksum(&packet).to_be_bytes();
    for (byte, sum) in packet.iter_mut().skip(2).zip(checksum) {
        *byte = sum;
    }
    packet
}

/// The one's complement sum of RFC 1071.
fn checksum(packet: &[u8]) -> u16 {
    let words = packet.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(u16::from_be_bytes([*high, 0])),
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Returns whether a packet is the reply to a request: the same sequence number and the same data.
fn answers(address: SocketAddr, request: &[u8], reply: &[u8]) -> bool {
    let kind = if address.is_ipv4() { 0 } else { 129 };
    reply.first() == Some(&kind) && reply.get(6..).is_some() && reply.get(6..) == request.get(6..)
}
