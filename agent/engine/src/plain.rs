//! Cells of a level, packed or not.
//!
//! An agent keeps ten thousand histories and packs them; a replay keeps one, of which it reads a handful of cells in every
//! slot. There plain counts take five times the memory and a third of the time.

use std::collections::VecDeque;

use crate::counts::Counts;
use crate::series::{Series, Total};

/// Counts by the number of their cell. A cell that was never added to reads as zero.
#[derive(Debug, Clone)]
pub(crate) enum Cells {
    /// Small.
    Packed(Series),
    /// Fast.
    Plain(Plain),
}

impl Default for Cells {
    fn default() -> Self {
        Self::Packed(Series::default())
    }
}

impl Cells {
    /// Adds counts to a cell and says what was added: a cell holds up to 2⁶⁴−1 events of a kind.
    pub(crate) fn add(&mut self, cell: i64, counts: Counts) -> Counts {
        self.change(cell, Counts::ZERO, counts)
    }

    /// Takes counts that were added out of a cell again, then adds others and says what was added of these.
    pub(crate) fn change(&mut self, cell: i64, gone: Counts, counts: Counts) -> Counts {
        match self {
            Self::Packed(series) => series.change(cell, gone, counts),
            Self::Plain(plain) => plain.change(cell, gone, counts),
        }
    }

    /// The sum of the cells `from..to`.
    pub(crate) fn sum(&self, from: i64, to: i64) -> Total {
        match self {
            Self::Packed(series) => series.sum(from, to),
            Self::Plain(plain) => plain.sum(from, to),
        }
    }

    /// How many of the cells `from..to` have bad counts.
    pub(crate) fn bad_cells(&self, from: i64, to: i64) -> u64 {
        match self {
            Self::Packed(series) => series.bad_cells(from, to),
            Self::Plain(plain) => plain.within(from, to).filter(|counts| counts.bad > 0).count() as u64,
        }
    }

    /// Forgets cells before one, or most of them.
    pub(crate) fn forget_before(&mut self, cell: i64) {
        match self {
            Self::Packed(series) => series.forget_before(cell),
            Self::Plain(plain) => plain.forget_before(cell),
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Packed(series) => series.heap_bytes(),
            Self::Plain(plain) => plain.cells.capacity() * size_of::<Counts>(),
        }
    }
}

/// Counts in a row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plain {
    /// The number of the oldest cell.
    first: i64,
    cells: VecDeque<Counts>,
}

impl Plain {
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
            let (mut packed, mut plain) = (Cells::default(), Cells::Plain(Plain::default()));
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
            let mut packed = History::new(grid, windows, Slot(-1));
            let mut plain = History::new(grid, windows, Slot(-1));
            plain.unpack();
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
