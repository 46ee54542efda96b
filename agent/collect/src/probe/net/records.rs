//! One name and one server: over UDP, and again over TCP where the answer is cut.

use std::net::SocketAddr;

use hickory_proto::op::Message;
use lookout_config::RecordType;
use lookout_runtime::random::Random;

use super::super::attempt::Failure;
use super::connect::connect;
use super::dns_wire::{over_stream, over_udp, query};

/// Asks a server for the records of a name. The caller's deadline ends it.
pub(super) async fn records(
    random: &Random,
    server: SocketAddr,
    name: &str,
    record: RecordType,
) -> Result<Message, Failure> {
    let query = query(random, name, record, true)?;
    let answer = over_udp(server, &query).await?;
    if !answer.metadata.truncation {
        return Ok(answer);
    }
    let mut stream = connect(&[server]).await?;
    over_stream(&mut stream, &query).await
}

/// As [`records`], for those who look addresses up beside any probe. An error is told as text.
pub(crate) async fn look_up(
    random: &Random,
    server: SocketAddr,
    name: &str,
    record: RecordType,
) -> Result<Message, String> {
    records(random, server, name, record).await.map_err(|failure| failure.detail)
}
