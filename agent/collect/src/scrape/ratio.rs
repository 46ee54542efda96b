//! From the counters of one scrape to the good and bad events of one SLO.

use std::collections::HashMap;

use lookout_engine::Counts;

use super::bounds::{Bound, SeenBounds, Unbounded};
use super::counter::{CounterSet, SeriesValue};
use super::exposition::Sample;
use super::life::Life;
use super::plausible::{Plausibility, Quarantine};
use lookout_config::Ratio;
use lookout_promql::selector::Selector;

/// Ratio of one SLO on a scrape: its two sums of counters and their last values.
#[derive(Debug)]
pub(super) struct RatioCounter {
    /// Index into `Config::streams`.
    pub(super) stream: usize,
    ratio: Ratio,
    /// The bound of the histogram that the part is cut at.
    bound: Option<Bound>,
    part: CounterSet,
    total: CounterSet,
    plausibility: Plausibility,
    scrapes: u64,
    /// Series of the total were seen once.
    seen: bool,
    /// They were, and none is there now.
    pub(super) vanished: bool,
    /// The bound was not there when last looked for.
    pub(super) unbounded: bool,
    /// The last scrape was not counted, and this is why.
    pub(super) quarantine: Option<Quarantine>,
    /// The value that was not counted.
    pub(super) quarantined_value: f64,
}

/// Events of one SLO between two scrapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Increase {
    /// Good and bad events.
    pub(super) counts: Counts,
    /// Counters that started again.
    pub(super) resets: u64,
    /// The part grew more than the total and was cut to it: the counters were read in between two that belong together,
    /// or the one is no part of the other.
    pub(super) skewed: bool,
}

/// Series of one scrape that an SLO selects.
#[derive(Debug, Default)]
pub(super) struct Selected {
    part: Vec<SeriesValue>,
    total: Vec<SeriesValue>,
    /// Creation times by the key of the metric family.
    created: HashMap<String, f64>,
    bounds: SeenBounds,
}

impl RatioCounter {
    pub(super) fn new(stream: usize, ratio: Ratio) -> Self {
        let bound = match &ratio {
            Ratio::Good { good: part, .. } | Ratio::Bad { bad: part, .. } => Bound::of(part),
        };
        Self {
            stream,
            ratio,
            bound,
            part: CounterSet::default(),
            total: CounterSet::default(),
            plausibility: Plausibility::default(),
            scrapes: 0,
            seen: false,
            vanished: false,
            unbounded: false,
            quarantine: None,
            quarantined_value: 0.0,
        }
    }

    /// Adds a sample to the sides it belongs to.
    pub(super) fn select(&self, selected: &mut Selected, sample: &Sample<'_>) {
        let (part, total) = match &self.ratio {
            Ratio::Good { good, total } => (good, total),
            Ratio::Bad { bad, total } => (bad, total),
        };
        if let Some(bound) = &self.bound {
            bound.record(&mut selected.bounds, sample);
        }
        for (selector, side) in [(part, &mut selected.part), (total, &mut selected.total)] {
            if selects(selector, sample) {
                side.push(SeriesValue {
                    key: series_key(sample.metric, sample),
                    value: sample.value,
                    created: None,
                });
            }
            let created = sample.metric.strip_suffix("_created");
            if created.is_some_and(|family| family == family_of(&selector.metric)) {
                selected.created.insert(series_key(family_of(&selector.metric), sample), sample.value);
            }
        }
    }

    /// Returns whether the histogram that is cut has the bound it is cut at. Where it has not, nothing can be counted.
    pub(super) fn check(&self, selected: &Selected) -> Result<(), Unbounded> {
        self.bound.as_ref().map_or(Ok(()), |bound| bound.check(&selected.bounds))
    }

    /// Begins anew: the next scrape is the baseline.
    pub(super) fn forget(&mut self) {
        (self.part, self.total) = (CounterSet::default(), CounterSet::default());
        (self.seen, self.scrapes) = (false, 0);
    }

