//! The way to a peer through a proxy. Its time is a part of the phases `resolve` and `connect`.

use http::HeaderMap;
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT as USER_AGENT_NAME};
use lookout_config::{HostPort, Phase, Proxy, TlsOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::Reason;
use super::super::attempt::{Attempt, Failure, Helper};
use super::super::net::{self, HandshakeOptions, Io, host_of};
use super::super::protocol::Context;
use super::request::{USER_AGENT, authorization, own_headers};

/// Bytes that the answer to `CONNECT` may take.
const HEAD_LIMIT: usize = 16 * 1024;

/// A route through a proxy.
pub(super) struct ProxyRoute<'a> {
    pub(super) proxy: &'a Proxy,
    /// Trust and identity in a handshake with the proxy; the name is that of the proxy.
    pub(super) tls: &'a TlsOptions,
    /// Ask for a tunnel to the peer instead of for forwarding.
    pub(super) tunnel: bool,
}

/// Opens the way to a peer. Whatever goes wrong on it is a failure of the proxy.
pub(super) async fn open(
    context: &Context<'_>,
    attempt: &mut Attempt,
    way: &ProxyRoute<'_>,
    peer: &HostPort,
) -> Result<Box<dyn Io>, Failure> {
    if context.target.allowed.is_some() {
        // the proxy would choose the address, and nobody could look at it before
        return Err(Failure::new(
            Reason::Forbidden,
            "a target that a request chooses is not reached by a proxy",
        ));
    }
    let Some(server) = host_of(&way.proxy.url, 80) else {
        return Err(Failure::new(Reason::Proxy, "the URL of the proxy names no host"));
    };
    attempt.helper = Some(Helper::Proxy);
    let opened = open_way(context, attempt, way, &server, peer).await;
    attempt.helper = None;
    attempt.facts.proxy = Some(server.to_string());
    // the proxy resolves the name of the peer
    attempt.facts.resolved = None;
    opened.map_err(|failure| {
        if failure.reason.is_local() {
            return failure;
        }
        Failure::new(Reason::Proxy, format!("by the proxy {server}: {}", failure.detail))
    })
}

async fn open_way(
    context: &Context<'_>,
    attempt: &mut Attempt,
    way: &ProxyRoute<'_>,
    server: &HostPort,
    peer: &HostPort,
) -> Result<Box<dyn Io>, Failure> {
    let stream = net::open(context.unrestricted(), attempt, server).await?;
    attempt.timer.enter(Phase::Connect);
    let mut stream: Box<dyn Io> = if way.proxy.url.scheme() == "https" {
        let options = TlsOptions { server_name: None, ..way.tls.clone() };
        let wanted = HandshakeOptions { options: &options, host: &server.host, alpn: &["http/1.1"] };
        Box::new(context.tls.secure_unrecorded(&wanted, Box::new(stream)).await?)
    } else {
        Box::new(stream)
    };
    if way.tunnel {
        let head = connect_head(way.proxy, peer)
            .ok_or_else(|| Failure::new(Reason::Proxy, "a header cannot be sent in a request"))?;
        ask_for_tunnel(&mut stream, &head).await?;
    }
    Ok(stream)
}

/// The request `CONNECT`; none when a header cannot be sent.
fn connect_head(proxy: &Proxy, peer: &HostPort) -> Option<Vec<u8>> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_str(&peer.to_string()).ok()?);
    headers.insert(USER_AGENT_NAME, HeaderValue::from_static(USER_AGENT));
    if let Some(value) = authorization(&proxy.credentials) {
        headers.insert(PROXY_AUTHORIZATION, value?);
    }
    let own = own_headers(&proxy.connect_headers)?;
    own.keys().for_each(|name| drop(headers.remove(name)));
    headers.extend(own);
    let mut head = format!("CONNECT {peer} HTTP/1.1\r\n").into_bytes();
    for (name, value) in &headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    Some(head)
}

async fn ask_for_tunnel(stream: &mut Box<dyn Io>, head: &[u8]) -> Result<(), Failure> {
    let failed = |detail: String| Failure::new(Reason::Proxy, detail);
    stream.write_all(head).await.map_err(|error| failed(format!("CONNECT could not be sent: {error}")))?;
    let mut answer = Vec::new();
    // the target speaks first in no protocol that comes through here, so that nothing follows the head
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= HEAD_LIMIT {
            return Err(failed(format!("its answer to CONNECT is larger than {HEAD_LIMIT} bytes")));
        }
        let read = stream.read_buf(&mut answer).await;
        if read.map_err(|error| failed(format!("no answer to CONNECT: {error}")))? == 0 {
            return Err(match status_of(&answer) {
                Some(status) if !(200..300).contains(&status) => refused(status),
                _ => failed("it closed the connection instead of answering CONNECT".to_owned()),
            });
        }
        // the body of a refusal is of no interest
        if let Some(status) = status_of(&answer).filter(|status| !(200..300).contains(status)) {
            return Err(refused(status));
        }
    }
    match status_of(&answer) {
        Some(_) => Ok(()),
        None => Err(failed("its answer to CONNECT is not of HTTP".to_owned())),
    }
}

fn refused(status: u16) -> Failure {
    let hint = if status == 407 { ", it asks for credentials that it accepts" } else { "" };
    Failure::new(Reason::Proxy, format!("it refused CONNECT with status {status}{hint}"))
}

/// The status of a head, once its first line is there.
fn status_of(head: &[u8]) -> Option<u16> {
    let end = head.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(head.get(..end)?).ok()?;
    let mut parts = line.split_ascii_whitespace();
    parts.next().filter(|version| version.starts_with("HTTP/1."))?;
    parts.next()?.parse().ok().filter(|status| (100..600).contains(status))
}
