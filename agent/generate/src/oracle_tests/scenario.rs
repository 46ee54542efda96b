//! Scenarios of traffic, run by the engine slot by slot and by the generated rules under promtool.

use std::collections::BTreeMap;
use std::fs;

use lookout_engine::{
    BurnFactor, Cause, Counts, Evaluator, Grid, Method, Policy, Severity, Slot, Span, Tier, Window,
};
use serde_json::{Value, json};

use super::super::{promql::matcher, test_fixture};
use super::{promtool, rules_without};
use lookout_config::{Config, Indicator, Ratio, Scrape, Slo};
use lookout_promql::selector::{MatchOp, Selector};

/// Clean time before a scenario: the longest window. Rules know no past that was not scraped; the engine counts it as
/// clean.
pub(super) const CLEAN_MINUTES: usize = 120;

/// One minute of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Minute {
    /// Events that are scraped at its end.
    Seen(u64, u64),
    /// Events that no scrape sees before the gap is over.
    Unseen(u64, u64),
    /// As `Seen`, in a process that has just started.
    Restarted(u64, u64),
}

/// Counters scraped at the end of a minute.
#[derive(Debug, Clone, Copy)]
struct Scraped {
    good: u64,
    /// A process that never failed has no such series.
    bad: Option<u64>,
}

/// Minutes of the service `name` under `policy`.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) policy: Policy,
    pub(super) minutes: Vec<Minute>,
    /// The bad series is there from the beginning.
    pub(super) has_failed_before: bool,
    /// The number of the minute it begins with, since the epoch: the engine knows dates, rules do not.
    pub(super) begin: i64,
    /// The first minute of a month, since the epoch, for a period that ends there.
    pub(super) edge: Option<i64>,
    /// The first and the last minute in which the engine knows more than the rules and goes on firing.
    pub(super) exempt: Option<(usize, usize)>,
    /// The minute from which the other policy applies.
    pub(super) change: Option<(usize, Policy)>,
}

/// Firing of each severity, at the end of every minute.
pub(super) type Firing = BTreeMap<Severity, Vec<bool>>;

pub(super) const SEVERITIES: [Severity; 2] = [Severity::Page, Severity::Ticket];

/// Returns a policy of two tiers with short windows; objective and method as given.
pub(super) fn policy(percent: f64, method: Method) -> Policy {
    let tier = |severity, long, short, factor| Tier {
        severity,
        long: Window::minutes(long),
        short: Window::minutes(short),
        factor: BurnFactor::try_new(factor).unwrap(),
        hold_seconds: 0,
        until: None,
    };
    let tiers = vec![tier(Severity::Page, 60, 5, 14.4), tier(Severity::Ticket, 120, 15, 6.0)];
    Policy { tiers, method, ..test_fixture::policy(percent, Window::days(30), Grid::MINUTE) }
}

/// Returns the period of a slot: the month of 31 days before the edge, or the one of 30 days after it.
fn month(slot: Slot, edge: Slot) -> Span {
    const DAY: i64 = 1440;
    if slot < edge {
        Span { from: edge.plus(-31 * DAY), to: edge }
    } else {
        Span { from: edge, to: edge.plus(30 * DAY) }
    }
}

impl Scenario {
    /// Creates a scenario: two clean hours at this traffic, then the given minutes.
    pub(super) fn after_clean_hours(
        name: &'static str,
        per_minute: u64,
        minutes_after: &[(usize, Minute)],
    ) -> Self {
        let mut minutes = vec![Minute::Seen(per_minute, 0); CLEAN_MINUTES];
        for (count, minute) in minutes_after {
            minutes.extend(std::iter::repeat_n(*minute, *count));
        }
        let policy = policy(99.9, Method::Occurrences);
        Self {
            name,
            policy,
            minutes,
            has_failed_before: true,
            begin: 0,
            edge: None,
            exempt: None,
            change: None,
        }
    }

    fn scrapes(&self) -> Vec<Option<Scraped>> {
        let (mut good, mut bad) = (0, self.has_failed_before.then_some(0));
        let mut add = |minute: &Minute| {
            let seen = !matches!(minute, Minute::Unseen(..));
            let (Minute::Seen(g, b) | Minute::Unseen(g, b) | Minute::Restarted(g, b)) = *minute;
            if matches!(minute, Minute::Restarted(..)) {
                (good, bad) = (0, None);
            }
            good += g;
            if b > 0 || bad.is_some() {
                bad = Some(bad.unwrap_or(0) + b);
            }
            seen.then_some(Scraped { good, bad })
        };
        self.minutes.iter().map(&mut add).collect()
    }

