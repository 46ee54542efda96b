//! Names, connections and TLS: the steps that protocols share, each with its phase.

mod connect;
mod dns_wire;
mod known_answers;
mod open;
mod records;
mod resolve;
mod system;
mod tls;

pub(super) use connect::{connect, host_of};
pub(crate) use dns_wire::code_name;
pub(super) use dns_wire::{over_stream, over_udp, query};
pub(super) use known_answers::KnownAnswers;
pub(super) use open::open;
pub(crate) use records::look_up;
pub(super) use resolve::{Lookup, resolve, resolve_several};
pub(super) use system::SystemResolver;
pub(super) use tls::{HandshakeOptions, Secured, TlsClients};

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection, plain or secured.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}
