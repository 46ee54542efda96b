//! `lookout watch`: probes the given URLs now, without any file.

use lookout_model::format;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use url::Url;

use super::exit::Exit;
use super::live::rows;
use super::run::stop_signal;
use super::{Log, output, runtime};
use crate::agent::{Agent, BuildError, Dependencies, View};
use lookout_collect::probe::Verdict;
use lookout_config::{Config, Secret, UrlOptions, config_of_urls};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// URLs to probe
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    /// A Slack incoming webhook to tell
    #[arg(long, env = "SLACK_WEBHOOK_URL", hide_env_values = true, value_name = "URL")]
    slack: Option<String>,
    /// An Alertmanager to tell
    #[arg(long, value_name = "URL")]
    alertmanager: Option<Url>,
    /// Address of the pages; another free port is taken when this one is in use
    #[arg(long, default_value = "127.0.0.1:9797", value_name = "ADDRESS")]
    listen: SocketAddr,
}

pub(super) fn run(options: Options, log: &Log) -> anyhow::Result<Exit> {
    let urls = parse_urls(&options.urls)?;
    let zero = UrlOptions {
        listen: options.listen,
        slack: options.slack.map(Secret::new),
        alertmanager: options.alertmanager,
        ..UrlOptions::default()
    };
    let config = config_of_urls(&urls, &zero);
    // the live view replaces the log, unless a level is given
    let level = if log.level == "info" { "error".to_owned() } else { log.level.clone() };
    let telemetry = Log { level, json: log.json }.start(None, None)?;
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let agent = build(config).await?;
        let view = agent.view();
        output::problem(&format!("watching; pages on http://{}, ctrl-c ends", view.address));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let show = async {
            show_until(view, stop_signal()).await;
            let _ = stop.send(());
        };
        tokio::join!(show, agent.run(async { drop(stopped.await) }));
        anyhow::Ok(())
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    telemetry.shutdown(Duration::from_secs(1));
    ended.context("watching")?;
    Ok(Exit::Fine)
}

/// Parses the URLs. An error names the position of the URL, not its text, which may hold a secret.
fn parse_urls(urls: &[String]) -> anyhow::Result<Vec<Url>> {
    let numbered = urls.iter().zip(1..);
    let parsed = numbered.map(|(text, place)| {
        lookout_config::parse_http_url(text).map_err(|(message, help)| {
            let which = if urls.len() > 1 { format!("URL {place}: ") } else { String::new() };
            let help = if help.is_empty() { help } else { format!("; {help}") };
            anyhow::anyhow!("{which}{message}{help}")
        })
    });
    parsed.collect()
}

async fn build(mut config: Config) -> anyhow::Result<Agent> {
    let dependencies = Dependencies::real(&config).await?;
    match Agent::build(config.clone(), dependencies.clone()).await {
        Err(BuildError::Listen { .. }) => {
            config.listen.set_port(0);
            Ok(Agent::build(config, dependencies).await?)
        }
        built => Ok(built?),
    }
}

async fn show_until(view: View, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut shown = String::new();
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        let now = render(&view);
        if output::is_terminal() {
            // back to the start of the last view, then over it
            let up = shown.lines().count();
            let erase = if up > 0 { format!("\x1b[{up}A\x1b[J") } else { String::new() };
            output::data(&(erase + &now));
            shown = now;
        } else if now != shown {
            output::data(&now);
            shown = now;
        }
    }
}

fn render(view: &View) -> String {
    let probes = view.latest.all().into_iter().map(|(name, seen)| {
        let (symbol, detail) = match &seen.outcome.verdict {
            Verdict::Ok => ("✔", seen.outcome.summary.clone().unwrap_or_default()),
            Verdict::Fail { detail, .. } => ("✖", format::printable(detail)),
        };
        let took = format::elapsed(seen.outcome.total);
        vec![symbol.to_owned(), name, took, detail]
    });
    let probes = output::table(&["", "probe", "took", "answer"], &probes.collect::<Vec<_>>());
    let header = ["", "slo", "objective", "sli", "budget left", "gone in", "state", "data", "incident"];
    let slos = output::table(&header, &rows(&view.board.read()));
    format!("{probes}\n{slos}\n")
}
