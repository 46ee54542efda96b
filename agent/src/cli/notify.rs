//! `lookout notify`: a marked message to each destination, sent from here and not by the agent, and the destinations that
//! hear of an SLO.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use lookout_config::{Config, Destination, Slo};
use lookout_deliver::{Grouping, receiver};
use lookout_engine::Severity;
use lookout_model::{Delivery, Notice, Timestamp, format};
use lookout_runtime::clock::{Clock, SystemClock};
use serde_json::json;

use super::exit::Exit;
use super::{Log, output, runtime};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Send a marked test message to destinations of the config and show what each answers
    Test(TestOptions),
    /// Show which destinations hear of an incident of an SLO at a time, and why the others do not
    Route(RouteOptions),
}

#[derive(Debug, Args)]
pub(super) struct RouteOptions {
    /// The SLO, as <service>-<slo>
    slo: String,
    /// The config that knows SLOs and destinations
    #[arg(short, long, default_value = "lookout.yaml", value_name = "FILE")]
    config: PathBuf,
    /// Time as in 2026-11-21T03:00:00Z; now, unless it is given
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct TestOptions {
    /// The destination; all, unless one is named
    destination: Option<String>,
    /// The config that knows the destinations
    #[arg(short, long, default_value = "lookout.yaml", value_name = "FILE")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Answer of one destination.
struct Answer {
    destination: String,
    /// The reason of a refusal.
    error: Option<String>,
}

pub(super) fn run(verb: &Verb, log: &Log) -> anyhow::Result<Exit> {
    match verb {
        Verb::Test(options) => run_test(options, log),
        Verb::Route(options) => show_route(options),
    }
}

/// Returns the configuration; `None` after its faults were shown.
fn load(file: &Path) -> Option<Config> {
    match lookout_config::load(file) {
        Ok((config, warnings)) => {
            if !warnings.list.is_empty() {
                output::problem(&warnings.render(output::colour()));
            }
            Some(config)
        }
        Err(diagnostics) => {
            output::problem(&diagnostics.render(output::colour()));
            None
        }
    }
}

fn show_route(options: &RouteOptions) -> anyhow::Result<Exit> {
    let Some(config) = load(&options.config) else { return Ok(Exit::Usage) };
    let Some(slo) = config.slo(&options.slo) else {
        let known: Vec<String> = config.slos.iter().map(Slo::id).take(20).collect();
        anyhow::bail!("there is no SLO {:?}; known are {}", options.slo, known.join(", "));
    };
    let at = options.at.map_or_else(|| SystemClock.now(), |at| Timestamp::from_seconds(at.as_second()));
    let taken = |one: &Destination, severity| match one.check_takes(slo, severity, at) {
        Ok(()) => "yes".to_owned(),
        Err(reason) => reason.to_string(),
    };
    let rows: Vec<Vec<String>> = config
        .destinations
        .iter()
        .map(|one| vec![one.name.clone(), taken(one, Severity::Page), taken(one, Severity::Ticket)])
        .collect();
    if options.json {
        let row = |one: &Destination| {
            json!({
                "destination": one.name,
                "page": one.takes(slo, Severity::Page, at),
                "ticket": one.takes(slo, Severity::Ticket, at),
            })
        };
        let rows: Vec<_> = config.destinations.iter().map(row).collect();
        output::line(&json!({ "slo": slo.id(), "at_ms": at.as_millis(), "destinations": rows }).to_string());
    } else {
        output::data(&output::table(&["destination", "page", "ticket"], &rows));
    }
    let heard = config.destinations.iter().any(|one| one.takes(slo, Severity::Page, at));
    Ok(if heard { Exit::Fine } else { Exit::No })
}

fn run_test(options: &TestOptions, log: &Log) -> anyhow::Result<Exit> {
    let Some(config) = load(&options.config) else { return Ok(Exit::Usage) };
    let wanted = |one: &&Destination| options.destination.as_ref().is_none_or(|name| *name == one.name);
    let destinations: Vec<&Destination> = config.destinations.iter().filter(wanted).collect();
    if destinations.is_empty() {
        let names: Vec<&str> = config.destinations.iter().map(|one| one.name.as_str()).collect();
        anyhow::ensure!(!names.is_empty(), "{} has no destination in use", options.config.display());
        anyhow::bail!("there is no such destination in use; there are {}", names.join(", "));
    }
    let _telemetry = log.start(None, None)?;
    let answers = runtime()?.block_on(async {
        let tests = destinations.into_iter().map(|destination| test(&config, destination));
        futures_util::future::join_all(tests).await
    });
    if options.json {
        let answers: Vec<_> = answers
            .iter()
            .map(|one| json!({ "destination": one.destination, "accepted": one.error.is_none(), "error": one.error }))
            .collect();
        output::line(&json!({ "destinations": answers }).to_string());
    } else {
        let row = |one: &Answer| {
            let said =
                one.error.clone().map_or_else(|| "accepted".to_owned(), |error| format!("refused: {error}"));
            vec![one.destination.clone(), format::printable(&said)]
        };
        output::data(&output::table(
            &["destination", "answer"],
            &answers.iter().map(row).collect::<Vec<_>>(),
        ));
    }
    Ok(if answers.iter().all(|one| one.error.is_none()) { Exit::Fine } else { Exit::No })
}

async fn test(config: &Config, destination: &Destination) -> Answer {
    let answer = |error| Answer { destination: destination.name.clone(), error };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let receiver = match receiver(destination, Arc::clone(&clock)) {
        Ok(receiver) => receiver,
        Err(error) => return answer(Some(error.to_string())),
    };
    let opened = lookout_evaluate::test_notice(config, destination, clock.now());
    let delivery = |notice: Notice| Delivery {
        id: 0,
        destination: destination.name.clone(),
        notice,
        attempts: 0,
        unsure: false,
        thread: None,
    };
    if let Err(refused) = receiver.deliver(&delivery(opened.clone())).await {
        return answer(Some(refused.error));
    }
    // a receiver that keeps an alert open would go on about a test
    if receiver.grouping() == Grouping::Alone {
        let end = lookout_evaluate::ended(&opened, clock.now());
        if let Err(refused) = receiver.deliver(&delivery(end)).await {
            return answer(Some(format!("the test is open and was not closed: {}", refused.error)));
        }
    }
    answer(None)
}
