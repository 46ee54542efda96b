//! `lookout backtest`: what alerting would have done about counts of the past.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use lookout_engine::{Counts, Grid, Objective};
use url::Url;

use super::exit::Exit;
use super::rates::token;
use super::simulate::{choose, objective};
use super::{output, runtime};
use lookout_backtest::{Backtest, Bounds, LoadError, NaiveRule, Prometheus, Question, Recording};
use lookout_config::{Config, Slo};
use lookout_ledger::LedgerFile;
use lookout_model::{Timestamp, parse_duration};
use lookout_runtime::clock::{Clock as _, SystemClock};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A `lookout.yaml`, a folder with one, or an SLO spec
    #[arg(value_name = "SPEC")]
    path: PathBuf,
    /// The SLO (`<service>-<slo>`), when the spec has several
    #[arg(long, value_name = "ID")]
    slo: Option<String>,
    #[command(flatten)]
    source: Source,
    /// Look at counts from here on: a time, or a duration before the end [default: all; 30d with --prometheus]
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<String>,
    /// Look at counts before this time [default: all; now with --prometheus]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Seconds per count that Prometheus is asked for; at least two of its scrape intervals
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration, requires = "prometheus")]
    step: Duration,
    /// A file with a bearer token for the Prometheus
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    token_file: Option<PathBuf>,
    /// Outages that are known, as CSV: `start,end,name`
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Time after an outage in which an incident may open and still be about it
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    grace: Duration,
    /// Other objectives to compare with: percentages, separated by commas
    #[arg(long, value_name = "PERCENT,…", value_delimiter = ',', value_parser = objective)]
    objective: Vec<Objective>,
    /// Other tiers to compare with, like `page 1h/5m x14.4; ticket 1d/2h x3`; may be repeated
    #[arg(long)]
    tiers: Vec<String>,
    /// The naive threshold to compare with: a share of bad events and a window [default: 10 × the budget over 5m]
    #[arg(long, value_name = "SHARE/WINDOW")]
    naive: Option<NaiveRule>,
    /// Exit 1 when precision is below this
    #[arg(long, value_name = "0…1", requires = "labels")]
    min_precision: Option<f64>,
    /// Exit 1 when recall is below this
    #[arg(long, value_name = "0…1", requires = "labels")]
    min_recall: Option<f64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also write a page with a picture
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Counts from a CSV file with the columns time and two of good, bad, total
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Counts from a Prometheus, by its base URL
    #[arg(long, value_name = "URL")]
    prometheus: Option<Url>,
    /// Counts from the ledger of an agent, which may be running
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    let config = match lookout_config::load_specs(&options.path) {
        Ok((config, _)) => config,
        Err(diagnostics) => {
            output::problem(&diagnostics.render(output::colour()));
            return Ok(Exit::Usage);
        }
    };
    let slo = match choose(&config, options.slo.as_deref())?.as_slice() {
        [slo] => *slo,
        several => {
            let ids: Vec<String> = several.iter().map(|slo| slo.id()).collect();
            anyhow::bail!("say which SLO with --slo: {}", ids.join(", "));
        }
    };
    anyhow::ensure!(
        slo.components().is_empty(),
        "{} is a composite, and counts of the past are those of one indicator; `lookout simulate` simulates it, and a \
         component can be backtested as an SLO of its own",
        slo.id()
    );
    let question = question(options, slo)?;
    let recording = match recorded(options, &config, slo) {
        Ok(recording) => recording,
        Err(error) => {
            output::problem(&format!("error: {error:#}"));
            return Ok(match error.downcast_ref::<LoadError>() {
                Some(LoadError::Empty) => Exit::Inconclusive,
                Some(LoadError::Prometheus { .. }) => Exit::Unreachable,
                _ => Exit::Usage,
            });
        }
    };
    let backtest = lookout_backtest::backtest(&question, &recording);
    if let Some(path) = &options.html {
        std::fs::write(path, lookout_backtest::html(&backtest, &recording))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    if options.json {
        output::line(&lookout_backtest::backtest_json(&backtest).to_string());
    } else {
        output::data(&lookout_backtest::backtest_text(&backtest));
    }
    Ok(if is_good_enough(options, &backtest) { Exit::Fine } else { Exit::No })
}

