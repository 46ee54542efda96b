//! Counts per cell, bit-packed or dense.
//!
//! An agent keeps ten thousand histories and packs them. A replay keeps one and reads a few cells in every slot: dense
//! counts take five times the memory there, and a third of the time.

use std::collections::VecDeque;

use crate::bit_packed::BitPacked;
use crate::counts::{Counts, Total};

/// Counts by the number of their cell. A cell that was never added to reads as zero.
#[derive(Debug, Clone)]
pub(crate) enum Cells {
    /// The small form.
    BitPacked(BitPacked),
    /// The fast form.
    Dense(Dense),
}

impl Default for Cells {
    fn default() -> Self {
        Self::BitPacked(BitPacked::default())
    }
}

impl Cells {
    /// Adds counts to a cell and returns the part that fitted: a cell holds up to 2⁶⁴−1 events of a kind.
    pub(crate) fn add(&mut self, cell: i64, counts: Counts) -> Counts {
        self.change(cell, Counts::ZERO, counts)
    }

    /// Replaces counts of a cell by others and returns the part of the new ones that fitted.
    pub(crate) fn change(&mut self, cell: i64, gone: Counts, counts: Counts) -> Counts {
        match self {
            Self::BitPacked(series) => series.change(cell, gone, counts),
            Self::Dense(plain) => plain.change(cell, gone, counts),
        }
    }

    /// The sum of the cells `from..to`.
    pub(crate) fn sum(&self, from: i64, to: i64) -> Total {
        match self {
            Self::BitPacked(series) => series.sum(from, to),
            Self::Dense(plain) => plain.sum(from, to),
        }
    }

    /// The counts of one cell.
    pub(crate) fn at(&self, cell: i64) -> Counts {
        match self {
            Self::BitPacked(series) => series.at(cell),
            Self::Dense(plain) => plain.at(cell),
        }
    }

    /// Number of the cells `from..to` with bad counts.
    pub(crate) fn bad_cells(&self, from: i64, to: i64) -> u64 {
        match self {
            Self::BitPacked(series) => series.bad_cells(from, to),
            Self::Dense(plain) => plain.within(from, to).filter(|counts| counts.bad > 0).count() as u64,
        }
    }

    /// Drops cells before one. Some of them may stay.
    pub(crate) fn forget_before(&mut self, cell: i64) {
        match self {
            Self::BitPacked(series) => series.forget_before(cell),
            Self::Dense(plain) => plain.forget_before(cell),
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::BitPacked(series) => series.heap_bytes(),
            Self::Dense(plain) => plain.cells.capacity() * size_of::<Counts>(),
        }
    }
}

/// Counts in a row of cells.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dense {
    /// The number of the oldest cell.
    first: i64,
    cells: VecDeque<Counts>,
}

impl Dense {
    fn change(&mut self, cell: i64, gone: Counts, counts: Counts) -> Counts {
        if gone == counts {
            return counts;
        }
        if self.cells.is_empty() {
            self.first = cell;
        }
        while cell < self.first {
            self.cells.push_front(Counts::ZERO);
            self.first -= 1;
        }
        let index = (cell - self.first) as usize;
        if index >= self.cells.len() {
            self.cells.resize(index + 1, Counts::ZERO);
        }
        let Some(kept) = self.cells.get_mut(index) else { return Counts::ZERO };
        let before =
            Counts { good: kept.good.saturating_sub(gone.good), bad: kept.bad.saturating_sub(gone.bad) };
        *kept = before + counts;
        Counts { good: kept.good - before.good, bad: kept.bad - before.bad }
    }

    fn at(&self, cell: i64) -> Counts {
        let index = cell.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.cells.get(index)).copied().unwrap_or_default()
    }

    fn sum(&self, from: i64, to: i64) -> Total {
        let mut total = Total::default();
        self.within(from, to).for_each(|counts| total.add(*counts));
        total
    }

    fn within(&self, from: i64, to: i64) -> impl Iterator<Item = &Counts> {
        let end = self.first.saturating_add(self.cells.len() as i64);
        let place = |cell: i64| (cell.clamp(self.first, end) - self.first) as usize;
        self.cells.range(place(from)..place(to.max(from)))
    }

    fn forget_before(&mut self, cell: i64) {
        while self.first < cell && self.cells.pop_front().is_some() {
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{History, Slot, Window};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packed_and_plain_cells_say_the_same(
            changes in prop::collection::vec((-40_i64..300, any::<(u64, u64)>(), any::<(u64, u64)>(), 0_u32..64), 1..60),
            runs in prop::collection::vec((-100_i64..400, -100_i64..400), 1..20),
            forgotten in -50_i64..300,
        ) {
            let (mut packed, mut plain) = (Cells::default(), Cells::Dense(Dense::default()));
            for (cell, gone, counts, digits) in changes {
                let part = |(good, bad): (u64, u64)| Counts { good: good >> digits, bad: bad >> (63 - digits) };
                let (mut gone, counts) = (part(gone), part(counts));
                // only what is there can be taken out
                let there = plain.sum(cell, cell + 1).counts();
                gone = Counts { good: gone.good.min(there.good), bad: gone.bad.min(there.bad) };
                prop_assert_eq!(packed.change(cell, gone, counts), plain.change(cell, gone, counts));
            }
            for &(from, to) in &runs {
                prop_assert_eq!(packed.sum(from, to), plain.sum(from, to), "{}..{}", from, to);
                prop_assert_eq!(packed.at(from), plain.at(from), "{}", from);
                prop_assert_eq!(packed.at(from), packed.sum(from, from + 1).counts(), "{}", from);
            }
            packed.forget_before(forgotten);
            plain.forget_before(forgotten);
            for (from, to) in runs {
                let from = from.max(forgotten);
                prop_assert_eq!(packed.sum(from, to), plain.sum(from, to), "{}..{} after forgetting", from, to);
            }
        }

        #[test]
        fn a_history_of_either_measures_the_same(
            seen in prop::collection::vec((prop_oneof![8 => 1_i64..3, 1 => 1_i64..5000], -3_i64..1, 0_u64..900, 0_u64..9), 1..300),
        ) {
            let grid = crate::Grid::try_new(10).unwrap();
            let windows = [Window::minutes(5), Window::hours(1), Window::hours(6), Window::days(3)];
            let mut packed = History::new(grid, windows, Slot(-1), u64::MAX);
            let mut plain = History::new(grid, windows, Slot(-1), u64::MAX);
            plain.use_dense_counts();
            let mut slot = Slot(0);
            for (ahead, late, good, bad) in seen {
                slot = slot.plus(ahead);
                for history in [&mut packed, &mut plain] {
                    history.record(slot.plus(late), Counts { good, bad });
                    history.close(slot);
                }
                for window in windows {
                    prop_assert_eq!(packed.measure(window), plain.measure(window));
                }
            }
        }
    }
}
