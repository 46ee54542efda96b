//! `lookout drill`: a rehearsal of the whole way of a page, from the running agent's outbox to every destination.

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use http::Method;
use lookout_config::Secret;
use lookout_model::{format, parse_duration};
use serde::Deserialize;
use serde_json::json;

use super::exit::Exit;
use super::{AgentUrl, output, runtime, status};

/// Time between two looks at the deliveries.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The SLO, as <service>-<slo>
    slo: String,
    #[command(flatten)]
    agent: AgentUrl,
    /// Severity of the drill
    #[arg(long, default_value = "page")]
    severity: Severity,
    /// Length until the drill is resolved, up to an hour
    #[arg(long = "for", default_value = "30s", value_name = "DURATION")]
    length: String,
    /// Longest time that a destination may take
    #[arg(long, default_value = "60s", value_name = "DURATION")]
    within: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Severity {
    Page,
    Ticket,
}

#[derive(Debug, Deserialize)]
struct DrillStarted {
    incident_id: String,
    destinations: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    deliveries: Vec<Delivery>,
}

#[derive(Debug, Clone, Deserialize)]
struct Delivery {
    destination: String,
    change: String,
    state: String,
    attempts: u32,
    error: Option<String>,
}

impl DrillStarted {
    /// Returns whether it is known of each destination what became of the begin and the end. Acknowledgements and
    /// escalations may come in between.
    fn is_known(&self, seen: &[TimedDelivery]) -> bool {
        self.destinations.iter().all(|name| {
            let of = |change: &str| {
                let same =
                    |one: &TimedDelivery| one.delivery.destination == *name && one.delivery.change == change;
                seen.iter().any(same)
            };
            of("opened") && of("resolved")
        })
    }
}

/// A delivery with the time until its state was known.
struct TimedDelivery {
    delivery: Delivery,
    after: Duration,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    let time = |flag: &str, text: &str| {
        parse_duration(text).map_err(|what| anyhow::anyhow!("{flag}: expected {what}"))
    };
    let (length, within) = (time("--for", &options.length)?, time("--within", &options.within)?);
    let severity = match options.severity {
        Severity::Page => "page",
        Severity::Ticket => "ticket",
    };
    let body = json!({ "slo": options.slo, "severity": severity, "seconds": length.as_secs() });
    let token = options.agent.token()?;
    let url = options.agent.api("drills")?;
    runtime()?.block_on(async {
        let (status, text) = match status::request(Method::POST, url, token.as_ref(), Some(&body)).await {
            Ok(answer) => answer,
            Err(error) => {
                output::problem(&format!("error: the agent cannot be reached: {error:#}"));
                return Ok(Exit::Unreachable);
            }
        };
        if !status.is_success() {
            output::problem(&format!("error: the agent refused it: {}", format::printable(&text)));
            return Ok(if status.is_client_error() { Exit::Usage } else { Exit::Unreachable });
        }
        let begun: DrillStarted =
            serde_json::from_str(&text).context("the agent's answer is of another version")?;
        if begun.destinations.is_empty() {
            output::problem("error: no destination takes this severity: nobody hears of such an incident");
            return Ok(Exit::No);
        }
        let longest = length + within;
        let (waits, count) = (format::elapsed(longest), begun.destinations.len());
        output::problem(&format!(
            "drill {} began; up to {waits} for {count} destinations",
            begun.incident_id
        ));
        follow(options, token.as_ref(), &begun, longest).await
    })
}

/// Waits for both changes at every destination, and shows what became of them.
async fn follow(
    options: &Options,
    token: Option<&Secret>,
    begun: &DrillStarted,
    longest: Duration,
) -> anyhow::Result<Exit> {
    let started = tokio::time::Instant::now();
    let mut url = options.agent.api("deliveries")?;
    url.query_pairs_mut().append_pair("incident", &begun.incident_id);
    let mut seen: Vec<TimedDelivery> = Vec::new();
    let mut last: Vec<Delivery> = Vec::new();
    // a request that fails once is made again
    while !begun.is_known(&seen) && started.elapsed() < longest {
        if let Ok((status, text)) = status::get(url.clone(), token).await
            && status.is_success()
        {
            let answer: Answer =
                serde_json::from_str(&text).context("the agent's answer is of another version")?;
            last = answer.deliveries;
            for delivery in last.iter().filter(|one| one.state != "waiting") {
                let known = |one: &TimedDelivery| {
                    (&one.delivery.destination, &one.delivery.change)
                        == (&delivery.destination, &delivery.change)
                };
                if !seen.iter().any(known) {
                    let Delivery { destination, change, state, .. } = delivery;
                    output::problem(&format!("{destination}: {change} {state}"));
                    seen.push(TimedDelivery { delivery: delivery.clone(), after: started.elapsed() });
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for delivery in last.into_iter().filter(|one| one.state == "waiting") {
        seen.push(TimedDelivery { delivery, after: started.elapsed() });
    }
    show(options, begun, &seen);
    let all = begun.is_known(&seen);
    let arrived = seen.iter().all(|one| one.delivery.state == "delivered");
    Ok(if all && arrived { Exit::Fine } else { Exit::No })
}

fn show(options: &Options, begun: &DrillStarted, seen: &[TimedDelivery]) {
    if options.json {
        let rows: Vec<_> = seen
            .iter()
            .map(|one| {
                json!({
                    "destination": one.delivery.destination, "change": one.delivery.change,
                    "state": one.delivery.state, "attempts": one.delivery.attempts,
                    "after_seconds": one.after.as_secs_f64(), "error": one.delivery.error,
                })
            })
            .collect();
        output::line(&json!({ "incident_id": begun.incident_id, "deliveries": rows }).to_string());
        return;
    }
    let row = |one: &TimedDelivery| {
        let error = one.delivery.error.as_deref().map(format::printable).unwrap_or_default();
        vec![
            one.delivery.destination.clone(),
            one.delivery.change.clone(),
            one.delivery.state.clone(),
            format::elapsed(one.after),
            error,
        ]
    };
    let rows: Vec<Vec<String>> = seen.iter().map(row).collect();
    output::data(&output::table(&["destination", "change", "state", "known after", ""], &rows));
}
