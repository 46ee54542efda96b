//! Cost of probes: lookout, blackbox_exporter driven by Prometheus, and a bare loop, in one run on the same nginx.
//!
//! Every figure is taken from outside: arrivals from the log of nginx, CPU time and memory from `/proc`.

mod failing;
mod nginx;
mod report;
mod tools;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::sleep;

use super::cost::cpu_of;
use super::footprint;
use nginx::{Nginx, now_s};
use report::Figures;
use tools::{Job, Running, Tool};

/// Settings of the benchmark.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Measure this binary of the agent instead of building it.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Length of each measurement in seconds, after a warm-up of a third of it.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    seconds: u64,
}

/// The figures of one run of one tool.
#[derive(Debug, Clone, Copy)]
struct Measured {
    /// Probes of the measured time.
    probes: usize,
    /// Share of the probes that were due.
    achieved: f64,
    /// CPU of the prober alone, per probe, in milliseconds.
    cpu_ms: f64,
    /// Resident memory at the end, in megabytes.
    memory_mb: f64,
    /// 99th percentile of the deviation from the grid, in milliseconds.
    deviation_ms: Option<f64>,
}

/// Time until a Prometheus has found its targets and scraped each once.
const DISCOVERY: Duration = Duration::from_secs(8);

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let lookout = match &arguments.binary {
        Some(file) => file.canonicalize().with_context(|| format!("looking for {}", file.display()))?,
        None => footprint::build()?,
    };
    // one client is used, without TLS; the library wants a provider all the same
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bare = tools::build_bare()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let seconds = Duration::from_secs(arguments.seconds.max(3));
    runtime.context("starting the runtime")?.block_on(measure_all(&lookout, &bare, seconds))
}

async fn measure_all(lookout: &Path, bare: &Path, seconds: Duration) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("lookout-probes-").tempdir().context("making a folder")?;
    let nginx = Nginx::start(folder.path()).await?;
    let tools = Tool::find(lookout, bare);
    let mut figures = Figures::default();
    for secure in [false, true] {
        for tool in &tools {
            let job = Job { secure, targets: 100, interval_s: 1 };
            let measured = measure(tool, &job, &nginx, folder.path(), seconds).await?;
            figures.at_hundred(tool.name(), secure, measured);
        }
    }
    let Some(ours) = tools.first() else { return Ok(()) };
    for targets in [100, 1_000, 5_000] {
        let job = Job { secure: false, targets, interval_s: 10 };
        figures.memory(
            targets,
            measure(ours, &job, &nginx, folder.path(), seconds.max(Duration::from_secs(15))).await?,
        );
    }
    for (secure, targets) in [(true, 1_000), (false, 5_000)] {
        let job = Job { secure, targets, interval_s: 1 };
        figures.rate(targets, secure, measure(ours, &job, &nginx, folder.path(), seconds).await?);
    }
    let failing = failing::measure(lookout, folder.path(), seconds).await;
    if let Ok(failing) = &failing {
        figures.failing(*failing);
    }
    figures.print(&tools);
    failing.map(|_| ())
}

/// Runs a tool: a third of the time to warm up, then the measured time.
async fn measure(
    tool: &Tool,
    job: &Job,
    nginx: &Nginx,
    folder: &Path,
    seconds: Duration,
) -> Result<Measured> {
    println!("measuring {}: {job}", tool.name());
    let folder = folder.join(format!("{}-{}-{}-{}", tool.name(), job.targets, job.interval_s, job.secure));
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mark = nginx.mark();
    let running: Running = tool.start(job, nginx, &folder).await?;
    // Prometheus scrapes nothing in the first five seconds
    let least = if running.driver.is_some() { DISCOVERY } else { Duration::ZERO };
    sleep((seconds / 3).max(least)).await;
    let (cpu, from) = (cpu_of(running.id()?)?, now_s());
    sleep(seconds).await;
    let (spent, until) = (cpu_of(running.id()?)?.saturating_sub(cpu), now_s());
    let memory_mb = footprint::resident_of(running.id()?)?;
    running.stop().await;
    // nginx writes its log every second
    sleep(Duration::from_millis(1500)).await;
    let arrivals = nginx.arrivals(mark, from, until)?;
    let due = (until - from) / f64::from(job.interval_s) * f64::from(job.targets);
    let probes = arrivals.count();
    ensure!(probes > 0, "{} made no probe: {job}", tool.name());
    let measured = Measured {
        probes,
        achieved: probes as f64 / due,
        cpu_ms: spent.as_secs_f64() * 1e3 / (probes.max(1) as f64),
        memory_mb,
        deviation_ms: arrivals.deviation_ms(job.interval_s.into(), 99),
    };
    let Measured { achieved, cpu_ms, memory_mb, .. } = measured;
    println!(
        "  {cpu_ms:.3} ms CPU per probe, {memory_mb:.1} MB, {:.1} % of the probes made",
        achieved * 100.0
    );
    Ok(measured)
}
