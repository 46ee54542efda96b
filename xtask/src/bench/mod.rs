//! What the agent costs, measured: a sidecar must be cheap, and that is a promise to keep an eye on. And what the
//! service costs that it watches.

mod api;
mod footprint;
mod neighbour;
mod peers;
mod slo;
mod year;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Requests/s and CPU per request of the service, beside a bare axum + sqlx program and FastAPI.
    Api(api::Arguments),
    /// Size of the release binary and memory, idle and with 100 HTTP checks every 10 s.
    Footprint {
        /// Measure this binary of the agent instead of building it.
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
    /// CPU, memory and ledger per SLO, how long after the earliest possible moment an outage pages, and how long a
    /// backtest of a year takes.
    Slo {
        /// Where the noise begins; a random number when left out, and printed either way.
        #[arg(long)]
        seed: Option<u64>,
    },
}

pub(crate) fn run(what: &What) -> Result<()> {
    match what {
        What::Api(arguments) => api::run(arguments),
        What::Footprint { binary } => {
            let lookout = match binary {
                Some(file) => {
                    file.canonicalize().with_context(|| format!("looking for {}", file.display()))?
                }
                None => footprint::build()?,
            };
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.context("starting the runtime")?.block_on(footprint::run(&lookout))
        }
        What::Slo { seed } => slo::run(seed.unwrap_or_else(|| fastrand::u64(..1_000_000))),
    }
}
