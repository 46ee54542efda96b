//! `lookout incident`: open and recent incidents of the running agent, and the word that somebody works on one.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use http::Method;
use lookout_model::{Acknowledgement, IncidentRecord, SilencedBy, format};
use lookout_runtime::clock::{Clock as _, SystemClock};
use serde::Deserialize;
use serde_json::json;

use super::exit::Exit;
use super::status::answer_of;
use super::{AgentUrl, output};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show incidents, newest first
    List(ListOptions),
    /// Tell all who heard of an incident that somebody works on it; it then escalates to nobody
    Acknowledge(AcknowledgeOptions),
}

#[derive(Debug, Args)]
pub(super) struct ListOptions {
    #[command(flatten)]
    agent: AgentUrl,
    /// Largest number to show, up to 1000
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct AcknowledgeOptions {
    /// The incident, as messages and `lookout incident list` show it
    id: String,
    /// Text that everyone who heard of it reads
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    agent: AgentUrl,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
struct Listed {
    incidents: Vec<Incident>,
}

#[derive(Debug, Deserialize)]
struct Incident {
    #[serde(flatten)]
    record: IncidentRecord,
    acknowledgement: Option<Acknowledgement>,
    silence: Option<SilencedBy>,
}

#[derive(Debug, Deserialize)]
struct Acknowledged {
    acknowledgement: Acknowledgement,
    destinations: Vec<String>,
}

pub(super) fn run(verb: &Verb) -> anyhow::Result<Exit> {
    match verb {
        Verb::List(options) => list(options),
        Verb::Acknowledge(options) => acknowledge(options),
    }
}

fn list(options: &ListOptions) -> anyhow::Result<Exit> {
    let mut url = options.agent.api("incidents")?;
    url.query_pairs_mut().append_pair("limit", &options.limit.to_string());
    let answer = match answer_of(&options.agent, Method::GET, url, None)? {
        Ok(answer) => answer,
        Err(exit) => return Ok(exit),
    };
    if options.json {
        output::line(answer.trim_end());
        return Ok(Exit::Fine);
    }
    let listed: Listed = serde_json::from_str(&answer).context("the agent's answer is of another version")?;
    let now = SystemClock.now();
    let row = |one: &Incident| {
        let record = &one.record;
        let state = if record.resolved_at.is_some() { "resolved" } else { record.severity.as_str() };
        let answer = one.acknowledgement.as_ref();
        let answer = answer.map(|it| format!("acknowledged by {} {}", it.actor, it.note));
        let silence = one.silence.as_ref();
        let silence =
            silence.map(|it| format!("silenced by {} until {}", it.actor, format::time(it.until, now)));
        let attention: Vec<String> = answer.into_iter().chain(silence).collect();
        [
            record.id.clone(),
            state.to_owned(),
            record.slo_id.clone(),
            format::ago(record.detected_at, now),
            attention.join("; "),
        ]
        .iter()
        .map(|cell| format::printable(cell.trim()))
        .collect()
    };
    let rows: Vec<Vec<String>> = listed.incidents.iter().map(row).collect();
    output::data(&output::table(&["id", "state", "slo", "detected", ""], &rows));
    Ok(Exit::Fine)
}

fn acknowledge(options: &AcknowledgeOptions) -> anyhow::Result<Exit> {
    let plain = options.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    anyhow::ensure!(plain && !options.id.is_empty(), "an incident has an id like inc-0123456789abcdef");
    let url = options.agent.api(&format!("incidents/{}/acknowledge", options.id))?;
    let body = json!({ "note": options.note });
    let answer = match answer_of(&options.agent, Method::POST, url, Some(&body))? {
        Ok(answer) => answer,
        Err(exit) => return Ok(exit),
    };
    if options.json {
        output::line(answer.trim_end());
        return Ok(Exit::Fine);
    }
    let Acknowledged { acknowledgement, destinations } =
        serde_json::from_str(&answer).context("the agent's answer is of another version")?;
    let told =
        if destinations.is_empty() { "nobody heard of it yet".to_owned() } else { destinations.join(", ") };
    let line = format!("acknowledged by {}; told to: {told}", acknowledgement.actor);
    output::line(&format::printable(&line));
    Ok(Exit::Fine)
}
