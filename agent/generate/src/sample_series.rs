//! Sample series that match a selector, for the generated rule tests. Values of labels are built from the structure of
//! their regular expressions and then checked against them, so that a series is right or is not made.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::promql::Sli;
use lookout_promql::query::Term;
use lookout_promql::selector::{MatchOp, Matcher, Selector};

/// Series by its metric and labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series {
    metric: String,
    labels: Vec<(String, String)>,
}

/// Largest number of series that are searched for those of one event.
const CANDIDATES: usize = 12;

/// Series of an SLI by the kind of event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// The series incremented with every good event.
    pub(super) good: Vec<Series>,
    /// The series incremented with every bad event.
    pub(super) bad: Vec<Series>,
    /// The series that never change. They exist because a sum of several counters has no value while one of them has
    /// none.
    pub(super) flat: Vec<Series>,
}

impl Events {
    /// Creates the series for an SLI; `None` when a selector has no sample.
    pub(super) fn of(sli: &Sli) -> Option<Self> {
        Self::of_counters(sli).or_else(|| Self::of_terms(sli))
    }

    /// Creates the series for sums and differences of counters: the fewest for which the queries count one event.
    fn of_terms(sli: &Sli) -> Option<Self> {
        let (part, total) = (sli.part.terms()?, sli.total.terms()?);
        let selectors: Vec<&Selector> = part.iter().chain(&total).map(|term| &term.selector).collect();
        let mut candidates: Vec<Series> = Vec::new();
        for selector in &selectors {
            let others = selectors.iter().map(|other| Some(*other)).chain([None]);
            for series in others.filter_map(|except| Series::matching(selector, except)) {
                if !candidates.contains(&series) && candidates.len() < CANDIDATES {
                    candidates.push(series);
                }
            }
        }
        let counted = |series: &[&Series]| {
            [&part, &total].map(|terms| terms.iter().map(|term| term_value(term, series)).sum::<i64>())
        };
        let find = |in_part: bool| -> Option<Vec<Series>> {
            let is_event = |set: &[&Series]| counted(set) == [i64::from(in_part), 1];
            let one = candidates.iter().map(|one| vec![one]);
            let pairs = candidates.iter().enumerate();
            let pairs =
                pairs.flat_map(|(n, one)| candidates.iter().skip(n + 1).map(move |other| vec![one, other]));
            one.chain(pairs).find(|set| is_event(set)).map(|set| set.into_iter().cloned().collect())
        };
        let (good, bad) = (find(!sli.part_is_bad)?, find(sli.part_is_bad)?);
        let unseen = |selector: &&&Selector| !good.iter().chain(&bad).any(|series| series.fits(selector));
        let flat =
            selectors.iter().filter(unseen).filter_map(|selector| Series::matching(selector, None)).collect();
        Some(Self { good, bad, flat })
    }

    /// Creates the series for two selectors of counters.
    fn of_counters(sli: &Sli) -> Option<Self> {
        let (part_of, total_of) = (sli.part.counters()?, sli.total.counters()?);
        let same_metric = part_of.metric == total_of.metric;
        let part = if same_metric {
            // one series serves both: it has to satisfy all conditions
            let mut both = part_of.clone();
            both.matchers.extend(total_of.matchers.iter().cloned());
            Series::matching(&both, None)?
        } else {
            Series::matching(part_of, None)?
        };
        let rest = Series::matching(total_of, same_metric.then_some(part_of))?;
        let (of_part, of_rest) =
            if same_metric { (vec![part], vec![rest]) } else { (vec![part, rest.clone()], vec![rest]) };
        Some(match sli.part_is_bad {
            true => Self { good: of_rest, bad: of_part, flat: Vec::new() },
            false => Self { good: of_part, bad: of_rest, flat: Vec::new() },
        })
    }

    /// Returns each series once.
    pub(super) fn series(&self) -> Vec<&Series> {
        let mut list: Vec<&Series> = Vec::new();
        for series in self.good.iter().chain(&self.bad).chain(&self.flat) {
            if !list.contains(&series) {
                list.push(series);
            }
        }
        list
    }
}

impl core::fmt::Display for Series {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={}", super::promql::quoted(value)))
            .collect();
        write!(f, "{}{{{}}}", self.metric, labels.join(","))
    }
}

/// Returns the events that a term counts when each of these series counts one.
fn term_value(term: &Term, series: &[&Series]) -> i64 {
    let count = series.iter().filter(|series| series.fits(&term.selector)).count() as i64;
    if term.negative { -count } else { count }
}

