//! Cost of an SLO and delay of a page, beside the targets and beside Prometheus as it was measured.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{footprint, year};
use programs::workspace;

/// Prometheus 2.42 with rules of Sloth's shape (17 per SLO) at 15 s scrapes and 30 s evaluations, 10 to 1,000 SLOs.
const PROMETHEUS_US: &str = "47,000 to 62,000 µs";
/// Its resident memory over 1,000 SLOs.
const PROMETHEUS_BYTES: &str = "1.2 to 1.3 MB";
/// A total outage under the same rules, beyond the theoretical minimum, at 15 s scrapes: evaluated every 15 and 30 s.
const PROMETHEUS_P50: &str = "21.8 / 40.6 s";
const PROMETHEUS_P90: &str = "31.1 / 56.8 s";
const PROMETHEUS_MAX: &str = "37.7 / 66.4 s";

/// Raw and recorded series of one SLO, per day.
const PROMETHEUS_DISK: &str = "170 to 290 KB";

/// One line of the table.
struct Figure {
    name: &'static str,
    measured: f64,
    target: Option<f64>,
    unit: &'static str,
    decimals: usize,
    prometheus: &'static str,
}

/// Builds, measures and prints. Missing a target is told, not failed: the machine decides too.
///
/// The engine and the backtest are built as they are shipped; what is measured in simulated time or in bytes does not
/// depend on how it is built, and is built quickly.
pub(super) fn run(seed: u64) -> Result<()> {
    println!("seed {seed}; building lookout-engine as it is shipped, then 31 days of counts");
    let engine = figures(&["--package", "lookout-engine"], seed)?;
    println!("building lookout, then outages under simulated time and three days of a ledger");
    let agent = figures(&["--package", "lookout", "--profile", "fast"], seed)?;
    let lookout = footprint::build()?;
    println!("replaying a year");
    let took = year::measure(&lookout, seed)?;
    for line in table(&engine, &agent, &json!({ "year_s": took.wall_s, "year_cpu_s": took.cpu_s }))? {
        println!("{line}");
    }
    Ok(())
}

/// Returns the figures of the benchmark `slo` of a package.
fn figures(package: &[&str], seed: u64) -> Result<Value> {
    let mut bench = workspace::cargo();
    bench.args(["bench", "--quiet"]).args(package).args(["--bench", "slo", "--", "--seed"]);
    let output = bench.arg(seed.to_string()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("starting `{}`", workspace::shown(&bench)))?;
    ensure!(output.status.success(), "`{}` ended with {}", workspace::shown(&bench), output.status);
    serde_json::from_slice(&output.stdout).context("reading the figures of the benchmark")
}

fn table(engine: &Value, agent: &Value, backtest: &Value) -> Result<Vec<String>> {
    let slos = number(engine, "slos")?;
    let ticks = numbers(engine, "tick_ms")?;
    let mean_ms = ticks.iter().sum::<f64>() / ticks.len() as f64;
    let (scrape, probe) = (numbers(agent, "scrape_excess_s")?, numbers(agent, "probe_excess_s")?);
    let (day_bytes, young_bytes) = ledger(agent)?;
    let figure = |name, measured, target, unit, decimals, prometheus| Figure {
        name,
        measured,
        target,
        unit,
        decimals,
        prometheus,
    };
    let worst = number(engine, "worst_bytes")?;
    let figures = [
        figure("CPU per SLO and tick", mean_ms * 1e3 / slos, Some(2.0), "µs", 2, PROMETHEUS_US),
        figure("CPU per tick of all SLOs", mean_ms, Some(20.0), "ms", 1, ""),
        figure("state per SLO, worst counts", worst, Some(32_768.0), "B", 0, PROMETHEUS_BYTES),
        figure("state per SLO, 1,000 requests/s", number(engine, "usual_bytes")?, None, "B", 0, ""),
        figure("ledger per SLO and day", day_bytes, Some(16_000.0), "B", 0, PROMETHEUS_DISK),
        figure("ledger per SLO, youngest 7 hours", young_bytes, None, "B", 0, ""),
        figure("excess detection, scrape, p50", percentile(&scrape, 50), Some(5.0), "s", 1, PROMETHEUS_P50),
        figure("excess detection, scrape, p90", percentile(&scrape, 90), Some(10.0), "s", 1, PROMETHEUS_P90),
        figure("excess detection, scrape, max", percentile(&scrape, 100), None, "s", 1, PROMETHEUS_MAX),
        figure("excess detection, probe, p50", percentile(&probe, 50), Some(5.0), "s", 1, ""),
        figure("excess detection, probe, p90", percentile(&probe, 90), Some(10.0), "s", 1, ""),
        figure("excess detection, probe, max", percentile(&probe, 100), None, "s", 1, ""),
        figure(
            "backtest of a year, median",
            percentile(&numbers(backtest, "year_s")?, 50),
            Some(1.0),
            "s",
            2,
            "",
        ),
        figure(
            "  CPU of all its threads",
            percentile(&numbers(backtest, "year_cpu_s")?, 50),
            None,
            "s",
            2,
            "",
        ),
        figure("  CPU of the engine alone", number(engine, "year_s")?, None, "s", 2, ""),
    ];
    let mut lines =
        vec![format!("\n{:<34}{:>12}{:>12}  {:<6}  {:>20}", "", "measured", "target", "", "Prometheus")];
    lines.extend(figures.iter().map(line));
    lines.push(String::new());
    lines.push(format!(
        "{slos} SLOs with the default tiers and a period of 30 days, {} ticks, one thread; worst counts are four billion\n\
         good and as many bad events a slot. The ledger is the closed file of {} SLOs at 1,000 requests/s: what a day adds\n\
         once the youngest seven hours, kept slot by slot, are full. Excess is what a total outage takes to wake the\n\
         deliveries of its page beyond the 51.84 s of the closed form: {} outages each, begun anywhere within a slot of\n\
         10 s, seen by the agent's own loops under simulated time, counters of 50 requests/s or one probe every 10 s.\n\
         Backtest is wall time of the shipped binary over 3,153,600 lines of CSV that spend half of the budget.\n\
         Prometheus: 2.42 with rules of Sloth's shape, measured on two shared cores: CPU per SLO and evaluation, resident\n\
         memory over 1,000 SLOs, excess over 51.9 s at 15 s scrapes with evaluations every 15 s / 30 s.",
        ticks.len(),
        number(agent, "ledger_slos")?,
        scrape.len(),
    ));
    Ok(lines)
}

