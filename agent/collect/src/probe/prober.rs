//! The prober: one attempt, one deadline, one outcome with a reason from a closed list.
//!
//! The deadline covers all phases and is enforced from outside: whatever hangs is cut, and the phase it was cut in is the
//! reason.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lookout_config::{Check, DnsTransport, HostPort, HttpCheck, Phase, Target};
use lookout_runtime::random::Random;
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field};
use url::Url;

use super::addresses;
use super::assert::verdict;
use super::attempt::{Attempt, Facts, Failure};
use super::heartbeat_calls::Heartbeats;
use super::judge::Judge;
use super::net::{self, KnownAnswers, SystemResolver, TlsClients, host_of};
use super::protocol::{Context, Protocol};
use super::received::Received;
use super::tokens::Tokens;
use super::traced::Traced;
use super::{Outcome, Probe, Verdict};

/// Probes targets of every protocol.
pub struct Prober {
    random: Arc<Random>,
    tls: TlsClients,
    resolver: SystemResolver,
    known: KnownAnswers,
    tokens: Tokens,
    judge: Judge,
    heartbeats: Option<Heartbeats>,
}

impl Prober {
    /// A prober. Nothing is loaded before the first probe needs it.
    #[must_use]
    pub fn new(random: Arc<Random>) -> Self {
        Self {
            random,
            tls: TlsClients::default(),
            resolver: SystemResolver::default(),
            known: KnownAnswers::default(),
            tokens: Tokens::default(),
            judge: Judge::default(),
            heartbeats: None,
        }
    }

    /// Adds the calls that heartbeats are judged by.
    #[must_use]
    pub fn with_heartbeats(self, heartbeats: Heartbeats) -> Self {
        Self { heartbeats: Some(heartbeats), ..self }
    }

    #[cfg(test)]
    pub(super) fn trusting(random: Arc<Random>, tls: TlsClients) -> Self {
        Self { tls, ..Self::new(random) }
    }

    async fn attempt(&self, target: &Target) -> Outcome {
        let traced = Traced::current(&self.random);
        if needs_roots(&target.check) {
            self.tls.load().await;
        }
        let several = target.family.is_several().then(|| first_peer(&target.check)).flatten();
        match several {
            Some(peer) => self.attempt_several(target, &traced, &peer).await,
            None => self.attempt_once(target, &traced, target.timeout, None).await,
        }
    }

    /// Tries every address of the peer by itself and at once.
    async fn attempt_several(&self, target: &Target, traced: &Traced, peer: &HostPort) -> Outcome {
        let mut attempt = Attempt::start(Phase::Resolve, target.timeout);
        let context = self.context(target, traced, None);
        let resolving = net::resolve_several(context.lookup(), &mut attempt, peer);
        let addresses = match tokio::time::timeout(target.timeout, resolving).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(failure)) => return self.outcome(target, traced, attempt, Some(failure)).await,
            Err(_) => {
                let failure = attempt.cut(target.timeout);
                return self.outcome(target, traced, attempt, Some(failure)).await;
            }
        };
        let resolve = attempt.timer.snapshot().resolve.filter(|_| peer.literal().is_none());
        let left = attempt.deadline.saturating_duration_since(Instant::now());
        let once = |address: &SocketAddr| {
            let pinned = Some((peer.host.as_str(), address.ip()));
            self.attempt_once(target, traced, left, pinned)
        };
        let outcomes = futures_util::future::join_all(addresses.iter().map(once)).await;
        let outcomes = addresses.iter().map(SocketAddr::ip).zip(outcomes).collect();
        let cached_name = attempt.facts.cached_name;
        match addresses::merge(resolve, outcomes) {
            Some(mut merged) => {
                merged.received.cached_name = cached_name;
                merged
            }
            None => self.outcome(target, traced, Attempt::start(Phase::Resolve, left), None).await,
        }
    }

    fn context<'a>(
        &'a self,
        target: &'a Target,
        traced: &'a Traced,
        pinned: Option<(&'a str, IpAddr)>,
    ) -> Context<'a> {
        Context {
            target,
            traced,
            tls: &self.tls,
            tokens: &self.tokens,
            random: &self.random,
            resolver: &self.resolver,
            known: &self.known,
            judge: &self.judge,
            heartbeats: self.heartbeats.as_ref(),
            pinned,
            keeps_body: false,
        }
    }

    async fn attempt_once(
        &self,
        target: &Target,
        traced: &Traced,
        timeout: Duration,
        pinned: Option<(&str, IpAddr)>,
    ) -> Outcome {
        let context = self.context(target, traced, pinned);
        let first = if pinned.is_some() { Phase::Connect } else { first_phase(&target.check) };
        let mut attempt = Attempt::start(first, timeout);
        let run = protocol(&target.check).run(&context, &mut attempt);
        let ran = tokio::time::timeout(timeout, run).await;
        attempt.note_first_byte();
        let failure = match ran {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some(attempt.cut(target.timeout)),
        };
        self.outcome(target, traced, attempt, failure).await
    }

    /// The outcome of an attempt that ended.
    async fn outcome(
        &self,
        target: &Target,
        traced: &Traced,
        attempt: Attempt,
        failure: Option<Failure>,
    ) -> Outcome {
        let Attempt { timer, mut facts, steps, deadline, received, .. } = attempt;
        let token_time = Some(timer.apart()).filter(|apart| !apart.is_zero());
        let (phases, total) = timer.stop();
        let verdict = match failure {
            Some(failure) => verdict(failure),
            None => {
                let wanted = (&*target.expect, &[][..]);
                let judged = self.judge.judge(target, wanted, &mut facts, (&phases, total), deadline).await;
                judged.verdict.map_or_else(verdict, |()| Verdict::Ok)
            }
        };
        Outcome {
            verdict,
            total,
            phases,
            status: facts.status,
            summary: summary(&target.check, &facts, steps.len()),
            address: facts.address,
            received: Received { token_time, ..facts.received(received) },
            certificate: facts.certificate.map(Box::new),
            steps,
            trace_id: traced.trace_id.clone(),
        }
    }
}

