//! Rehearses delivery on a bad day, a full disk, a restore from backups and the rollback of a faulty version, on one machine and with
//! the real programs.
//! `cargo xtask drill` starts it. It never touches a platform: processes stand for it.
#![expect(clippy::print_stdout, reason = "people watch a drill")]

mod clients;
mod delivery;
mod ledger;
mod platform;
mod postgres;
mod restore;
mod restored;
mod rollback;
mod workflow;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;

use programs::binaries::Binaries;

/// A drill.
#[derive(Debug, Subcommand)]
pub enum Drill {
    /// A faulty version is deployed under load by the steps of the workflow `deploy`, found out and taken back
    Rollback(rollback::Arguments),
    /// Service and agent lose their data under load and get them back from backups
    Restore(restore::Arguments),
    /// Every destination fails in turn and the agent is killed again and again; no message may be lost
    Delivery(delivery::Arguments),
    /// The disk below the ledger is full for a while before an outage; it is paged, recorded and resolved each time
    Ledger(ledger::Arguments),
}

/// Runs a drill.
///
/// # Errors
/// If it went badly.
pub fn run(drill: &Drill) -> Result<()> {
    match drill {
        Drill::Rollback(arguments) => rollback::run(arguments),
        Drill::Restore(arguments) => restore::run(arguments),
        Drill::Delivery(arguments) => delivery::run(arguments),
        Drill::Ledger(arguments) => ledger::run(arguments),
    }
}

/// The programs to rehearse with: those of a folder, or the ones that are built now.
fn programs(folder: Option<&Path>) -> Result<Binaries> {
    let Some(folder) = folder else { return Binaries::build() };
    let folder = folder.canonicalize().with_context(|| format!("looking for {}", folder.display()))?;
    Binaries::in_folder(&folder)
}

/// Runs a drill within its time.
fn play(limit: Duration, drill: impl Future<Output = Result<()>>) -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.context("starting the runtime")?.block_on(async {
        // dropping the drill kills what it started
        tokio::select! {
            rehearsed = tokio::time::timeout(limit, drill) =>
                rehearsed.with_context(|| format!("the drill took longer than {limit:?}"))?,
            _ = tokio::signal::ctrl_c() => bail!("interrupted; everything that was started has been stopped"),
        }
    })
}
