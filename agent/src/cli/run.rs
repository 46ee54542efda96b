//! `lookout run`: the agent, until it is told to stop.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::exit::Exit;
use super::reload::reload_on_change;
use super::{Log, output, runtime};
use crate::agent::{Agent, Dependencies};

/// Time that telemetry has to export the rest at the end.
const FLUSH: Duration = Duration::from_secs(3);

pub(super) fn run(file: &Path, log: &Log) -> anyhow::Result<Exit> {
    let (config, inputs) = match lookout_config::load(file) {
        Ok((config, warnings)) => {
            if !warnings.list.is_empty() {
                output::problem(&warnings.render(output::colour()));
            }
            if let Some(warning) = config.unheard() {
                output::problem(&format!("warning: {warning}"));
            }
            (config, warnings.inputs)
        }
        Err(diagnostics) => {
            output::problem(&diagnostics.render(output::colour()));
            return Ok(Exit::Usage);
        }
    };
    let telemetry = log.start(config.otlp.as_ref(), config.environment.as_deref())?;
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let dependencies = Dependencies::real(&config).await?;
        let agent = Agent::build(config, dependencies).await?;
        let reloader = agent.reloader();
        tokio::select! {
            () = agent.run(stop_signal()) => {}
            () = reload_on_change(file, inputs, &reloader) => {}
        }
        anyhow::Ok(())
    });
    runtime.shutdown_timeout(FLUSH);
    telemetry.shutdown(FLUSH);
    ended.context("the agent did not start")?;
    Ok(Exit::Fine)
}

/// Resolves at the first SIGTERM or ctrl-c.
pub(super) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
