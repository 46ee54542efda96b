//! DNS: one query to one server, over UDP, TCP or TLS.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use lookout_config::{DnsCheck, DnsTransport, Phase};

use super::attempt::{Attempt, DnsFacts, Failure};
use super::net::{self, HandshakeOptions};
use super::protocol::{Context, Protocol};

/// Answers that are kept.
const MOST_ANSWERS: usize = 100;

#[async_trait]
impl Protocol for DnsCheck {
    async fn run(&self, context: &Context<'_>, attempt: &mut Attempt) -> Result<(), Failure> {
        let query = net::query(context.random, &self.query, self.record, self.recursion)?;
        attempt.facts.resolved = Some(self.server.ip());
        context.lookup().permit(&self.server.ip().to_string(), vec![self.server])?;
        attempt.facts.address = Some(self.server);
        let answer = match &self.transport {
            DnsTransport::Udp => {
                attempt.timer.enter(Phase::Processing);
                let answer = net::over_udp(self.server, &query).await?;
                if answer.metadata.truncation { self.over_tcp(attempt, &query).await? } else { answer }
            }
            DnsTransport::Tcp => self.over_tcp(attempt, &query).await?,
            DnsTransport::Tls(options) => {
                let stream = net::connect(&[self.server]).await?;
                let host = self.server.ip().to_string();
                let wanted = HandshakeOptions { options, host: &host, alpn: &["dot"] };
                let mut stream = context.tls.secure(attempt, &wanted, Box::new(stream)).await?;
                attempt.timer.enter(Phase::Processing);
                net::over_stream(&mut stream, &query).await?
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
        net::over_stream(&mut stream, query).await
    }
}

fn facts(answer: &Message) -> DnsFacts {
    DnsFacts {
        code: net::code_name(answer.metadata.response_code),
        answers: answer.answers.iter().take(MOST_ANSWERS).map(|record| record.data.to_string()).collect(),
        ttl: answer.answers.iter().map(|record| record.ttl).min(),
        counts: [answer.answers.len(), answer.authorities.len(), answer.additionals.len()],
        serial: answer.answers.iter().find_map(|record| match &record.data {
            RData::SOA(start) => Some(start.serial),
            _ => None,
        }),
    }
}