    /// Returns the counts as the agent's own scraper reads them: a smaller value is a restart, a series that appears
    /// counts from zero, and the increase over a gap counts after it.
    fn counts(&self) -> Vec<Option<Counts>> {
        let (mut good, mut bad) = (0, 0);
        let advance = |last: &mut u64, now: u64| {
            let by = now.checked_sub(*last).unwrap_or(now);
            *last = now;
            by
        };
        let scrapes = self.scrapes();
        let mut count = |scraped: Scraped| Counts {
            good: advance(&mut good, scraped.good),
            bad: scraped.bad.map_or(0, |now| advance(&mut bad, now)),
        };
        scrapes.into_iter().map(|scraped| scraped.map(&mut count)).collect()
    }

    /// Returns the firing of the engine.
    pub(super) fn engine(&self) -> Firing {
        let counts = self.counts();
        let slot = |index: usize| Slot(self.begin + i64::try_from(index).unwrap());
        let mut evaluator = Evaluator::new(self.policy.clone(), slot(0).plus(-1));
        let mut seen: Firing = SEVERITIES.map(|severity| (severity, Vec::new())).into();
        for (index, observed) in counts.iter().enumerate() {
            if let Some((_, changed)) = self.change.as_ref().filter(|(at, _)| *at == index) {
                evaluator = reloaded(&evaluator, changed, &counts[..index], &slot);
            }
            if let Some(observed) = observed {
                evaluator.record(slot(index), *observed);
            }
            if let Some(edge) = self.edge {
                evaluator.set_period(month(slot(index), Slot(edge)));
            }
            let report = evaluator.assess(slot(index));
            let decision = evaluator.decide(&report);
            let report = decision.apply(report);
            evaluator.accept(decision);
            for (severity, firing) in &mut seen {
                firing.push(report.tiers.iter().any(|tier| tier.firing && tier.tier.severity == *severity));
            }
        }
        seen
    }

    fn ratio(&self) -> Ratio {
        let metric = |code: Option<&str>| Selector {
            metric: "requests_total".to_owned(),
            matchers: std::iter::once(("app", self.name))
                .chain(code.map(|code| ("code", code)))
                .map(|(label, value)| matcher(label, MatchOp::Equal, value))
                .collect(),
        };
        Ratio::Bad { bad: metric(Some("500")), total: metric(None) }
    }

    pub(super) fn slo(&self, name: &str, policy: &Policy) -> Slo {
        let indicator = Indicator::Scrape { source: self.name.to_owned(), ratio: self.ratio() };
        Slo { policy: policy.clone(), ..test_fixture::slo(name, 99.9, indicator) }
    }

    fn series(&self) -> Vec<Value> {
        let labels = format!("app=\"{0}\",job=\"{0}\"", self.name);
        let scrapes = self.scrapes();
        let samples = |first: &str, value: &dyn Fn(&Scraped) -> Option<u64>| -> String {
            let mut text = vec![first.to_owned()];
            let mut there = first != "_";
            for scraped in &scrapes {
                let now = scraped.as_ref().and_then(value);
                text.push(match now {
                    Some(value) => value.to_string(),
                    None if there => "stale".to_owned(),
                    None => "_".to_owned(),
                });
                there = now.is_some();
            }
            text.join(" ")
        };
        let up: Vec<&str> = scrapes.iter().map(|scraped| if scraped.is_some() { "1" } else { "0" }).collect();
        let bad = if self.has_failed_before { "0" } else { "_" };
        vec![
            json!({"series": format!("requests_total{{{labels},code=\"200\"}}"),
                   "values": samples("0", &|scraped| Some(scraped.good))}),
            json!({"series": format!("requests_total{{{labels},code=\"500\"}}"),
                   "values": samples(bad, &|scraped| scraped.bad)}),
            json!({"series": format!("up{{job=\"{}\"}}", self.name), "values": format!("1 {}", up.join(" "))}),
        ]
    }
}

/// Applies another objective, as after a reload: counts and incident stay, the evaluator is new.
fn reloaded(
    old: &Evaluator,
    policy: &Policy,
    past: &[Option<Counts>],
    slot: &impl Fn(usize) -> Slot,
) -> Evaluator {
    let mut evaluator = Evaluator::new(policy.clone(), slot(past.len()).plus(-1));
    for (index, counts) in past.iter().enumerate() {
        if let Some(counts) = counts {
            evaluator.record(slot(index), *counts);
        }
    }
    if let Some(open) = old.open(Cause::Burn) {
        evaluator.resume(Cause::Burn, open);
    }
    evaluator
}

/// Rules of several scenarios in one file, and their series in one test.
pub(super) struct Bench {
    config: Config,
    series: Vec<Value>,
    checks: Vec<Value>,
    end: usize,
}

