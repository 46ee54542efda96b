//! Indicators and numbers as PromQL.

use lookout_engine::{Cause, Objective, Tier, Window};

use lookout_config::{Config, Indicator, Queries, Ratio, Scrape, Slo};
use lookout_model::parse_duration;
use lookout_promql::query::{EventQuery, Term};
pub(super) use lookout_promql::selector::quoted;
use lookout_promql::selector::{MatchOp, Matcher, Selector};
use lookout_runtime::events::names;

/// Good and bad events of an SLO in Prometheus.
#[derive(Debug, Clone)]
pub(super) struct Sli {
    /// The source of all events.
    pub(super) total: Counted,
    /// The source of the events that the user counts beside all of them.
    pub(super) part: Counted,
    /// True if those are the bad ones.
    pub(super) part_is_bad: bool,
    /// The job whose `up` shows that the source answers; `None` for probes and unnamed jobs.
    pub(super) job: Option<String>,
    /// True if every slot has an event, so that "no event" means "no data".
    pub(super) is_probe: bool,
}

/// Source of events in Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Counted {
    /// The increase of counters.
    Counters(Selector),
    /// An expression of the user.
    Expression(EventQuery),
}

impl Counted {
    /// Creates the source of an expression. A plain rate of counters becomes those counters, which more can be derived
    /// from.
    fn of(expression: &EventQuery) -> Self {
        match expression.counters() {
            Some(selector) => Self::Counters(selector.clone()),
            None => Self::Expression(expression.clone()),
        }
    }

    /// Returns the counters, if it is one selector of counters.
    pub(super) const fn counters(&self) -> Option<&Selector> {
        match self {
            Self::Counters(selector) => Some(selector),
            Self::Expression(_) => None,
        }
    }

    /// Returns the terms of a sum of counters; `None` when it is no such sum.
    pub(super) fn terms(&self) -> Option<Vec<Term>> {
        match self {
            Self::Counters(selector) => Some(vec![Term { selector: selector.clone(), negative: false }]),
            Self::Expression(expression) => {
                Some(expression.terms().to_vec()).filter(|terms| !terms.is_empty())
            }
        }
    }

    /// Returns it as text for people.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Counters(selector) => text(selector),
            Self::Expression(expression) => expression.to_string(),
        }
    }

    /// Returns events per second over a range, as one series without labels.
    pub(super) fn rate(&self, range: &str) -> String {
        match self {
            Self::Counters(selector) => format!("sum(rate({}[{range}]))", text(selector)),
            Self::Expression(expression) if expression.is_per_second() => summed(expression, range),
            Self::Expression(expression) => format!("{} / {}", summed(expression, range), seconds(range)),
        }
    }

    /// Returns events in a range, as one series without labels.
    fn count(&self, range: &str) -> String {
        match self {
            Self::Counters(selector) => format!("sum(increase({}[{range}]))", text(selector)),
            Self::Expression(expression) if expression.is_per_second() => {
                format!("{} * {}", summed(expression, range), seconds(range))
            }
            Self::Expression(expression) => summed(expression, range),
        }
    }
}

fn summed(expression: &EventQuery, range: &str) -> String {
    format!("sum({})", expression.over(range))
}

/// Returns a range in seconds.
fn seconds(range: &str) -> u64 {
    parse_duration(range).map_or(1, |range| range.as_secs().max(1))
}

