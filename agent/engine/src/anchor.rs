//! Sums that begin at an instant and do not move with time: since the start of a calendar period, and since every change
//! of the objective. They need no cells: nothing ever leaves them.

use crate::counts::Counts;
use crate::series::Total;

/// What was counted from an instant on, until the next one that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    /// Seconds since the epoch.
    from: i64,
    total: Total,
}

/// Sums of consecutive parts of the past, of which the last goes on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Anchors {
    /// Where the calendar period begins, seconds since the epoch. Parts end where the next one begins.
    start: Option<i64>,
    /// Where else parts begin, oldest first.
    cuts: Vec<i64>,
    parts: Vec<Part>,
}

impl Anchors {
    /// No sum.
    pub(crate) const NONE: Self = Self { start: None, cuts: Vec::new(), parts: Vec::new() };

    /// Parts begin at these instants as well, oldest first.
    pub(crate) fn cut_at(&mut self, cuts: Vec<i64>) {
        self.cuts = cuts;
        self.lay_out();
    }

    /// Forgets what was counted before: a calendar period begins at that instant.
    pub(crate) fn begin_at(&mut self, start: i64) {
        self.start = Some(start);
        self.lay_out();
    }

    /// The start of the calendar period.
    pub(crate) const fn start(&self) -> Option<i64> {
        self.start
    }

    fn lay_out(&mut self) {
        let inside = self.cuts.iter().copied().filter(|cut| self.start.is_none_or(|start| *cut > start));
        let froms = self.start.into_iter().chain(inside);
        self.parts = froms.map(|from| Part { from, total: Total::default() }).collect();
        self.parts.shrink_to_fit();
    }

    /// Takes counts that were added at an instant out again and adds others; says whether there is a sum that the
    /// instant belongs to.
    pub(crate) fn change(&mut self, at: i64, gone: Counts, counts: Counts) -> bool {
        // all but the latest counts are rare
        let Some(part) = self.parts.iter_mut().rev().find(|part| part.from <= at) else { return false };
        part.total.take_out(gone.into());
        part.total.add(counts);
        true
    }

    /// Everything since the start of the calendar period.
    pub(crate) fn sum(&self) -> Total {
        self.parts.iter().fold(Total::default(), |sum, part| sum + part.total)
    }

    /// The parts that begin at an instant or later, each with its first instant.
    pub(crate) fn parts_since(&self, from: i64) -> impl Iterator<Item = (i64, Total)> {
        self.parts.iter().filter(move |part| part.from >= from).map(|part| (part.from, part.total))
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.cuts.capacity() * size_of::<i64>() + self.parts.capacity() * size_of::<Part>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(good: u64, bad: u64) -> Counts {
        Counts { good, bad }
    }

    #[test]
    fn counts_go_to_the_part_they_happened_in_and_to_none_from_before() {
        let mut anchors = Anchors::default();
        anchors.cut_at(vec![50, 150, 200]);
        anchors.begin_at(100);
        assert!(!anchors.change(99, Counts::ZERO, counts(9, 9)), "that was the period before");
        for (at, bad) in [(100, 1), (149, 2), (150, 4), (1000, 8), (120, 16)] {
            assert!(anchors.change(at, Counts::ZERO, counts(0, bad)));
        }
        anchors.change(149, counts(0, 2), counts(3, 0));
        let parts: Vec<(i64, Counts)> =
            anchors.parts_since(100).map(|(from, total)| (from, total.counts())).collect();
        assert_eq!(parts, [(100, counts(3, 17)), (150, counts(0, 4)), (200, counts(0, 8))]);
        assert_eq!(anchors.sum().counts(), counts(3, 29));
        anchors.begin_at(300);
        assert_eq!(anchors.sum().counts(), Counts::ZERO, "a new period has counted nothing");
    }
}
