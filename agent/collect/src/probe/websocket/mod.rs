//! WebSocket: the upgrade, an optional message, and an optional one that is awaited.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use futures_util::{SinkExt as _, StreamExt as _};
use lookout_config::{Phase, WebSocketCheck};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Reason;
use super::attempt::{Attempt, Failure};
use super::http::{USER_AGENT, own_headers};
use super::net::{self, HandshakeOptions, Io};
use super::protocol::{Context, Protocol};
use super::traced::TRACEPARENT;
use crate::wording::{bounded, chain};

/// Bytes of one message.
const MESSAGE_LIMIT: usize = 256 * 1024;

/// Messages that are read while one is awaited.
const MOST_MESSAGES: usize = 1000;

#[async_trait]
impl Protocol for WebSocketCheck {
    async fn run(&self, context: &Context<'_>, attempt: &mut Attempt) -> Result<(), Failure> {
        let secure = self.url.scheme() == "wss";
        let Some(peer) = net::host_of(&self.url, if secure { 443 } else { 80 }) else {
            return Err(Failure::new(Reason::Dns, "the URL names no host"));
        };
        let request = request(self, &context.traced.header())?;
        let mut stream: Box<dyn Io> = Box::new(net::open(context.lookup(), attempt, &peer).await?);
        if secure {
            let wanted = HandshakeOptions { options: &self.tls, host: &peer.host, alpn: &["http/1.1"] };
            stream = Box::new(context.tls.secure(attempt, &wanted, stream).await?);
        }
        attempt.timer.enter(Phase::Processing);
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT));
        let upgraded = tokio_tungstenite::client_async_with_config(request, stream, Some(limits)).await;
        let (mut socket, answer) = upgraded.map_err(|error| refused(error, attempt))?;
        attempt.facts.status = Some(answer.status().as_u16());
        attempt.facts.headers = Some(answer.headers().clone());
        attempt.timer.enter(Phase::Transfer);
        let spoken = exchange(self, attempt, &mut socket).await;
        // a courtesy, not awaited: the connection ends here in any case
        let _ = futures_util::FutureExt::now_or_never(socket.close(None));
        spoken
    }
}

fn request(check: &WebSocketCheck, traceparent: &str) -> Result<Request, Failure> {
    let failed = |what: &str| Failure::new(Reason::Write, format!("{what} cannot be sent in a request"));
    let mut request = check.url.as_str().into_client_request().map_err(|_| failed("the URL"))?;
    let headers = request.headers_mut();
    headers.insert(http::header::USER_AGENT, http::HeaderValue::from_static(USER_AGENT));
    for (name, value) in &own_headers(&check.headers).ok_or_else(|| failed("a header"))? {
        headers.insert(name, value.clone());
    }
    headers.insert(TRACEPARENT, http::HeaderValue::from_str(traceparent).map_err(|_| failed("a header"))?);
    Ok(request)
}

fn refused(error: Error, attempt: &mut Attempt) -> Failure {
    match error {
        Error::Http(answer) => {
            let status = answer.status().as_u16();
            attempt.facts.status = Some(status);
            attempt.facts.headers = Some(answer.headers().clone());
            Failure::new(Reason::Upgrade, format!("the server answers the upgrade with status {status}"))
        }
        other => Failure::new(Reason::Upgrade, format!("no upgrade to WebSocket: {}", chain(&other))),
    }
}

/// Sends the message and awaits the other one.
async fn exchange<S: Io>(
    check: &WebSocketCheck,
    attempt: &mut Attempt,
    socket: &mut WebSocketStream<S>,
) -> Result<(), Failure> {
    if let Some(text) = &check.send {
        socket.send(Message::text(text.as_str())).await.map_err(|error| {
            Failure::new(Reason::Write, format!("the message could not be sent: {}", chain(&error)))
        })?;
    }
    let Some(pattern) = &check.expect_message else { return Ok(()) };
    let mut last = String::new();
    for _ in 0..MOST_MESSAGES {
        let message = match socket.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                return Err(Failure::new(
                    Reason::Read,
                    format!("the connection broke off: {}", chain(&error)),
                ));
            }
            None => break,
        };
        let bytes = match message {
            Message::Text(_) | Message::Binary(_) => message.into_data(),
            Message::Close(_) => break,
            _ => continue,
        };
        attempt.received = attempt.received.saturating_add(bytes.len());
        let matched = pattern.is_match(&bytes);
        last = bounded(&String::from_utf8_lossy(&bytes), 80);
        if matched {
            attempt.facts.body_size = Some(bytes.len());
            attempt.facts.body = Some(bytes.to_vec());
            return Ok(());
        }
    }
    Err(Failure::new(
        Reason::Expect,
        format!("the last message was {last:?}, expected `{}`", pattern.as_str()),
    ))
}
