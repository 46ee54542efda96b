//! `lookout generate`: files that follow from the specs.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::exit::Exit;
use super::output;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The config of the agent
    #[arg(short, long, default_value = "lookout.yaml", value_name = "FILE")]
    config: PathBuf,
    /// Write nothing; exit 1 when a file differs from what would be written
    #[arg(long)]
    check: bool,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    let config = match lookout_config::load_without_secrets(&options.config) {
        Ok((config, _)) => config,
        Err(diagnostics) => {
            output::problem(&diagnostics.render(output::colour()));
            return Ok(Exit::Usage);
        }
    };
    let artifacts = lookout_generate::artifacts(&config);
    if options.check {
        let drift = lookout_generate::drift(&artifacts).context("comparing generated files")?;
        for file in &drift {
            output::line(&file.to_string());
        }
        if !drift.is_empty() {
            output::problem(
                "generated files differ from the specs: run `lookout generate` and commit the result",
            );
            return Ok(Exit::No);
        }
        return Ok(Exit::Fine);
    }
    for path in lookout_generate::write(&artifacts).context("writing generated files")? {
        output::line(&format!("wrote {}", path.display()));
    }
    Ok(Exit::Fine)
}
