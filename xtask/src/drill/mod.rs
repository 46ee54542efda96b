//! Rehearsals of bad days, on one machine and with the real programs.

mod clients;
mod platform;
mod postgres;
mod restore;
mod restored;
mod rollback;
mod workflow;

use anyhow::Result;
use clap::Subcommand;

/// What is rehearsed.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// A faulty version is deployed under load by the steps of the workflow `deploy`, found out and taken back
    Rollback(rollback::Arguments),
    /// Service and agent lose their data under load and get them back from backups
    Restore(restore::Arguments),
}

/// Rehearses, and fails when it would have gone badly.
pub(crate) fn run(what: &What) -> Result<()> {
    match what {
        What::Rollback(arguments) => rollback::run(arguments),
        What::Restore(arguments) => restore::run(arguments),
    }
}
