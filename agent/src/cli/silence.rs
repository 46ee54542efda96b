//! `lookout silence`: bounded times in which incidents are told to nobody, made at the running agent.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use lookout_model::{SilenceRecord, format};
use lookout_runtime::clock::{Clock as _, SystemClock};
use serde::Deserialize;
use serde_json::{Value, json};

use super::exit::Exit;
use super::status::answer_of;
use super::{AgentUrl, output};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Tell nobody of incidents that match, for a time; what is still open then is told
    Add(AddOptions),
    /// Show silences in force, and those that ended within a week
    List(ListOptions),
    /// End a silence now
    Expire(ExpireOptions),
}

#[derive(Debug, Args)]
pub(super) struct AddOptions {
    #[command(flatten)]
    agent: AgentUrl,
    /// An SLO, as <service>-<slo>; may be given several times
    #[arg(long = "slo", value_name = "ID")]
    slos: Vec<String>,
    /// A service; may be given several times
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// A label of SLOs, as name=value; may be given several times
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Only this severity; both, unless given
    #[arg(long)]
    severity: Option<Severity>,
    /// Length, up to 7d
    #[arg(long = "for", value_name = "DURATION")]
    length: String,
    /// Reason, for everyone who wonders
    #[arg(long)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Severity {
    Page,
    Ticket,
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
pub(super) struct ExpireOptions {
    /// The silence, as `list` shows it
    id: String,
    #[command(flatten)]
    agent: AgentUrl,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
struct Listed {
    silences: Vec<SilenceRecord>,
}

pub(super) fn run(verb: &Verb) -> anyhow::Result<Exit> {
    match verb {
        Verb::Add(options) => add(options),
        Verb::List(options) => list(options),
        Verb::Expire(options) => expire(options),
    }
}

fn add(options: &AddOptions) -> anyhow::Result<Exit> {
    let body = written(options)?;
    let url = options.agent.api("silences")?;
    match answer_of(&options.agent, Method::POST, url, Some(&body))? {
        Ok(answer) => show_one(&answer, options.json),
        Err(exit) => Ok(exit),
    }
}

/// Returns the body of the request.
fn written(options: &AddOptions) -> anyhow::Result<Value> {
    let mut labels: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for label in &options.labels {
        let (name, value) =
            label.split_once('=').with_context(|| format!("--label {label}: expected name=value"))?;
        labels.entry(name).or_default().push(value);
    }
    let mut body = json!({
        "slos": options.slos, "services": options.services, "labels": labels,
        "for": options.length, "reason": options.reason,
    });
    let severity = options.severity.map(|severity| match severity {
        Severity::Page => "page",
        Severity::Ticket => "ticket",
    });
    if let (Some(fields), Some(severity)) = (body.as_object_mut(), severity) {
        fields.insert("severity".to_owned(), json!(severity));
    }
    Ok(body)
}

fn list(options: &ListOptions) -> anyhow::Result<Exit> {
    let url = options.agent.api("silences")?;
    let answer = match answer_of(&options.agent, Method::GET, url, None)? {
        Ok(answer) => answer,
        Err(exit) => return Ok(exit),
    };
    if options.json {
        output::line(answer.trim_end());
        return Ok(Exit::Fine);
    }
    let listed: Listed = serde_json::from_str(&answer).context("the agent's answer is of another version")?;
    let rows: Vec<Vec<String>> = listed.silences.iter().rev().map(row).collect();
    output::data(&output::table(&["id", "", "silences", "severity", "until", "by", "reason"], &rows));
    Ok(Exit::Fine)
}

fn expire(options: &ExpireOptions) -> anyhow::Result<Exit> {
    let plain = options.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    anyhow::ensure!(plain && !options.id.is_empty(), "a silence has an id like sil-0123456789abcdef");
    let url = options.agent.api(&format!("silences/{}/expire", options.id))?;
    match answer_of(&options.agent, Method::POST, url, None)? {
        Ok(answer) => show_one(&answer, options.json),
        Err(exit) => Ok(exit),
    }
}

fn show_one(answer: &str, json: bool) -> anyhow::Result<Exit> {
    if json {
        output::line(answer.trim_end());
        return Ok(Exit::Fine);
    }
    let silence: SilenceRecord =
        serde_json::from_str(answer).context("the agent's answer is of another version")?;
    output::line(&row(&silence).join("  "));
    Ok(Exit::Fine)
}

fn row(silence: &SilenceRecord) -> Vec<String> {
    let now = SystemClock.now();
    let state = match (&silence.expired_by, silence.is_active(now)) {
        (_, true) => "in force".to_owned(),
        (Some(by), false) => format!("ended early by {by}"),
        (None, false) => "over".to_owned(),
    };
    [
        silence.id.clone(),
        state,
        silence.matcher.to_string(),
        silence.severity.map_or("both", |severity| severity.as_str()).to_owned(),
        format::date_time(silence.ends_at),
        silence.actor.clone(),
        silence.reason.clone(),
    ]
    .iter()
    .map(|cell| format::printable(cell))
    .collect()
}
