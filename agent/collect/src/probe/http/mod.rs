//! HTTP: a fresh connection for every hop, through a proxy where one is named, every phase measured.
//!
//! It stands on the connection API of the HTTP library instead of on a client, because only there every step is visible.

mod exchange;
#[cfg(test)]
mod oauth2_tests;
mod proxy;
#[cfg(test)]
mod proxy_tests;
mod redirect;
#[cfg(test)]
mod redirect_tests;
mod request;
#[cfg(test)]
mod tests;
mod token;

use std::borrow::Cow;

use async_trait::async_trait;
use lookout_config::{HttpCheck, HttpVersion, Secret, Subject};

use super::Reason;
use super::attempt::{Attempt, Facts, Failure};
use super::net::{self, HandshakeOptions, Io};
use super::protocol::{Context, Protocol};
use exchange::Limits;
use request::{Form, Hop};
pub(super) use request::{USER_AGENT, own_headers};

#[async_trait]
impl Protocol for HttpCheck {
    async fn run(&self, context: &Context<'_>, attempt: &mut Attempt) -> Result<(), Failure> {
        let Some(grant) = &self.oauth2 else { return follow(self, context, attempt, None).await };
        let token = token::get(grant, self.proxy.as_ref(), None, context, attempt).await?;
        follow(self, context, attempt, Some(&token.value)).await?;
        if attempt.facts.status != Some(401) || token.is_new {
            return Ok(());
        }
        // a token may be revoked before its end
        let refused = Some(&token.value);
        let token = token::get(grant, self.proxy.as_ref(), refused, context, attempt).await?;
        follow(self, context, attempt, Some(&token.value)).await
    }
}

/// Makes the request, and those that redirects lead to.
async fn follow(
    check: &HttpCheck,
    context: &Context<'_>,
    attempt: &mut Attempt,
    token: Option<&Secret>,
) -> Result<(), Failure> {
    let mut hop = Hop { check, url: Cow::Borrowed(&check.url), as_get: false, token };
    let mut followed = 0;
    loop {
        visit(context, attempt, &hop).await?;
        attempt.facts.redirects = Some(followed);
        let Some(next) = redirect::next(&hop, &attempt.facts, followed)? else { return Ok(()) };
        hop = next;
        followed += 1;
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
    let mut two = check.version == HttpVersion::Two;
    let proxy = check.proxy.as_deref().filter(|proxy| proxy.applies_to(&peer));
    let stream: Box<dyn Io> = match proxy {
        None => Box::new(net::open(context.lookup(), attempt, &peer).await?),
        Some(proxy) => {
            let way = proxy::ProxyRoute { proxy, tls: &check.tls, tunnel: https || two };
            proxy::open(context, attempt, &way, &peer).await?
        }
    };
    let stream: Box<dyn Io> = if https {
        let secured = secure(hop, context, attempt, &peer.host, stream).await?;
        two = secured.get_ref().1.alpn_protocol() == Some(b"h2");
        Box::new(secured)
    } else {
        stream
    };
    let limits = Limits {
        headers: check.max_headers,
        body: check.body_limit,
        keeps_body: context.keeps_body || context.asserts(Subject::needs_body),
    };
    let forwarder = proxy.filter(|_| !https && !two);
    let request = hop.request(context.traced, &Form { two, forwarder })?;
    if two {
        return exchange::two(attempt, request, stream, &limits).await;
    }
    exchange::one(attempt, request, stream, &limits).await?;
    if forwarder.is_some() && attempt.facts.status == Some(407) {
        return Err(Failure::new(
            Reason::Proxy,
            "the proxy asks for credentials that it accepts: status 407",
        ));
    }
    Ok(())
}

/// Secures the connection of a hop and agrees on the version of HTTP.
async fn secure(
    hop: &Hop<'_>,
    context: &Context<'_>,
    attempt: &mut Attempt,
    host: &str,
    stream: Box<dyn Io>,
) -> Result<net::Secured, Failure> {
    let (check, options) = (hop.check, hop.tls());
    let alpn: &[&'static str] = match check.version {
        HttpVersion::One => &["http/1.1"],
        HttpVersion::Two => &["h2"],
        HttpVersion::Auto => &["h2", "http/1.1"],
    };
    let wanted = HandshakeOptions { options: &options, host, alpn };
    let secured = context.tls.secure(attempt, &wanted, stream).await?;
    if check.version == HttpVersion::Two && secured.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(Failure::new(Reason::Protocol, "the server does not offer HTTP/2"));
    }
    Ok(secured)
}
