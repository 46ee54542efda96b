//! A year of ten-second counts of one SLO, from a CSV file through `lookout backtest`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::Instant;

/// Runs, of which the median counts.
const RUNS: usize = 5;
const WIDTH_S: i64 = 10;
const SLOTS: i64 = 365 * 86_400 / WIDTH_S;
/// 2025-01-01T00:00:00Z.
const START_S: i64 = 1_735_689_600;
/// Every twelfth of a year the service fails for twenty minutes.
const OUTAGE_EVERY: i64 = SLOTS / 12;
const OUTAGE: i64 = 120;

const SPEC: &str = "apiVersion: openslo/v1
kind: SLO
metadata: { name: requests }
spec:
  service: api
  description: A request failed.
  budgetingMethod: Occurrences
  timeWindow: [{ duration: 30d, isRolling: true }]
  objectives: [{ target: 0.999 }]
  indicator:
    metadata: { name: requests }
    spec:
      ratioMetric:
        counter: true
        bad: { metricSource: { type: scrape, spec: { source: api, selector: errors_total } } }
        total: { metricSource: { type: scrape, spec: { source: api, selector: requests_total } } }
";

/// Seconds of wall time that each run took, in order of size.
pub(super) fn seconds(lookout: &Path, seed: u64) -> Result<Vec<f64>> {
    let folder = tempfile::Builder::new().prefix("lookout-year-").tempdir().context("making a folder")?;
    let (spec, csv) = (folder.path().join("year.slo.yaml"), folder.path().join("year.csv"));
    std::fs::write(&spec, SPEC).context("writing the spec")?;
    std::fs::write(&csv, counts(seed)).context("writing a year of counts")?;
    let run = || {
        let began = Instant::now();
        let mut backtest = std::process::Command::new(lookout);
        backtest.arg("backtest").arg(&spec).arg("--csv").arg(&csv).arg("--json");
        let output = backtest.stderr(Stdio::inherit()).output().context("starting lookout backtest")?;
        let took = began.elapsed();
        ensure!(output.status.success(), "lookout backtest ended with {}", output.status);
        Ok(took)
    };
    let mut times: Vec<Duration> = (0..RUNS).map(|_| run()).collect::<Result<_>>()?;
    times.sort();
    Ok(times.iter().map(Duration::as_secs_f64).collect())
}

/// A thousand requests a second, one in a thousand of which fails, unevenly; and an outage now and then.
fn counts(seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = String::from("time,good,bad\n");
    for slot in 0..SLOTS {
        let all = random.u32(9_000..11_000);
        let bad = if slot % OUTAGE_EVERY >= OUTAGE_EVERY - OUTAGE { all } else { random.u32(..21) };
        // a string takes whatever is written to it
        let _ = writeln!(text, "{},{},{bad}", START_S + slot * WIDTH_S, all - bad);
    }
    text
}
