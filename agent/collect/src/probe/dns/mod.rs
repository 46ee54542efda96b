//! DNS: one query to one server, over UDP, TCP or TLS.

#[cfg(test)]
mod tests;
mod wire;

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use hickory_proto::op::{Message, ResponseCode};
use lookout_config::{DnsCheck, DnsTransport, Phase, RecordType};
use lookout_runtime::random::Random;

use super::Reason;
use super::attempt::{Attempt, Context, DnsFacts, Failure, Protocol};
use super::net::{self, Wanted};

/// Answers that are kept.
const MOST_ANSWERS: usize = 100;

#[async_trait]
impl Protocol for DnsCheck {
    async fn run(&self, context: &Context<'_>, attempt: &mut Attempt) -> Result<(), Failure> {
        let query = wire::query(context.random, &self.query, self.record, self.recursion)?;
        attempt.facts.address = Some(self.server);
        let answer = match &self.transport {
            DnsTransport::Udp => {
                attempt.timer.enter(Phase::Processing);
                let answer = wire::over_udp(self.server, &query).await?;
                if answer.metadata.truncation { self.over_tcp(attempt, &query).await? } else { answer }
            }
            DnsTransport::Tcp => self.over_tcp(attempt, &query).await?,
            DnsTransport::Tls(options) => {
                let stream = net::connect(&[self.server]).await?;
                let host = self.server.ip().to_string();
                let wanted = Wanted { options, host: &host, alpn: &["dot"] };
                let mut stream = context.tls.secure(attempt, &wanted, Box::new(stream)).await?;
                attempt.timer.enter(Phase::Processing);
                wire::over_stream(&mut stream, &query).await?
            }
        };
        attempt.facts.dns = Some(facts(&answer));
        Ok(())
    }
}

trait OverTcp {
    async fn over_tcp(&self, attempt: &mut Attempt, query: &Message) -> Result<Message, Failure>;
}

impl OverTcp for DnsCheck {
    async fn over_tcp(&self, attempt: &mut Attempt, query: &Message) -> Result<Message, Failure> {
        attempt.timer.enter(Phase::Connect);
        let mut stream = net::connect(&[self.server]).await?;
        attempt.timer.enter(Phase::Processing);
        wire::over_stream(&mut stream, query).await
    }
}

fn facts(answer: &Message) -> DnsFacts {
    DnsFacts {
        code: code_name(answer.metadata.response_code),
        answers: answer.answers.iter().take(MOST_ANSWERS).map(|record| record.data.to_string()).collect(),
        ttl: answer.answers.iter().map(|record| record.ttl).min(),
    }
}

/// The name of a response code, as RFC 1035 and `dig` write it.
fn code_name(code: ResponseCode) -> String {
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

/// Asks a server for the addresses of a name.
pub(super) async fn addresses(
    random: &Random,
    server: SocketAddr,
    host: &str,
    record: RecordType,
) -> Result<Vec<IpAddr>, Failure> {
    let query = wire::query(random, host, record, true)?;
    let mut answer = wire::over_udp(server, &query).await.map_err(as_dns)?;
    if answer.metadata.truncation {
        let mut stream = net::connect(&[server]).await.map_err(as_dns)?;
        answer = wire::over_stream(&mut stream, &query).await.map_err(as_dns)?;
    }
    match answer.metadata.response_code {
        ResponseCode::NoError => {
            Ok(answer.answers.iter().filter_map(|record| record.data.ip_addr()).collect())
        }
        code => Err(Failure::new(
            Reason::Dns,
            format!("{host} did not resolve: {server} says {}", code_name(code)),
        )),
    }
}

/// A resolver that cannot be asked is a failure of the name.
fn as_dns(failure: Failure) -> Failure {
    if failure.reason.is_local() { failure } else { Failure { reason: Reason::Dns, ..failure } }
}
