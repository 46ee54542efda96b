//! Messages of DNS on the wire.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType as Record};
use lookout_config::RecordType;
use lookout_runtime::random::Random;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;

use super::super::Reason;
use super::super::attempt::Failure;
use super::Io;
use crate::resources::is_exhausted;
use crate::wording::chain;

/// Bytes of a datagram that are read.
const DATAGRAM: usize = 4096;

/// Pause before a datagram is sent again: it may have been lost.
const RETRY: Duration = Duration::from_secs(1);

/// Builds a query with a random number.
pub(in super::super) fn query(
    random: &Random,
    name: &str,
    record: RecordType,
    recursion: bool,
) -> Result<Message, Failure> {
    let mut name = Name::from_ascii(name)
        .map_err(|error| Failure::new(Reason::Dns, format!("this is no name of DNS: {error}")))?;
    name.set_fqdn(true);
    let id = u16::try_from(random.next() & 0xffff).unwrap_or_default();
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = recursion;
    message.add_query(Query::query(name, record_of(record)));
    Ok(message)
}

const fn record_of(record: RecordType) -> Record {
    match record {
        RecordType::A => Record::A,
        RecordType::Aaaa => Record::AAAA,
        RecordType::Caa => Record::CAA,
        RecordType::Cname => Record::CNAME,
        RecordType::Mx => Record::MX,
        RecordType::Ns => Record::NS,
        RecordType::Ptr => Record::PTR,
        RecordType::Soa => Record::SOA,
        RecordType::Srv => Record::SRV,
        RecordType::Txt => Record::TXT,
    }
}

fn encode(query: &Message) -> Result<Vec<u8>, Failure> {
    query
        .to_vec()
        .map_err(|error| Failure::new(Reason::Write, format!("the query cannot be written: {error}")))
}

/// Returns whether a message answers a query: the same number and the same question.
fn answers(query: &Message, message: &Message) -> bool {
    message.metadata.id == query.metadata.id
        && message.metadata.message_type == MessageType::Response
        && (message.queries.is_empty() || message.queries == query.queries)
}

/// Sends a query in a datagram until it is answered. The caller's deadline ends it.
pub(in super::super) async fn over_udp(server: SocketAddr, query: &Message) -> Result<Message, Failure> {
    let bytes = encode(query)?;
    let local = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let failed = |error: std::io::Error| {
        let reason = match error.kind() {
            _ if is_exhausted(&error) => Reason::Resources,
            std::io::ErrorKind::ConnectionRefused => Reason::ConnectRefused,
            _ => Reason::Connect,
        };
        Failure::new(reason, format!("no exchange with {server}: {}", chain(&error)))
    };
    let socket = UdpSocket::bind(local).await.map_err(failed)?;
    // datagrams of others are dropped by the kernel, and a port nobody listens on is told
    socket.connect(server).await.map_err(failed)?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        socket.send(&bytes).await.map_err(failed)?;
        let answered = tokio::time::timeout(RETRY, async {
            loop {
                let length = socket.recv(&mut buffer).await.map_err(failed)?;
                let message = Message::from_vec(buffer.get(..length).unwrap_or_default());
                // a stray or forged datagram is no answer
                if let Some(message) = message.ok().filter(|message| answers(query, message)) {
                    return Ok(message);
                }
            }
        });
        if let Ok(answer) = answered.await {
            return answer;
        }
    }
}

/// Sends a query over a stream: each message after its length.
pub(in super::super) async fn over_stream(stream: &mut impl Io, query: &Message) -> Result<Message, Failure> {
    let bytes = encode(query)?;
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    let framed: Vec<u8> = length.into_iter().chain(bytes).collect();
    let written = async {
        stream.write_all(&framed).await?;
        stream.flush().await
    };
    written.await.map_err(|error| {
        Failure::new(Reason::Write, format!("the query could not be written: {}", chain(&error)))
    })?;
    let broken =
        |error: std::io::Error| Failure::new(Reason::Read, format!("no complete answer: {}", chain(&error)));
    let length = stream.read_u16().await.map_err(broken)?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(broken)?;
    match Message::from_vec(&answer) {
        Ok(message) if answers(query, &message) => Ok(message),
        Ok(_) => Err(Failure::new(Reason::Read, "the answer is to another query")),
        Err(error) => Err(Failure::new(Reason::Read, format!("the answer is not of DNS: {error}"))),
    }
}

/// The name of a response code, as RFC 1035 and `dig` write it.
pub(crate) fn code_name(code: ResponseCode) -> String {
    let name = match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::YXDomain => "YXDOMAIN",
        ResponseCode::YXRRSet => "YXRRSET",
        ResponseCode::NXRRSet => "NXRRSET",
        ResponseCode::NotAuth => "NOTAUTH",
        ResponseCode::NotZone => "NOTZONE",
        other => return format!("RCODE{}", u16::from(other)),
    };
    name.to_owned()
}
