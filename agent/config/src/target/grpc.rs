//! `grpc` of a target: `grpc: { address: rpc.example.org:443, service: shop.v1.Cart, tls: {} }`.

use std::path::Path;

use super::super::reader::{Fields, Reader};
use super::address::{self, HostPort};
use super::tls::{self, TlsOptions};
use crate::keys::target;

/// A call of `grpc.health.v1.Health/Check`.
#[derive(Debug, Clone)]
pub struct GrpcCheck {
    /// The peer.
    pub address: HostPort,
    /// The service whose health is asked for; empty for the whole server.
    pub service: String,
    /// TLS, or none.
    pub tls: Option<TlsOptions>,
}

/// Reads the keys of `grpc`.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<GrpcCheck> {
    let address =
        reader.required(fields, target::grpc::ADDRESS, "name the server, like `rpc.example.org:443`");
    let address = address.and_then(|at| address::read(reader, &at));
    let service = fields.get(target::grpc::SERVICE).map_or(Some(String::new()), |at| {
        let name = reader.text(&at)?;
        if name.len() <= 200 {
            return Some(name.to_owned());
        }
        reader.error(&at, "a name of a service has at most 200 bytes", "");
        None
    });
    let tls = tls::read_optional(reader, fields, folder);
    Some(GrpcCheck { address: address?, service: service?, tls: tls? })
}
