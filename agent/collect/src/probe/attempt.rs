//! One attempt at a target: its measurements and what is known of the answer so far. It outlives the protocol's run, so
//! that the deadline leaves the phase and the facts readable.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, LAST_MODIFIED, LOCATION};
use jiff::fmt::rfc2822;
use lookout_config::Phase;
use tokio::time::Instant;

use super::certificate::Certificate;
use super::observed::StreamEvents;
use super::outcome::{Reason, StepOutcome};
use super::received::{DnsReceived, Received};
use super::timer::PhaseTimer;

/// The failure that ended a probe early.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// Another server that a probe needs before its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Helper {
    /// The proxy.
    Proxy,
    /// The token endpoint.
    TokenEndpoint,
}

/// Facts of an answer, as far as they are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) address: Option<SocketAddr>,
    pub(super) status: Option<u16>,
    pub(super) headers: Option<HeaderMap>,
    /// The body, or the bytes of a dialogue; empty where nothing looks at it.
    pub(super) body: Option<Vec<u8>>,
    pub(super) body_size: Option<usize>,
    pub(super) redirects: Option<u32>,
    pub(super) protocol: Option<&'static str>,
    pub(super) tls_version: Option<&'static str>,
    pub(super) cipher: Option<String>,
    /// The first address that the name of the peer gave.
    pub(super) resolved: Option<IpAddr>,
    /// True if the name that was resolved last needed no query: an answer that was kept holds.
    pub(super) cached_name: bool,
    pub(super) certificate: Option<Certificate>,
    /// True if the session of TLS was resumed; absent without TLS.
    pub(super) resumed: Option<bool>,
    /// Host and port of the proxy on the way.
    pub(super) proxy: Option<String>,
    pub(super) dns: Option<DnsFacts>,
    pub(super) grpc_status: Option<String>,
    pub(super) grpc_code: Option<u16>,
}

impl Facts {
    /// Returns what is small of the facts, to be kept.
    pub(super) fn received(&mut self, body_bytes: usize) -> Received {
        let headers = self.headers.as_ref();
        let text = |name: HeaderName| text_of(headers?, name);
        let redirected = matches!(self.status, Some(301 | 302 | 303 | 307 | 308)) && text(LOCATION).is_some();
        let followed = self.redirects.unwrap_or_default();
        Received {
            resolved: self.resolved,
            cached_name: self.cached_name,
            content_length: text(CONTENT_LENGTH).and_then(|length| length.trim().parse().ok()),
            body_bytes,
            redirects: followed.saturating_add(u32::from(redirected)),
            protocol: self.protocol,
            last_modified_s: text(LAST_MODIFIED).and_then(seconds_of),
            tls_version: self.tls_version,
            cipher: self.cipher.take(),
            resumed: self.resumed,
            proxy: self.proxy.take(),
            token_time: None,
            addresses: Vec::new(),
            dns: self.dns.as_ref().map(|dns| DnsReceived { counts: dns.counts, serial: dns.serial }),
            grpc_code: self.grpc_code,
            grpc_status: self.grpc_status.clone(),
        }
    }
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The Unix time of a date of HTTP.
fn seconds_of(date: &str) -> Option<i64> {
    // a date of HTTP is one of mail, with another name of the zone
    let date = date.trim().strip_suffix("GMT").map(|date| format!("{date}+0000"))?;
    rfc2822::DateTimeParser::new().parse_timestamp(&date).ok().map(jiff::Timestamp::as_second)
}

/// Facts of an answer of DNS.
#[derive(Debug, Clone, Default)]
pub(super) struct DnsFacts {
    pub(super) code: String,
    pub(super) answers: Vec<String>,
    pub(super) ttl: Option<u32>,
    pub(super) counts: [usize; 3],
    pub(super) serial: Option<u32>,
}

/// One attempt at a target.
pub(super) struct Attempt {
    pub(super) timer: PhaseTimer,
    pub(super) facts: Facts,
    /// Events of the stream that carries the answer, where the first byte tells when it began.
    pub(super) events: Option<Arc<StreamEvents>>,
    /// Bytes of the body so far.
    pub(super) received: usize,
    /// Results of the steps of a journey.
    pub(super) steps: Vec<StepOutcome>,
    /// The instant at which the attempt is cut.
    pub(super) deadline: Instant,
    /// The server that is waited for now, where it is not the target.
    pub(super) helper: Option<Helper>,
}

impl Attempt {
    pub(super) fn start(first: Phase, timeout: Duration) -> Self {
        let timer = PhaseTimer::start(first);
        let deadline = timer.started() + timeout;
        Self {
            timer,
            facts: Facts::default(),
            events: None,
            received: 0,
            steps: Vec::new(),
            deadline,
            helper: None,
        }
    }

    /// Dates the begin of the answer, when the deadline came between its first byte and its head.
    pub(super) fn note_first_byte(&mut self) {
        let first_byte = self.events.as_ref().and_then(|events| events.first_byte());
        if let (Phase::Processing, Some(at)) = (self.timer.phase(), first_byte) {
            self.timer.enter_at(Phase::Transfer, at);
        }
    }

    /// The failure of a deadline that passed in the present phase.
    pub(super) fn cut(&self, timeout: Duration) -> Failure {
        let within = lookout_model::print_duration(timeout);
        match self.helper {
            Some(Helper::Proxy) => {
                return Failure::new(
                    Reason::Proxy,
                    format!("the proxy did not open the way to the target within {within}"),
                );
            }
            Some(Helper::TokenEndpoint) => {
                return Failure::new(
                    Reason::OAuth2,
                    format!("the token endpoint gave no token within {within}"),
                );
            }
            None => {}
        }
        let mut failure = self.cut_in_phase(&within);
        let apart = self.timer.apart();
        if !apart.is_zero() {
            failure.detail += &format!(", of which {} ms went to the token endpoint", apart.as_millis());
        }
        failure
    }

    fn cut_in_phase(&self, within: &str) -> Failure {
        match self.timer.phase() {
            Phase::Resolve => Failure::new(Reason::Dns, format!("the name did not resolve within {within}")),
            Phase::Connect => Failure::new(Reason::ConnectTimeout, format!("no connection within {within}")),
            Phase::Tls => Failure::new(Reason::Tls, format!("the TLS handshake did not end within {within}")),
            Phase::Processing => Failure::new(Reason::FirstByteTimeout, format!("no answer within {within}")),
            Phase::Transfer => Failure::new(
                Reason::ReadTimeout,
                format!("the answer did not end within {within}, {} bytes of its body came", self.received),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_become_numbers() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("12"));
        headers.insert(LAST_MODIFIED, HeaderValue::from_static("Thu, 01 Jan 1970 00:01:40 GMT"));
        headers.insert(LOCATION, HeaderValue::from_static("/next"));
        let mut facts =
            Facts { status: Some(302), redirects: Some(2), headers: Some(headers), ..Facts::default() };
        let received = facts.received(7);
        assert_eq!((received.content_length, received.last_modified_s), (Some(12), Some(100)));
        assert_eq!((received.redirects, received.body_bytes), (3, 7));
        facts.headers.as_mut().unwrap().insert(LAST_MODIFIED, HeaderValue::from_static("yesterday"));
        facts.status = Some(200);
        let received = facts.received(7);
        assert_eq!((received.redirects, received.last_modified_s), (2, None));
    }
}
