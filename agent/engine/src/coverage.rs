//! Observed time.
//!
//! One rule holds for a young and for an interrupted history: **time is observed unless it lies in a gap, and a gap is
//! a stretch without an observation that is longer than the data take to be stale.** The time before the first
//! observation is unseen. The time since the last one is observed until the data are stale; then all of it is unseen.
//!
//! The order in which observations arrive does not matter. Windows measure with the same instants as their counts.

use std::collections::VecDeque;

use crate::level::QUARTER_HOUR;
use crate::saved_state::{SavedCoverage, SavedStretch};

/// The largest number of stretches. Beyond it the two oldest are joined: their sum stays exact, and only a window that
/// begins inside them is measured pro rata.
const STRETCH_LIMIT: usize = 64;

/// Time without a gap, in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    from: i64,
    to: i64,
    /// Observed seconds; fewer than the length only where stretches were joined.
    observed: i64,
}

impl Stretch {
    /// Observed seconds in `from..to`.
    fn observed_between(&self, from: i64, to: i64) -> i64 {
        let (from, to) = (from.max(self.from), to.min(self.to));
        let (inside, length) = (to.saturating_sub(from).max(0), self.to.saturating_sub(self.from));
        if self.observed == length || inside == 0 {
            return inside;
        }
        let share = i128::from(self.observed) * i128::from(inside) / i128::from(length.max(1));
        i64::try_from(share).unwrap_or(inside)
    }
}

/// The observed time of a source.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    /// A longer stretch without an observation is a gap, in seconds.
    gap_after: i64,
    /// Oldest first, with a gap between any two.
    stretches: VecDeque<Stretch>,
}

impl Coverage {
    /// Nothing is observed yet.
    pub(crate) fn new(gap_after: u64) -> Self {
        Self { gap_after: i64::try_from(gap_after).unwrap_or(i64::MAX), stretches: VecDeque::new() }
    }

    /// Adds an observation of the time `from..to`.
    pub(crate) fn observe(&mut self, from: i64, to: i64) {
        let Some(last) = self.stretches.back_mut() else {
            // most sources never have a gap
            self.stretches.reserve_exact(1);
            return self.stretches.push_back(Stretch { from, to, observed: to.saturating_sub(from) });
        };
        if from >= last.from && from.saturating_sub(last.to) <= self.gap_after {
            // most observations are the next one
            let added = to.saturating_sub(last.to).max(0);
            last.to = last.to.max(to);
            last.observed = last.observed.saturating_add(added);
        } else {
            self.insert(from, to);
        }
    }

    /// Adds an observation of any time and closes the gaps that it makes short enough.
    fn insert(&mut self, from: i64, to: i64) {
        let gap_after = self.gap_after;
        // the stretches that the observation touches
        let first = self.stretches.partition_point(|known| from.saturating_sub(known.to) > gap_after);
        let end = self.stretches.partition_point(|known| known.from.saturating_sub(to) <= gap_after);
        let mut joined = Stretch { from, to, observed: 0 };
        let mut unseen = 0_i64;
        for known in self.stretches.range(first..end.max(first)) {
            joined.from = joined.from.min(known.from);
            joined.to = joined.to.max(known.to);
            let missing = known.to.saturating_sub(known.from).saturating_sub(known.observed);
            // an observation inside a joined stretch fills a part of what is missing there
            let filled = known.to.min(to).saturating_sub(known.from.max(from)).max(0);
            unseen = unseen.saturating_add(missing.saturating_sub(filled).max(0));
        }
        joined.observed = joined.to.saturating_sub(joined.from).saturating_sub(unseen);
        self.stretches.drain(first..end.max(first));
        self.stretches.insert(first, joined);
        self.limit();
    }

    fn limit(&mut self) {
        while self.stretches.len() > STRETCH_LIMIT {
            let (Some(oldest), Some(next)) = (self.stretches.pop_front(), self.stretches.front_mut()) else {
                return;
            };
            next.from = oldest.from;
            next.observed = next.observed.saturating_add(oldest.observed);
        }
    }

    /// Returns what to save, at an instant.
    pub(crate) fn save(&self, now: i64) -> SavedCoverage {
        let is_over = |index: usize, to: i64| {
            index + 1 < self.stretches.len() || now.saturating_sub(to) > self.gap_after
        };
        let stretch = |(index, stretch): (usize, &Stretch)| SavedStretch {
            from: stretch.from,
            to: is_over(index, stretch.to).then_some(stretch.to),
            unseen: stretch.to.saturating_sub(stretch.from).saturating_sub(stretch.observed),
        };
        let stretches = self.stretches.iter().enumerate().map(stretch).collect();
        SavedCoverage { gap_after: self.gap_after, stretches }
    }

