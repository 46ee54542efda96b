//! HTTP: a fresh connection for every hop, no proxy, every phase measured.
//!
//! It stands on the connection API of the HTTP library instead of on a client, because only there every step is visible.

mod exchange;
mod redirect;
mod request;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use lookout_config::{HttpCheck, HttpVersion, Subject};

use super::Reason;
use super::attempt::{Attempt, Facts, Failure};
use super::net::{self, Io, Wanted};
use super::protocol::{Context, Protocol};
use exchange::Limits;
use request::Hop;
pub(super) use request::{USER_AGENT, own_headers};

#[async_trait]
impl Protocol for HttpCheck {
    async fn run(&self, context: &Context<'_>, attempt: &mut Attempt) -> Result<(), Failure> {
        let mut hop = Hop { check: self, url: self.url.clone(), as_get: false };
        let mut followed = 0;
        loop {
            visit(context, attempt, &hop).await?;
            attempt.facts.redirects = Some(followed);
            let Some(next) = redirect::next(&hop, &attempt.facts, followed)? else { return Ok(()) };
            hop = next;
            followed += 1;
        }
    }
}

/// Makes the request of one hop.
async fn visit(context: &Context<'_>, attempt: &mut Attempt, hop: &Hop<'_>) -> Result<(), Failure> {
    let check = hop.check;
    // a hop that gets no answer has none, whatever the one before got
    attempt.facts = Facts { redirects: attempt.facts.redirects, ..Facts::default() };
    attempt.received = 0;
    let https = hop.url.scheme() == "https";
    let Some(peer) = net::host_of(&hop.url, 80) else {
        return Err(Failure::new(Reason::Dns, "the URL names no host"));
    };
    let stream = net::open(context.lookup(), attempt, &peer).await?;
    let alpn: &[&'static str] = match check.version {
        HttpVersion::One => &["http/1.1"],
        HttpVersion::Two => &["h2"],
        HttpVersion::Auto => &["h2", "http/1.1"],
    };
    let mut two = check.version == HttpVersion::Two;
    let stream: Box<dyn Io> = if https {
        let wanted = Wanted { options: &check.tls, host: &peer.host, alpn };
        let secured = context.tls.secure(attempt, &wanted, Box::new(stream)).await?;
        let agreed = secured.get_ref().1.alpn_protocol() == Some(b"h2");
        if two && !agreed {
            return Err(Failure::new(Reason::Protocol, "the server does not offer HTTP/2"));
        }
        two = agreed;
        Box::new(secured)
    } else {
        Box::new(stream)
    };
    let limits = Limits {
        headers: check.max_headers,
        body: check.body_limit,
        keeps_body: context.keeps_body || context.asserts(Subject::needs_body),
    };
    let request = hop.request(context.traced, two)?;
    if two {
        exchange::two(attempt, request, stream, &limits).await
    } else {
        exchange::one(attempt, request, stream, &limits).await
    }
}
