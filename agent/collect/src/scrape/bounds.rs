//! Checks that a histogram has the bound that an SLO asks for. Without it every event would look slow.

use std::collections::BTreeSet;

use super::exposition::Sample;
use lookout_promql::selector::{MatchOp, Matcher, Selector};

/// Bounds that are named at most.
const MOST_NAMED: usize = 40;

/// A selector of one bucket: its histogram and its bound.
#[derive(Debug)]
pub(super) struct Bound {
    /// The selector without its bound.
    buckets: Selector,
    /// The name of the histogram's count of all events.
    count: String,
    bound: f64,
    written: String,
}

/// Bounds of the histogram in one exposition.
#[derive(Debug, Default)]
pub(super) struct SeenBounds {
    bounds: BTreeSet<String>,
    has_buckets: bool,
    has_count: bool,
}

/// The histogram has no such bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unbounded {
    #[error(
        "no bucket of `{histogram}` ends at {bound}; its bounds are {bounds}: make one of them the threshold"
    )]
    Other { histogram: String, bound: String, bounds: String },
    #[error(
        "`{histogram}` has no buckets: a summary or a native histogram cannot be cut in the text format; give it classic \
         buckets, or query it in a Prometheus"
    )]
    NoBuckets { histogram: String },
}

impl Bound {
    /// The bound of a selector like `seconds_bucket{le="0.25"}`; `None` for any other selector.
    pub(super) fn of(selector: &Selector) -> Option<Self> {
        let histogram = selector.metric.strip_suffix("_bucket")?;
        let is_bound = |matcher: &&Matcher| matcher.label == "le" && matcher.op == MatchOp::Equal;
        let matcher = selector.matchers.iter().find(is_bound)?;
        let mut buckets = selector.clone();
        buckets.matchers.retain(|matcher| matcher.label != "le");
        Some(Self {
            count: format!("{histogram}_count"),
            bound: matcher.value.parse().ok()?,
            written: matcher.value.clone(),
            buckets,
        })
    }

    /// Takes note of a sample.
    pub(super) fn record(&self, seen: &mut SeenBounds, sample: &Sample<'_>) {
        seen.has_count |= sample.metric == self.count;
        if sample.metric != self.buckets.metric {
            return;
        }
        seen.has_buckets = true;
        let Some(bound) = sample.label("le") else { return };
        // the bound itself is always kept, whatever many others there are
        let wanted = seen.bounds.len() < MOST_NAMED || self.is_at(bound);
        if wanted && self.buckets.matches(sample.metric, |label| sample.label(label)) {
            seen.bounds.insert(bound.to_owned());
        }
    }

    fn is_at(&self, bound: &str) -> bool {
        bound.parse::<f64>().is_ok_and(|bound| bound == self.bound)
    }

    /// Checks that an exposition shows the bound, or nothing of the histogram yet.
    pub(super) fn check(&self, seen: &SeenBounds) -> Result<(), Unbounded> {
        let histogram = self.count.trim_end_matches("_count").to_owned();
        if !seen.has_buckets && seen.has_count {
            return Err(Unbounded::NoBuckets { histogram });
        }
        if seen.bounds.is_empty() || seen.bounds.iter().any(|bound| self.is_at(bound)) {
            return Ok(());
        }
        let mut bounds: Vec<(f64, &str)> = seen
            .bounds
            .iter()
            .map(|bound| (bound.parse().unwrap_or(f64::INFINITY), bound.as_str()))
            .collect();
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let bounds: Vec<&str> = bounds.into_iter().map(|(_, bound)| bound).collect();
        Err(Unbounded::Other { histogram, bound: self.written.clone(), bounds: bounds.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::super::exposition::samples;
    use super::*;

    fn check(selector: &str, text: &str) -> Result<(), String> {
        let bound = Bound::of(&selector.parse().unwrap()).unwrap();
        let mut seen = SeenBounds::default();
        for sample in samples(text) {
            bound.record(&mut seen, &sample.unwrap());
        }
        bound.check(&seen).map_err(|error| error.to_string())
    }

    const TEXT: &str = "s_bucket{route=\"/\",le=\"0.100\"} 1\ns_bucket{route=\"/\",le=\"1\"} 2\n\
        s_bucket{route=\"/\",le=\"+Inf\"} 3\ns_bucket{route=\"/b\",le=\"0.25\"} 3\ns_count{route=\"/\"} 3\n";

    #[test]
    fn a_bound_is_found_however_it_is_written() {
        for selector in ["s_bucket{le=\"0.1\"}", "s_bucket{le=\"1.0\",route=\"/\"}", "s_bucket{le=\"0.25\"}"]
        {
            assert_eq!(check(selector, TEXT), Ok(()), "{selector}");
        }
        assert_eq!(
            check("s_bucket{le=\"0.1\"}", "other 1\n"),
            Ok(()),
            "a young process has no histogram yet"
        );
        assert_eq!(check("s_bucket{le=\"9\",route=\"/none\"}", TEXT), Ok(()), "nor this route its buckets");
    }

    #[test]
    fn a_bound_that_is_not_there_is_named_with_those_that_are() {
        assert_eq!(
            check("s_bucket{le=\"0.25\",route=\"/\"}", TEXT).unwrap_err(),
            "no bucket of `s` ends at 0.25; its bounds are 0.100, 1, +Inf: make one of them the threshold"
        );
        let native = check("s_bucket{le=\"0.25\"}", "s_count 3\ns_sum 1.5\n").unwrap_err();
        assert!(native.starts_with("`s` has no buckets"), "{native}");
    }

    #[test]
    fn only_a_bucket_of_one_bound_has_one() {
        for selector in ["s_bucket", "s_count", "s{le=\"1\"}", "s_bucket{le=~\"0.1|1\"}"] {
            assert!(Bound::of(&selector.parse().unwrap()).is_none(), "{selector}");
        }
    }

    #[test]
    fn histograms_without_end_are_named_in_part_and_the_bound_is_still_found() {
        let text: String = (0..1000).map(|n| format!("s_bucket{{le=\"{n}\"}} 1\n")).collect();
        assert_eq!(check("s_bucket{le=\"999\"}", &text), Ok(()));
        assert!(check("s_bucket{le=\"0.5\"}", &text).unwrap_err().len() < 1000);
    }
}
