//! `lookout probe`: one probe, its phases as a waterfall, and the assertion that decided.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::{output, runtime};
use crate::report;
use lookout_collect::probe::{
    AddressResult, Certificate, Outcome, Probe as _, Prober, StepOutcome, Verdict, peer_of,
};
use lookout_config::Target;
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
        output::data(&report::text(&target, &outcome));
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
    let named = config.targets.into_iter().find(|target| target.name == options.target);
    named.map(|target| Ok(Arc::unwrap_or_clone(target))).ok_or_else(|| {
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