#[async_trait]
impl Probe for Prober {
    async fn probe(&self, target: &Target) -> Outcome {
        let span = tracing::info_span!(
            "probe",
            otel.kind = "client",
            otel.status_code = field::Empty,
            target = %target.name,
            url = %peer_of(&target.check),
            outcome = field::Empty,
            reason = field::Empty,
            status = field::Empty,
            cached_name = field::Empty,
        );
        let outcome = self.attempt(target).instrument(span.clone()).await;
        note(&span, &outcome);
        outcome
    }
}

fn protocol(check: &Check) -> &(dyn Protocol + Sync) {
    match check {
        Check::Http(http) => &**http,
        Check::Tcp(tcp) => &**tcp,
        Check::Dns(dns) => &**dns,
        Check::Icmp(icmp) => icmp,
        Check::Heartbeat(heartbeat) => heartbeat,
        Check::Grpc(grpc) => &**grpc,
        Check::WebSocket(websocket) => &**websocket,
        Check::Journey(journey) => &**journey,
    }
}

fn needs_roots(check: &Check) -> bool {
    if let Check::Journey(journey) = check {
        return journey.steps.iter().any(|step| !step.http.tls.insecure && step.http.tls.ca.is_none());
    }
    let options = match check {
        Check::Http(http) => {
            Some(&http.tls).filter(|_| http.url.scheme() == "https" || http.redirects.limit > 0)
        }
        Check::Tcp(tcp) => tcp.tls.as_ref().or_else(|| tcp.starttls.as_ref().map(|(_, options)| options)),
        Check::Dns(dns) => match &dns.transport {
            DnsTransport::Tls(options) => Some(&**options),
            _ => None,
        },
        Check::Grpc(grpc) => grpc.tls.as_ref(),
        Check::WebSocket(websocket) => Some(&websocket.tls).filter(|_| websocket.url.scheme() == "wss"),
        Check::Icmp(_) | Check::Heartbeat(_) | Check::Journey(_) => None,
    };
    options.is_some_and(|options| !options.insecure && options.ca.is_none())
}

/// The phase a probe begins with: an address that is written out needs no resolver.
fn first_phase(check: &Check) -> Phase {
    let needs_no_connection = match check {
        Check::Dns(dns) => matches!(dns.transport, DnsTransport::Udp),
        Check::Heartbeat(_) => true,
        _ => false,
    };
    if needs_no_connection {
        return Phase::Processing;
    }
    let is_literal = match check {
        Check::Http(http) => is_literal_request(http),
        Check::Journey(journey) => journey.steps.first().is_some_and(|step| is_literal_request(&step.http)),
        Check::WebSocket(websocket) => is_literal_url(&websocket.url),
        Check::Tcp(tcp) => tcp.address.literal().is_some(),
        Check::Grpc(grpc) => grpc.address.literal().is_some(),
        Check::Icmp(icmp) => HostPort { host: icmp.host.clone(), port: 0 }.literal().is_some(),
        Check::Dns(_) | Check::Heartbeat(_) => true,
    };
    if is_literal { Phase::Connect } else { Phase::Resolve }
}

