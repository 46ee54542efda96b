//! From the counters of one scrape to the good and bad events of one SLO.

use lookout_engine::Counts;

use super::bounds::{Bound, Shown, Unbounded};
use super::exposition::Sample;
use super::reset::Tracker;
use lookout_config::Ratio;
use lookout_promql::selector::Selector;

/// One SLO on a scrape: its two sums of counters and what they showed before.
#[derive(Debug)]
pub(super) struct Sides {
    /// Index into `Config::streams`.
    pub(super) stream: usize,
    ratio: Ratio,
    /// The bound of the histogram that the part is cut at.
    bound: Option<Bound>,
    part: Tracker,
    total: Tracker,
    /// Series of the total were seen once.
    seen: bool,
    /// They were, and none is there now.
    pub(super) vanished: bool,
    /// The bound was not there when last looked for.
    pub(super) unbounded: bool,
}

/// What a scrape says about one SLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    /// Good and bad events since the scrape before.
    pub(super) counts: Counts,
    /// Counters that started again.
    pub(super) resets: u64,
    /// The part grew more than the total and was cut to it: the counters were read in between two that belong together,
    /// or the one is no part of the other.
    pub(super) skewed: bool,
}

/// The series of one scrape that an SLO looks at.
#[derive(Debug, Default)]
pub(super) struct Picked {
    part: Vec<(String, f64)>,
    total: Vec<(String, f64)>,
    shown: Shown,
}

impl Sides {
    pub(super) fn new(stream: usize, ratio: Ratio) -> Self {
        let bound = match &ratio {
            Ratio::Good { good: part, .. } | Ratio::Bad { bad: part, .. } => Bound::of(part),
        };
        let (part, total) = (Tracker::default(), Tracker::default());
        Self { stream, ratio, bound, part, total, seen: false, vanished: false, unbounded: false }
    }

    /// Adds a sample to the sides it belongs to.
    pub(super) fn pick(&self, picked: &mut Picked, sample: &Sample<'_>) {
        let (part, total) = match &self.ratio {
            Ratio::Good { good, total } => (good, total),
            Ratio::Bad { bad, total } => (bad, total),
        };
        if let Some(bound) = &self.bound {
            bound.look(&mut picked.shown, sample);
        }
        for (selector, side) in [(part, &mut picked.part), (total, &mut picked.total)] {
            if selects(selector, sample) {
                side.push((series(sample), sample.value));
            }
        }
    }

    /// Whether the histogram that is cut has the bound it is cut at. Where it has not, nothing can be counted.
    pub(super) fn check(&self, picked: &Picked) -> Result<(), Unbounded> {
        self.bound.as_ref().map_or(Ok(()), |bound| bound.check(&picked.shown))
    }

    /// Begins anew: the next scrape is the baseline.
    pub(super) fn forget(&mut self) {
        (self.part, self.total) = (Tracker::default(), Tracker::default());
    }

    /// Takes a whole scrape. Returns nothing for the baseline, and nothing while series that were there are not: that is
    /// no answer about traffic. They are remembered, so that what happens meanwhile is counted when they are back.
    pub(super) fn advance(&mut self, picked: Picked) -> Option<Tally> {
        self.vanished = self.seen && picked.total.is_empty();
        if self.vanished {
            return None;
        }
        self.seen |= !picked.total.is_empty();
        let part = self.part.advance(picked.part);
        let total = self.total.advance(picked.total);
        let (part, total) = part.zip(total)?;
        let within = part.events.min(total.events);
        let rest = total.events - within;
        let counts = match self.ratio {
            Ratio::Good { .. } => Counts { good: within, bad: rest },
            Ratio::Bad { .. } => Counts { good: rest, bad: within },
        };
        Some(Tally { counts, resets: part.resets.max(total.resets), skewed: part.events > total.events })
    }
}

fn selects(selector: &Selector, sample: &Sample<'_>) -> bool {
    selector.matches(sample.metric, |label| sample.label(label))
}