    /// Takes a whole scrape, `seconds` after the one before.
    ///
    /// Returns nothing for the baseline, for what is not plausible, and while series that were there are not: that is no
    /// answer about traffic. Series that vanished are remembered, so that their growth is counted when they are back.
    pub(super) fn advance(&mut self, selected: Selected, life: Life, seconds: f64) -> Option<Increase> {
        self.quarantine = None;
        self.vanished = self.seen && selected.total.is_empty();
        if self.vanished {
            return None;
        }
        let first = self.scrapes == 0;
        let appears = !self.seen && !selected.total.is_empty();
        self.scrapes += 1;
        self.seen |= appears;
        let (part, total, created) = (selected.part, selected.total, selected.created);
        let series = total.len() as u64;
        let part = self.part.advance(with_creation(part, &created), life);
        let total = self.total.advance(with_creation(total, &created), life);
        if part.absurd + total.absurd > 0 {
            self.quarantine = Some(Quarantine::AbsurdSample);
            self.quarantined_value = if total.absurd > 0 { total.absurd_value } else { part.absurd_value };
            if total.absurd == series {
                return None;
            }
        }
        if life == Life::Other {
            self.quarantine = Some(Quarantine::OtherProcess);
            return None;
        }
        // counters of a process that ran before it was watched have a past; those of a known process are born with zero
        let has_past = if first { life != Life::New } else { appears && life == Life::Unknown };
        if has_past {
            return None;
        }
        if let Err(reason) = self.plausibility.check(&total, seconds) {
            (self.quarantine, self.quarantined_value) = (Some(reason), total.sum());
            return None;
        }
        Some(self.increase(part.sum(), total.sum(), part.resets.max(total.resets)))
    }

    fn increase(&mut self, part: f64, total: f64, resets: u64) -> Increase {
        let (part, total) = (self.part.settle(part), self.total.settle(total));
        let within = part.min(total);
        let rest = total - within;
        let counts = match self.ratio {
            Ratio::Good { .. } => Counts { good: within, bad: rest },
            Ratio::Bad { .. } => Counts { good: rest, bad: within },
        };
        Increase { counts, resets, skewed: part > total }
    }
}

fn selects(selector: &Selector, sample: &Sample<'_>) -> bool {
    selector.matches(sample.metric, |label| sample.label(label))
}

/// The name of a metric without the suffix of its kind.
fn family_of(metric: &str) -> &str {
    let suffixes = ["_total", "_bucket", "_count", "_sum"];
    suffixes.iter().find_map(|suffix| metric.strip_suffix(suffix)).unwrap_or(metric)
}

fn with_creation(mut series: Vec<SeriesValue>, created: &HashMap<String, f64>) -> Vec<SeriesValue> {
    if !created.is_empty() {
        for series in &mut series {
            series.created = created.get(&family_key(&series.key)).copied();
        }
    }
    series
}

/// Separates the labels of a key: no name and no length holds it.
const SEPARATOR: char = '\u{1f}';

/// One name for one series, however its labels are ordered. An empty label is an absent one.
fn series_key(metric: &str, sample: &Sample<'_>) -> String {
    let mut labels: Vec<(&str, &str)> = sample
        .labels
        .iter()
        .map(|(label, value)| (*label, value.as_ref()))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    labels.sort_unstable();
    let mut key = metric.to_owned();
    for (label, value) in labels {
        key.push_str(&format!("{SEPARATOR}{label}={}:{value}", value.len()));
    }
    key
}

/// The key under which a family tells the creation of a series: without suffix and bound.
fn family_key(key: &str) -> String {
    let mut parts = key.split(SEPARATOR);
    let mut family = family_of(parts.next().unwrap_or_default()).to_owned();
    for label in parts.filter(|label| !label.starts_with("le=")) {
        family.push(SEPARATOR);
        family.push_str(label);
    }
    family
}

