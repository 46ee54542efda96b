//! Names, connections and TLS: the steps that protocols share, each with its phase.

mod certificate;
mod connect;
mod observed;
mod resolve;
mod tls;

pub use certificate::Certificate;
pub(super) use connect::{connect, host_of, open};
pub(super) use observed::{ObservedStream, StreamEvents};
pub(super) use resolve::resolve;
pub(super) use tls::{TlsClients, Wanted};

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection, plain or secured.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}