impl Bench {
    pub(super) fn new(scenarios: &[Scenario]) -> Self {
        let mut config = test_fixture::titanic();
        config.slos.clear();
        config.scrapes = scenarios
            .iter()
            .map(|scenario| Scrape {
                name: scenario.name.to_owned(),
                job: Some(scenario.name.to_owned()),
                ..config.scrapes[0].clone()
            })
            .collect();
        let mut bench = Self { config, series: Vec::new(), checks: Vec::new(), end: 0 };
        for scenario in scenarios {
            bench.config.slos.push(scenario.slo(scenario.name, &scenario.policy));
            if let Some((_, changed)) = &scenario.change {
                bench.config.slos.push(scenario.slo(&after_change(scenario), changed));
            }
            bench.series.extend(scenario.series());
            bench.end = bench.end.max(scenario.minutes.len());
        }
        bench
    }

    /// Expects a value at the end of a minute.
    pub(super) fn check(&mut self, minutes: usize, expr: &str, value: f64) {
        self.checks.push(json!({
            "expr": expr,
            "eval_time": format!("{minutes}m"),
            "exp_samples": [{"labels": "{}", "value": value}],
        }));
    }

    /// Expects that the rules fire when the engine does, and at no other time, one evaluation early or late apart. A
    /// disagreement shows the second in which it begins.
    pub(super) fn agree(&mut self, scenario: &Scenario, engine: &Firing) {
        let end = scenario.minutes.len();
        let exempt = |minute: usize| {
            let span = scenario.exempt.map(|(first, last)| first + CLEAN_MINUTES..=last + CLEAN_MINUTES);
            span.is_some_and(|span| span.contains(&minute))
        };
        for (severity, firing) in engine {
            let near = |index: usize| &firing[index.saturating_sub(1)..(index + 2).min(firing.len())];
            for (kind, holds) in [("may", false), ("must", true)] {
                let value = |index| match holds {
                    true => !exempt(index + 1) && near(index).iter().all(|fires| *fires),
                    false => near(index).contains(&true),
                };
                let values: Vec<&str> = (0..end).map(|index| if value(index) { "1" } else { "0" }).collect();
                let name = format!("engine_{kind}{{app=\"{}\",severity=\"{severity}\"}}", scenario.name);
                self.series.push(json!({"series": name, "values": format!("0 {}", values.join(" "))}));
            }
            let rules = rules_fire(scenario, *severity);
            let labels = format!("{{app=\"{}\",severity=\"{severity}\"}}", scenario.name);
            let wrong = [
                format!("({rules}) unless on () engine_may{labels} == 1"),
                format!("(engine_must{labels} == 1) unless on () ({rules})"),
            ];
            for wrong in wrong {
                let first = format!("min(min_over_time(timestamp({wrong})[{end}m:1m])) or vector(0)");
                self.check(end, &first, 0.0);
            }
        }
    }

    /// Runs the rules, without those that `unread` names.
    pub(super) fn run(&self, unread: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let rules = rules_without(&self.config, unread);
        fs::write(folder.path().join("titanic.rules.yaml"), rules).unwrap();
        let tests = json!({
            "rule_files": ["titanic.rules.yaml"],
            "evaluation_interval": "1m",
            "tests": [{"interval": "1m", "input_series": self.series, "promql_expr_test": self.checks}],
        });
        fs::write(folder.path().join("tests.yaml"), tests.to_string()).unwrap();
        promtool(folder.path(), &["test", "rules", "tests.yaml"]);
    }
}

fn after_change(scenario: &Scenario) -> String {
    format!("{}-after", scenario.name)
}

/// Returns the alert of a scenario while it fires; from a change of the objective on, that of the new rules.
fn rules_fire(scenario: &Scenario, severity: Severity) -> String {
    let alert = |name: &str| {
        format!(
            "ALERTS{{alertstate=\"firing\",sloth_slo=\"{name}\",severity=\"{}\",alertname!~\".*DataMissing\"}}",
            severity.label()
        )
    };
    match &scenario.change {
        None => alert(scenario.name),
        Some((at, _)) => {
            let change = at * 60;
            format!(
                "({} and on () (vector(time()) <= {change})) or ({} and on () (vector(time()) > {change}))",
                alert(scenario.name),
                alert(&after_change(scenario))
            )
        }
    }
}

/// Returns the stretches in which a severity fires: the first and last minute at whose end it does, counted from the
/// end of the clean hours.
pub(super) fn stretches(firing: &[bool]) -> Vec<(i64, i64)> {
    let mut list: Vec<(i64, i64)> = Vec::new();
    for (index, _) in firing.iter().enumerate().filter(|(_, fires)| **fires) {
        let minute = i64::try_from(index).unwrap() + 1 - i64::try_from(CLEAN_MINUTES).unwrap();
        match list.last_mut().filter(|(_, last)| *last == minute - 1) {
            Some((_, last)) => *last = minute,
            None => list.push((minute, minute)),
        }
    }
    list
}
