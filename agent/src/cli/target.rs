//! `lookout target`: pauses of the running agent's targets.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use http::Method;
use lookout_model::{Pause, PauseRecord, format};
use lookout_runtime::clock::{Clock as _, SystemClock};
use serde::Deserialize;
use serde_json::json;

use super::exit::Exit;
use super::status::answer_of;
use super::{AgentUrl, output};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show every target and its pause
    List(ListOptions),
    /// Stop probing a target for a while; its time counts as unseen
    Pause(PauseOptions),
    /// End a pause
    Resume(ResumeOptions),
}

#[derive(Debug, Args)]
pub(super) struct ListOptions {
    #[command(flatten)]
    agent: AgentUrl,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PauseOptions {
    #[command(flatten)]
    agent: AgentUrl,
    /// Name of the target
    name: String,
    /// Length (`2h`), at most 30d
    #[arg(long = "for", value_name = "DURATION")]
    length: String,
    /// Reason, for everyone who sees the figures
    #[arg(long)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ResumeOptions {
    #[command(flatten)]
    agent: AgentUrl,
    /// Name of the target
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(verb: &Verb) -> anyhow::Result<Exit> {
    match verb {
        Verb::List(options) => list(options),
        Verb::Pause(options) => {
            let body = json!({ "for": options.length, "reason": options.reason });
            let url = options.agent.api(&path(&options.name, "pause")?)?;
            match answer_of(&options.agent, Method::POST, url, Some(&body))? {
                Ok(answer) => show(&answer, options.json),
                Err(exit) => Ok(exit),
            }
        }
        Verb::Resume(options) => {
            let url = options.agent.api(&path(&options.name, "resume")?)?;
            match answer_of(&options.agent, Method::POST, url, None)? {
                Ok(answer) => show(&answer, options.json),
                Err(exit) => Ok(exit),
            }
        }
    }
}

fn path(name: &str, action: &str) -> anyhow::Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = !name.is_empty() && name.chars().all(fits) && name.chars().any(|c| c != '.');
    anyhow::ensure!(is_name, "{name:?} cannot be the name of a target");
    Ok(format!("targets/{name}/{action}"))
}

#[derive(Debug, Deserialize)]
struct PauseResponse {
    #[serde(flatten)]
    pause: PauseRecord,
    stored: bool,
}

fn show(answer: &str, json: bool) -> anyhow::Result<Exit> {
    if json {
        output::line(answer.trim_end());
        return Ok(Exit::Fine);
    }
    let PauseResponse { pause, stored } =
        serde_json::from_str(answer).context("the agent's answer is of another version")?;
    let now = SystemClock.now();
    let text = match pause.until > now {
        true => format!("{}: paused until {}", pause.target, format::date_time(pause.until)),
        false => format!("{}: probed again", pause.target),
    };
    output::line(&format::printable(&text));
    if !stored {
        output::problem("warning: the ledger did not take it, so a restart of the agent forgets it");
    }
    Ok(Exit::Fine)
}

#[derive(Debug, Deserialize)]
struct Listed {
    targets: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    protocol: String,
    labels: std::collections::BTreeMap<String, String>,
    paused: Option<Pause>,
}

fn list(options: &ListOptions) -> anyhow::Result<Exit> {
    let url = options.agent.api("targets")?;
    let answer = match answer_of(&options.agent, Method::GET, url, None)? {
        Ok(answer) => answer,
        Err(exit) => return Ok(exit),
    };
    if options.json {
        output::line(answer.trim_end());
        return Ok(Exit::Fine);
    }
    let listed: Listed = serde_json::from_str(&answer).context("the agent's answer is of another version")?;
    let row = |row: &Row| {
        let labels: Vec<String> = row.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let pause = row.paused.as_ref();
        [
            row.name.clone(),
            row.protocol.clone(),
            labels.join(" "),
            pause.map_or_else(|| "probed".to_owned(), |pause| pause.cause.to_string()),
            pause.and_then(|pause| pause.until).map(format::date_time).unwrap_or_default(),
            pause.and_then(|pause| pause.actor.clone()).unwrap_or_default(),
            pause.map(|pause| pause.reason.clone()).unwrap_or_default(),
        ]
        .iter()
        .map(|cell| format::printable(cell))
        .collect()
    };
    let rows: Vec<Vec<String>> = listed.targets.iter().map(row).collect();
    output::data(&output::table(&["target", "protocol", "labels", "", "until", "by", "reason"], &rows));
    Ok(Exit::Fine)
}
