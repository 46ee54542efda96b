//! Rehearsals of bad days, on one machine and with the real programs.

mod platform;
mod rollback;
mod workflow;

use anyhow::Result;
use clap::Subcommand;

/// What is rehearsed.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// A faulty version is deployed under load by the steps of the workflow `deploy`, found out and taken back
    Rollback(rollback::Arguments),
}

/// Rehearses, and fails when it would have gone badly.
pub(crate) fn run(what: &What) -> Result<()> {
    match what {
        What::Rollback(arguments) => rollback::run(arguments),
    }
}
