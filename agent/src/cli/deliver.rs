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
    /// Give up messages that a destination refused for good; name the destination, an incident or both
    Discard(DiscardOptions),
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

#[derive(Debug, Args)]
pub(super) struct DiscardOptions {
    /// The destination; all, unless one is named
    #[arg(required_unless_present = "incident")]
    destination: Option<String>,
    /// The incident; all, unless one is named
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    #[command(flatten)]
    agent: AgentUrl,
    /// For machines
    #[arg(long)]
    json: bool,
}

/// An order about dead letters.
struct Order<'o> {
    agent: &'o AgentUrl,
    /// The name of the resource, and that of the number in its answer.
    names: (&'static str, &'static str),
    /// The words after that number: `tried again`, `given up`.
    done: &'static str,
    json: bool,
}

pub(super) fn run(verb: &Verb) -> anyhow::Result<Exit> {
    match verb {
        Verb::Retry(RetryOptions { destination, agent, json }) => {
            let names = ("deliveries/retry", "retried");
            Order { agent, names, done: "tried again", json: *json }.run(&[("destination", destination)])
        }
        Verb::Discard(DiscardOptions { destination, incident, agent, json }) => {
            let names = ("deliveries/discard", "discarded");
            let order = Order { agent, names, done: "given up", json: *json };
            order.run(&[("destination", destination), ("incident", incident)])
        }
    }
}

impl Order<'_> {
    fn run(&self, parameters: &[(&str, &Option<String>)]) -> anyhow::Result<Exit> {
        let (resource, number) = self.names;
        let mut url = self.agent.api(resource)?;
        for (name, value) in parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            url.query_pairs_mut().append_pair(name, value);
        }
        let token = self.agent.token()?;
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
        if self.json {
            output::line(body.trim_end());
            return Ok(Exit::Fine);
        }
        let answer: serde_json::Value = serde_json::from_str(&body)?;
        let count = answer.get(number).and_then(serde_json::Value::as_u64).unwrap_or(0);
        output::line(&format!("{} {}", format::count(count), self.done));
        Ok(Exit::Fine)
    }
}
