//! `lookout probe`: one probe, its phases as a waterfall, and the assertion that decided.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use futures_util::StreamExt as _;
use serde_json::json;

use super::exit::Exit;
use super::{output, runtime};
use crate::report;
use lookout_collect::discover;
use lookout_collect::probe::{
    AddressResult, Certificate, Outcome, Probe as _, Prober, StepOutcome, Verdict, peer_of,
};
use lookout_config::{Config, Discovery, Target};
use lookout_runtime::random::Random;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The name of a target of the config, or a URL. NAME of a target with `discover` probes every address, NAME@ADDRESS one
    #[arg(value_name = "NAME|URL")]
    target: String,
    /// The config that knows the name
    #[arg(short, long, default_value = "lookout.yaml", value_name = "FILE")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Addresses that are probed at once.
const CONCURRENT_PROBES: usize = 16;

pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    let random = Arc::new(Random::from_seed(fastrand::u64(..)));
    let runtime = runtime()?;
    // an address of a target may be a URL: NAME@https://host
    let is_url = options.target.split_once("://").is_some_and(|(scheme, _)| !scheme.contains('@'));
    let found = if is_url {
        NamedTargets { targets: vec![Arc::new(of_url(&options.target)?)], is_template: false }
    } else {
        let config = match lookout_config::load(&options.config) {
            Ok((config, _)) => config,
            Err(diagnostics) => {
                output::problem(&diagnostics.render(output::colour()));
                return Ok(Exit::Usage);
            }
        };
        runtime.block_on(find(options, config, &random))?
    };
    let prober = Prober::new(random);
    let probes = futures_util::stream::iter(&found.targets).map(|target| prober.probe(target));
    let outcomes: Vec<Outcome> = runtime.block_on(probes.buffered(CONCURRENT_PROBES).collect());
    let probed = || found.targets.iter().zip(&outcomes);
    match (options.json, found.is_template) {
        (true, false) => probed().for_each(|(target, one)| output::line(&as_json(target, one).to_string())),
        (true, true) => {
            let all: Vec<_> = probed().map(|(target, one)| as_json(target, one)).collect();
            output::line(&serde_json::Value::from(all).to_string());
        }
        (false, _) => probed().for_each(|(target, one)| output::data(&report::text(target, one))),
    }
    if found.is_template && !options.json {
        let good = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        output::line(&format!("{good} of {} addresses are good", outcomes.len()));
    }
    Ok(if outcomes.iter().all(Outcome::is_ok) { Exit::Fine } else { Exit::No })
}

/// Targets of one name.
struct NamedTargets {
    targets: Vec<Arc<Target>>,
    /// True if the name is that of a target with `discover`, whose addresses they are.
    is_template: bool,
}

fn of_url(text: &str) -> anyhow::Result<Target> {
    // the URL itself is not repeated: it may hold a secret
    let url = url::Url::parse(text).map_err(|error| anyhow::anyhow!("this is not a URL: {error}"))?;
    if matches!(url.scheme(), "http" | "https") {
        lookout_config::parse_http_url(text)
            .map_err(|(message, help)| anyhow::anyhow!("{}", [message, help].join("; ")))?;
    }
    let target = Target::of_url(&url);
    target.ok_or_else(|| {
            anyhow::anyhow!(
                "this URL does not say what to probe; schemes are {}, and `dns://10.0.0.2/example.org` names the server first",
                lookout_config::SCHEMES.join(", ")
            )
        })
}

/// Finds the targets of a name. The source of a target with `discover` is asked once.
async fn find(options: &Options, mut config: Config, random: &Arc<Random>) -> anyhow::Result<NamedTargets> {
    let name = &options.target;
    let template = |one: &&Discovery| {
        one.name == *name || name.strip_prefix(&one.name).is_some_and(|rest| rest.starts_with('@'))
    };
    let template = config.discoveries.iter().find(template).cloned();
    if let Some(discovery) = template.as_ref().filter(|one| one.read.is_none()) {
        config.targets = look_up(discovery, random).await?;
    }
    let is_template = template.as_ref().is_some_and(|one| one.name == *name);
    let is_wanted = |target: &Arc<Target>| match is_template {
        true => target.group.as_ref() == Some(name),
        false => target.name == *name,
    };
    let (targets, others): (Vec<_>, Vec<_>) = config.targets.into_iter().partition(is_wanted);
    if targets.is_empty() {
        let mut known: Vec<String> = others.iter().map(|target| target.name.clone()).collect();
        if template.is_none() {
            known.extend(config.discoveries.into_iter().map(|one| one.name));
        }
        let file = options.config.display();
        anyhow::bail!("{file} has no target `{name}`; it has {}", known.join(", "));
    }
    Ok(NamedTargets { targets, is_template })
}

async fn look_up(discovery: &Discovery, random: &Arc<Random>) -> anyhow::Result<Vec<Arc<Target>>> {
    let (name, source) = (&discovery.name, discovery.source.kind());
    let discoverer = discover::discoverer(&discovery.source, random);
    let looked = discover::look_up(&*discoverer).await;
    let found = looked
        .map_err(|error| error.to_string())
        .and_then(|found| found.ok_or_else(|| "the source is being changed".to_owned()));
    let targets = found.and_then(|found| discovery.targets(&found));
    let targets = targets.map_err(|error| {
        let error = lookout_model::format::printable(&error).to_string();
        anyhow::anyhow!("the addresses of `{name}` cannot be looked up ({source}): {error}")
    })?;
    Ok(targets.into_iter().map(Arc::new).collect())
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
        "proxy": outcome.received.proxy, "tls_resumed": outcome.received.resumed, "cached_name": outcome.received.cached_name,
        "token_seconds": outcome.received.token_time.map(|time| time.as_secs_f64()),
        "certificate": outcome.certificate.as_deref().map(certificate_json),
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