/// The peer whose addresses are tried; none where a check chooses no address.
fn first_peer(check: &Check) -> Option<HostPort> {
    match check {
        Check::Http(http) if http.proxy.is_none() => host_of(&http.url, 80),
        Check::WebSocket(websocket) => host_of(&websocket.url, 80),
        Check::Tcp(tcp) => Some(tcp.address.clone()),
        Check::Grpc(grpc) => Some(grpc.address.clone()),
        Check::Icmp(icmp) => Some(HostPort { host: icmp.host.clone(), port: 0 }),
        Check::Http(_) | Check::Dns(_) | Check::Heartbeat(_) | Check::Journey(_) => None,
    }
}

/// Returns whether a request begins with an address that is written out: that of the proxy, where there is one.
fn is_literal_request(check: &HttpCheck) -> bool {
    let peer = host_of(&check.url, 80);
    let proxy = check.proxy.as_ref().filter(|proxy| peer.as_ref().is_some_and(|peer| proxy.applies_to(peer)));
    is_literal_url(proxy.map_or(&check.url, |proxy| &proxy.url))
}

fn is_literal_url(url: &Url) -> bool {
    host_of(url, 80).is_some_and(|peer| peer.literal().is_some())
}

/// The peer of a check for logs, traces and pages, without secrets.
#[must_use]
pub fn peer_of(check: &Check) -> String {
    match check {
        Check::Http(http) => redact_url(&http.url),
        Check::WebSocket(websocket) => redact_url(&websocket.url),
        Check::Journey(journey) => {
            let origin = journey.steps.first().map(|step| step.http.url.origin().ascii_serialization());
            origin.unwrap_or_default()
        }
        Check::Tcp(tcp) => format!("{}://{}", check.protocol(), tcp.address),
        Check::Grpc(grpc) if grpc.service.is_empty() => format!("grpc://{}", grpc.address),
        Check::Grpc(grpc) => format!("grpc://{}/{}", grpc.address, grpc.service),
        Check::Icmp(icmp) => format!("icmp://{}", icmp.host),
        Check::Heartbeat(heartbeat) => {
            format!("a call every {}", lookout_model::print_duration(heartbeat.every))
        }
        Check::Dns(dns) => format!("dns://{}/{}", dns.server, dns.query),
    }
}

/// The address of a check as blackbox_exporter takes it, without secrets; none where it has no address.
#[must_use]
pub fn instance_of(check: &Check) -> Option<String> {
    match check {
        Check::Http(http) => Some(redact_url(&http.url)),
        Check::WebSocket(websocket) => Some(redact_url(&websocket.url)),
        Check::Tcp(tcp) => Some(tcp.address.to_string()),
        Check::Grpc(grpc) => Some(grpc.address.to_string()),
        Check::Icmp(icmp) => Some(icmp.host.clone()),
        Check::Dns(dns) => Some(dns.server.to_string()),
        Check::Heartbeat(_) | Check::Journey(_) => None,
    }
}

/// The URL without credentials, and with the names of its parameters only.
fn redact_url(url: &Url) -> String {
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

/// The answer in a word.
fn summary(check: &Check, facts: &Facts, steps: usize) -> Option<String> {
    match check {
        Check::Http(_) | Check::WebSocket(_) => facts.status.map(|status| format!("status {status}")),
        Check::Tcp(_) => {
            facts.tls_version.map(str::to_owned).or_else(|| facts.address.map(|_| "connected".to_owned()))
        }
        Check::Dns(_) => facts.dns.as_ref().map(|dns| dns.code.clone()),
        Check::Icmp(_) => facts.body_size.map(|size| format!("{size} bytes echoed")),
        Check::Grpc(_) => facts.grpc_status.clone(),
        Check::Heartbeat(_) => Some("called in time".to_owned()),
        Check::Journey(_) => Some(format!("{steps} steps")),
    }
}

fn note(span: &Span, outcome: &Outcome) {
    if let Some(status) = outcome.status {
        span.record("status", status);
    }
    if outcome.received.cached_name {
        span.record("cached_name", true);
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
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_secrets() {
        let url = "https://user:pass@api.test:8443/v1/x?token=abc&n=1#frag".parse().unwrap();
        assert_eq!(redact_url(&url), "https://api.test:8443/v1/x?token=***&n=***");
        assert_eq!(redact_url(&"http://api.test/".parse().unwrap()), "http://api.test/");
    }
}
