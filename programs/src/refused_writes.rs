//! A program whose files cannot grow for a while, as on a disk that refuses writes.
//!
//! The limit on the size of files (`RLIMIT_FSIZE`) needs no rights, and only the soft limit changes, so that it can be
//! lifted again.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::running::Running;

/// Starts a program that survives a refused write: it ignores the signal that comes with it, and sees an error.
pub fn start(name: &str, program: &Path, set_up: impl FnOnce(&mut Command)) -> Result<Running> {
    Running::start(name, "/bin/sh", |command| {
        command.args(["-c", "trap '' XFSZ; exec \"$0\""]).arg(program);
        set_up(command);
    })
}

/// Refuses writes to the files of a program.
pub async fn refuse(program: &Running) -> Result<()> {
    limit(program, "--fsize=1:").await
}

/// Accepts them again.
pub async fn accept(program: &Running) -> Result<()> {
    limit(program, "--fsize=unlimited:").await
}

async fn limit(program: &Running, limit: &str) -> Result<()> {
    let id = program.id().context("the program has ended")?.to_string();
    let mut prlimit = Command::new("prlimit");
    let status = prlimit.args(["--pid", &id, limit]).status().await;
    let status = status.context("running prlimit, which is a part of util-linux")?;
    ensure!(status.success(), "prlimit {limit} ended with {status}");
    Ok(())
}