/// Returns whether precision and recall reach their limits. Without an incident there is no precision to be too low;
/// without an outage no recall.
fn is_good_enough(options: &Options, backtest: &Backtest) -> bool {
    let below =
        |least: Option<f64>, found: Option<f64>| matches!((least, found), (Some(a), Some(b)) if b < a);
    !below(options.min_precision, backtest.score.precision)
        && !below(options.min_recall, backtest.score.recall)
}

fn question(options: &Options, slo: &Slo) -> anyhow::Result<Question> {
    let tiers = options.tiers.iter().map(|text| lookout_config::read_tiers(text, slo.period()));
    let tiers: Result<Vec<_>, String> = tiers.collect();
    let outages = options.labels.as_deref().map(lookout_backtest::read_labels).transpose()?;
    Ok(Question {
        slo: slo.id(),
        policy: slo.policy.clone(),
        calendar: slo.calendar.clone(),
        outages: outages.unwrap_or_default(),
        grace: options.grace,
        naive: options.naive.unwrap_or_else(|| NaiveRule::usual(slo.objective())),
        objectives: options.objective.clone(),
        tiers: tiers.map_err(|what| anyhow::anyhow!("--tiers: {what}"))?,
    })
}

fn recorded(options: &Options, config: &Config, slo: &Slo) -> anyhow::Result<Recording> {
    let now = SystemClock.now();
    let bounds = Bounds::parse(options.since.as_deref(), options.until.as_deref(), now);
    let bounds = bounds.map_err(anyhow::Error::msg)?;
    let finest = slo.policy.grid;
    if let Some(path) = &options.source.csv {
        return Ok(Recording::new(finest, lookout_backtest::read_csv(path, bounds)?)?);
    }
    if let Some(path) = &options.source.ledger {
        return runtime()?.block_on(from_ledger(path, slo, bounds));
    }
    let url = options.source.prometheus.clone().context("say where the counts are")?;
    let width = u32::try_from(options.step.as_secs()).ok().and_then(|seconds| Grid::try_new(seconds).ok());
    let width = width.context("--step: expected a part or a multiple of a minute, like `30s` or `5m`")?;
    let grid = if width.width_seconds() < finest.width_seconds() { finest } else { width };
    let until = bounds.until.min(now);
    let from = match bounds.from {
        Timestamp::MIN => until - Duration::from_secs(30 * 86_400),
        from => from,
    };
    let bounds = Bounds { from, until };
    let from = Prometheus { url, token: options.token_file.as_deref().map(token).transpose()? };
    let range = format!("{}s", grid.width_seconds());
    let rates = lookout_generate::rates(config, slo, &range);
    let counts = runtime()?.block_on(lookout_backtest::read_prometheus(&from, &rates, grid, bounds))?;
    Ok(Recording::on(grid, counts)?)
}

/// Reads all counts of a ledger. Older counts are minutes and quarters of an hour, and the replay is as coarse as the
/// coarsest.
async fn from_ledger(path: &Path, slo: &Slo, bounds: Bounds) -> anyhow::Result<Recording> {
    let file = LedgerFile::open(path).await?;
    let stored = file.counts(&slo.id(), bounds.from.max(Timestamp::EPOCH)).await?;
    let known = file.slo_ids().await?;
    file.close().await;
    anyhow::ensure!(
        known.contains(&slo.id()),
        "{} has no counts of {}; it has those of {}",
        path.display(),
        slo.id(),
        if known.is_empty() { "no SLO at all".to_owned() } else { known.join(", ") }
    );
    let spans = stored.spans().iter().filter(|span| bounds.contain(Timestamp::from_seconds(span.start_s)));
    let spans: Vec<_> = spans.copied().collect();
    let coarsest = spans.iter().map(|span| span.resolution.seconds()).max().unwrap_or(1);
    let grid = if coarsest <= slo.policy.grid.width_seconds() {
        slo.policy.grid
    } else {
        Grid::try_new(coarsest).context("no replay is as coarse as the oldest counts of the ledger")?
    };
    let counts: Vec<(i64, Counts)> = spans.iter().map(|span| (span.start_s, span.counts)).collect();
    Ok(Recording::on(grid, counts)?)
}
