//! Report of one probe for people.

use std::time::Duration;

use lookout_collect::probe::{Outcome, Received, Verdict, peer_of};
use lookout_config::{Check, Target};
use lookout_model::format;

/// Characters of the widest bar.
const BAR: usize = 40;

/// Draws the phases of a probe, its steps, its certificate and its verdict.
pub(crate) fn text(target: &Target, outcome: &Outcome) -> String {
    let verb = match &target.check {
        Check::Http(http) => http.method.as_str(),
        other => other.protocol(),
    };
    let mut text = format!("{verb} {}\n", format::printable(&peer_of(&target.check)));
    let total = outcome.total.as_secs_f64().max(f64::EPSILON);
    let mut before = Duration::ZERO;
    for (name, duration) in outcome.phases.named() {
        let Some(duration) = duration else { continue };
        let cells = |d: Duration| ((d.as_secs_f64() / total * BAR as f64).round() as usize).min(BAR);
        let start = cells(before);
        let length = cells(before + duration).saturating_sub(start);
        let bar = format!("{}{}", " ".repeat(start), "█".repeat(length.max(1)));
        text += &format!("  {name:<10} {:>9}  {bar}\n", format::elapsed(duration));
        before += duration;
    }
    text += &format!("  {:<10} {:>9}\n", "total", format::elapsed(outcome.total));
    text += &way(&outcome.received);
    for step in &outcome.steps {
        let result = match &step.verdict {
            Verdict::Ok => format!("status {}", step.status.unwrap_or_default()),
            Verdict::Fail { reason, detail } => format!("{}: {}", reason.as_str(), format::printable(detail)),
        };
        text += &format!("  step {:<15} {:>9}  {result}\n", step.name, format::elapsed(step.total));
    }
    if let Some(certificate) = &outcome.certificate {
        let names = certificate.names.join(", ");
        let issuer = format::printable(&certificate.issuer);
        let verified = if certificate.verified_not_after_s.is_some() { "verified" } else { "not verified" };
        text += &format!("  certificate of {issuer}, {} days left, {verified}", certificate.days_left);
        text += &format!(", for {}\n", format::printable(&names));
    }
    text += &match &outcome.verdict {
        Verdict::Ok => {
            format!("ok: {}\n", format::printable(outcome.summary.as_deref().unwrap_or("answered")))
        }
        Verdict::Fail { reason, detail } => {
            format!("failed ({}): {}\n", reason.as_str(), format::printable(detail))
        }
    };
    text + &format!("trace {}\n", outcome.trace_id)
}

/// The way to the target, where it is not the usual one.
fn way(received: &Received) -> String {
    let mut text = String::new();
    if let Some(time) = received.token_time {
        text += &format!("  {:<10} {:>9}  apart from the total\n", "token", format::elapsed(time));
    }
    if let Some(proxy) = &received.proxy {
        text += &format!("  by the proxy {}\n", format::printable(proxy));
    }
    for one in &received.addresses {
        let result = one.failure.as_deref().map_or_else(|| "ok".to_owned(), format::printable);
        text += &format!("  {:<20} {:>9}  {result}\n", one.address.to_string(), format::elapsed(one.total));
    }
    if received.cached_name {
        text += "  the name was resolved by an answer that was kept: resolve took no time\n";
    }
    if received.resumed == Some(true) {
        text += "  a resumed session of TLS: no certificate was verified\n";
    }
    text
}
