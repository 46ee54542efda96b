//! `lookout schema`: the JSON Schema with which editors check `lookout.yaml` and SLO specs.

use clap::{Args, ValueEnum};

use super::output;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Of which file
    #[arg(default_value = "config")]
    of: Subject,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Subject {
    /// lookout.yaml
    Config,
    /// *.slo.yaml
    Slo,
}

pub(super) fn run(options: &Options) {
    output::data(&match options.of {
        Subject::Config => lookout_config::config_schema(),
        Subject::Slo => lookout_config::slo_schema(),
    });
}
