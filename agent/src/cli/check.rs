//! `lookout check`: every finding, with file, line, column and what to do, and the promise of every SLO.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::output;
use super::rates::RateOptions;
use lookout_config::{Config, RealRates, Slo};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A `lookout.yaml`, a folder with one, or SLO specs
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    rates: RateOptions,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    // the SLOs have to be known before their rates can be measured
    let configs = match options.rates.need_specs() {
        true => lookout_config::check(&options.paths, &RealRates::default()).configs,
        false => Vec::new(),
    };
    let real = options.rates.measure(&configs)?;
    let checked = lookout_config::check(&options.paths, &real);
    let diagnostics = checked.diagnostics;
    if !diagnostics.list.is_empty() {
        output::problem(&diagnostics.render(output::colour()));
    }
    let slos = checked.configs.iter().flat_map(|config| config.slos.iter().map(move |slo| (config, slo)));
    for line in promises(&slos.collect::<Vec<_>>(), &real) {
        output::line(&line);
    }
    if let Some(warning) = checked.unheard {
        output::problem(&format!("warning: {warning}"));
    }
    if diagnostics.has_errors() {
        return Ok(Exit::No);
    }
    let (errors, warnings) = diagnostics.counts();
    let counts = (errors, warnings + usize::from(checked.unheard.is_some()));
    output::problem(&match counts {
        (_, 0) => "everything is fine".to_owned(),
        (_, 1) => "no error, 1 warning".to_owned(),
        (_, warnings) => format!("no error, {warnings} warnings"),
    });
    Ok(Exit::Fine)
}

/// Returns the promise of every SLO in a line. Each takes a replay of months, so that they run in parallel.
fn promises(slos: &[(&Config, &Slo)], real: &RealRates) -> Vec<String> {
    let line = |(config, slo): &(&Config, &Slo)| {
        let promised = lookout_backtest::promise(config, slo, real.of(&slo.id(), slo.traffic).rate);
        format!("{}: {}", slo.id(), promised.line())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let parts = slos.chunks(slos.len().div_ceil(cores).max(1));
        let threads: Vec<_> =
            parts.map(|part| scope.spawn(move || part.iter().map(line).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}
