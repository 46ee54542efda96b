//! `lookout healthcheck`: readiness of the agent in the same container, for images without a shell.

use clap::Args;
use http::StatusCode;

use super::exit::Exit;
use super::status::get;
use super::{AgentUrl, output, runtime};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    agent: AgentUrl,
}

/// Requests `/readyz` once. An agent that is not ready gives the exit code of a no; no answer gives that of an
/// unreachable agent.
pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    let answer = runtime()?.block_on(get(options.agent.resource(&["readyz"])?, None));
    match answer {
        Ok((StatusCode::OK, _)) => Ok(Exit::Fine),
        Ok((status, body)) => {
            output::problem(&format!("not ready ({status}): {}", body.trim_end()));
            Ok(Exit::No)
        }
        Err(error) => {
            output::problem(&format!("error: the agent cannot be reached: {error:#}"));
            Ok(Exit::Unreachable)
        }
    }
}
