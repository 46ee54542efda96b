//! The last so many slots of one grid, in a flat buffer.

use std::collections::VecDeque;

use crate::counts::Counts;

/// Counts of the slots `head - len + 1 ..= head`, addressed by slot number; everything else reads as zero.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    cells: VecDeque<Cell>,
    capacity: usize,
    head: i64,
}

/// A slot's counts in eight bytes; a slot with more than four billion events saturates.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    good: u32,
    bad: u32,
}

impl Cell {
    fn counts(self) -> Counts {
        Counts { good: u64::from(self.good), bad: u64::from(self.bad) }
    }

    /// Adds what fits and returns that.
    fn add(&mut self, counts: Counts) -> Counts {
        let before = self.counts();
        let clamp = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        self.good = self.good.saturating_add(clamp(counts.good));
        self.bad = self.bad.saturating_add(clamp(counts.bad));
        self.counts().without(before)
    }
}

impl Ring {
    pub(crate) fn new(capacity: usize, head: i64) -> Self {
        Self { cells: VecDeque::new(), capacity: capacity.max(1), head }
    }

    /// Moves the head forward; slots in between are empty, slots that fall off the end are forgotten.
    pub(crate) fn advance(&mut self, to: i64) {
        let steps = usize::try_from(to.saturating_sub(self.head)).unwrap_or(0);
        if steps >= self.capacity {
            self.cells.clear();
        } else {
            for _ in 0..steps {
                // while nothing is stored there is nothing to move
                if !self.cells.is_empty() {
                    self.cells.push_back(Cell::default());
                }
                if self.cells.len() > self.capacity {
                    self.cells.pop_front();
                }
            }
        }
        self.head = self.head.max(to);
    }

    /// Adds counts to a slot at or before the head; `None` when the slot is out of reach, else what was added.
    pub(crate) fn add(&mut self, slot: i64, counts: Counts) -> Option<Counts> {
        let back = usize::try_from(self.head.checked_sub(slot)?).ok()?;
        if back >= self.capacity {
            return None;
        }
        while self.cells.len() <= back {
            self.cells.push_front(Cell::default());
        }
        let index = self.cells.len() - 1 - back;
        self.cells.get_mut(index).map(|cell| cell.add(counts))
    }

    pub(crate) fn get(&self, slot: i64) -> Counts {
        let back = self.head.checked_sub(slot).and_then(|back| usize::try_from(back).ok());
        back.and_then(|back| self.cells.len().checked_sub(back + 1))
            .and_then(|index| self.cells.get(index))
            .map_or(Counts::ZERO, |cell| cell.counts())
    }
}