#[cfg(test)]
mod tests {
    use super::super::exposition::samples;
    use super::*;

    fn named(metric: &str) -> Selector {
        Selector { metric: metric.to_owned(), matchers: Vec::new() }
    }

    fn live(ratio: &mut RatioCounter, text: &str, life: Life) -> Option<Increase> {
        let mut selected = Selected::default();
        for sample in samples(text) {
            ratio.select(&mut selected, &sample.unwrap());
        }
        ratio.advance(selected, life, 10.0)
    }

    fn scrape(ratio: &mut RatioCounter, text: &str) -> Option<Increase> {
        live(ratio, text, Life::Unknown)
    }

    fn bad_of_all() -> RatioCounter {
        RatioCounter::new(7, Ratio::Bad { bad: named("errors_total"), total: named("requests_total") })
    }

    #[test]
    fn series_of_a_side_are_summed_whatever_order_their_labels_have() {
        let mut ratio = RatioCounter::new(0, Ratio::Good { good: named("good"), total: named("all") });
        assert_eq!(scrape(&mut ratio, "good{a=\"1\",b=\"2\"} 5\nall{a=\"1\"} 9\nall{a=\"2\"} 1\n"), None);
        let increase =
            scrape(&mut ratio, "all{a=\"2\",c=\"\"} 4\nall{a=\"1\"} 9\ngood{b=\"2\",a=\"1\"} 7\n").unwrap();
        assert_eq!(increase, Increase { counts: Counts { good: 2, bad: 1 }, resets: 0, skewed: false });
    }

    #[test]
    fn the_first_error_of_a_process_is_seen() {
        let mut ratio = bad_of_all();
        assert_eq!(scrape(&mut ratio, "requests_total 100\n"), None);
        let increase = scrape(&mut ratio, "requests_total 110\nerrors_total 1\n").unwrap();
        assert_eq!(increase.counts, Counts { good: 9, bad: 1 });
    }

    #[test]
    fn series_that_all_vanish_say_nothing_until_they_are_back() {
        let mut ratio = bad_of_all();
        scrape(&mut ratio, "requests_total 100\nerrors_total 1\n");
        assert!(scrape(&mut ratio, "requests_total 110\nerrors_total 1\n").is_some());
        for empty in ["", "errors_total 5\n", "other_total 7\n"] {
            assert_eq!(scrape(&mut ratio, empty), None);
            assert!(ratio.vanished);
        }
        let back = scrape(&mut ratio, "requests_total 130\nerrors_total 6\n").unwrap();
        assert_eq!((back.counts, ratio.vanished), (Counts { good: 15, bad: 5 }, false));
        let mut never = bad_of_all();
        scrape(&mut never, "");
        assert!(scrape(&mut never, "").is_some(), "nothing counted yet is an answer: no traffic so far");
    }

    #[test]
    fn more_bad_events_than_events_are_cut_and_said() {
        let mut ratio = bad_of_all();
        scrape(&mut ratio, "requests_total 100\nerrors_total 0\n");
        let increase = scrape(&mut ratio, "requests_total 102\nerrors_total 3\n").unwrap();
        assert_eq!(increase, Increase { counts: Counts { good: 0, bad: 2 }, resets: 0, skewed: true });
    }

    #[test]
    fn a_restart_of_the_neighbour_is_one_reset_per_series() {
        let mut ratio = bad_of_all();
        scrape(&mut ratio, "requests_total 100\nerrors_total 10\n");
        let increase = scrape(&mut ratio, "requests_total 4\nerrors_total 1\n").unwrap();
        assert_eq!(increase, Increase { counts: Counts { good: 3, bad: 1 }, resets: 1, skewed: false });
    }

    const HALF_FAILED: &str = "requests_total 1000000\nerrors_total 500000\n";

