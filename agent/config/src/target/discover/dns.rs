//! `dns` of `discover`: names whose records are the addresses.

use std::net::SocketAddr;

use crate::keys::target::dns_addresses;
use crate::reader::{At, Reader};
use crate::target::RecordType;
use crate::target::address::{is_host, read_server};
use crate::target::http::read_whole;

/// Most names of one target.
const MOST_NAMES: usize = 20;

/// Names whose records are the addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAddresses {
    /// Whole names; search domains are not tried.
    pub names: Vec<String>,
    /// `SRV`, `A` or `AAAA`.
    pub record: RecordType,
    /// The port of addresses; a service has its own.
    pub port: Option<u16>,
    /// The server that is asked instead of those of the system.
    pub server: Option<SocketAddr>,
}

pub(super) fn read(reader: &mut Reader<'_>, at: &At<'_>) -> Option<DnsAddresses> {
    let fields = reader.fields(at, dns_addresses::OBJECT)?;
    let names = reader
        .required(&fields, dns_addresses::NAMES, "list the names, like `names: [_http._tcp.shop.internal]`")
        .and_then(|at| read_names(reader, &at));
    let types = [("SRV", RecordType::Srv), ("A", RecordType::A), ("AAAA", RecordType::Aaaa)];
    let record =
        fields.get(dns_addresses::TYPE).map_or(Some(RecordType::Srv), |at| reader.choice(&at, &types));
    let port = match fields.get(dns_addresses::PORT) {
        Some(at) => read_whole(reader, &at, dns_addresses::PORT).map(|port| u16::try_from(port).ok()),
        None => Some(None),
    };
    let server = match fields.get(dns_addresses::SERVER) {
        Some(at) => read_server(reader, &at, 53).map(Some),
        None => Some(None),
    };
    let (record, port) = (record?, port?);
    match (record, port, fields.get(dns_addresses::PORT)) {
        (RecordType::Srv, Some(_), Some(at)) => {
            reader.error(
                &at,
                "a record of a service has its own port",
                "leave `port` out, or write `type: A`",
            );
            return None;
        }
        (RecordType::A | RecordType::Aaaa, None, _) => {
            reader.error(
                &fields.at,
                "the key `port` is missing",
                "an address has no port; write `port: 8080`",
            );
            return None;
        }
        _ => {}
    }
    Some(DnsAddresses { names: names?, record, port, server: server? })
}

fn read_names(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<String>> {
    let items = reader.list(at)?;
    if items.is_empty() || items.len() > MOST_NAMES {
        reader.error(at, format!("expected 1 to {MOST_NAMES} names"), "make another target of the others");
        return None;
    }
    let names = items.iter().map(|at| {
        let name = reader.expand(at)?;
        let name = name.strip_suffix('.').unwrap_or(&name).to_owned();
        if !is_host(&name) {
            reader.error(at, "this cannot be a name of DNS", "write it whole, like `shop.example.org`");
            return None;
        }
        Some(name)
    });
    names.collect::<Vec<_>>().into_iter().collect()
}
