//! What the agent costs, measured: a sidecar must be cheap, and that is a promise to keep an eye on.

mod footprint;
mod neighbour;
mod peers;

use anyhow::{Context as _, Result};

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Size of the release binary and memory, idle and with 100 HTTP checks every 10 s.
    Footprint,
}

pub(crate) fn run(what: &What) -> Result<()> {
    match what {
        What::Footprint => {
            let lookout = footprint::build()?;
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.context("starting the runtime")?.block_on(footprint::run(&lookout))
        }
    }
}