    /// Cuts time that was derived from stored counts down to what was saved with the last of them. The ledger rounds old
    /// counts to minutes and quarters of an hour. Time whose counts are lost stays unseen.
    pub(crate) fn restore(&mut self, saved: &SavedCoverage) {
        let Some(first) = saved.stretches.first().filter(|_| saved.gap_after == self.gap_after) else {
            return;
        };
        let counted = core::mem::take(&mut self.stretches);
        let part = |known: &Stretch, from: i64, to: i64| Stretch {
            from,
            to,
            observed: known.observed_between(from, to),
        };
        // a longer period than before reaches further back than what was saved; what is less than a quarter of an hour
        // further back may be rounding
        let exact_from = first.from.div_euclid(QUARTER_HOUR).saturating_mul(QUARTER_HOUR);
        let older = counted.iter().filter(|known| known.from < exact_from);
        self.stretches.extend(older.map(|known| part(known, known.from, known.to.min(exact_from))));
        for saved in &saved.stretches {
            let end = saved.to.or(counted.back().map(|last| last.to)).unwrap_or(saved.from).max(saved.from);
            let observed = end.saturating_sub(saved.from).saturating_sub(saved.unseen).max(0);
            let saved = Stretch { from: saved.from, to: end, observed };
            for known in counted.iter().filter(|known| known.from < saved.to && known.to > saved.from) {
                let (from, to) = (known.from.max(saved.from), known.to.min(saved.to));
                let (exact, rounded) = (part(&saved, from, to), part(known, from, to));
                self.stretches.push_back(Stretch { observed: exact.observed.min(rounded.observed), ..exact });
            }
        }
        self.limit();
    }

    /// Returns whether there is more than one stretch.
    pub(crate) fn has_gaps(&self) -> bool {
        self.stretches.len() > 1
    }

    /// Removes everything before an instant.
    pub(crate) fn forget_before(&mut self, instant: i64) {
        while self.stretches.front().is_some_and(|oldest| oldest.to <= instant) {
            self.stretches.pop_front();
        }
        if let Some(oldest) = self.stretches.front_mut().filter(|oldest| oldest.from < instant) {
            oldest.observed = oldest.observed_between(instant, oldest.to);
            oldest.from = instant;
        }
    }

    /// Removes stretches that end before an instant, except for the last, which may still go on.
    pub(crate) fn drop_before(&mut self, instant: i64) {
        while self.stretches.len() > 1 && self.stretches.front().is_some_and(|oldest| oldest.to < instant) {
            self.stretches.pop_front();
        }
    }

    /// Observed seconds in `from..to`, where `to` is now.
    pub(crate) fn seconds(&self, from: i64, to: i64) -> u64 {
        let mut stretches = self.stretches.iter().rev();
        let Some(last) = stretches.next() else { return 0 };
        let fresh = to.saturating_sub(last.to) <= self.gap_after;
        let tail = if fresh { to.saturating_sub(last.to.max(from)).max(0) } else { 0 };
        let mut observed = tail.saturating_add(last.observed_between(from, to));
        if last.from > from {
            for stretch in stretches.take_while(|stretch| stretch.to > from) {
                observed = observed.saturating_add(stretch.observed_between(from, to));
            }
        }
        u64::try_from(observed).unwrap_or(0)
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.stretches.capacity() * size_of::<Stretch>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Observed seconds by the rule, second by second.
    fn brute_force(gap_after: i64, observations: &[(i64, i64)], from: i64, to: i64) -> u64 {
        let mut seconds = std::collections::BTreeSet::new();
        observations.iter().for_each(|&(from, to)| seconds.extend(from..to));
        let mut observed = seconds.clone();
        let mut previous = None;
        for &second in seconds.iter().chain(&[to]).filter(|second| **second <= to) {
            if let Some(previous) = previous.filter(|previous| second - previous - 1 <= gap_after) {
                observed.extend(previous..second);
            }
            previous = Some(second);
        }
        observed.range(from..to.max(from)).count() as u64
    }

    proptest! {
        #[test]
        fn observed_seconds_equal_the_brute_force_sum(
            observations in prop::collection::vec((0_i64..3000, 1_i64..60), 1..60),
            gap_after in 0_i64..400,
            spans in prop::collection::vec((-10_i64..3500, 0_i64..3500), 1..20),
        ) {
            let observations: Vec<(i64, i64)> =
                observations.into_iter().map(|(from, width)| (from, from + width)).collect();
            let mut coverage = Coverage::new(gap_after as u64);
            observations.iter().for_each(|&(from, to)| coverage.observe(from, to));
            let now = observations.iter().map(|(_, to)| *to).max().unwrap_or(0);
            for (from, late) in spans {
                let to = now + late;
                prop_assert_eq!(coverage.seconds(from, to), brute_force(gap_after, &observations, from, to));
            }
            coverage.forget_before(1000);
            prop_assert_eq!(
                coverage.seconds(1000, now.max(1000)),
                brute_force(gap_after, &observations, 1000, now.max(1000))
            );
        }
    }

    #[test]
    fn more_gaps_than_are_kept_change_no_total() {
        let mut coverage = Coverage::new(10);
        for n in 0..1000 {
            coverage.observe(n * 100, n * 100 + 7);
        }
        assert_eq!(coverage.seconds(0, 99_907), 7000);
        assert_eq!(coverage.seconds(95_000, 99_907), 350, "the latest stretches are exact");
        assert!(coverage.seconds(0, 50_000).abs_diff(3500) <= 100, "the oldest are measured pro rata");
        assert!(coverage.heap_bytes() <= 128 * size_of::<Stretch>());
    }
}
