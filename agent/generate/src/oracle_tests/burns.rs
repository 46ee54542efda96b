//! The engine against Prometheus: the same step of failures through the evaluator and, by the generated rules, through
//! promtool. First and last firing evaluation have to agree, to one evaluation.

use std::fs;

use lookout_engine::{Counts, Evaluator, Grid, Severity, Slot, Window};

use super::super::{promql::matcher, test_fixture};
use super::{METADATA, promtool, rules_without};
use lookout_config::{Config, Indicator, Ratio};
use lookout_promql::selector::{MatchOp, Selector};

/// Clean time before the step: the longest window.
const CLEAN_MINUTES: u64 = 3 * 24 * 60;
/// Requests per minute, which are 1000 per second.
const PER_MINUTE: u64 = 60_000;

/// Burn rate, and the measured minutes from its begin until it fires, and from its end until it is released.
struct Step {
    burn: u64,
    minutes: u64,
    page: Option<(u64, u64)>,
    ticket: Option<(u64, u64)>,
}

impl Step {
    fn bad_per_minute(&self) -> u64 {
        PER_MINUTE * self.burn / 1000
    }

    fn total_minutes(&self) -> u64 {
        // the longest short window of the default tiers, and a little
        CLEAN_MINUTES + self.minutes + 6 * 60 + 5
    }

    /// Returns the measured minutes, counted from the first minute.
    fn measured(&self, severity: Severity) -> Option<(u64, u64)> {
        let times = if severity == Severity::Page { self.page } else { self.ticket };
        times.map(|(first, last)| (CLEAN_MINUTES + first, CLEAN_MINUTES + self.minutes + last))
    }
}

fn config() -> Config {
    let metric = |name: &str| Selector {
        metric: name.to_owned(),
        matchers: vec![matcher("app", MatchOp::Equal, "titanic")],
    };
    let ratio = Ratio::Bad { bad: metric("errors_total"), total: metric("requests_total") };
    let mut config = test_fixture::titanic();
    config.scrapes.clear();
    config.slos =
        vec![test_fixture::slo("step", 99.9, Indicator::Scrape { source: "titanic".to_owned(), ratio })];
    config
}

/// Returns the first and last minute at whose end a severity fires in the engine.
fn engine(step: &Step) -> [Option<(u64, u64)>; 2] {
    let policy = test_fixture::policy(99.9, Window::days(30), Grid::MINUTE);
    let mut evaluator = Evaluator::new(policy, Slot(-1));
    let mut seen: [Option<(u64, u64)>; 2] = [None, None];
    for minute in 0..step.total_minutes() {
        let burns = (CLEAN_MINUTES..CLEAN_MINUTES + step.minutes).contains(&minute);
        let bad = if burns { step.bad_per_minute() } else { 0 };
        let slot = Slot(i64::try_from(minute).unwrap());
        evaluator.record(slot, Counts { good: PER_MINUTE - bad, bad });
        let report = evaluator.assess(slot);
        let decision = evaluator.decide(&report);
        let report = decision.apply(report);
        evaluator.accept(decision);
        for (severity, times) in [Severity::Page, Severity::Ticket].into_iter().zip(&mut seen) {
            if report.tiers.iter().any(|tier| tier.firing && tier.tier.severity == severity) {
                // the end of minute n is n + 1 minutes after the begin
                let end = minute + 1;
                *times = Some(times.map_or((end, end), |(first, _)| (first, end)));
            }
        }
    }
    seen
}

/// Asserts with promtool that the generated rules fire first and last within a minute of the expected ones.
fn assert_rules_agree(step: &Step, expected: [Option<(u64, u64)>; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let config = config();
    fs::write(folder.path().join("titanic.rules.yaml"), rules_without(&config, &METADATA)).unwrap();
    let (clean, burning) = (CLEAN_MINUTES, step.minutes);
    let after = step.total_minutes() - clean - burning;
    let bad = step.bad_per_minute();
    let mut checks = Vec::new();
    for (severity, times) in [Severity::Page, Severity::Ticket].into_iter().zip(expected) {
        let firing = format!(
            "ALERTS{{alertstate=\"firing\",alertname=\"TitanicStep\",severity=\"{}\"}}",
            severity.label()
        );
        let over = format!("[{}m:1m]", step.total_minutes());
        let mut check = |expr: String, value: u32| {
            checks.push(serde_json::json!({
                "expr": expr,
                "eval_time": format!("{}m", step.total_minutes()),
                "exp_samples": [{"labels": "{}", "value": value}],
            }));
        };
        match times {
            None => check(format!("count(count_over_time({firing}{over})) or vector(0)"), 0),
            Some((first, last)) => {
                for (end, minute) in [("min", first), ("max", last)] {
                    let seconds = minute * 60;
                    let expr = format!(
                        "max(abs({end}_over_time(timestamp({firing}){over}) - {seconds}) <= bool 60)"
                    );
                    check(expr, 1);
                }
            }
        }
    }
    let tests = serde_json::json!({
        "rule_files": ["titanic.rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": [
                {"series": "requests_total{app=\"titanic\"}", "values": format!("0+{PER_MINUTE}x{}", step.total_minutes())},
                {"series": "errors_total{app=\"titanic\"}", "values": format!(
                    "0+0x{clean} {bad}+{bad}x{} {}+0x{after}", burning - 1, bad * burning
                )},
            ],
            "promql_expr_test": checks,
        }],
    });
    fs::write(folder.path().join("tests.yaml"), tests.to_string()).unwrap();
    promtool(folder.path(), &["test", "rules", "tests.yaml"]);
}

/// The engine agrees with measurements of Sloth's rules, and promtool agrees with the engine.
fn assert_step(step: &Step) {
    let seen = engine(step);
    for (severity, seen) in [Severity::Page, Severity::Ticket].into_iter().zip(seen) {
        let measured = step.measured(severity);
        let close = match (seen, measured) {
            (None, None) => true,
            (Some(seen), Some(measured)) => {
                seen.0.abs_diff(measured.0) <= 1 && seen.1.abs_diff(measured.1) <= 1
            }
            _ => false,
        };
        assert!(close, "{severity} at burn {}: engine {seen:?}, measured {measured:?}", step.burn);
    }
    assert_rules_agree(step, seen);
}

#[test]
fn a_total_outage_of_half_an_hour() {
    assert_step(&Step { burn: 1000, minutes: 30, page: Some((1, 29)), ticket: Some((5, 359)) });
}

#[test]
fn a_burn_of_twenty_for_four_hours() {
    assert_step(&Step { burn: 20, minutes: 240, page: Some((44, 21)), ticket: Some((216, 342)) });
}

#[test]
fn a_burn_of_ten_for_eight_hours() {
    assert_step(&Step { burn: 10, minutes: 480, page: Some((216, 12)), ticket: Some((432, 324)) });
}

#[test]
fn a_burn_of_four_for_a_day() {
    assert_step(&Step { burn: 4, minutes: 1440, page: None, ticket: Some((1080, 270)) });
}