impl Sli {
    /// Creates the indicator of an SLO.
    pub(super) fn of(config: &Config, slo: &Slo) -> Self {
        match &slo.indicator {
            Indicator::Probe { target, certificate_days: Some(days) } => {
                let days = days.to_string();
                let probe = |op, outcome: &str| Selector {
                    metric: names::PROBE_CERTIFICATES.to_owned(),
                    matchers: vec![
                        matcher("target", MatchOp::Equal, target),
                        matcher("days", MatchOp::Equal, &days),
                        matcher("outcome", op, outcome),
                    ],
                };
                Self {
                    total: Counted::Counters(probe(MatchOp::Regex, "ok|fail")),
                    part: Counted::Counters(probe(MatchOp::Equal, "fail")),
                    part_is_bad: true,
                    job: None,
                    is_probe: true,
                }
            }
            Indicator::Probe { target, certificate_days: None } => {
                // the agent counts failures in a row of all addresses as a whole
                let is_discovered = config.discoveries.iter().any(|discovery| discovery.name == *target);
                let has_rounds = is_discovered && slo.has_condition_on(Cause::TargetDown);
                let metric = if has_rounds { names::PROBE_ROUNDS } else { names::PROBES };
                // a missed probe is no observation of the target: it is neither good nor bad
                let probe = |op, outcome: &str| Selector {
                    metric: metric.to_owned(),
                    matchers: vec![
                        matcher("target", MatchOp::Equal, target),
                        matcher("outcome", op, outcome),
                    ],
                };
                Self {
                    total: Counted::Counters(probe(MatchOp::Regex, "ok|fail")),
                    part: Counted::Counters(probe(MatchOp::Equal, "fail")),
                    part_is_bad: true,
                    job: None,
                    is_probe: true,
                }
            }
            Indicator::Up { source } => {
                // a scrape that failed for want of file descriptors on the agent's machine is no observation of the
                // neighbour
                let scrapes = |op, outcome: &str| Selector {
                    metric: names::SCRAPES.to_owned(),
                    matchers: vec![
                        matcher("source", MatchOp::Equal, source),
                        matcher("outcome", op, outcome),
                        matcher("reason", MatchOp::NotEqual, "resources"),
                    ],
                };
                Self {
                    total: Counted::Counters(scrapes(MatchOp::Regex, "ok|fail")),
                    part: Counted::Counters(scrapes(MatchOp::Equal, "fail")),
                    part_is_bad: true,
                    job: None,
                    is_probe: true,
                }
            }
            // the agent counts the components one by one: the composite has no events of its own
            Indicator::Composite(_) => {
                let nothing = Indicator::Probe { target: String::new(), certificate_days: None };
                Self::of(config, &Slo { indicator: nothing, ..slo.clone() })
            }
            Indicator::Scrape { source, ratio } => {
                let scrape = config.scrapes.iter().find(|scrape| scrape.name == *source);
                let job = scrape.and_then(|scrape: &Scrape| scrape.job.clone());
                Self::of_counters(ratio, job)
            }
            Indicator::Prometheus { queries: Queries::Counters(ratio), .. } => Self::of_counters(ratio, None),
            Indicator::Prometheus { queries: Queries::Windowed { part, part_is_bad, total }, .. } => Self {
                total: Counted::of(total),
                part: Counted::of(part),
                part_is_bad: *part_is_bad,
                job: None,
                is_probe: false,
            },
        }
    }

    fn of_counters(ratio: &Ratio, job: Option<String>) -> Self {
        let (part, total, part_is_bad) = match ratio {
            Ratio::Good { good, total } => (good, total, false),
            Ratio::Bad { bad, total } => (bad, total, true),
        };
        let of_job = |selector: &Selector| {
            Counted::Counters(match &job {
                Some(job) => with(selector, &[("job", MatchOp::Equal, job)]),
                None => selector.clone(),
            })
        };
        Self { total: of_job(total), part: of_job(part), part_is_bad, job, is_probe: false }
    }

    /// Returns all events per second over a range; no value when there are no series.
    pub(super) fn total_rate(&self, range: &str) -> String {
        self.total.rate(range)
    }

    /// Returns bad events per second over a range: zero until the first bad event, no value without series.
    pub(super) fn bad_rate(&self, range: &str) -> String {
        let total = self.total_rate(range);
        let part = self.part.rate(range);
        if self.part_is_bad {
            format!("{part}\nor\n0 * {total}")
        } else {
            // extrapolation can make the rate of good events a little larger than that of all
            format!("clamp_min({total} - ({part} or 0 * {total}), 0)")
        }
    }

    /// Returns the bad ratio of a range: no value without traffic, never NaN.
    pub(super) fn bad_ratio(&self, range: &str) -> String {
        format!("(\n{}\n)\n/\n({} > 0)", indented(&self.bad_rate(range)), self.total_rate(range))
    }

    /// Returns the query that is one while the source is observed, and else nothing.
    pub(super) fn observed(&self, range: &str) -> String {
        match (&self.job, &self.total) {
            (Some(job), _) => format!("group(up{{job={}}} == 1)", quoted(job)),
            (None, Counted::Counters(total)) => format!("group({})", text(total)),
            (None, Counted::Expression(total)) => format!("group({})", summed(total, range)),
        }
    }

    /// Returns the number of events in a range.
    pub(super) fn total_count(&self, range: &str) -> String {
        format!("round({})", self.total.count(range))
    }

    /// Returns the number of bad events in a range.
    pub(super) fn bad_count(&self, range: &str) -> String {
        let part = self.part.count(range);
        if self.part_is_bad {
            format!("round({part})")
        } else {
            let total = self.total.count(range);
            format!("round({total} - ({part} or 0 * {total}))")
        }
    }

    /// Returns the series that is one while nobody is to probe the target.
    pub(super) fn paused(&self) -> Option<String> {
        let target = self.total.counters()?.matchers.iter().find(|matcher| matcher.label == "target")?;
        let is_probe = self.is_probe && !target.value.is_empty();
        is_probe.then(|| format!("{}{{target={}}}", names::PROBE_PAUSED, quoted(&target.value)))
    }

    /// Returns the condition of missing data, as the agent sees it: the source does not answer or, for probes, no
    /// probe had an outcome. A source that answers and counts nothing is idle, not missing.
    pub(super) fn missing(&self, range: &str) -> String {
        match (&self.job, &self.total) {
            (Some(job), _) => format!("absent(sum(up{{job={}}} == 1))", quoted(job)),
            (None, Counted::Counters(total)) if self.is_probe => {
                let missing = format!("absent(sum({0}))\nor\nsum(increase({0}[{range}])) == 0", text(total));
                match self.paused() {
                    Some(paused) => format!(
                        "(\n{}\n)\nunless on ()\nmax(max_over_time({paused}[{range}])) == 1",
                        indented(&missing)
                    ),
                    None => missing,
                }
            }
            (None, Counted::Counters(total)) => format!("absent(sum({}))", text(total)),
            (None, Counted::Expression(total)) => format!("absent({})", summed(total, range)),
        }
    }
}