/// Bytes per SLO that a day adds, and that the youngest slots take whatever the age of the file.
fn ledger(agent: &Value) -> Result<(f64, f64)> {
    let slos = number(agent, "ledger_slos")?;
    let by_day = list(agent, "ledger_bytes")?;
    match by_day.as_slice() {
        [first, .., last] => {
            let day = (last - first) / (by_day.len() - 1) as f64;
            Ok((day / slos, (first - day).max(0.0) / slos))
        }
        _ => bail!("the benchmark gave fewer than two days of `ledger_bytes`"),
    }
}

fn line(figure: &Figure) -> String {
    let show = |value: f64| format!("{value:.*} {}", figure.decimals, figure.unit);
    let (target, met) = match figure.target {
        Some(target) if figure.measured <= target => (format!("≤ {}", show(target)), "met"),
        Some(target) => (format!("≤ {}", show(target)), "MISSED"),
        None => (String::new(), ""),
    };
    let measured = show(figure.measured);
    let text = format!("{:<34}{measured:>12}{target:>12}  {met:<6}  {:>20}", figure.name, figure.prometheus);
    text.trim_end().to_owned()
}

fn number(said: &Value, name: &str) -> Result<f64> {
    said.get(name).and_then(Value::as_f64).with_context(|| format!("the benchmark gave no `{name}`"))
}

/// A list of numbers, which has at least one.
fn list(said: &Value, name: &str) -> Result<Vec<f64>> {
    let list = said.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let numbers: Vec<f64> = list.iter().filter_map(Value::as_f64).collect();
    ensure!(!numbers.is_empty(), "the benchmark gave no `{name}`");
    Ok(numbers)
}

/// The same in order of size.
fn numbers(said: &Value, name: &str) -> Result<Vec<f64>> {
    let mut numbers = list(said, name)?;
    numbers.sort_by(f64::total_cmp);
    Ok(numbers)
}

/// The smallest value that so many percent of the sorted values do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_figure_is_held_against_its_target() {
        let excess: Vec<f64> = (1..=100).map(|n| f64::from(n) / 10.0).collect();
        let engine = json!({
            "slos": 10_000, "usual_bytes": 12_000, "worst_bytes": 32_769, "year_s": 0.61,
            "tick_ms": [16.0, 14.0, 18.0],
        });
        let agent = json!({
            "scrape_excess_s": excess, "probe_excess_s": [-1.5, 6.0, 3.0],
            "ledger_slos": 100, "ledger_bytes": [6_000_000, 6_700_000, 7_400_000],
        });
        let lines =
            table(&engine, &agent, &json!({ "year_s": [0.9, 1.2, 0.8], "year_cpu_s": [0.7] })).unwrap();
        let said = |name: &str| {
            let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(said("CPU per SLO").contains("1.60 µs ≤ 2.00 µs met 47,000"), "{lines:?}");
        assert!(said("state per SLO, worst").contains("32769 B ≤ 32768 B MISSED"), "{lines:?}");
        assert!(said("excess detection, scrape, p50").contains("5.0 s ≤ 5.0 s met 21.8"), "{lines:?}");
        assert!(said("excess detection, scrape, p90").contains("9.0 s ≤ 10.0 s met"), "{lines:?}");
        assert!(said("excess detection, scrape, max").contains("max 10.0 s 37.7"), "{lines:?}");
        assert!(said("excess detection, probe, p50").contains("3.0 s ≤ 5.0 s met"), "{lines:?}");
        assert!(said("ledger per SLO and day").contains("7000 B ≤ 16000 B met"), "{lines:?}");
        assert!(said("ledger per SLO, youngest").contains("53000 B"), "{lines:?}");
        assert!(said("backtest of a year").contains("0.90 s ≤ 1.00 s met"), "{lines:?}");
    }

    #[test]
    fn a_benchmark_that_says_too_little_is_told() {
        let error = table(&json!({ "slos": 1 }), &json!({}), &json!({})).unwrap_err().to_string();
        assert!(error.contains("`tick_ms`"), "{error}");
        let error = ledger(&json!({ "ledger_slos": 1, "ledger_bytes": [1] })).unwrap_err().to_string();
        assert!(error.contains("fewer than two days"), "{error}");
    }
}
