//! Cost of the service beside a bare axum + sqlx program and beside FastAPI, in one run.
//!
//! - `wire` is one connection of HTTP; `load` keeps many of them busy and says how that went.
//! - `databases` and `servers` are what is loaded; `sink` takes the traces; `cost` reads what it costs from `/proc`.
//! - `report` holds the medians against the targets.
//!
//! All servers of a database run side by side and are loaded one after the other, each with the same, every other round
//! in the opposite order: what else the machine does falls on all of them.

mod databases;
mod load;
mod report;
mod servers;
mod sink;
mod wire;

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use self::databases::{Database, Store};
use self::load::{Load, Pace};
use self::report::Sample;
use self::servers::{Binaries, Kind, Server};
use self::sink::Sink;
use programs::workspace;

/// Before each measurement the same is done for so long and not measured.
const WARM_UP: Duration = Duration::from_millis(300);
/// Spans wait for up to five seconds until they are sent.
const LAST_SPANS: Duration = Duration::from_secs(7);

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Time for which each server is loaded in each way and round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Number of rounds; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Requests per second where the rate is fixed.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(16..=100_000))]
    rate: u32,
    /// On which databases.
    #[arg(long, value_delimiter = ',', default_value = "sqlite,postgres")]
    stores: Vec<Store>,
    /// The servers.
    #[arg(long, value_delimiter = ',', default_value = "quiet,logs,traced,bare,fastapi")]
    servers: Vec<Kind>,
    /// The profile of ours and of the bare one; another than `service` is not what is shipped.
    #[arg(long, default_value = "service")]
    profile: String,
    /// Target that ours is built for: images hold `x86_64-unknown-linux-musl`. The bare one is always built for this
    /// machine, as anybody would.
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Measure `titanic` and `bare` of this folder instead of building them.
    #[arg(long, value_name = "FOLDER", conflicts_with = "target")]
    binaries: Option<PathBuf>,
}

/// The kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    One,
    List,
}

impl Work {
    const ALL: [Self; 2] = [Self::One, Self::List];

    fn name(self) -> &'static str {
        match self {
            Self::One => "get one",
            Self::List => "list 20",
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    if cfg!(debug_assertions) {
        return run_optimised();
    }
    let binaries = Binaries::find(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("starting the runtime")?.block_on(async {
        let mut told = signal(SignalKind::terminate()).context("listening for signals")?;
        tokio::select! {
            done = measure(arguments, &binaries) => done,
            // Servers end with what holds them.
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = told.recv() => bail!("told to end"),
        }
    })
}

/// Continues as a program that is optimised: the client shares the machine with what it measures.
fn run_optimised() -> Result<()> {
    println!("building what loads the servers");
    workspace::must_succeed(workspace::cargo().args(["build", "--profile", "fast", "--package", "xtask"]))?;
    let program = workspace::target_directory()?.join("fast/xtask");
    let failed = std::process::Command::new(&program).args(std::env::args_os().skip(1)).exec();
    Err(failed).with_context(|| format!("starting {}", program.display()))
}

async fn measure(arguments: &Arguments, binaries: &Binaries) -> Result<()> {
    let began = Instant::now();
    let paces = [Pace::Closed(16), Pace::Closed(64), Pace::Rate(arguments.rate)];
    let mut samples = Vec::new();
    for store in &arguments.stores {
        let sink = Sink::start()?;
        let database = Database::start(*store)?;
        let servers = servers::start(&arguments.servers, binaries, &database, &sink).await?;
        let paths = servers::paths(&servers).await?;
        database.settle()?;
        let mut traced = 0;
        for round in 1..=arguments.rounds {
            for work in Work::ALL {
                for pace in paces {
                    println!(
                        "{}, round {round} of {}: {}, {pace}",
                        store.name(),
                        arguments.rounds,
                        work.name()
                    );
                    let forth = servers.iter().map(Some);
                    let back = servers.iter().rev().map(Some);
                    let order: Vec<_> = if round % 2 == 1 { forth.collect() } else { back.collect() };
                    for server in order.into_iter().flatten() {
                        let load = Load { address: server.address, paths: paths.of(work), pace };
                        let warm = load.run(WARM_UP).await?;
                        let sample = sample(server, &database, &load, arguments, (round, work)).await?;
                        if server.kind == Kind::Traced {
                            traced += warm.answers + sample.answers;
                        }
                        samples.push(sample);
                    }
                }
            }
        }
        if servers.iter().any(|server| server.kind == Kind::Traced) {
            sleep(LAST_SPANS).await;
            let each = sink.spans() as f64 / traced.max(1) as f64;
            println!("{}: {each:.2} spans per traced request reached the collector", store.name());
        }
    }
    report::print(&samples, arguments);
    println!("\ntook {} s", began.elapsed().as_secs());
    Ok(())
}

/// Loads a server and reads what that cost.
async fn sample(
    server: &Server,
    database: &Database,
    load: &Load<'_>,
    arguments: &Arguments,
    (round, work): (u32, Work),
) -> Result<Sample> {
    let cpu = || anyhow::Ok((crate::cost::cpu_of(server.id()?)?, database.cpu()?, crate::cost::own_cpu()?));
    let before = cpu()?;
    let mut most_memory = 0.0_f64;
    let running = load.run(Duration::from_secs(arguments.seconds));
    tokio::pin!(running);
    let outcome = loop {
        tokio::select! {
            outcome = &mut running => break outcome?,
            () = sleep(Duration::from_millis(250)) => {
                most_memory = most_memory.max(super::footprint::resident_of(server.id()?)?);
            }
        }
    };
    let after = cpu()?;
    ensure!(
        outcome.refused == 0,
        "{} answered {} of {} requests with another status than 200",
        server.kind.name(),
        outcome.refused,
        outcome.answers
    );
    let per_thousand = |after: Duration, before: Duration| {
        after.saturating_sub(before).as_secs_f64() * 1e6 / outcome.answers.max(1) as f64
    };
    Ok(Sample {
        round,
        store: database.store,
        work,
        pace: load.pace,
        kind: server.kind,
        answers: outcome.answers,
        per_second: outcome.answers as f64 / outcome.took.as_secs_f64(),
        p50_ms: outcome.percentile(50),
        p99_ms: outcome.percentile(99),
        cpu_ms: per_thousand(after.0, before.0),
        database_ms: per_thousand(after.1, before.1),
        client_ms: per_thousand(after.2, before.2),
        megabytes: most_memory,
    })
}
