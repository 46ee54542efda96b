//! The HTTP prober: a fresh connection each time, no redirects, no proxy, every phase timed.
//!
//! It stands on the connection API of the HTTP library instead of on a client, because only there every step is visible.
//! One deadline covers all phases and is enforced from outside: whatever hangs is cut, and the phase it was cut in is the
//! reason. (A lookup that hangs inside the system's resolver is left behind on its blocking thread.)

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tracing::{Instrument as _, Span, field};
use url::Url;

use super::assert::{Answer, judge, verdict};
use super::dial::{self, Failure};
use super::request::{Request, Traced, request};
use super::stopwatch::{Phase, Stopwatch};
use super::trust::Trust;
use super::wire::{Heard, Wire};
use super::{Outcome, Probe, Reason, Verdict};
use crate::wording::chain;
use lookout_config::Target;
use lookout_runtime::random::Random;

/// Bytes that the head of an answer may take.
const HEAD_LIMIT: usize = 64 * 1024;

/// Probes targets over HTTP/1.1, with or without TLS.
pub struct HttpProber {
    random: Arc<Random>,
    trust: Trust,
}

impl HttpProber {
    /// A prober. Nothing is loaded before the first probe needs it.
    #[must_use]
    pub fn new(random: Arc<Random>) -> Self {
        Self { random, trust: Trust::default() }
    }

    #[cfg(test)]
    fn trusting(random: Arc<Random>, trust: Trust) -> Self {
        Self { random, trust }
    }

    async fn attempt(&self, target: &Target) -> Outcome {
        let traced = Traced::current(&self.random);
        // loaded before the watch starts: the roots of the system are no part of the target's latency
        let connector = match target.url.scheme() {
            "https" => self.trust.connector(target.insecure).await.map(Some),
            _ => Ok(None),
        };
        let mut journey = Journey::start(&target.url);
        let arrived = match connector {
            Ok(connector) => {
                let travel = journey.travel(target, connector.as_ref(), &traced);
                tokio::time::timeout(target.timeout, travel).await.ok()
            }
            Err(error) => Some(Err(Failure::new(Reason::Tls, format!("TLS is not available: {error}")))),
        };
        journey.end(target, arrived, traced)
    }
}

#[async_trait]
impl Probe for HttpProber {
    async fn probe(&self, target: &Target) -> Outcome {
        let span = tracing::info_span!(
            "probe",
            otel.kind = "client",
            otel.status_code = field::Empty,
            target = %target.name,
            url = %without_secrets(&target.url),
            outcome = field::Empty,
            reason = field::Empty,
            status = field::Empty,
        );
        let outcome = self.attempt(target).instrument(span.clone()).await;
        note(&span, &outcome);
        outcome
    }
}

/// What happened so far. It outlives the attempt, so that a cut leaves the phase and the status known.
struct Journey {
    watch: Stopwatch,
    heard: Arc<Heard>,
    status: Option<u16>,
    received: usize,
}

impl Journey {
    fn start(url: &Url) -> Self {
        let first = if dial::literal(url).is_some() { Phase::Connect } else { Phase::Resolve };
        Self { watch: Stopwatch::start(first), heard: Arc::default(), status: None, received: 0 }
    }

    /// From the name to the last byte. Returns the body when an expectation needs it.
    async fn travel(
        &mut self,
        target: &Target,
        connector: Option<&TlsConnector>,
        traced: &Traced,
    ) -> Result<Vec<u8>, Failure> {
        let request = request(target, traced)?;
        let addresses = match dial::literal(&target.url) {
            Some(address) => vec![address],
            None => dial::resolve(&target.url).await?,
        };
        self.watch.enter(Phase::Connect);
        let stream = dial::connect(&addresses).await?;
        match connector {
            None => self.exchange(target, request, stream).await,
            Some(connector) => {
                self.watch.enter(Phase::Tls);
                let stream = dial::secure(connector, &target.url, stream).await?;
                self.exchange(target, request, stream).await
            }
        }
    }

