//! `lookout deliver`: messages that a destination refused.

use clap::{Args, Subcommand};
use http::Method;
use lookout_model::format;

use super::exit::Exit;
use super::{AgentUrl, output, runtime};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Try messages again that a destination refused for good; they are shown by `lookout status`
    Retry(RetryOptions),
}

#[derive(Debug, Args)]
pub(super) struct RetryOptions {
    /// The destination; all, unless one is named
    destination: Option<String>,
    #[command(flatten)]
    agent: AgentUrl,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(Verb::Retry(options): &Verb) -> anyhow::Result<Exit> {
    let mut url = options.agent.api("deliveries/retry")?;
    if let Some(destination) = &options.destination {
        url.query_pairs_mut().append_pair("destination", destination);
    }
    let token = options.agent.token()?;
    let answer = runtime()?.block_on(super::status::request(Method::POST, url, token.as_ref(), None));
    let (status, body) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            output::problem(&format!("error: the agent cannot be reached: {error:#}"));
            return Ok(Exit::Unreachable);
        }
    };
    if !status.is_success() {
        output::problem(&format!("error: the agent refused it: {}", format::printable(&body)));
        return Ok(if status.is_client_error() { Exit::Usage } else { Exit::Unreachable });
    }
    if options.json {
        output::line(body.trim_end());
        return Ok(Exit::Fine);
    }
    let answer: serde_json::Value = serde_json::from_str(&body)?;
    let retried = answer.get("retried").and_then(serde_json::Value::as_u64).unwrap_or(0);
    output::line(&format!("{} tried again", format::count(retried)));
    Ok(Exit::Fine)
}
