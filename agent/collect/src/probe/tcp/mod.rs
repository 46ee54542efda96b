//! TCP: a connection, an optional dialogue, optional TLS from the first byte on or by STARTTLS.

mod dialogue;
mod starttls;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use lookout_config::{Phase, TcpCheck};

use super::attempt::{Attempt, Failure};
use super::net::{self, HandshakeOptions, Io};
use super::protocol::{Context, Protocol};
pub(super) use dialogue::Dialogue;

#[async_trait]
impl Protocol for TcpCheck {
    async fn run(&self, context: &Context<'_>, attempt: &mut Attempt) -> Result<(), Failure> {
        let mut stream: Box<dyn Io> = Box::new(net::open(context.lookup(), attempt, &self.address).await?);
        let options = match &self.starttls {
            Some((kind, options)) => {
                attempt.timer.enter(Phase::Processing);
                starttls::request(*kind, &mut stream).await?;
                Some(options)
            }
            None => self.tls.as_ref(),
        };
        if let Some(options) = options {
            let wanted = HandshakeOptions { options, host: &self.address.host, alpn: &[] };
            stream = Box::new(context.tls.secure(attempt, &wanted, stream).await?);
        }
        if self.dialogue.is_empty() {
            return Ok(());
        }
        attempt.timer.enter(Phase::Processing);
        let mut dialogue = Dialogue::new(stream);
        let spoken = dialogue.run(&self.dialogue).await;
        attempt.received = dialogue.received().len();
        attempt.facts.body_size = Some(attempt.received);
        attempt.facts.body = Some(dialogue.into_received());
        spoken
    }
}
