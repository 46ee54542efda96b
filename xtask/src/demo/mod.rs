//! The whole product in one story: an API is watched, a fault pages once, the gate closes, everything recovers.
//!
//! Nothing here is a special path: the real service, the real agent and the real command line, with files as a user
//! would write them. Only the periods are short.

mod changes;
mod message;
mod narrator;
mod opinion;
mod processes;
mod prometheus;
mod promise;
mod receiver;
mod spec;
mod story;
mod verdict;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use narrator::Narrator;
use programs::binaries::Binaries;

/// Arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Tell the story and end: with 0, or with the first step that failed. This is the default.
    #[arg(long, conflicts_with = "keep")]
    once: bool,
    /// Leave everything running afterwards and print the URLs; ends with ctrl-c.
    #[arg(long)]
    keep: bool,
    /// Ask Debian's Prometheus and Alertmanager for a second opinion.
    #[arg(long)]
    with_prometheus: bool,
    /// Use the programs `titanic` and `lookout` of this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// Builds, tells, and cleans up after itself however it ends.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let binaries = match &arguments.binaries {
        Some(folder) => Binaries::in_folder(
            &folder.canonicalize().with_context(|| format!("looking for {}", folder.display()))?,
        )?,
        None => {
            println!("building the service and the agent (profile `fast`)");
            Binaries::build()?
        }
    };
    // Someone else may have installed a provider already; there is only one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let narrator = Narrator::new();
        let options = story::Options { keep: arguments.keep, with_prometheus: arguments.with_prometheus };
        // The processes belong to the story: whichever branch ends first, dropping it kills them.
        tokio::select! {
            told = story::tell(&binaries, &options, &narrator) => told,
            _ = interrupt.recv() => interrupted(arguments.keep, &narrator),
            _ = terminate.recv() => interrupted(arguments.keep, &narrator),
        }
    })
}

fn interrupted(keep: bool, narrator: &Narrator) -> Result<()> {
    narrator.plain("");
    if keep {
        narrator.plain("stopped");
        return Ok(());
    }
    bail!("interrupted; everything that was started has been stopped")
}

/// Milliseconds since the epoch: what the agent's own times are compared with.
#[expect(
    clippy::disallowed_methods,
    reason = "the story is told in real time and compared with the agent's wall time"
)]
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
