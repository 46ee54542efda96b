//! Indicators as PromQL, and numbers as people write them.

use lookout_engine::{Objective, Tier, Window};

use crate::events::names;
use crate::spec::{Config, Indicator, MatchOp, Matcher, Ratio, Scrape, Selector, Slo};

/// Good and bad events of an SLO in Prometheus.
#[derive(Debug, Clone)]
pub(super) struct Sli {
    /// Series of all events.
    pub(super) total: Selector,
    /// Series of the events the user counts beside all of them.
    pub(super) part: Selector,
    /// Whether those are the bad ones.
    pub(super) part_is_bad: bool,
    /// The job whose `up` says that the source answers; `None` for probes and unnamed jobs.
    pub(super) job: Option<String>,
    /// Every slot has an event, so that "no event" means "no data".
    pub(super) is_probe: bool,
}

impl Sli {
    /// The indicator of an SLO.
    pub(super) fn of(config: &Config, slo: &Slo) -> Self {
        match &slo.indicator {
            Indicator::Probe { target } => {
                // a missed probe says nothing about the target: it is neither good nor bad
                let probe = |op, outcome: &str| Selector {
                    metric: names::PROBES.to_owned(),
                    matchers: vec![
                        matcher("target", MatchOp::Equal, target),
                        matcher("outcome", op, outcome),
                    ],
                };
                Self {
                    total: probe(MatchOp::Regex, "ok|fail"),
                    part: probe(MatchOp::Equal, "fail"),
                    part_is_bad: true,
                    job: None,
                    is_probe: true,
                }
            }
            Indicator::Scrape { source, ratio } => {
                let scrape = config.scrapes.iter().find(|scrape| scrape.name == *source);
                let job = scrape.and_then(|scrape: &Scrape| scrape.job.clone());
                let (part, total, part_is_bad) = match ratio {
                    Ratio::Good { good, total } => (good, total, false),
                    Ratio::Bad { bad, total } => (bad, total, true),
                };
                let of_job = |selector: &Selector| match &job {
                    Some(job) => with(selector, &[("job", MatchOp::Equal, job)]),
                    None => selector.clone(),
                };
                Self { total: of_job(total), part: of_job(part), part_is_bad, job, is_probe: false }
            }
        }
    }

    /// All events per second over a range; nothing when there are no series.
    pub(super) fn total_rate(&self, range: &str) -> String {
        format!("sum(rate({}[{range}]))", text(&self.total))
    }

    /// Bad events per second over a range: zero as long as no bad event was ever counted, nothing without series.
    pub(super) fn bad_rate(&self, range: &str) -> String {
        let total = self.total_rate(range);
        let part = format!("sum(rate({}[{range}]))", text(&self.part));
        if self.part_is_bad {
            format!("{part}\nor\n0 * {total}")
        } else {
            // extrapolation can put a good rate a hair above the rate of all
            format!("clamp_min({total} - ({part} or 0 * {total}), 0)")
        }
    }

    /// Bad over all in a range: nothing without traffic, never NaN.
    pub(super) fn bad_ratio(&self, range: &str) -> String {
        format!("(\n{}\n)\n/\n({} > 0)", indented(&self.bad_rate(range)), self.total_rate(range))
    }

    /// How many events there were in a range.
    pub(super) fn total_count(&self, range: &str) -> String {
        format!("round(sum(increase({}[{range}])))", text(&self.total))
    }

    /// How many bad events there were in a range.
    pub(super) fn bad_count(&self, range: &str) -> String {
        let part = format!("sum(increase({}[{range}]))", text(&self.part));
        if self.part_is_bad {
            format!("round({part})")
        } else {
            let total = format!("sum(increase({}[{range}]))", text(&self.total));
            format!("round({total} - ({part} or 0 * {total}))")
        }
    }

    /// True while nothing is known about the service, as the agent sees it: its source does not answer, or, for
    /// probes, no probe had an outcome. A source that answers and counts nothing is idle, not missing.
    pub(super) fn missing(&self, range: &str) -> String {
        let total = text(&self.total);
        match &self.job {
            Some(job) => format!("absent(sum(up{{job={}}} == 1))", quoted(job)),
            None if self.is_probe => {
                format!("absent(sum({total}))\nor\nsum(increase({total}[{range}])) == 0")
            }
            None => format!("absent(sum({total}))"),
        }
    }
}

/// A condition without its compiled form, for text only.
pub(super) fn matcher(label: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher { label: label.to_owned(), op, value: value.to_owned(), regex: None }
}

/// A selector with further conditions, unless it already has one on that label.
pub(super) fn with(selector: &Selector, further: &[(&str, MatchOp, &str)]) -> Selector {
    let mut selector = selector.clone();
    for (label, op, value) in further {
        if selector.matchers.iter().all(|known| known.label != *label) {
            selector.matchers.push(matcher(label, *op, value));
        }
    }
    selector
}

/// A selector as PromQL.
///
/// A whole-numbered bucket boundary is matched in both spellings, because Prometheus 3 writes `1.0` where a client
/// wrote `1`.
pub(super) fn text(selector: &Selector) -> String {
    if selector.matchers.is_empty() {
        return selector.metric.clone();
    }
    let matchers: Vec<String> = selector
        .matchers
        .iter()
        .map(|matcher| {
            let op = match matcher.op {
                MatchOp::Equal => "=",
                MatchOp::NotEqual => "!=",
                MatchOp::Regex => "=~",
                MatchOp::NotRegex => "!~",
            };
            if let Some(whole) = whole_bucket(matcher) {
                return format!("le=~{}", quoted(&format!("{whole}(\\.0)?")));
            }
            format!("{}{op}{}", matcher.label, quoted(&matcher.value))
        })
        .collect();
    format!("{}{{{}}}", selector.metric, matchers.join(","))
}

fn whole_bucket(matcher: &Matcher) -> Option<&str> {
    let whole = matcher.value.strip_suffix(".0").unwrap_or(&matcher.value);
    let digits = !whole.is_empty() && whole.chars().all(|c| c.is_ascii_digit());
    (matcher.label == "le" && matcher.op == MatchOp::Equal && digits).then_some(whole)
}

/// A PromQL string.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// Every line two blanks further in.
pub(super) fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

/// A fraction in its shortest decimal form: the division of two exact integers rounds once, so that 999/1000 prints
/// as 0.999 and not as what a chain of float operations makes of it.
pub(super) fn decimal(mut numerator: u128, mut denominator: u128) -> f64 {
    while numerator.is_multiple_of(10) && denominator.is_multiple_of(10) && denominator > 1 {
        numerator /= 10;
        denominator /= 10;
    }
    numerator as f64 / denominator as f64
}

/// The bad ratio above which a tier fires.
pub(super) fn threshold(tier: &Tier, objective: Objective) -> f64 {
    decimal(u128::from(tier.factor.micro()) * u128::from(objective.budget_ppb()), 1_000_000_000_000_000)
}

/// A window in days.
pub(super) fn days(window: Window) -> f64 {
    decimal(u128::from(window.as_seconds()), 86_400)
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
        };
        let tight = Objective::try_from_percent(99.999_99).unwrap();
        assert_eq!(threshold(&tier, tight).to_string(), "0.00000144");
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
