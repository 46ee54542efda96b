//! Real rates of events, from an option, a ledger or a Prometheus.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::HeaderValue;
use lookout_config::{Config, RealRates, Slo, read_rate};
use lookout_engine::{EventRate, Grid};
use lookout_ledger::LedgerFile;
use lookout_runtime::clock::{Clock as _, SystemClock};
use url::Url;

use super::runtime;
use lookout_backtest::{Bounds, Prometheus};

/// Time that a rate is measured over.
const MEASURED: Duration = Duration::from_secs(7 * 86_400);

/// Seconds per count of a query.
const STEP_SECONDS: u32 = 300;

/// Sources of real rates.
#[derive(Debug, Args)]
pub(super) struct RateOptions {
    /// The traffic, like `10/s`, `600/m` or `5/h`
    #[arg(long, value_parser = read_rate)]
    pub(super) rate: Option<EventRate>,
    /// Measure the traffic of the last 7 days in the ledger of an agent, which may be running
    #[arg(long, value_name = "FILE", conflicts_with = "rate")]
    ledger: Option<PathBuf>,
    /// Measure the traffic of the last 7 days in a Prometheus, by its base URL
    #[arg(long, value_name = "URL", conflicts_with_all = ["rate", "ledger"])]
    prometheus: Option<Url>,
    /// A file with a bearer token for the Prometheus
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    token_file: Option<PathBuf>,
}

impl RateOptions {
    /// Returns whether rates have to be measured, for which the specs must be known.
    pub(super) const fn need_specs(&self) -> bool {
        self.ledger.is_some() || self.prometheus.is_some()
    }

    /// Measures the rates of the SLOs. One without events has none.
    pub(super) fn measure(&self, configs: &[Config]) -> anyhow::Result<RealRates> {
        let mut real = RealRates { every: self.rate, ..RealRates::default() };
        if let Some(path) = &self.ledger {
            runtime()?.block_on(from_ledger(path, configs, &mut real))?;
        }
        if let Some(url) = &self.prometheus {
            let token = self.token_file.as_deref().map(token).transpose()?;
            let from = Prometheus { url: url.clone(), token };
            runtime()?.block_on(from_prometheus(&from, configs, &mut real))?;
        }
        Ok(real)
    }
}

/// Returns the SLOs with a single indicator.
fn single(configs: &[Config]) -> impl Iterator<Item = (&Config, &Slo)> {
    let all = configs.iter().flat_map(|config| config.slos.iter().map(move |slo| (config, slo)));
    all.filter(|(_, slo)| slo.components().is_empty())
}

async fn from_ledger(path: &Path, configs: &[Config], real: &mut RealRates) -> anyhow::Result<()> {
    let file = LedgerFile::open(path).await?;
    let since = SystemClock.now().saturating_sub(MEASURED);
    for (_, slo) in single(configs) {
        let counts = file.counts(&slo.id(), since).await?;
        // slots without an event need not be stored
        let ends = counts.spans().iter().map(|span| span.start_s + i64::from(span.resolution.seconds()));
        let first = counts.spans().first().map(|span| span.start_s);
        let seconds = ends.max().zip(first).map_or(0, |(end, first)| end - first);
        add(real, slo, counts.total().total(), seconds);
    }
    file.close().await;
    Ok(())
}

async fn from_prometheus(from: &Prometheus, configs: &[Config], real: &mut RealRates) -> anyhow::Result<()> {
    let grid = Grid::try_new(STEP_SECONDS).context("slots of five minutes")?;
    let until = SystemClock.now();
    let bounds = Bounds { from: until.saturating_sub(MEASURED), until };
    let range = format!("{STEP_SECONDS}s");
    for (config, slo) in single(configs) {
        let rates = lookout_generate::rates(config, slo, &range);
        let counts = lookout_backtest::read_prometheus(from, &rates, grid, bounds).await?;
        let events = counts.iter().map(|(_, counts)| counts.total()).fold(0, u64::saturating_add);
        let seconds = i64::try_from(counts.len()).unwrap_or(i64::MAX).saturating_mul(STEP_SECONDS.into());
        add(real, slo, events, seconds);
    }
    Ok(())
}

fn add(real: &mut RealRates, slo: &Slo, events: u64, seconds: i64) {
    if let Ok(rate) = EventRate::try_per_second(events as f64 / seconds.max(1) as f64) {
        real.by_slo.insert(slo.id(), rate);
    }
}

/// Reads a bearer token; a file of more than a few kilobytes has none.
pub(super) fn token(path: &Path) -> anyhow::Result<HeaderValue> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(16 << 10).read_to_string(&mut text));
    read.with_context(|| format!("reading the token in {}", path.display()))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
        .ok()
        .with_context(|| format!("{} has no token that can be sent", path.display()))?;
    value.set_sensitive(true);
    Ok(value)
}