/// Creates a condition without its compiled form, for text only.
pub(super) fn matcher(label: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher { label: label.to_owned(), op, value: value.to_owned(), regex: None }
}

/// Returns a selector with further conditions, unless it already has one on that label.
pub(super) fn with(selector: &Selector, further: &[(&str, MatchOp, &str)]) -> Selector {
    let mut selector = selector.clone();
    for (label, op, value) in further {
        if selector.matchers.iter().all(|known| known.label != *label) {
            selector.matchers.push(matcher(label, *op, value));
        }
    }
    selector
}

/// Returns a selector as PromQL.
pub(super) fn text(selector: &Selector) -> String {
    selector.for_prometheus().to_string()
}

/// Indents every line by two blanks.
pub(super) fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

/// Returns a fraction in its shortest decimal form. The division of two exact integers rounds once, so that 999/1000
/// prints as 0.999; a chain of float operations would not.
pub(super) fn decimal(mut numerator: u128, mut denominator: u128) -> f64 {
    while numerator.is_multiple_of(10) && denominator.is_multiple_of(10) && denominator > 1 {
        numerator /= 10;
        denominator /= 10;
    }
    numerator as f64 / denominator as f64
}

/// Returns the bad ratio above which a tier fires.
pub(super) fn threshold(tier: &Tier, objective: Objective) -> f64 {
    decimal(u128::from(tier.factor.micro()) * u128::from(objective.budget_ppb()), 1_000_000_000_000_000)
}

/// Returns seconds as a duration of PromQL, which has no fractions of a unit but accepts several units: `2d23h59m59s`.
pub(super) fn duration(seconds: u64) -> String {
    let parts =
        [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "1s".to_owned() } else { text }
}

/// Returns a window in days.
pub(super) fn days(window: Window) -> f64 {
    decimal(u128::from(window.as_seconds()), 86_400)
}

/// Returns the series that are 1 while an incident of a cause is open.
pub(super) fn open_incident(slo: &Slo, cause: Cause) -> String {
    format!(
        "{}{{service={}, slo={}, cause={}}}",
        names::INCIDENT_OPEN,
        quoted(&slo.service),
        quoted(&slo.name),
        quoted(cause.as_str())
    )
}

/// Returns the labels that identify the series of one SLO.
pub(super) fn identity(slo: &Slo) -> String {
    let labels =
        [("sloth_id", slo.id()), ("sloth_service", slo.service.clone()), ("sloth_slo", slo.name.clone())];
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    format!("{{{}}}", labels.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookout_engine::BurnFactor;

    #[test]
    fn numbers_are_clean() {
        let objective = Objective::try_from_percent(99.9).unwrap();
        let shown: Vec<String> = Tier::defaults(Window::days(30))
            .iter()
            .chain(&Tier::defaults(Window::days(28)))
            .map(|tier| threshold(tier, objective).to_string())
            .collect();
        let expected = ["0.0144", "0.006", "0.003", "0.001", "0.01344", "0.0056", "0.0028", "0.000933333"];
        assert_eq!(shown, expected);
        let tier = Tier {
            severity: lookout_engine::Severity::Page,
            long: Window::hours(1),
            short: Window::minutes(5),
            factor: BurnFactor::try_new(14.4).unwrap(),
            hold_seconds: 0,
            until: None,
        };
        let tight = Objective::try_from_percent(99.999_99).unwrap();
        assert_eq!(threshold(&tier, tight).to_string(), "0.00000144");
    }

    #[test]
    fn spans_of_any_length_can_be_written() {
        let shown = [3599, 259_199, 60, 86_400, 0].map(duration);
        assert_eq!(shown, ["59m59s", "2d23h59m59s", "1m", "1d", "1s"]);
    }

    #[test]
    fn selectors_are_escaped_and_whole_buckets_match_both_spellings() {
        let selector = Selector {
            metric: "m".to_owned(),
            matchers: vec![
                matcher("a", MatchOp::Equal, "x\"y\\z\nw"),
                matcher("le", MatchOp::Equal, "1"),
                matcher("b", MatchOp::NotRegex, "5.."),
            ],
        };
        assert_eq!(text(&selector), r#"m{a="x\"y\\z\nw",le=~"1(\\.0)?",b!~"5.."}"#);
        assert_eq!(text(&Selector { metric: "m".into(), matchers: Vec::new() }), "m");
        let again = with(&selector, &[("a", MatchOp::Equal, "other"), ("job", MatchOp::Equal, "j")]);
        assert_eq!(again.matchers.len(), 4);
    }
}