    /// Writes the request and reads the answer, on a connection that is driven here and thus ends with this future.
    async fn exchange<S>(&mut self, target: &Target, request: Request, stream: S) -> Result<Vec<u8>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.watch.enter(Phase::Processing);
        let heard = Arc::clone(&self.heard);
        let wire = TokioIo::new(Wire::new(stream, Arc::clone(&heard)));
        let handshake = http1::Builder::new().max_buf_size(HEAD_LIMIT).handshake(wire).await;
        let (mut sender, connection) = handshake.map_err(|error| exchange_failed(&error, &heard))?;
        let mut connection = std::pin::pin!(connection.fuse());
        let mut talk = std::pin::pin!(async {
            let sent = sender.send_request(request).await;
            let answer = sent.map_err(|error| exchange_failed(&error, &heard))?;
            self.status = Some(answer.status().as_u16());
            match heard.first_byte() {
                Some(at) => self.watch.enter_at(Phase::Transfer, at),
                None => self.watch.enter(Phase::Transfer),
            }
            self.receive(target, answer.into_body()).await
        });
        loop {
            tokio::select! {
                biased;
                result = &mut talk => return result,
                // its errors reach the talk as well, in better words
                _ = &mut connection => {}
            }
        }
    }

    async fn receive(&mut self, target: &Target, mut body: Incoming) -> Result<Vec<u8>, Failure> {
        let keep = !target.expect.json.is_empty();
        let mut kept = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Failure::new(Reason::Read, format!("the body broke off: {}", chain(&error)))
            })?;
            let Some(data) = frame.data_ref() else { continue };
            self.received = self.received.saturating_add(data.len());
            if self.received > target.body_limit {
                let detail = format!("the body is larger than {} bytes", target.body_limit);
                return Err(Failure::new(Reason::BodyLimit, detail));
            }
            if keep {
                kept.extend_from_slice(data);
            }
        }
        Ok(kept)
    }

    /// Stops the watch and judges; `arrived` is absent when the deadline cut the journey.
    fn end(mut self, target: &Target, arrived: Option<Result<Vec<u8>, Failure>>, traced: Traced) -> Outcome {
        if let (Phase::Processing, Some(at)) = (self.watch.phase(), self.heard.first_byte()) {
            self.watch.enter_at(Phase::Transfer, at);
        }
        let (phase, received, status) = (self.watch.phase(), self.received, self.status);
        let (phases, total) = self.watch.stop();
        let verdict = match (arrived, status) {
            (None, _) => verdict(cut(phase, target.timeout, received)),
            (Some(Err(failure)), _) => verdict(failure),
            (Some(Ok(body)), Some(status)) => judge(&target.expect, &Answer { status, total, body: &body }),
            (Some(Ok(_)), None) => verdict(Failure::new(Reason::Read, "the answer has no status")),
        };
        Outcome { verdict, total, phases, status, trace_id: traced.trace_id }
    }
}

/// The deadline passed in a phase.
fn cut(phase: Phase, timeout: Duration, received: usize) -> Failure {
    match phase {
        Phase::Resolve => Failure::new(Reason::Dns, format!("the name did not resolve within {timeout:?}")),
        Phase::Connect => Failure::new(Reason::ConnectTimeout, format!("no connection within {timeout:?}")),
        Phase::Tls => Failure::new(Reason::Tls, format!("the TLS handshake did not end within {timeout:?}")),
        Phase::Processing => Failure::new(Reason::FirstByteTimeout, format!("no answer within {timeout:?}")),
        Phase::Transfer => Failure::new(
            Reason::ReadTimeout,
            format!("the answer did not end within {timeout:?}, {received} bytes of its body came"),
        ),
    }
}

fn exchange_failed(error: &hyper::Error, heard: &Heard) -> Failure {
    if heard.write_failed() && heard.first_byte().is_none() {
        return Failure::new(Reason::Write, format!("the request could not be written: {}", chain(error)));
    }
    Failure::new(Reason::Read, format!("no complete answer: {}", chain(error)))
}

/// The URL for logs and traces: without credentials, and with the names of its parameters only.
pub fn without_secrets(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    if url.query().is_some() {
        let names: Vec<String> = url.query_pairs().map(|(name, _)| format!("{name}=***")).collect();
        shown.set_query(Some(&names.join("&")));
    }
    shown.into()
}

fn note(span: &Span, outcome: &Outcome) {
    if let Some(status) = outcome.status {
        span.record("status", status);
    }
    match &outcome.verdict {
        Verdict::Ok => {
            span.record("outcome", "ok");
        }
        Verdict::Fail { reason, .. } => {
            span.record("outcome", "fail")
                .record("reason", reason.as_str())
                .record("otel.status_code", "ERROR");
        }
    }
}

#[cfg(test)]
mod tests;
