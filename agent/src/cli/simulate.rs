//! `lookout simulate`: when every tier would fire and let go.

use std::path::PathBuf;

use clap::Args;
use lookout_engine::{Objective, Policy};

use super::exit::Exit;
use super::output;
use super::rates::RateOptions;
use lookout_config::{Config, Slo};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A `lookout.yaml`, a folder with one, or an SLO spec
    #[arg(value_name = "SPEC")]
    path: PathBuf,
    /// Only this SLO (`<service>-<slo>`)
    #[arg(long, value_name = "ID")]
    slo: Option<String>,
    #[command(flatten)]
    rates: RateOptions,
    /// Another objective than that of the spec, in percent
    #[arg(long, value_name = "PERCENT", value_parser = objective)]
    objective: Option<Objective>,
    /// Other tiers than those of the spec, like `page 1h/5m x14.4; ticket 1d/2h x3`
    #[arg(long)]
    tiers: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Parses an objective: `99.9` or `99.9%`.
pub(super) fn objective(text: &str) -> Result<Objective, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let percent = number.parse().map_err(|_| "expected a percentage like 99.9".to_owned())?;
    Objective::try_from_percent(percent).map_err(|error| error.to_string())
}

pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    let config = match lookout_config::load_specs(&options.path) {
        Ok((config, _)) => config,
        Err(diagnostics) => {
            // a tier that can never fire is reported here already
            output::problem(&diagnostics.render(output::colour()));
            return Ok(Exit::No);
        }
    };
    let chosen = choose(&config, options.slo.as_deref())?;
    let real = options.rates.measure(std::slice::from_ref(&config))?;
    let mut list = Vec::new();
    let mut exit = Exit::Fine;
    for slo in chosen {
        let slo = with(slo, options)?;
        let rate = options.rates.rate.unwrap_or_else(|| real.of(&slo.id(), slo.traffic).rate);
        let simulation = lookout_backtest::simulate(&slo.policy, rate);
        let promised = lookout_backtest::promise(&config, &slo, rate);
        if simulation.unreachable().next().is_some() || promised.late.is_some() {
            exit = Exit::No;
        }
        if options.json {
            list.push(lookout_backtest::simulation_json(&slo, &simulation, &promised));
        } else {
            if !list.is_empty() {
                output::line("");
            }
            output::data(&lookout_backtest::simulation_text(&slo, &simulation, &promised));
            list.push(serde_json::Value::Null);
        }
    }
    if options.json {
        output::line(&serde_json::json!({ "slos": list }).to_string());
    }
    Ok(exit)
}

/// Returns the chosen SLOs: one by its id, or all.
pub(super) fn choose<'c>(config: &'c Config, id: Option<&str>) -> anyhow::Result<Vec<&'c Slo>> {
    let ids: Vec<String> = config.slos.iter().map(Slo::id).collect();
    anyhow::ensure!(!ids.is_empty(), "there is no SLO in the spec");
    let chosen: Vec<&Slo> = config.slos.iter().filter(|slo| id.is_none_or(|id| slo.id() == id)).collect();
    anyhow::ensure!(
        !chosen.is_empty(),
        "there is no SLO `{}`; there is {}",
        id.unwrap_or_default(),
        ids.join(", ")
    );
    Ok(chosen)
}

/// Returns the SLO with the overrides of the command line.
fn with(slo: &Slo, options: &Options) -> anyhow::Result<Slo> {
    let mut slo = slo.clone();
    let tiers = options.tiers.as_deref().map(|text| lookout_config::read_tiers(text, slo.period()));
    let tiers = tiers.transpose().map_err(|what| anyhow::anyhow!("--tiers: {what}"))?;
    slo.policy = Policy {
        objective: options.objective.unwrap_or(slo.policy.objective),
        tiers: tiers.unwrap_or(slo.policy.tiers),
        ..slo.policy
    };
    Ok(slo)
}
