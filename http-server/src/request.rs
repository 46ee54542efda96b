//! The connection of a request, as extensions that its handler reads.

use std::net::SocketAddr;

/// The other end of the connection of a request.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub SocketAddr);

/// The mark of a request that came while every connection had one: only a probe may be answered.
#[derive(Debug, Clone, Copy)]
pub struct ProbesOnly;
