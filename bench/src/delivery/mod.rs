//! Delivery on a bad day: thousands of incidents into a slow destination, and a flooded port. Memory and the punctuality of
//! probes are read before and during it, in one run.

mod flood;
mod targets;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::http::StatusCode;
use programs::running::{Running, field};
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::footprint;
use flood::Flood;
use targets::{Punctuality, Targets};

/// Services whose probes are timed.
const STEADY: usize = 50;
/// Services that fail together.
const SERVICES: usize = 10;
/// SLOs of each of them.
const SLOS: usize = 100;
/// Time that the destination takes for an answer.
const SLOW: Duration = Duration::from_secs(2);
/// Time in which the agent warms up.
const WARM_UP: Duration = Duration::from_secs(5);
/// Longest time until all SLOs have opened an incident, or resolved it.
const STEP_TIMEOUT: Duration = Duration::from_secs(90);
/// Time after which an incident does not open again: a new one begins.
const NEW_INCIDENT: Duration = Duration::from_secs(6);

/// Settings of the benchmark.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Measure this binary of the agent instead of building it.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Number of incidents, a multiple of 1,000; 0 floods the port only.
    #[arg(long, default_value_t = 10_000)]
    incidents: usize,
    /// Length of the measurements before and during the flood in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let lookout = match &arguments.binary {
        Some(file) => file.canonicalize().with_context(|| format!("looking for {}", file.display()))?,
        None => footprint::build()?,
    };
    // one client is used, without TLS; the library wants a provider all the same
    let _ = rustls::crypto::ring::default_provider().install_default();
    let rounds = arguments.incidents.div_ceil(SERVICES * SLOS);
    let seconds = Duration::from_secs(arguments.seconds.max(5));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.context("starting the runtime")?.block_on(measure(&lookout, rounds, seconds))
}

/// Everything that runs.
struct Stage {
    targets: Targets,
    agent: Running,
    address: SocketAddr,
    client: Client,
    since: Instant,
    /// Reads the memory again and again. Dropping it ends that.
    _sampler: JoinSet<()>,
    /// The largest memory since the begin of the measurement, in kilobytes.
    peak: Arc<AtomicU64>,
}

/// Time between two looks at the memory.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

async fn measure(lookout: &Path, rounds: usize, seconds: Duration) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("lookout-delivery-").tempdir().context("making a folder")?;
    let mut stage = Stage::set_up(lookout, folder.path()).await?;
    sleep(WARM_UP).await;
    println!(
        "{:<34}{:>10}{:>10}{:>10}{:>10}{:>12}{:>12}{:>12}",
        "", "incidents", "waiting", "memory", "peak", "probes", "median", "p99"
    );
    stage.begin();
    stage.wait(seconds).await;
    let before = stage.line("before", 0).await?;
    for round in 1..=rounds {
        stage.begin();
        stage.fail_and_recover(round).await?;
        stage.line("incidents into a slow destination", round * SERVICES * SLOS).await?;
    }
    if rounds > 0 {
        stage.begin();
        stage.wait(seconds).await;
        stage.line("all recovered, still delivering", rounds * SERVICES * SLOS).await?;
    }
    let control = stage.another_is_flooded(lookout, &folder.path().join("other"), seconds).await?;
    let flood = Flood::begin(stage.address).await?;
    println!("{} connections opened", flood.opened());
    stage.begin();
    let asked = flood::ask_livez(stage.address, seconds).await?;
    let during = stage.line("port flooded", rounds * SERVICES * SLOS).await?;
    println!(
        "\n/livez in {} s of flood ({} connections): {} of {} answered, the longest after {:.0} ms; p99 of probes {:.1} \
         ms before, {:.1} ms beside an agent that is flooded, {:.1} ms in the flood",
        seconds.as_secs(),
        flood.opened(),
        asked.answers,
        asked.questions,
        asked.longest.as_secs_f64() * 1e3,
        before.p99_ms,
        control.p99_ms,
        during.p99_ms
    );
    drop(flood);
    stage.agent.stop().await;
    Ok(())
}

impl Stage {
    async fn set_up(lookout: &Path, folder: &Path) -> Result<Self> {
        let targets = Targets::start(STEADY).await?;
        let destination = slow_destination().await?;
        let config = write_files(folder, targets.address, destination)?;
        let mut agent = Running::start("lookout", lookout, |command| {
            command.args(["run", "--log", "json", "-c"]).arg(&config).current_dir(folder);
        })?;
        // a large configuration takes its time on a busy machine
        let line = match agent.listening().await {
            Ok(line) => line,
            Err(_) => agent.listening().await?,
        };
        let address = field(&line, "address")?.parse().context("reading the address of the agent")?;
        let client = Client::builder().no_proxy().build().context("building a client")?;
        let (peak, id) = (Arc::new(AtomicU64::new(0)), agent.id().context("the agent has ended")?);
        let mut sampler = JoinSet::new();
        let seen = Arc::clone(&peak);
        sampler.spawn(async move {
            while let Ok(memory) = footprint::resident_of(id) {
                seen.fetch_max((memory * 1e3) as u64, Ordering::Relaxed);
                sleep(SAMPLE_EVERY).await;
            }
        });
        Ok(Self { targets, agent, address, client, since: Instant::now(), _sampler: sampler, peak })
    }

