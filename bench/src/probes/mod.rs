//! Cost of probes: lookout, blackbox_exporter driven by Prometheus, and a bare loop, in one run on the same nginx.
//!
//! Every figure is taken from outside: arrivals from the log of nginx, CPU time and memory from `/proc`.

mod deadline;
mod failing;
mod nginx;
mod report;
mod tools;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;
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
    /// Measure this part alone; may be given several times. The ratios of a part are of one run.
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
}

/// A part of the benchmark that stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// CPU of every tool at 100 HTTP probes a second.
    #[value(name = "http-100")]
    Http100,
    /// CPU of every tool at 100 HTTPS probes a second.
    #[value(name = "https-100")]
    Https100,
    /// Memory by targets.
    Memory,
    /// All of 5,000 HTTP probes a second.
    #[value(name = "rate-http-5000")]
    RateHttp5000,
    /// All of 1,000 HTTPS probes a second.
    #[value(name = "rate-https-1000")]
    RateHttps1000,
    /// Peers that never end an answer, against a deadline of 2 s.
    Deadline,
    /// 2,000 targets that refuse, each with an SLO.
    Failing,
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
    let parts = if arguments.only.is_empty() { Part::value_variants() } else { &arguments.only };
    let runtime = runtime.context("starting the runtime")?;
    runtime.block_on(measure_parts(parts, &Tool::find(&lookout, &bare), &lookout, seconds))
}

/// Measures parts and prints what was measured, also when one of them fails.
async fn measure_parts(parts: &[Part], tools: &[Tool], lookout: &Path, seconds: Duration) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("lookout-probes-").tempdir().context("making a folder")?;
    let nginx = Nginx::start(folder.path()).await?;
    let mut bench =
        Bench { tools, lookout, nginx, folder: folder.path(), seconds, figures: Figures::default() };
    let mut result = Ok(());
    for part in parts {
        result = bench.measure_part(*part).await;
        if result.is_err() {
            break;
        }
    }
    bench.figures.print(tools);
    result
}

struct Bench<'a> {
    /// Ours is the first.
    tools: &'a [Tool],
    lookout: &'a Path,
    nginx: Nginx,
    folder: &'a Path,
    seconds: Duration,
    figures: Figures,
}

impl Bench<'_> {
    async fn measure_part(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Http100 => self.hundred(false).await?,
            Part::Https100 => self.hundred(true).await?,
            Part::Memory => {
                for targets in [100, 1_000, 5_000] {
                    let job = Job { secure: false, targets, interval_s: 10 };
                    // every target is probed at least once
                    let seconds = self.seconds.max(Duration::from_secs(15));
                    let measured = self.measure_ours(&job, seconds).await?;
                    self.figures.memory(targets, measured);
                }
            }
            Part::RateHttp5000 => self.rate(5_000, false).await?,
            Part::RateHttps1000 => self.rate(1_000, true).await?,
            Part::Deadline => {
                self.figures.deadlines(deadline::measure(self.lookout, self.folder, self.seconds).await?);
            }
            Part::Failing => {
                self.figures.failing(failing::measure(self.lookout, self.folder, self.seconds).await?);
            }
        }
        Ok(())
    }

    async fn hundred(&mut self, secure: bool) -> Result<()> {
        for tool in self.tools {
            let job = Job { secure, targets: 100, interval_s: 1 };
            let measured = measure(tool, &job, &self.nginx, self.folder, self.seconds).await?;
            self.figures.at_hundred(tool.name(), secure, measured);
        }
        Ok(())
    }

    async fn rate(&mut self, targets: u32, secure: bool) -> Result<()> {
        let job = Job { secure, targets, interval_s: 1 };
        let measured = self.measure_ours(&job, self.seconds).await?;
        self.figures.rate(targets, secure, measured);
        Ok(())
    }

    async fn measure_ours(&self, job: &Job, seconds: Duration) -> Result<Measured> {
        let ours = self.tools.first().context("there is no tool to measure")?;
        measure(ours, job, &self.nginx, self.folder, seconds).await
    }
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
