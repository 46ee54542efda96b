//! A peer by its name: resolved, then connected to.

use lookout_config::{HostPort, Phase};
use tokio::net::TcpStream;

use super::super::attempt::{Attempt, Failure};
use super::connect::connect;
use super::resolve::{Lookup, resolve};

/// Resolves a peer and connects to it; both phases are measured.
pub(in super::super) async fn open(
    lookup: Lookup<'_>,
    attempt: &mut Attempt,
    peer: &HostPort,
) -> Result<TcpStream, Failure> {
    let addresses = resolve(lookup, attempt, peer).await?;
    attempt.timer.enter(Phase::Connect);
    let stream = connect(&addresses).await?;
    attempt.facts.address = stream.peer_addr().ok();
    Ok(stream)
}
