//! gRPC: one call of `grpc.health.v1.Health/Check` over HTTP/2.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use http::HeaderMap;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lookout_config::{GrpcCheck, Phase};

use super::Reason;
use super::attempt::{Attempt, Failure};
use super::http::USER_AGENT;
use super::net::{self, HandshakeOptions, Io};
use super::protocol::{Context, Protocol};
use super::traced::TRACEPARENT;
use crate::wording::{bounded, chain};

/// Bytes of an answer that are read.
const ANSWER_LIMIT: usize = 4096;

/// Names of the codes of gRPC, in their order.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Names of `ServingStatus`, in their order.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

#[async_trait]
impl Protocol for GrpcCheck {
    async fn run(&self, context: &Context<'_>, attempt: &mut Attempt) -> Result<(), Failure> {
        let mut stream: Box<dyn Io> = Box::new(net::open(context.lookup(), attempt, &self.address).await?);
        if let Some(options) = &self.tls {
            let wanted = HandshakeOptions { options, host: &self.address.host, alpn: &["h2"] };
            stream = Box::new(context.tls.secure(attempt, &wanted, stream).await?);
        }
        attempt.timer.enter(Phase::Processing);
        let request = self.request(&context.traced.header())?;
        let handshake = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
        let mut connection = std::pin::pin!(futures_util::FutureExt::fuse(connection));
        let mut call = std::pin::pin!(async {
            let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
            attempt.timer.enter(Phase::Transfer);
            let (code, status) = receive(answer).await?;
            (attempt.facts.grpc_code, attempt.facts.grpc_status) = (Some(code), Some(status));
            Ok(())
        });
        loop {
            tokio::select! {
                biased;
                result = &mut call => return result,
                _ = &mut connection => {}
            }
        }
    }
}

trait Request {
    fn request(&self, traceparent: &str) -> Result<http::Request<Full<Bytes>>, Failure>;
}

impl Request for GrpcCheck {
    fn request(&self, traceparent: &str) -> Result<http::Request<Full<Bytes>>, Failure> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        http::Request::post(format!("{scheme}://{}/grpc.health.v1.Health/Check", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", USER_AGENT)
            .header(TRACEPARENT, traceparent)
            .body(Full::new(encode(&self.service).into()))
            .map_err(|error| Failure::new(Reason::Write, format!("the call cannot be sent: {error}")))
    }
}

/// A `HealthCheckRequest` in its frame: no compression, the length, field 1 with the name of the service.
fn encode(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or_default());
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    std::iter::once(0).chain(length).chain(message).collect()
}

/// Reads the answer: the code of the call, and the serving status or the name of a code that is no success.
async fn receive(answer: http::Response<Incoming>) -> Result<(u16, String), Failure> {
    let (head, mut body) = answer.into_parts();
    if head.status != http::StatusCode::OK {
        return Err(Failure::new(
            Reason::Read,
            format!("status {} is no answer of gRPC", head.status.as_u16()),
        ));
    }
    let mut message = Vec::new();
    let mut code = code_in(&head.headers);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        if let Some(trailers) = frame.trailers_ref() {
            code = code.or(code_in(trailers));
        }
        let Some(data) = frame.data_ref() else { continue };
        message.extend_from_slice(data);
        if message.len() > ANSWER_LIMIT {
            return Err(Failure::new(
                Reason::BodyLimit,
                format!("the answer is larger than {ANSWER_LIMIT} bytes"),
            ));
        }
    }
    match code {
        Some(0) => decode(&message)
            .map(|status| (0, status))
            .ok_or_else(|| Failure::new(Reason::Read, "the answer is not of the health service")),
        Some(code) => {
            let name = CODES
                .get(usize::from(code))
                .map_or_else(|| format!("CODE_{code}"), |name| (*name).to_owned());
            Ok((code, name))
        }
        None => Err(Failure::new(Reason::Read, "the answer has no `grpc-status`")),
    }
}

fn code_in(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The status of a `HealthCheckResponse` in its frame: field 1, a number; zero when it is left out.
fn decode(frame: &[u8]) -> Option<String> {
    let (header, message) = frame.split_at_checked(5)?;
    let length = u32::from_be_bytes(header.get(1..)?.try_into().ok()?);
    if header.first() != Some(&0) || usize::try_from(length).ok()? != message.len() {
        return None;
    }
    let number = match message {
        [] => 0,
        [0x08, number, ..] if *number < 0x80 => *number,
        _ => return None,
    };
    let name = STATUSES.get(usize::from(number));
    Some(name.map_or_else(|| format!("STATUS_{number}"), |name| (*name).to_owned()))
}

fn broken(error: &hyper::Error) -> Failure {
    Failure::new(Reason::Read, bounded(&format!("no complete answer: {}", chain(error)), 200))
}
