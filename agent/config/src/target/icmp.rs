//! `icmp` of a target: `icmp: { host: 10.0.0.1, size: 56 }`.

use super::super::reader::{Fields, Reader};
use super::address::is_host;
use super::http::read_whole;
use crate::keys::target;

/// Bytes of data in an echo request unless told otherwise.
const SIZE: u64 = 56;

/// An echo request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcmpCheck {
    /// A name or an address.
    pub host: String,
    /// Bytes of data.
    pub size: usize,
}

/// Reads the keys of `icmp`.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<IcmpCheck> {
    let host = reader.required(fields, target::icmp::HOST, "name the peer, like `10.0.0.1`").and_then(|at| {
        let host = reader.expand(&at)?;
        let found = Some(host).filter(|host| is_host(host) || host.parse::<std::net::IpAddr>().is_ok());
        if found.is_none() {
            reader.error(&at, "expected a name or an address", "write it like `10.0.0.1`, without a port");
        }
        found
    });
    let size =
        fields.get(target::icmp::SIZE).map_or(Some(SIZE), |at| read_whole(reader, &at, target::icmp::SIZE));
    Some(IcmpCheck { host: host?, size: usize::try_from(size?).ok()? })
}