/// One name for one series, however its labels are ordered. An empty label is an absent one.
fn series(sample: &Sample<'_>) -> String {
    let mut labels: Vec<(&str, &str)> = sample
        .labels
        .iter()
        .map(|(label, value)| (*label, value.as_ref()))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    labels.sort_unstable();
    let mut key = sample.metric.to_owned();
    for (label, value) in labels {
        // a character that neither a name nor a length can hold keeps two series apart
        key.push_str(&format!("\u{1f}{label}={}:{value}", value.len()));
    }
    key
}

#[cfg(test)]
mod tests {
    use super::super::exposition::samples;
    use super::*;

    fn named(metric: &str) -> Selector {
        Selector { metric: metric.to_owned(), matchers: Vec::new() }
    }

    fn scrape(sides: &mut Sides, text: &str) -> Option<Tally> {
        let mut picked = Picked::default();
        for sample in samples(text) {
            sides.pick(&mut picked, &sample.unwrap());
        }
        sides.advance(picked)
    }

    fn bad_of_all() -> Sides {
        Sides::new(7, Ratio::Bad { bad: named("errors_total"), total: named("requests_total") })
    }

    #[test]
    fn series_of_a_side_are_summed_whatever_order_their_labels_have() {
        let mut sides = Sides::new(0, Ratio::Good { good: named("good"), total: named("all") });
        assert_eq!(scrape(&mut sides, "good{a=\"1\",b=\"2\"} 5\nall{a=\"1\"} 9\nall{a=\"2\"} 1\n"), None);
        let tally =
            scrape(&mut sides, "all{a=\"2\",c=\"\"} 4\nall{a=\"1\"} 9\ngood{b=\"2\",a=\"1\"} 7\n").unwrap();
        assert_eq!(tally, Tally { counts: Counts { good: 2, bad: 1 }, resets: 0, skewed: false });
    }

    #[test]
    fn the_first_error_of_a_process_is_seen() {
        let mut sides = bad_of_all();
        assert_eq!(scrape(&mut sides, "requests_total 100\n"), None);
        let tally = scrape(&mut sides, "requests_total 110\nerrors_total 1\n").unwrap();
        assert_eq!(tally.counts, Counts { good: 9, bad: 1 });
    }

    #[test]
    fn series_that_all_vanish_say_nothing_until_they_are_back() {
        let mut sides = bad_of_all();
        scrape(&mut sides, "requests_total 100\nerrors_total 1\n");
        assert!(scrape(&mut sides, "requests_total 110\nerrors_total 1\n").is_some());
        for empty in ["", "errors_total 5\n", "other_total 7\n"] {
            assert_eq!(scrape(&mut sides, empty), None);
            assert!(sides.vanished);
        }
        let back = scrape(&mut sides, "requests_total 130\nerrors_total 6\n").unwrap();
        assert_eq!((back.counts, sides.vanished), (Counts { good: 15, bad: 5 }, false));
        let mut never = bad_of_all();
        scrape(&mut never, "");
        assert!(scrape(&mut never, "").is_some(), "nothing counted yet is an answer: no traffic so far");
    }

    #[test]
    fn more_bad_events_than_events_are_cut_and_said() {
        let mut sides = bad_of_all();
        scrape(&mut sides, "requests_total 100\nerrors_total 0\n");
        let tally = scrape(&mut sides, "requests_total 102\nerrors_total 3\n").unwrap();
        assert_eq!(tally, Tally { counts: Counts { good: 0, bad: 2 }, resets: 0, skewed: true });
    }

    #[test]
    fn a_restart_of_the_neighbour_is_one_reset_per_series() {
        let mut sides = bad_of_all();
        scrape(&mut sides, "requests_total 100\nerrors_total 10\n");
        let tally = scrape(&mut sides, "requests_total 4\nerrors_total 1\n").unwrap();
        assert_eq!(tally, Tally { counts: Counts { good: 3, bad: 1 }, resets: 1, skewed: false });
    }
}
