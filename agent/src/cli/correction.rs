//! `lookout correction`: time that does not count, written to the running agent.

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use http::Method;
use lookout_model::{Timestamp, format};
use serde::Deserialize;
use serde_json::{Value, json};

use super::exit::Exit;
use super::status::answer_of;
use super::{AgentUrl, output};
use lookout_backtest::parse_instant;
use lookout_model::parse_duration;
use lookout_model::{CorrectionKind, CorrectionRecord, Recurrence};
use lookout_runtime::clock::{Clock as _, SystemClock};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write a correction: planned time, or time of the past
    Add(Box<AddOptions>),
    /// Show corrections, the last written first
    List(ListOptions),
    /// Make a correction void: what it excluded counts again
    Revoke(RevokeOptions),
}

#[derive(Debug, Args)]
pub(super) struct AddOptions {
    #[command(flatten)]
    agent: AgentUrl,
    #[command(flatten)]
    scope: Scope,
    /// Begin: RFC 3339 or seconds since 1970; now, unless given
    #[arg(long, value_name = "TIME", conflicts_with = "last")]
    from: Option<String>,
    /// End; with --every, the end of the recurrence
    #[arg(long, value_name = "TIME", conflicts_with_all = ["last", "length"])]
    to: Option<String>,
    /// Length, instead of --to (`2h`)
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "last")]
    length: Option<String>,
    /// The time from this long ago until now (`45m`)
    #[arg(long, value_name = "DURATION", conflicts_with = "every")]
    last: Option<String>,
    /// Recurrence, like `weekly mon,thu 02:00 for 2h in Europe/Zurich`, `daily …`, `monthly 1,last …`
    #[arg(long, value_name = "RECURRENCE")]
    every: Option<Recurrence>,
    /// Reason, for everyone who sees the figures
    #[arg(long)]
    reason: String,
    /// maintenance (planned) or excluded
    #[arg(long, default_value = "maintenance")]
    kind: CorrectionKind,
    /// Person who decided; shown beside the name of the token
    #[arg(long, default_value = "")]
    actor: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Scope {
    /// The SLO, as <service>-<slo>
    #[arg(long, value_name = "ID")]
    slo: Option<String>,
    /// Every SLO of a service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Every SLO
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListOptions {
    #[command(flatten)]
    agent: AgentUrl,
    /// Largest number to show, up to 1000
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Only those written before this one
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RevokeOptions {
    #[command(flatten)]
    agent: AgentUrl,
    /// The correction, as `list` shows it
    id: String,
    /// ALL Reason
    #[arg(long)]
    reason: String,
    /// Person who decided; shown beside the name of the token
    #[arg(long, default_value = "")]
    actor: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(verb: &Verb) -> anyhow::Result<Exit> {
    match verb {
        Verb::Add(options) => add(options),
        Verb::List(options) => list(options),
        Verb::Revoke(options) => revoke(options),
    }
}

fn add(options: &AddOptions) -> anyhow::Result<Exit> {
    let body = written(options, SystemClock.now())?;
    let url = options.agent.api("corrections")?;
    let answer = match answer_of(&options.agent, Method::POST, url, Some(&body))? {
        Ok(answer) => answer,
        Err(exit) => return Ok(exit),
    };
    show_one(&answer, options.json, "written; it takes effect with the next evaluation")
}

/// Returns the body of the request.
fn written(options: &AddOptions, now: Timestamp) -> anyhow::Result<Value> {
    let scope = match (&options.scope.slo, &options.scope.service) {
        (Some(id), _) => json!({ "slo": id }),
        (None, Some(name)) => json!({ "service": name }),
        (None, None) => json!("all"),
    };
    let instant =
        |name: &str, text: &str| parse_instant(text).map_err(|what| anyhow::anyhow!("{name}: {what}"));
    let length = |name: &str, text: &Option<String>| -> anyhow::Result<Option<Duration>> {
        let Some(text) = text else { return Ok(None) };
        parse_duration(text).map(Some).map_err(|what| anyhow::anyhow!("{name}: expected {what}"))
    };
    let (last, long) = (length("--last", &options.last)?, length("--for", &options.length)?);
    let from = match (&options.from, last) {
        (Some(text), _) => instant("--from", text)?,
        (None, last) => now - last.unwrap_or_default(),
    };
    let to = match (&options.to, long, last) {
        (Some(text), _, _) => Some(instant("--to", text)?),
        (None, Some(long), _) => Some(from + long),
        (None, None, Some(_)) => Some(now),
        (None, None, None) => None,
    };
    anyhow::ensure!(
        to.is_some() || options.every.is_some(),
        "say when it ends: --to TIME, --for DURATION or --last DURATION; only one with --every may go on for ever"
    );
    let stamp = |name: &str, at: Timestamp| {
        jiff::Timestamp::try_from(at).with_context(|| format!("{name} lies beyond all calendars"))
    };
    Ok(json!({
        "scope": scope,
        "kind": options.kind,
        "from": stamp("the beginning", from)?,
        "to": to.map(|to| stamp("the end", to)).transpose()?,
        "recurrence": options.every,
        "reason": options.reason,
        "actor": options.actor,
    }))
}

#[derive(Debug, Deserialize)]
struct Listed {
    corrections: Vec<CorrectionRecord>,
}

fn list(options: &ListOptions) -> anyhow::Result<Exit> {
    let mut url = options.agent.api("corrections")?;
    url.query_pairs_mut().append_pair("limit", &options.limit.to_string());
    if let Some(before) = &options.before {
        url.query_pairs_mut().append_pair("before", before);
    }
    let answer = match answer_of(&options.agent, Method::GET, url, None)? {
        Ok(answer) => answer,
        Err(exit) => return Ok(exit),
    };
    if options.json {
        output::line(answer.trim_end());
        return Ok(Exit::Fine);
    }
    let listed: Listed = serde_json::from_str(&answer).context("the agent's answer is of another version")?;
    let rows: Vec<Vec<String>> = listed.corrections.iter().map(row).collect();
    output::data(&output::table(&["id", "scope", "kind", "from", "to", "recurs", "by", "reason", ""], &rows));
    Ok(Exit::Fine)
}

fn revoke(options: &RevokeOptions) -> anyhow::Result<Exit> {
    let plain = options.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    anyhow::ensure!(plain && !options.id.is_empty(), "a correction has an id like cor-0123456789abcdef");
    let url = options.agent.api(&format!("corrections/{}/revoke", options.id))?;
    let body = json!({ "reason": options.reason, "actor": options.actor });
    let answer = match answer_of(&options.agent, Method::POST, url, Some(&body))? {
        Ok(answer) => answer,
        Err(exit) => return Ok(exit),
    };
    show_one(&answer, options.json, "revoked; what it excluded counts again with the next evaluation")
}

fn show_one(answer: &str, json: bool, what: &str) -> anyhow::Result<Exit> {
    if json {
        output::line(answer.trim_end());
        return Ok(Exit::Fine);
    }
    let record: CorrectionRecord =
        serde_json::from_str(answer).context("the agent's answer is of another version")?;
    output::line(&format!("{}  {what}", format::printable(&record.id)));
    let cells = row(&record);
    output::line(&format!(
        "  {}",
        cells.iter().skip(1).filter(|cell| !cell.is_empty()).cloned().collect::<Vec<_>>().join("  ")
    ));
    Ok(Exit::Fine)
}

fn row(record: &CorrectionRecord) -> Vec<String> {
    let long = record.to.filter(|_| record.recurrence.is_none());
    let long = long.map(|to| format!(" ({})", format::duration(to.seconds_since(record.from))));
    [
        record.id.clone(),
        record.scope.to_string(),
        record.kind.to_string(),
        format::date_time(record.from),
        record.to.map_or_else(|| "for ever".to_owned(), format::date_time) + &long.unwrap_or_default(),
        record.recurrence.as_ref().map(ToString::to_string).unwrap_or_default(),
        record.actor.clone(),
        record.reason.clone(),
        record.revoked.as_ref().map_or_else(String::new, |revoked| {
            format!("revoked {} by {}: {}", format::date_time(revoked.at), revoked.actor, revoked.reason)
        }),
    ]
    .iter()
    .map(|cell| format::printable(cell))
    .collect()
}
