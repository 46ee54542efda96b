//! One request and its answer on a connection that is driven here and thus ends with the future.

use std::sync::Arc;

use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lookout_config::Phase;

use super::super::Reason;
use super::super::attempt::{Attempt, Failure};
use super::super::net::Io;
use super::super::observed::{ObservedStream, StreamEvents};
use super::request::Request;
use crate::wording::chain;

/// Bytes that the head of an answer may take.
const HEAD_LIMIT: usize = 64 * 1024;

/// Headers that the library makes room for at least. Its two tables of 256 would be of the size of its buffers: musl's
/// allocator keeps three of a size, and would map and unmap memory for every probe, a tenth of the CPU.
const PARSED_HEADERS: usize = 320;

/// Bounds of an answer.
pub(super) struct Limits {
    pub(super) headers: usize,
    pub(super) body: usize,
    pub(super) keeps_body: bool,
}

/// Speaks HTTP/1.1.
pub(super) async fn one(
    attempt: &mut Attempt,
    request: Request,
    stream: Box<dyn Io>,
    limits: &Limits,
) -> Result<(), Failure> {
    attempt.timer.enter(Phase::Processing);
    let events = Arc::<StreamEvents>::default();
    attempt.events = Some(Arc::clone(&events));
    let io = TokioIo::new(ObservedStream::new(stream, Arc::clone(&events)));
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_LIMIT).max_headers(limits.headers.max(PARSED_HEADERS));
    let handshake = builder.handshake(io).await;
    let (mut sender, connection) = handshake.map_err(|error| failed(&error, &events))?;
    let mut connection = std::pin::pin!(connection.fuse());
    let mut exchange = std::pin::pin!(async {
        let sent = sender.send_request(request).await;
        let answer = sent.map_err(|error| failed(&error, &events))?;
        match events.first_byte() {
            Some(at) => attempt.timer.enter_at(Phase::Transfer, at),
            None => attempt.timer.enter(Phase::Transfer),
        }
        receive(attempt, answer, limits).await
    });
    loop {
        tokio::select! {
            biased;
            result = &mut exchange => return result,
            // its errors reach the exchange as well, in better words
            _ = &mut connection => {}
        }
    }
}

/// Speaks HTTP/2. The first bytes of a server are settings, so that the answer begins with its head.
pub(super) async fn two(
    attempt: &mut Attempt,
    request: Request,
    stream: Box<dyn Io>,
    limits: &Limits,
) -> Result<(), Failure> {
    attempt.timer.enter(Phase::Processing);
    attempt.events = None;
    let events = Arc::<StreamEvents>::default();
    let io = TokioIo::new(ObservedStream::new(stream, Arc::clone(&events)));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_header_list_size(u32::try_from(HEAD_LIMIT).unwrap_or(u32::MAX));
    let handshake = builder.handshake(io).await;
    let (mut sender, connection) = handshake.map_err(|error| failed(&error, &events))?;
    let mut connection = std::pin::pin!(connection.fuse());
    let mut exchange = std::pin::pin!(async {
        let sent = sender.send_request(request).await;
        let answer = sent.map_err(|error| failed(&error, &events))?;
        attempt.timer.enter(Phase::Transfer);
        receive(attempt, answer, limits).await
    });
    loop {
        tokio::select! {
            biased;
            result = &mut exchange => return result,
            _ = &mut connection => {}
        }
    }
}

/// Reads head and body into the facts.
async fn receive(
    attempt: &mut Attempt,
    answer: http::Response<Incoming>,
    limits: &Limits,
) -> Result<(), Failure> {
    let (head, mut body) = answer.into_parts();
    attempt.facts.status = Some(head.status.as_u16());
    attempt.facts.protocol = Some(match head.version {
        http::Version::HTTP_2 => "HTTP/2",
        http::Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    });
    if head.headers.len() > limits.headers {
        return Err(Failure::new(
            Reason::Read,
            format!("the answer has more than {} headers", limits.headers),
        ));
    }
    attempt.facts.headers = Some(head.headers);
    (attempt.received, attempt.facts.body, attempt.facts.body_size) = (0, None, None);
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Failure::new(Reason::Read, format!("the body broke off: {}", chain(&error))))?;
        let Some(data) = frame.data_ref() else { continue };
        attempt.received = attempt.received.saturating_add(data.len());
        if attempt.received > limits.body {
            attempt.received = limits.body;
            return Err(Failure::new(
                Reason::BodyLimit,
                format!("the body is larger than {} bytes", limits.body),
            ));
        }
        if limits.keeps_body {
            kept.extend_from_slice(data);
        }
    }
    attempt.facts.body_size = Some(attempt.received);
    attempt.facts.body = limits.keeps_body.then_some(kept);
    Ok(())
}

fn failed(error: &hyper::Error, events: &StreamEvents) -> Failure {
    if events.write_failed() && events.first_byte().is_none() {
        return Failure::new(Reason::Write, format!("the request could not be written: {}", chain(error)));
    }
    Failure::new(Reason::Read, format!("no complete answer: {}", chain(error)))
}
