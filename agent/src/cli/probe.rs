//! `lookout probe`: one probe, its phases as a waterfall, and the assertion that decided.

use lookout_model::format;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::{output, runtime};
use lookout_collect::probe::{
    AddressResult, Certificate, Outcome, Probe as _, Prober, Received, StepOutcome, Verdict, peer_of,
};
use lookout_config::{Check, Target};
use lookout_runtime::random::Random;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The name of a target of the config, or a URL
    #[arg(value_name = "NAME|URL")]
    target: String,
    /// The config that knows the name
    #[arg(short, long, default_value = "lookout.yaml", value_name = "FILE")]
    config: PathBuf,
    /// For machines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    let target = match find(options)? {
        Ok(target) => target,
        Err(exit) => return Ok(exit),
    };
    let prober = Prober::new(Arc::new(Random::from_seed(fastrand::u64(..))));
    let outcome = runtime()?.block_on(prober.probe(&target));
    if options.json {
        output::line(&as_json(&target, &outcome).to_string());
    } else {
        output::data(&as_text(&target, &outcome));
    }
    Ok(if outcome.is_ok() { Exit::Fine } else { Exit::No })
}

fn find(options: &Options) -> anyhow::Result<Result<Target, Exit>> {
    if options.target.contains("://") {
        // the URL itself is not repeated: it may hold a secret
        let url = url::Url::parse(&options.target)
            .map_err(|error| anyhow::anyhow!("this is not a URL: {error}"))?;
        if matches!(url.scheme(), "http" | "https") {
            lookout_config::parse_http_url(&options.target)
                .map_err(|(message, help)| anyhow::anyhow!("{}", [message, help].join("; ")))?;
        }
        let target = Target::of_url(&url);
        return target.map(Ok).ok_or_else(|| {
            anyhow::anyhow!(
                "this URL does not say what to probe; schemes are {}, and `dns://10.0.0.2/example.org` names the server first",
                lookout_config::SCHEMES.join(", ")
            )
        });
    }
    let config = match lookout_config::load(&options.config) {
        Ok((config, _)) => config,
        Err(diagnostics) => {
            output::problem(&diagnostics.render(output::colour()));
            return Ok(Err(Exit::Usage));
        }
    };
    let names: Vec<String> = config.targets.iter().map(|target| target.name.clone()).collect();
    config.targets.into_iter().find(|target| target.name == options.target).map(Ok).ok_or_else(|| {
        anyhow::anyhow!(
            "{} has no target `{}`; it has {}",
            options.config.display(),
            options.target,
            names.join(", ")
        )
    })
}

fn as_json(target: &Target, outcome: &Outcome) -> serde_json::Value {
    let (reason, detail) = match &outcome.verdict {
        Verdict::Ok => (None, None),
        Verdict::Fail { reason, detail } => (Some(reason.as_str()), Some(detail)),
    };
    let phases: serde_json::Map<String, serde_json::Value> = outcome
        .phases
        .named()
        .into_iter()
        .filter_map(|(name, duration)| Some((name.to_owned(), json!(duration?.as_secs_f64()))))
        .collect();
    json!({
        "target": target.name, "protocol": target.check.protocol(), "url": peer_of(&target.check),
        "ok": outcome.is_ok(), "reason": reason, "detail": detail, "status": outcome.status,
        "answer": outcome.summary, "address": outcome.address.map(|address| address.to_string()),
        "addresses": outcome.received.addresses.iter().map(address_json).collect::<Vec<_>>(),
        "proxy": outcome.received.proxy, "tls_resumed": outcome.received.resumed,
        "token_seconds": outcome.received.token_time.map(|time| time.as_secs_f64()),
        "certificate": outcome.certificate.as_ref().map(certificate_json),
        "steps": outcome.steps.iter().map(step_json).collect::<Vec<_>>(),
        "total_seconds": outcome.total.as_secs_f64(), "phases_seconds": phases, "trace_id": outcome.trace_id,
    })
}

fn address_json(result: &AddressResult) -> serde_json::Value {
    json!({
        "address": result.address.to_string(), "ok": result.failure.is_none(), "failure": result.failure,
        "total_seconds": result.total.as_secs_f64(),
    })
}

fn step_json(step: &StepOutcome) -> serde_json::Value {
    let (reason, detail) = match &step.verdict {
        Verdict::Ok => (None, None),
        Verdict::Fail { reason, detail } => (Some(reason.as_str()), Some(detail)),
    };
    json!({
        "name": step.name, "ok": reason.is_none(), "reason": reason, "detail": detail, "status": step.status,
        "total_seconds": step.total.as_secs_f64(),
    })
}

fn certificate_json(certificate: &Certificate) -> serde_json::Value {
    json!({
        "subject": certificate.subject, "issuer": certificate.issuer, "names": certificate.names,
        "days_left": certificate.days_left, "not_after": certificate.not_after_s,
        "verified": certificate.verified_not_after_s.is_some(), "sha256": certificate.fingerprint,
    })
}

const BAR: usize = 40;

fn as_text(target: &Target, outcome: &Outcome) -> String {
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
        text += &format!("  {name:<10} {:>9}  {bar}\n", milliseconds(duration));
        before += duration;
    }
    text += &format!("  {:<10} {:>9}\n", "total", milliseconds(outcome.total));
    text += &way(&outcome.received);
    for step in &outcome.steps {
        let result = match &step.verdict {
            Verdict::Ok => format!("status {}", step.status.unwrap_or_default()),
            Verdict::Fail { reason, detail } => format!("{}: {}", reason.as_str(), format::printable(detail)),
        };
        text += &format!("  step {:<15} {:>9}  {result}\n", step.name, milliseconds(step.total));
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
        text += &format!("  {:<10} {:>9}  apart from the total\n", "token", milliseconds(time));
    }
    if let Some(proxy) = &received.proxy {
        text += &format!("  by the proxy {}\n", format::printable(proxy));
    }
    for one in &received.addresses {
        let result = one.failure.as_deref().map_or_else(|| "ok".to_owned(), format::printable);
        text += &format!("  {:<20} {:>9}  {result}\n", one.address.to_string(), milliseconds(one.total));
    }
    if received.resumed == Some(true) {
        text += "  a resumed session of TLS: no certificate was verified\n";
    }
    text
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}
