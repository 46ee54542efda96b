//! Sums from a fixed instant on: since the start of a calendar period, and since every change of the objective.
//!
//! They keep no cells, because counts never leave them.

use crate::counts::{Counts, Total};

/// Counts from an instant until the start of the next sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RunningSum {
    /// Start in seconds since the epoch.
    from: i64,
    total: Total,
}

/// Sums over consecutive stretches of time. The last stretch is open.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunningSums {
    /// Start of the calendar period in seconds since the epoch. A sum ends where the next one starts.
    start: Option<i64>,
    /// Further instants at which a sum starts, oldest first.
    cuts: Vec<i64>,
    sums: Vec<RunningSum>,
}

impl RunningSums {
    /// No sum at all.
    pub(crate) const NONE: Self = Self { start: None, cuts: Vec::new(), sums: Vec::new() };

    /// Starts a sum at each of these instants too, oldest first.
    pub(crate) fn cut_at(&mut self, cuts: Vec<i64>) {
        self.cuts = cuts;
        self.reset();
    }

    /// Drops all counts and starts a calendar period at an instant.
    pub(crate) fn begin_at(&mut self, start: i64) {
        self.start = Some(start);
        self.reset();
    }

    /// Start of the calendar period.
    pub(crate) const fn start(&self) -> Option<i64> {
        self.start
    }

    fn reset(&mut self) {
        let inside = self.cuts.iter().copied().filter(|cut| self.start.is_none_or(|start| *cut > start));
        let froms = self.start.into_iter().chain(inside);
        self.sums = froms.map(|from| RunningSum { from, total: Total::default() }).collect();
        self.sums.shrink_to_fit();
    }

    /// Replaces counts of an instant by others. Returns whether some sum contains the instant.
    pub(crate) fn change(&mut self, at: i64, old: Counts, new: Counts) -> bool {
        // the latest sum is the usual one
        let Some(sum) = self.sums.iter_mut().rev().find(|sum| sum.from <= at) else { return false };
        sum.total.subtract(old.into());
        sum.total.add(new);
        true
    }

    /// Everything since the start of the calendar period.
    pub(crate) fn sum(&self) -> Total {
        self.sums.iter().fold(Total::default(), |sum, part| sum + part.total)
    }

    /// Sums that start at an instant or later, each with its start.
    pub(crate) fn since(&self, from: i64) -> impl Iterator<Item = (i64, Total)> {
        self.sums.iter().filter(move |sum| sum.from >= from).map(|sum| (sum.from, sum.total))
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.cuts.capacity() * size_of::<i64>() + self.sums.capacity() * size_of::<RunningSum>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(good: u64, bad: u64) -> Counts {
        Counts { good, bad }
    }

    #[test]
    fn counts_go_to_the_sum_of_their_time_and_to_none_from_before() {
        let mut running_sums = RunningSums::default();
        running_sums.cut_at(vec![50, 150, 200]);
        running_sums.begin_at(100);
        assert!(!running_sums.change(99, Counts::ZERO, counts(9, 9)), "that was the period before");
        for (at, bad) in [(100, 1), (149, 2), (150, 4), (1000, 8), (120, 16)] {
            assert!(running_sums.change(at, Counts::ZERO, counts(0, bad)));
        }
        running_sums.change(149, counts(0, 2), counts(3, 0));
        let parts: Vec<(i64, Counts)> =
            running_sums.since(100).map(|(from, total)| (from, total.counts())).collect();
        assert_eq!(parts, [(100, counts(3, 17)), (150, counts(0, 4)), (200, counts(0, 8))]);
        assert_eq!(running_sums.sum().counts(), counts(3, 29));
        running_sums.begin_at(300);
        assert_eq!(running_sums.sum().counts(), Counts::ZERO, "a new period has counted nothing");
    }
}
