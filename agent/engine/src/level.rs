//! Counts per cell, and the cells of a window.

use crate::cells::{Cells, Dense};
use crate::counts::{Counts, Total};
use crate::slot::Grid;
use crate::window::Window;

/// The longest window that begins exactly at a slot.
pub const SLOT_WINDOW_LIMIT: Window = Window::hours(6);

/// The least number of cells of a longer window, which begins within half a cell of its first instant.
pub const MIN_COARSE_CELLS: u64 = 360;

/// A quarter of an hour in seconds, the width of old counts in the ledger. Every time zone is whole quarters of an hour
/// away from UTC, so no calendar period cuts one in two.
pub const QUARTER_HOUR: i64 = 900;

/// Longer windows begin at a whole quarter of an hour, because their oldest counts are known by the quarter only.
pub const QUARTER_ALIGNED_ABOVE: Window = Window::days(60);

/// The counts behind the windows whose cells have one width.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    /// The width of a cell in seconds.
    pub(crate) width: i64,
    /// Its cells are slots, which minutes from the ledger cannot fill.
    pub(crate) fine: bool,
    /// The latest cell. It joins the others when the next one begins.
    open: i64,
    open_counts: Counts,
    cells: Cells,
    /// The oldest cell that some window needs.
    pub(crate) needed: i64,
}

impl Level {
    pub(crate) fn new(width: i64, fine: bool) -> Self {
        Self {
            width,
            fine,
            open: i64::MIN,
            open_counts: Counts::ZERO,
            cells: Cells::default(),
            needed: i64::MIN,
        }
    }

    pub(crate) fn use_dense_counts(&mut self) {
        self.cells = Cells::Dense(Dense::default());
    }

    /// The counts of the cells from one on.
    pub(crate) fn sum_from(&self, cell: i64) -> Total {
        let mut sum = self.cells.sum(cell, self.open);
        if cell <= self.open {
            sum.add(self.open_counts);
        }
        sum
    }

    /// The counts of the cells `from..to`, all older than the open one, and the number of those with bad counts.
    pub(crate) fn between(&self, from: i64, to: i64) -> (Total, u32) {
        let total = self.cells.sum(from, to);
        let bad_cells = if total.has_bad() { self.cells.bad_cells(from, to) } else { 0 };
        (total, u32::try_from(bad_cells).unwrap_or(u32::MAX))
    }

    /// Cells with their counts from the open one back to `first`.
    pub(crate) fn backwards(&self, first: i64) -> impl Iterator<Item = (i64, Counts)> {
        let closed = (first..self.open).rev().map(|cell| (cell, self.cells.at(cell)));
        (self.open >= first).then_some((self.open, self.open_counts)).into_iter().chain(closed)
    }

    /// The counts of a cell that is older than the open one.
    pub(crate) fn at(&self, cell: i64) -> Counts {
        self.cells.at(cell)
    }

    /// Returns whether a cell is older than the open one.
    pub(crate) const fn is_closed(&self, cell: i64) -> bool {
        cell < self.open
    }

    /// Drops the cells that no window needs.
    pub(crate) fn forget(&mut self) {
        self.cells.forget_before(self.needed);
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.cells.heap_bytes()
    }

    /// Adds counts to a cell and returns the part that fitted.
    pub(crate) fn add(&mut self, cell: i64, counts: Counts) -> Counts {
        if cell < self.open {
            return self.cells.add(cell, counts);
        }
        self.open_at(cell);
        let before = self.open_counts;
        self.open_counts += counts;
        Counts { good: self.open_counts.good - before.good, bad: self.open_counts.bad - before.bad }
    }

    /// Returns whether a cell has bad counts.
    pub(crate) fn has_bad(&self, cell: i64) -> bool {
        match cell.cmp(&self.open) {
            core::cmp::Ordering::Less => self.cells.at(cell).bad > 0,
            core::cmp::Ordering::Equal => self.open_counts.bad > 0,
            core::cmp::Ordering::Greater => false,
        }
    }

    /// Replaces counts of a cell by others.
    pub(crate) fn change(&mut self, cell: i64, old: Counts, counts: Counts) {
        if cell < self.open {
            self.cells.change(cell, old, counts);
        } else {
            self.open_at(cell);
            let Counts { good, bad } = self.open_counts;
            self.open_counts =
                Counts { good: good.saturating_sub(old.good), bad: bad.saturating_sub(old.bad) } + counts;
        }
    }

    /// Opens a later cell: the open one joins the others, which are all older.
    pub(crate) fn open_at(&mut self, cell: i64) {
        if cell > self.open {
            self.cells.add(self.open, core::mem::take(&mut self.open_counts));
            self.open = cell;
        }
    }
}

/// The width of the cells of a window: slots, or as many minutes (quarters of an hour) as fit into its 360th part.
pub(crate) fn cell_seconds(grid: Grid, window: Window) -> i64 {
    let slot = u64::from(grid.width_seconds());
    if window <= SLOT_WINDOW_LIMIT {
        return i64::from(grid.width_seconds());
    }
    let minute = slot.max(Grid::MINUTE.width_seconds().into());
    let unit =
        if window > QUARTER_ALIGNED_ABOVE { in_both(minute, QUARTER_HOUR.unsigned_abs()) } else { minute };
    let units = (window.as_seconds() / MIN_COARSE_CELLS / unit).max(1);
    i64::try_from(units.saturating_mul(unit)).unwrap_or(i64::MAX)
}

/// The least common multiple of two small numbers.
fn in_both(a: u64, b: u64) -> u64 {
    let (mut gcd, mut rest) = (a.max(1), b);
    while rest != 0 {
        (gcd, rest) = (rest, gcd % rest);
    }
    (a / gcd).saturating_mul(b)
}

/// The first cell of a window that ends at an instant.
pub(crate) fn first_cell(window: Window, width: i64, end: i64) -> i64 {
    let length = i64::try_from(window.as_seconds()).unwrap_or(i64::MAX);
    end.saturating_sub(length).saturating_add(rounding(window, width)).div_euclid(width)
}

/// The first end at which a cell is no longer inside a window.
pub(crate) fn leaves_at(window: Window, width: i64, cell: i64) -> i64 {
    let length = i64::try_from(window.as_seconds()).unwrap_or(i64::MAX);
    let start = cell.saturating_add(1).saturating_mul(width);
    start.saturating_sub(rounding(window, width)).saturating_add(length)
}

/// Rounds the beginning of a long window to the nearest cell.
fn rounding(window: Window, width: i64) -> i64 {
    if window <= SLOT_WINDOW_LIMIT { 0 } else { width / 2 }
}