impl Series {
    /// Returns whether the selector matches it.
    fn fits(&self, selector: &Selector) -> bool {
        let value =
            |name: &str| self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value);
        self.metric == selector.metric
            && selector.matchers.iter().all(|matcher| takes(matcher, value(&matcher.label)))
    }

    /// Returns a series that matches the selector and not `except`.
    fn matching(selector: &Selector, except: Option<&Selector>) -> Option<Self> {
        let mut names: Vec<&str> = selector.matchers.iter().map(|matcher| matcher.label.as_str()).collect();
        names.extend(except.iter().flat_map(|other| &other.matchers).map(|matcher| matcher.label.as_str()));
        let mut unique: Vec<&str> = Vec::new();
        names.retain(|name| {
            let fresh = !unique.contains(name);
            unique.extend(fresh.then_some(*name));
            fresh
        });
        // one label that `except` refuses is enough; try none first, then each label
        let refused = except.map_or_else(Vec::new, |other| other.matchers.iter().collect::<Vec<_>>());
        let attempts: Vec<Option<&Matcher>> =
            if refused.is_empty() { vec![None] } else { refused.into_iter().map(Some).collect() };
        for refusing in attempts {
            let labels: Option<Vec<(String, String)>> = names
                .iter()
                .map(|name| {
                    let wanted = selector.matchers.iter().filter(|matcher| matcher.label == *name);
                    let wanted: Vec<&Matcher> = wanted.collect();
                    let refusing = refusing.filter(|matcher| matcher.label == *name);
                    value(&wanted, refusing).map(|value| ((*name).to_owned(), value))
                })
                .collect();
            if let Some(mut labels) = labels {
                labels.retain(|(_, value)| !value.is_empty());
                return Some(Self { metric: selector.metric.clone(), labels });
            }
        }
        None
    }
}

/// Returns a label value that satisfies all conditions but not `refusing`.
fn value(wanted: &[&Matcher], refusing: Option<&Matcher>) -> Option<String> {
    let derived = wanted.iter().filter_map(|matcher| match matcher.op {
        MatchOp::Equal => Some(matcher.value.clone()),
        MatchOp::Regex => sample(&matcher.value),
        MatchOp::NotEqual | MatchOp::NotRegex => None,
    });
    let common = ["200", "ok", "GET", "other", ""].map(str::to_owned);
    derived
        .chain(common)
        .find(|value| wanted.iter().all(|m| takes(m, value)) && refusing.is_none_or(|m| !takes(m, value)))
}

fn takes(matcher: &Matcher, value: &str) -> bool {
    let matches = || Regex::new(&format!("^(?:{})$", matcher.value)).is_ok_and(|regex| regex.is_match(value));
    match matcher.op {
        MatchOp::Equal => matcher.value == value,
        MatchOp::NotEqual => matcher.value != value,
        MatchOp::Regex => matches(),
        MatchOp::NotRegex => !matches(),
    }
}

/// Returns a string that a regular expression matches, as far as its structure shows.
fn sample(pattern: &str) -> Option<String> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let mut out = String::new();
    build(&hir, &mut out);
    Some(out)
}

fn build(hir: &Hir, out: &mut String) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(class) => out.push(member(class)),
        HirKind::Repetition(repetition) => {
            // one repetition where that is allowed, so that a sample of `/api/.*` looks like a path
            let most = repetition.max.unwrap_or(u32::MAX);
            for _ in 0..repetition.min.max(1).min(most).min(16) {
                build(&repetition.sub, out);
            }
        }
        HirKind::Capture(capture) => build(&capture.sub, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| build(part, out)),
        HirKind::Alternation(choices) => {
            if let Some(first) = choices.first() {
                build(first, out);
            }
        }
    }
}

fn member(class: &Class) -> char {
    let inside = |c: char| match class {
        Class::Unicode(class) => class.iter().any(|range| (range.start()..=range.end()).contains(&c)),
        Class::Bytes(class) => {
            class.iter().any(|range| (char::from(range.start())..=char::from(range.end())).contains(&c))
        }
    };
    let first = match class {
        Class::Unicode(class) => class.iter().next().map(|range| range.start()),
        Class::Bytes(class) => class.iter().next().map(|range| char::from(range.start())),
    };
    ['0', 'x', 'a', 'A', '-', '/'].into_iter().find(|c| inside(*c)).or(first).unwrap_or('x')
}

#[cfg(test)]
mod tests {
    use super::super::promql::{Counted, matcher};
    use super::*;

    #[test]
    fn examples_match_their_patterns() {
        for pattern in ["/api/.*", "5..", "2..|3..", "[1-5][0-9]{2}", r"a\.b(c|d)?", "(?i)get", ""] {
            let text = sample(pattern).unwrap();
            assert!(takes(&matcher("l", MatchOp::Regex, pattern), &text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_good_event_is_in_the_total_and_not_among_the_bad() {
        let total =
            Selector { metric: "m".into(), matchers: vec![matcher("route", MatchOp::Regex, "/api/.*")] };
        let mut part = total.clone();
        part.matchers.push(matcher("status", MatchOp::Regex, "5.."));
        let (total, part) = (Counted::Counters(total), Counted::Counters(part));
        let sli = Sli { total, part, part_is_bad: true, job: None, is_probe: false };
        let events = Events::of(&sli).unwrap();
        let shown = |list: &[Series]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(&events.bad), [r#"m{route="/api/0",status="500"}"#]);
        assert_eq!(shown(&events.good), [r#"m{route="/api/0",status="200"}"#]);
    }

    #[test]
    fn what_cannot_be_told_apart_has_no_example() {
        let all = Counted::Counters(Selector { metric: "m".into(), matchers: Vec::new() });
        let sli = Sli { total: all.clone(), part: all, part_is_bad: true, job: None, is_probe: false };
        // every event is bad: a good one would both match and not match
        assert_eq!(Events::of(&sli).map(|events| events.good == events.bad), Some(true));
    }
}
