//! What an SLO costs and how soon an outage is noticed, beside the targets and beside Prometheus as it was measured.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::workspace;

/// Prometheus 2.42 with rules of Sloth's shape (17 per SLO) at 15 s scrapes and 30 s evaluations, 10 to 1,000 SLOs.
const PROMETHEUS_US: &str = "47,000 to 62,000 µs";
/// Its resident memory over 1,000 SLOs.
const PROMETHEUS_BYTES: &str = "1.2 to 1.3 MB";
/// A total outage under the same rules, beyond the theoretical minimum, at 15 s scrapes: evaluated every 15 and 30 s.
const PROMETHEUS_P50: &str = "21.8 / 40.6 s";
const PROMETHEUS_P90: &str = "31.1 / 56.8 s";
const PROMETHEUS_MAX: &str = "37.7 / 66.4 s";

/// One line of the table.
struct Figure {
    name: &'static str,
    measured: f64,
    target: Option<f64>,
    unit: &'static str,
    decimals: usize,
    prometheus: &'static str,
}

/// Builds the engine as it is shipped, measures and prints. Missing a target is told, not failed: the machine decides
/// too.
pub(super) fn run(seed: u64) -> Result<()> {
    println!("building lookout-engine as it is shipped, then 31 days of counts; seed {seed}");
    let mut bench = workspace::cargo();
    bench.args(["bench", "--quiet", "--package", "lookout-engine", "--bench", "slo", "--", "--seed"]);
    let output = bench.arg(seed.to_string()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("starting `{}`", workspace::shown(&bench)))?;
    ensure!(output.status.success(), "`{}` ended with {}", workspace::shown(&bench), output.status);
    let said: Value =
        serde_json::from_slice(&output.stdout).context("reading the figures of the benchmark")?;
    for line in table(&said)? {
        println!("{line}");
    }
    Ok(())
}

fn table(said: &Value) -> Result<Vec<String>> {
    let slos = number(said, "slos")?;
    let ticks = numbers(said, "tick_ms")?;
    let excess = numbers(said, "excess_s")?;
    let mean_ms = ticks.iter().sum::<f64>() / ticks.len() as f64;
    let figure = |name, measured, target, unit, decimals, prometheus| Figure {
        name,
        measured,
        target,
        unit,
        decimals,
        prometheus,
    };
    let figures = [
        figure("CPU per SLO and tick", mean_ms * 1e3 / slos, Some(2.0), "µs", 2, PROMETHEUS_US),
        figure("CPU per tick of all SLOs", mean_ms, Some(20.0), "ms", 1, ""),
        figure(
            "state per SLO, worst counts",
            number(said, "worst_bytes")?,
            Some(32_768.0),
            "B",
            0,
            PROMETHEUS_BYTES,
        ),
        figure("state per SLO, 1,000 requests/s", number(said, "usual_bytes")?, None, "B", 0, ""),
        figure("excess detection, p50", percentile(&excess, 50), Some(5.0), "s", 1, PROMETHEUS_P50),
        figure("excess detection, p90", percentile(&excess, 90), Some(10.0), "s", 1, PROMETHEUS_P90),
        figure("excess detection, max", percentile(&excess, 100), None, "s", 1, PROMETHEUS_MAX),
    ];
    let mut lines =
        vec![format!("\n{:<34}{:>12}{:>12}  {:<6}  {:>20}", "", "measured", "target", "", "Prometheus")];
    lines.extend(figures.iter().map(line));
    lines.push(String::new());
    lines.push(format!(
        "{slos} SLOs with the default tiers and a period of 30 days, {} ticks, one thread; worst counts are\n\
         four billion good and as many bad events a slot. Excess is what a total outage takes to page beyond the 51.84 s of the closed form, over\n\
         {} outages that begin anywhere within a slot of 10 s, the {} s included that the agent lets answers arrive in.\n\
         Not measured here: the ledger's bytes per SLO and day.\n\
         Prometheus: 2.42 with rules of Sloth's shape, measured on two shared cores: CPU per SLO and evaluation, resident\n\
         memory over 1,000 SLOs, excess over 51.9 s at 15 s scrapes with evaluations every 15 s / 30 s.",
        ticks.len(),
        excess.len(),
        number(said, "settle_s")?,
    ));
    Ok(lines)
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

/// A list of numbers, which has at least one, in order of size.
fn numbers(said: &Value, name: &str) -> Result<Vec<f64>> {
    let list = said.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut numbers: Vec<f64> = list.iter().filter_map(Value::as_f64).collect();
    ensure!(!numbers.is_empty(), "the benchmark gave no `{name}`");
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
        let said = json!({
            "slos": 10_000, "usual_bytes": 12_000, "worst_bytes": 32_769, "settle_s": 0.5,
            "tick_ms": [16.0, 14.0, 18.0], "excess_s": excess,
        });
        let lines = table(&said).unwrap();
        let said = |name: &str| {
            let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(said("CPU per SLO").contains("1.60 µs ≤ 2.00 µs met 47,000"), "{lines:?}");
        assert!(said("state per SLO, worst").contains("32769 B ≤ 32768 B MISSED"), "{lines:?}");
        assert!(said("excess detection, p50").contains("5.0 s ≤ 5.0 s met 21.8"), "{lines:?}");
        assert!(said("excess detection, p90").contains("9.0 s ≤ 10.0 s met"), "{lines:?}");
        assert!(said("excess detection, max").contains("max 10.0 s 37.7"), "{lines:?}");
    }

    #[test]
    fn a_benchmark_that_says_too_little_is_told() {
        let error = table(&json!({ "slos": 1 })).unwrap_err().to_string();
        assert!(error.contains("`tick_ms`"), "{error}");
    }
}
