//! Starts of the process behind the data.

use std::collections::VecDeque;

use crate::slot::{Grid, Slot};
use crate::window::Window;

/// Most slots with a start that are kept. More of them within one window change no decision.
const MAX_SLOTS: usize = 256;

/// The latest slots in which a process started, with the number of starts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Starts {
    slots: VecDeque<(Slot, u32)>,
}

impl Starts {
    /// Adds starts in a slot.
    pub(crate) fn record(&mut self, slot: Slot, starts: u32) {
        match self.slots.back_mut().filter(|(last, _)| *last == slot) {
            Some((_, counted)) => *counted = counted.saturating_add(starts),
            None => self.slots.push_back((slot, starts)),
        }
        if self.slots.len() > MAX_SLOTS {
            self.slots.pop_front();
        }
    }

    /// The starts in the window that ends with `closed`.
    pub(crate) fn count(&self, window: Window, grid: Grid, closed: Slot) -> u32 {
        self.within(window, grid, closed).map(|(_, starts)| *starts).fold(0, u32::saturating_add)
    }

    /// The first and the last slot with a start in the window that ends with `closed`.
    pub(crate) fn first_and_last(&self, window: Window, grid: Grid, closed: Slot) -> Option<(Slot, Slot)> {
        let mut slots = self.within(window, grid, closed).map(|(slot, _)| *slot);
        let first = slots.next()?;
        Some((first, slots.next_back().unwrap_or(first)))
    }

    fn within(
        &self,
        window: Window,
        grid: Grid,
        closed: Slot,
    ) -> impl DoubleEndedIterator<Item = &(Slot, u32)> {
        let slots = i64::try_from(grid.slots_in(window.as_seconds())).unwrap_or(i64::MAX);
        let begin = Slot(closed.0.saturating_sub(slots));
        self.slots.iter().filter(move |(slot, _)| *slot > begin && *slot <= closed)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, u32)> {
        self.slots.iter().copied()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<(Slot, u32)>()
    }
}
