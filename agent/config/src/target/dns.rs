//! `dns` of a target: a query to a name server.

use std::net::SocketAddr;
use std::path::Path;

use super::super::reader::{Fields, Reader};
use super::address::{self, is_host};
use super::tls::{self, TlsOptions};
use crate::keys::target;

/// A query to a name server.
#[derive(Debug, Clone)]
pub struct DnsCheck {
    /// The server.
    pub server: SocketAddr,
    /// The name that is looked up.
    pub query: String,
    /// The type of the record.
    pub record: RecordType,
    /// The transport of the query.
    pub transport: DnsTransport,
    /// True if recursion is desired.
    pub recursion: bool,
}

/// The transport of a query.
#[derive(Debug, Clone)]
pub enum DnsTransport {
    /// UDP; a truncated answer is read again over TCP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS (RFC 7858).
    Tls(Box<TlsOptions>),
}

/// Types of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Certification authorities.
    Caa,
    /// Alias.
    Cname,
    /// Mail exchanger.
    Mx,
    /// Name server.
    Ns,
    /// Name of an address.
    Ptr,
    /// Start of authority.
    Soa,
    /// Service.
    Srv,
    /// Text.
    Txt,
}

const TYPES: [(&str, RecordType); 10] = [
    ("A", RecordType::A),
    ("AAAA", RecordType::Aaaa),
    ("CAA", RecordType::Caa),
    ("CNAME", RecordType::Cname),
    ("MX", RecordType::Mx),
    ("NS", RecordType::Ns),
    ("PTR", RecordType::Ptr),
    ("SOA", RecordType::Soa),
    ("SRV", RecordType::Srv),
    ("TXT", RecordType::Txt),
];

#[derive(Clone, Copy)]
enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// Reads the keys of `dns`.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<DnsCheck> {
    let query = reader.required(fields, target::dns::QUERY, "name what is asked for, like `example.org`");
    let query = query.and_then(|at| {
        let name = reader.expand(&at)?;
        let found = is_host(&name).then_some(name);
        if found.is_none() {
            reader.error(&at, "this cannot be the name of a record", "write it like `example.org`");
        }
        found
    });
    let record = fields.get(target::dns::TYPE).map_or(Some(RecordType::A), |at| reader.choice(&at, &TYPES));
    let transports = [("udp", Transport::Udp), ("tcp", Transport::Tcp), ("tls", Transport::Tls)];
    let transport =
        fields.get(target::dns::TRANSPORT).map_or(Some(Transport::Udp), |at| reader.choice(&at, &transports));
    let recursion = fields.get(target::dns::RECURSION).map_or(Some(true), |at| reader.switch(&at));
    let tls = tls::read_optional(reader, fields, folder);
    let port = if matches!(transport, Some(Transport::Tls)) { 853 } else { 53 };
    let server = reader.required(fields, target::dns::SERVER, "name the server by number, like `10.0.0.2`");
    let server = server.and_then(|at| address::read_server(reader, &at, port));
    let transport = match (transport?, tls?) {
        (Transport::Tls, tls) => DnsTransport::Tls(Box::new(tls.unwrap_or_default())),
        (_, Some(_)) => {
            let at = fields.get(target::dns::TLS).unwrap_or_else(|| fields.at.clone());
            reader.error(&at, "this query travels without TLS", "add `transport: tls`, or leave `tls` out");
            return None;
        }
        (Transport::Udp, None) => DnsTransport::Udp,
        (Transport::Tcp, None) => DnsTransport::Tcp,
    };
    Some(DnsCheck { server: server?, query: query?, record: record?, transport, recursion: recursion? })
}
