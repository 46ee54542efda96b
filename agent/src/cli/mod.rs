//! One verb per job. Data go to stdout, everything else to stderr; `lookout --help` lists the exit codes.

mod backtest;
mod check;
mod correction;
mod deliver;
mod drill;
mod exit;
mod gate;
mod generate;
mod healthcheck;
mod import;
mod incident;
mod ledger;
pub(crate) mod live;
mod notify;
mod output;
mod probe;
mod rates;
mod reload;
mod run;
mod schema;
mod silence;
mod simulate;
mod status;
mod target;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;

use exit::Exit;
use lookout_config::{Otlp, Secret};
use lookout_export::{Telemetry, TelemetryConfig};

/// Watches an API: probes, error budgets, one incident, the deploy gate.
#[derive(Debug, Parser)]
#[command(name = "lookout", version, max_term_width = 110, after_help = exit::table())]
struct Cli {
    /// Level of the log on stderr (`info`, `debug`, `lookout_collect=trace`, …)
    #[arg(long, global = true, env = "LOOKOUT_LOG_LEVEL", default_value = "info", value_name = "FILTER")]
    log_level: String,
    /// Format of the log
    #[arg(long, global = true, env = "LOOKOUT_LOG", default_value = "text", value_name = "FORMAT")]
    log: LogForm,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogForm {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the agent
    Run(ConfigFile),
    /// Probe these URLs now with a default SLO, without any file, and show what is found
    Watch(watch::Options),
    /// Validate config and specs
    Check(check::Options),
    /// Show when every tier would fire and resolve
    Simulate(simulate::Options),
    /// Show what alerting would have done about counts of the past
    Backtest(Box<backtest::Options>),
    /// Write rules, rule tests, routes, dashboards and heads of runbooks from the specs
    Generate(generate::Options),
    /// Convert SLO specs of other tools
    Import(import::Options),
    /// Probe once and show where the time went
    Probe(probe::Options),
    /// Ask the running agent about deploys
    #[command(subcommand)]
    Gate(gate::Verb),
    /// Exclude time from the budget: planned maintenance, or spend that was nobody's fault
    #[command(subcommand)]
    Correction(correction::Verb),
    /// Pause targets, and probe them again
    #[command(subcommand)]
    Target(target::Verb),
    /// List and acknowledge incidents of the running agent
    #[command(subcommand)]
    Incident(incident::Verb),
    /// Create, list and end silences: no messages about incidents for a time
    #[command(subcommand)]
    Silence(silence::Verb),
    /// Messages that a destination refused
    #[command(subcommand)]
    Deliver(deliver::Verb),
    /// Test destinations without an incident
    #[command(subcommand)]
    Notify(notify::Verb),
    /// Rehearse an incident: it goes the whole way of a page, and touches neither budget nor gate
    Drill(drill::Options),
    /// Back the ledger up while the agent runs, check it, put it back
    #[command(subcommand)]
    Ledger(ledger::Verb),
    /// Show budgets and alerts of the running agent
    Status(status::Options),
    /// Show with the exit code whether the running agent is ready
    Healthcheck(healthcheck::Options),
    /// The JSON Schema of what people write, for editors
    Schema(schema::Options),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The config of the agent
    #[arg(short, long, default_value = "lookout.yaml", value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct AgentUrl {
    /// Address of the agent
    #[arg(long, env = "LOOKOUT_URL", default_value = "http://127.0.0.1:9797", value_name = "URL")]
    url: Url,
    /// A file with the token to send, if the agent asks for one; else the variable LOOKOUT_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl AgentUrl {
    /// Returns the address of a resource of the API, below the given path: a proxy may serve the agent under one.
    fn api(&self, resource: &str) -> anyhow::Result<Url> {
        let path: Vec<&str> = ["api", "v1"].into_iter().chain(resource.split('/')).collect();
        self.resource(&path)
    }

    /// Returns the address of a path of the agent.
    fn resource(&self, path: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => anyhow::bail!("--url must be an http(s) URL, like http://127.0.0.1:9797"),
        };
        Ok(url)
    }

    /// Returns the token to send. It comes from a file or the environment, where other users of this machine do not
    /// see it, and is never shown.
    fn token(&self) -> anyhow::Result<Option<Secret>> {
        let (text, place) = match &self.token_file {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("reading the token in {}", file.display()))?;
                (text, file.display().to_string())
            }
            None => match std::env::var(TOKEN_VARIABLE) {
                Ok(text) if !text.is_empty() => (text, TOKEN_VARIABLE.to_owned()),
                Ok(_) | Err(std::env::VarError::NotPresent) => return Ok(None),
                Err(std::env::VarError::NotUnicode(_)) => anyhow::bail!("{TOKEN_VARIABLE} is no text"),
            },
        };
        let token = text.trim();
        let sendable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        anyhow::ensure!(sendable, "{place} holds no token: one line of visible characters is expected");
        Ok(Some(Secret::new(token)))
    }
}

const TOKEN_VARIABLE: &str = "LOOKOUT_TOKEN";

/// Parses the command line and runs the verb.
#[must_use]
pub fn main() -> ExitCode {
    // the only TLS provider; a second installation would fail, which cannot happen here and has no effect
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Fine.into() };
        }
    };
    match dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::problem(&format!("error: {error:#}"));
            Exit::Usage.into()
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    let log = Log { level: cli.log_level, json: matches!(cli.log, LogForm::Json) };
    match cli.verb {
        Verb::Run(options) => run::run(&options.config, &log),
        Verb::Watch(options) => watch::run(options, &log),
        Verb::Check(options) => check::run(&options),
        Verb::Simulate(options) => simulate::run(&options),
        Verb::Backtest(options) => backtest::run(&options),
        Verb::Generate(options) => generate::run(&options),
        Verb::Import(options) => import::run(&options),
        Verb::Probe(options) => probe::run(&options),
        Verb::Gate(gate::Verb::Check(options)) => gate::check(&options),
        Verb::Correction(verb) => correction::run(&verb),
        Verb::Target(verb) => target::run(&verb),
        Verb::Incident(verb) => incident::run(&verb),
        Verb::Silence(verb) => silence::run(&verb),
        Verb::Deliver(verb) => deliver::run(&verb),
        Verb::Notify(verb) => notify::run(&verb, &log),
        Verb::Drill(options) => drill::run(&options),
        Verb::Ledger(verb) => ledger::run(&verb),
        Verb::Status(options) => status::run(&options),
        Verb::Healthcheck(options) => healthcheck::run(&options),
        Verb::Schema(options) => {
            schema::run(&options);
            Ok(Exit::Fine)
        }
    }
}

/// Format of the agent's own log.
struct Log {
    level: String,
    json: bool,
}

impl Log {
    /// Starts the log, and the export of telemetry if there is a collector.
    fn start(&self, otlp: Option<&Otlp>, environment: Option<&str>) -> anyhow::Result<Telemetry> {
        let config = TelemetryConfig {
            level: self.level.clone(),
            json: self.json,
            otlp_endpoint: otlp.map(|otlp| otlp.endpoint.clone()),
            otlp_logs: otlp.is_some_and(|otlp| otlp.logs),
            environment: environment.map(str::to_owned),
        };
        lookout_export::init(&config).map_err(|error| anyhow::anyhow!("starting the log: {error}"))
    }
}

/// Creates a runtime with few threads: probes and pages wait for the network, not for cores.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(cores.min(2)).enable_all().build()?)
}
