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

/// Times of the runs.
pub(super) struct Took {
    /// Seconds of wall time, which other programs on the machine lengthen.
    pub(super) wall_s: Vec<f64>,
    /// Seconds on a processor, all threads together.
    pub(super) cpu_s: Vec<f64>,
}

/// Replays a made-up year a few times.
pub(super) fn measure(lookout: &Path, seed: u64) -> Result<Took> {
    let folder = tempfile::Builder::new().prefix("lookout-year-").tempdir().context("making a folder")?;
    let (spec, csv) = (folder.path().join("year.slo.yaml"), folder.path().join("year.csv"));
    std::fs::write(&spec, SPEC).context("writing the spec")?;
    std::fs::write(&csv, counts(seed)).context("writing a year of counts")?;
    let run = || {
        let (began, cpu) = (Instant::now(), children_cpu()?);
        let mut backtest = std::process::Command::new(lookout);
        backtest.arg("backtest").arg(&spec).arg("--csv").arg(&csv).arg("--json");
        let output = backtest.stderr(Stdio::inherit()).output().context("starting lookout backtest")?;
        let took = (began.elapsed(), children_cpu()?.saturating_sub(cpu));
        ensure!(output.status.success(), "lookout backtest ended with {}", output.status);
        Ok(took)
    };
    let times: Vec<(Duration, Duration)> = (0..RUNS).map(|_| run()).collect::<Result<_>>()?;
    Ok(Took {
        wall_s: times.iter().map(|(wall, _)| wall.as_secs_f64()).collect(),
        cpu_s: times.iter().map(|(_, cpu)| cpu.as_secs_f64()).collect(),
    })
}

/// Returns the CPU time of ended children, in user and kernel mode.
fn children_cpu() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    // the name of the program is in brackets and may hold anything; cutime and cstime are the 14th and 15th after it
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: Vec<u64> = fields.skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    ensure!(ticks.len() == 2, "/proc/self/stat has no times of children");
    // Linux shows hundredths of a second, whatever the kernel counts in
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}

/// A thousand requests a second, which spend half of the budget, unevenly; and an outage now and then.
fn counts(seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = String::from("time,good,bad\n");
    for slot in 0..SLOTS {
        let all = random.u32(9_000..11_000);
        let bad = if slot % OUTAGE_EVERY >= OUTAGE_EVERY - OUTAGE { all } else { random.u32(..11) };
        // a string takes whatever is written to it
        let _ = writeln!(text, "{},{},{bad}", START_S + slot * WIDTH_S, all - bad);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_children_is_read() {
        let before = children_cpu().unwrap();
        let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", busy]).status().unwrap().success());
        assert!(children_cpu().unwrap() > before);
    }
}
