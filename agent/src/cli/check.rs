//! `lookout check`: every finding, with file, line, column and what to do.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::output;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A `lookout.yaml`, a folder with one, or SLO specs
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    let diagnostics = lookout_config::check(&options.paths);
    if !diagnostics.list.is_empty() {
        output::problem(&diagnostics.render(output::colour()));
    }
    if diagnostics.has_errors() {
        return Ok(Exit::No);
    }
    output::problem(&match diagnostics.counts() {
        (_, 0) => "everything is fine".to_owned(),
        (_, 1) => "no error, 1 warning".to_owned(),
        (_, warnings) => format!("no error, {warnings} warnings"),
    });
    Ok(Exit::Fine)
}