    /// Floods another agent of the same machine, which probes nothing: what the flood itself costs these probes.
    async fn another_is_flooded(
        &mut self,
        lookout: &Path,
        folder: &Path,
        seconds: Duration,
    ) -> Result<Punctuality> {
        std::fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
        let config = folder.join("lookout.yaml");
        std::fs::write(&config, "listen: 127.0.0.1:0\nledger: lookout.db\nslos: []\n")
            .with_context(|| format!("writing {}", config.display()))?;
        let mut other = Running::start("lookout", lookout, |command| {
            command.args(["run", "--log", "json", "-c"]).arg(&config).current_dir(folder);
        })?;
        let line = other.listening().await?;
        let address = field(&line, "address")?.parse().context("reading the address of the other agent")?;
        let flood = Flood::begin(address).await?;
        self.begin();
        flood::ask_livez(address, seconds).await?;
        let found = self.line("port of another agent flooded", 0).await?;
        drop(flood);
        other.stop().await;
        Ok(found)
    }

    /// Waits, and reads the metrics once a second, as in every other part of the measurement.
    async fn wait(&self, lasts: Duration) {
        let until = Instant::now() + lasts;
        while Instant::now() < until {
            let _ = self.deliveries().await;
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Begins a measurement.
    fn begin(&mut self) {
        self.targets.take();
        self.peak.store(0, Ordering::Relaxed);
        self.since = Instant::now();
    }

    /// Prints what was measured since the begin.
    async fn line(&mut self, what: &str, incidents: usize) -> Result<Punctuality> {
        let found = Punctuality::of(&self.targets.take(), self.since.elapsed());
        let (waiting, _) = self.deliveries().await.unwrap_or_default();
        let memory = footprint::resident_of(self.agent.id().context("the agent has ended")?)?;
        println!(
            "{what:<34}{incidents:>10}{waiting:>10}{memory:>7.1} MB{:>7.1} MB{:>10.1} %{:>9.2} ms{:>9.2} ms",
            memory.max(self.peak.load(Ordering::Relaxed) as f64 / 1e3),
            found.achieved * 100.0,
            found.median_ms,
            found.p99_ms
        );
        ensure!(found.probes > 0, "no probe came");
        Ok(found)
    }

    /// Returns how many deliveries wait, and how many were stored so far.
    async fn deliveries(&self) -> Result<(u64, u64)> {
        let text = self.client.get(format!("http://{}/metrics", self.address)).send().await;
        let text = text.context("asking for metrics")?.text().await.context("reading metrics")?;
        let sum = |prefix: &str| -> f64 {
            let lines = text.lines().filter(|line| line.starts_with(prefix));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        let waiting = sum("lookout_delivery_waiting{destination=\"pager\"");
        let delivered = sum("lookout_delivery_total{destination=\"pager\",outcome=\"delivered\"");
        Ok((waiting as u64, (waiting + delivered) as u64))
    }

    /// Lets every SLO open an incident and resolve it.
    async fn fail_and_recover(&self, round: usize) -> Result<()> {
        let all = (SERVICES * SLOS) as u64;
        let before = (round as u64 - 1) * 2 * all;
        for (fails, wanted) in [(true, before + all), (false, before + 2 * all)] {
            self.targets.fail(fails);
            let began = Instant::now();
            loop {
                let stored = self.deliveries().await?.1;
                if stored >= wanted {
                    break;
                }
                ensure!(began.elapsed() < STEP_TIMEOUT, "{stored} of {wanted} deliveries are stored");
                sleep(Duration::from_secs(1)).await;
            }
        }
        sleep(NEW_INCIDENT).await;
        Ok(())
    }
}

/// Starts a receiver of events that takes its time. Returns its address.
async fn slow_destination() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("opening a port")?;
    let address = listener.local_addr().context("reading the port")?;
    let router = axum::Router::new().fallback(async || {
        sleep(SLOW).await;
        StatusCode::ACCEPTED
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// Writes config, specs and the key. Returns the config.
fn write_files(folder: &Path, targets: SocketAddr, destination: SocketAddr) -> Result<PathBuf> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        anyhow::Ok(path)
    };
    let mut config = "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\ntargets:\n".to_owned();
    for number in 0..STEADY {
        config += &target(&format!("steady-{number}"), &format!("http://{targets}/steady/{number}"));
    }
    for number in 0..SERVICES {
        let name = format!("service-{number}");
        config += &target(&name, &format!("http://{targets}/failing/{number}"));
        let specs: Vec<String> = (0..SLOS).map(|slo| spec(&name, slo)).collect();
        write(&format!("{name}.slo.yaml"), &specs.join("---\n"))?;
    }
    config += &format!(
        "destinations:\n  - name: pager\n    pagerduty: {{ routing_key_file: key, events_url: \"http://{destination}/\" }}\n"
    );
    write("key", &"0".repeat(32))?;
    write("lookout.yaml", &config)
}

fn target(name: &str, url: &str) -> String {
    format!("  - {{ name: {name}, http: {{ url: \"{url}\" }}, interval: 1s, timeout: 500ms }}\n")
}

fn spec(service: &str, slo: usize) -> String {
    format!(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: slo-{slo}\n  annotations: {{ lookout.dev/tiers: page 4s/2s \
         x2, lookout.dev/minimum-bad: \"2\" }}\nspec:\n  service: {service}\n  budgetingMethod: Occurrences\n  \
         timeWindow: [{{ duration: 5m, isRolling: true }}]\n  objectives: [{{ target: 0.9 }}]\n  indicator:\n    \
         metadata: {{ name: probes }}\n    spec:\n      ratioMetric:\n        counter: true\n        \
         good: {{ metricSource: {{ type: probe, spec: {{ target: {service}, outcome: ok }} }} }}\n        \
         total: {{ metricSource: {{ type: probe, spec: {{ target: {service} }} }} }}\n"
    )
}
