//! Measures the agent (size, memory, CPU per SLO, a backtest of a year) and the service (requests per second, CPU per
//! request) beside their targets and their peers. `cargo xtask bench` starts it. It never judges correctness.
#![expect(clippy::print_stdout, reason = "its report is what it is for")]

mod api;
mod cost;
mod delivery;
mod footprint;
mod neighbour;
mod peers;
mod probes;
mod slo;
mod year;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// A benchmark.
#[derive(Debug, clap::Subcommand)]
pub enum Benchmark {
    /// Requests/s and CPU per request of the service, beside a bare axum + sqlx program and FastAPI.
    Api(api::Arguments),
    /// Memory and punctuality of probes while 10,000 incidents go to a slow destination, and while the port is flooded.
    Delivery(delivery::Arguments),
    /// Size of the release binary and memory, idle and with 100 HTTP checks every 10 s.
    Footprint {
        /// Measure this binary of the agent instead of building it.
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
    /// CPU per probe beside blackbox_exporter and a bare loop, memory by targets, probes/s, and the worst day.
    Probes(probes::Arguments),
    /// CPU, memory and ledger per SLO, how long after the earliest possible moment an outage pages, and how long a
    /// backtest of a year takes.
    Slo {
        /// Seed of the noise; a random number when left out, and printed either way.
        #[arg(long)]
        seed: Option<u64>,
    },
}

/// Runs a benchmark and prints its report.
///
/// # Errors
/// If something could not be measured.
pub fn run(benchmark: &Benchmark) -> Result<()> {
    match benchmark {
        Benchmark::Api(arguments) => api::run(arguments),
        Benchmark::Delivery(arguments) => delivery::run(arguments),
        Benchmark::Footprint { binary } => {
            let lookout = match binary {
                Some(file) => {
                    file.canonicalize().with_context(|| format!("looking for {}", file.display()))?
                }
                None => footprint::build()?,
            };
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.context("starting the runtime")?.block_on(footprint::run(&lookout))
        }
        Benchmark::Probes(arguments) => probes::run(arguments),
        Benchmark::Slo { seed } => slo::run(seed.unwrap_or_else(|| fastrand::u64(..1_000_000))),
    }
}
