//! The running sum of one window, and the cells that leave it next.

use crate::counts::{Counts, Total};
use crate::level::{Level, first_cell, leaves_at};
use crate::window::Window;

/// Number of cells that are read at once.
const AHEAD: i64 = 3;

/// The sum of a window's cells.
///
/// An agent has thousands of histories, so that the old end of a window is never in the processor's cache. It is read once
/// for several cells: `leaving` has the good and bad counts of those that leave after the next one.
#[derive(Debug, Clone)]
pub(crate) struct WindowSum {
    pub(crate) window: Window,
    /// The index of the level that has its cells.
    pub(crate) level: u8,
    /// The number of cells in `leaving`, which are its last ones.
    left: u8,
    /// Cells inside that have bad counts.
    pub(crate) bad_cells: u32,
    leaving: [[u32; 2]; AHEAD as usize - 1],
    /// The first cell that is inside.
    pub(crate) from: i64,
    /// The end at which that cell leaves.
    until: i64,
    pub(crate) total: Total,
}

impl WindowSum {
    /// Creates the sum of a window before its first edge is known.
    pub(crate) fn new(window: Window, level: u8) -> Self {
        Self {
            window,
            level,
            left: 0,
            bad_cells: 0,
            leaving: Default::default(),
            from: i64::MIN,
            until: i64::MIN,
            total: Total::default(),
        }
    }

    /// Removes the cells that are no longer inside at an end, in seconds since the epoch.
    pub(crate) fn move_edge(&mut self, level: &mut Level, end: i64) {
        if end < self.until {
            return;
        }
        let next = self.until.saturating_add(level.width);
        if end < next {
            // the usual case is the next cell, which needs no division
            let cell = self.from;
            (self.from, self.until) = (cell.saturating_add(1), next);
            level.open_at(self.from);
            let counts = self.take(level, cell);
            self.total.subtract(counts.into());
            self.bad_cells = self.bad_cells.saturating_sub(u32::from(counts.bad > 0));
            return;
        }
        let from = first_cell(self.window, level.width, end);
        self.until = leaves_at(self.window, level.width, from);
        level.open_at(from);
        let (gone, bad_cells) = level.between(self.from, from);
        self.total.subtract(gone);
        self.bad_cells = self.bad_cells.saturating_sub(bad_cells);
        self.from = from;
        self.forget_leaving();
    }

    /// Returns the counts of the first cell, which leaves.
    fn take(&mut self, level: &Level, cell: i64) -> Counts {
        if self.left == 0 {
            self.read_leaving(level, cell.saturating_add(1));
            return level.at(cell);
        }
        let next = self.leaving.len().saturating_sub(self.left.into());
        self.left -= 1;
        let known = self.leaving.get(next);
        known.map_or(Counts::ZERO, |&[good, bad]| Counts { good: good.into(), bad: bad.into() })
    }

    /// Reads cells up to a multiple of [`AHEAD`], unless one does not fit or is not closed yet.
    fn read_leaving(&mut self, level: &Level, from: i64) {
        if !level.is_closed(from.saturating_add(AHEAD)) {
            return;
        }
        let skipped = (from - 1).rem_euclid(AHEAD) as usize;
        let mut left = 0;
        for (kept, cell) in self.leaving.iter_mut().skip(skipped).zip(from..) {
            let counts = level.at(cell);
            let (Ok(good), Ok(bad)) = (u32::try_from(counts.good), u32::try_from(counts.bad)) else { return };
            *kept = [good, bad];
            left += 1;
        }
        self.left = left;
    }

    /// Notes that counts of a closed cell are about to change.
    pub(crate) const fn forget_leaving(&mut self) {
        self.left = 0;
    }

    /// Updates the number of bad cells after a change of one cell.
    pub(crate) const fn note_bad(&mut self, had: bool, has: bool) {
        self.bad_cells = self.bad_cells.saturating_add(has as u32).saturating_sub(had as u32);
    }
}