    #[test]
    fn the_past_of_a_series_that_appears_is_not_counted() {
        for (life, quarantine) in [(Life::Unknown, None), (Life::Same, Some(Quarantine::Appearance))] {
            let mut ratio = bad_of_all();
            assert_eq!(scrape(&mut ratio, "up 1\n"), None);
            assert_eq!(live(&mut ratio, HALF_FAILED, life), None, "{life:?}");
            assert_eq!(ratio.quarantine, quarantine);
            let next = live(&mut ratio, "requests_total 1000010\nerrors_total 500001\n", life).unwrap();
            assert_eq!((next.counts, ratio.quarantine), (Counts { good: 9, bad: 1 }, None));
        }
    }

    #[test]
    fn the_first_events_of_a_known_process_are_counted() {
        let mut ratio = bad_of_all();
        assert_eq!(live(&mut ratio, "up 1\n", Life::Unknown), None);
        let first = live(&mut ratio, "requests_total 20\nerrors_total 7\n", Life::Same).unwrap();
        assert_eq!(first.counts, Counts { good: 13, bad: 7 });
        let mut born = bad_of_all();
        let first = live(&mut born, "requests_total 20\nerrors_total 7\n", Life::New).unwrap();
        assert_eq!(first.counts, Counts { good: 13, bad: 7 }, "it started while it was watched");
    }

    #[test]
    fn absurd_samples_are_reported_and_spend_nothing() {
        for absurd in ["1e308", "18446744073709551616", "NaN", "-5", "+Inf"] {
            let mut ratio = bad_of_all();
            scrape(&mut ratio, "requests_total 100\nerrors_total 1\n");
            let text = format!("requests_total {absurd}\nerrors_total {absurd}\n");
            assert_eq!(scrape(&mut ratio, &text), None, "{absurd}");
            assert_eq!(ratio.quarantine, Some(Quarantine::AbsurdSample));
            let next = scrape(&mut ratio, "requests_total 110\nerrors_total 2\n").unwrap();
            assert_eq!((next.counts, ratio.quarantine), (Counts { good: 9, bad: 1 }, None));
        }
        let mut ratio = bad_of_all();
        scrape(&mut ratio, "requests_total 100\n");
        assert_eq!(scrape(&mut ratio, "requests_total 1e15\n"), None);
        assert_eq!(ratio.quarantine, Some(Quarantine::AbsurdGrowth));
        assert_eq!(scrape(&mut ratio, "requests_total 100\n").unwrap().counts, Counts { good: 100, bad: 0 });
    }

    #[test]
    fn another_process_brings_no_past() {
        let mut ratio = bad_of_all();
        scrape(&mut ratio, "requests_total 100\nerrors_total 1\n");
        assert_eq!(live(&mut ratio, HALF_FAILED, Life::Other), None);
        assert_eq!(ratio.quarantine, Some(Quarantine::OtherProcess));
    }

    #[test]
    fn the_creation_of_a_family_tells_of_each_of_its_series() {
        let total = "seconds_count".parse().unwrap();
        let mut ratio =
            RatioCounter::new(0, Ratio::Good { good: "seconds_bucket{le=\"1\"}".parse().unwrap(), total });
        let text = |n: u32, created: u32| {
            format!(
                "seconds_bucket{{route=\"/\",le=\"1\"}} {n}\nseconds_bucket{{route=\"/\",le=\"+Inf\"}} {n}\n\
                 seconds_count{{route=\"/\"}} {n}\nseconds_created{{route=\"/\"}} {created}\n"
            )
        };
        assert_eq!(scrape(&mut ratio, &text(100, 1000)), None);
        assert_eq!(scrape(&mut ratio, &text(101, 1000)).unwrap().counts, Counts { good: 1, bad: 0 });
        let again = scrape(&mut ratio, &text(102, 1010)).unwrap();
        assert_eq!((again.counts, again.resets), (Counts { good: 102, bad: 0 }, 1));
    }
}
