//! Counts of the past and the running sum of every window over them.
//!
//! A window is the sum of the counts of whole cells, always; what differs is where it begins. All windows end where the
//! last closed slot ends. A window of up to six hours begins with the slot in which its first instant lies: its cells
//! are the slots. A longer one begins at the boundary of cells next to its first instant, which is off by half a cell
//! at most. Such a cell is a whole number of slots and of minutes, and no longer than the 360th part of the window
//! (unless the slots are that wide themselves): a day begins to two minutes, three days to six, thirty days to an hour.
//!
//! What a calendar period counted is no window: it is a sum that began at an instant, beside the series.
//!
//! Windows with cells of the same width share a series, which is kept as long as the longest of them. Thus 30 days with
//! the default tiers are 2,160 slots and three times 360 cells, whatever came in. Since the ledger keeps minutes, and a
//! minute lies in one cell of every series (a quarter of an hour in one of every window that reaches further back than
//! minutes are kept), a window restored after a restart equals the one that was never
//! interrupted.

use std::collections::VecDeque;

use crate::burn::Measured;
use crate::cells::{Cells, Dense};
use crate::counts::{Counts, Total};
use crate::running_sum::RunningSums;
use crate::slot::{Grid, Slot};
use crate::window::Window;

/// The longest window that begins exactly at a slot.
pub const SLOT_WINDOW_LIMIT: Window = Window::hours(6);

/// A longer window has at least so many cells, and begins within half a cell of its first instant.
pub const MIN_COARSE_CELLS: u64 = 360;

/// A quarter of an hour, in seconds: what the ledger rolls old minutes up to. Every time zone is whole quarters of an
/// hour away from UTC, so that no calendar period cuts one in two.
pub const QUARTER_HOUR: i64 = 900;

/// Windows that are longer begin at a whole quarter of an hour, since for some of their past that is all that is known.
pub const QUARTER_ALIGNED_ABOVE: Window = Window::days(60);

/// What became of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is in the sums, or will be when its slot closes.
    Counted,
    /// Its slot is older than every window.
    TooOld,
}

/// How the counts of some windows are kept.
#[derive(Debug, Clone)]
struct Level {
    /// The width of a cell in seconds.
    width: i64,
    /// Its cells are slots, which minutes from the ledger cannot fill.
    fine: bool,
    /// The cell that counts come in for now. It is put to the others when the next one begins.
    open: i64,
    open_counts: Counts,
    cells: Cells,
    /// The first cell that some window needs.
    needed: i64,
}

impl Level {
    /// Adds counts to a cell and says what was added.
    fn add(&mut self, cell: i64, counts: Counts) -> Counts {
        if cell < self.open {
            return self.cells.add(cell, counts);
        }
        self.open_at(cell);
        let before = self.open_counts;
        self.open_counts += counts;
        Counts { good: self.open_counts.good - before.good, bad: self.open_counts.bad - before.bad }
    }

    /// Whether a cell has bad counts.
    fn has_bad(&self, cell: i64) -> bool {
        match cell.cmp(&self.open) {
            core::cmp::Ordering::Less => self.cells.bad_cells(cell, cell + 1) > 0,
            core::cmp::Ordering::Equal => self.open_counts.bad > 0,
            core::cmp::Ordering::Greater => false,
        }
    }

    /// Takes counts that were added out of a cell again and adds others.
    fn change(&mut self, cell: i64, gone: Counts, counts: Counts) {
        if cell < self.open {
            self.cells.change(cell, gone, counts);
        } else {
            self.open_at(cell);
            let Counts { good, bad } = self.open_counts;
            self.open_counts =
                Counts { good: good.saturating_sub(gone.good), bad: bad.saturating_sub(gone.bad) } + counts;
        }
    }

    /// Puts the open cell to the others when a later one is wanted, so that these are all older than the open one.
    fn open_at(&mut self, cell: i64) {
        if cell > self.open {
            self.cells.add(self.open, core::mem::take(&mut self.open_counts));
            self.open = cell;
        }
    }
}

#[derive(Debug, Clone)]
struct Sum {
    window: Window,
    level: usize,
    /// The first cell that is inside.
    from: i64,
    /// The end at which that cell leaves.
    until: i64,
    total: Total,
    /// Cells inside that have bad counts.
    bad_cells: u64,
}

impl Sum {
    /// Follows a cell inside that had bad counts or not, and now has or not.
    const fn note_bad(&mut self, had: bool, has: bool) {
        self.bad_cells = self.bad_cells.saturating_add(has as u64).saturating_sub(had as u64);
    }
}

/// Counts of the past, bounded by the longest window.
#[derive(Debug, Clone)]
pub struct History {
    grid: Grid,
    /// The last closed slot; sums end where it ends.
    closed: Slot,
    levels: Vec<Level>,
    sums: Vec<Sum>,
    /// Observations of slots that are not closed yet, by slot.
    ahead: VecDeque<(Slot, Counts)>,
    /// Most budgets have none of these.
    running_sums: Option<Box<RunningSums>>,
    first: Option<Slot>,
    last: Option<Slot>,
}

impl History {
    /// An empty history in which `closed` is the last slot that is over.
    #[must_use]
    pub fn new(grid: Grid, windows: impl IntoIterator<Item = Window>, closed: Slot) -> Self {
        let mut sums: Vec<Sum> = Vec::new();
        let mut levels: Vec<Level> = Vec::new();
        for window in windows {
            if sums.iter().any(|sum| sum.window == window) {
                continue;
            }
            // a slot wider than a minute can be a cell of both kinds, but minutes are restored into the second only
            let (width, fine) = (cell_seconds(grid, window), window <= SLOT_WINDOW_LIMIT);
            let known = levels.iter().position(|level| level.width == width && level.fine == fine);
            let level = known.unwrap_or(levels.len());
            if known.is_none() {
                levels.push(Level {
                    width,
                    fine,
                    open: i64::MIN,
                    open_counts: Counts::ZERO,
                    cells: Cells::default(),
                    needed: i64::MIN,
                });
            }
            sums.push(Sum {
                window,
                level,
                from: i64::MIN,
                until: i64::MIN,
                total: Total::default(),
                bad_cells: 0,
            });
        }
        levels.shrink_to_fit();
        sums.shrink_to_fit();
        let (ahead, running_sums) = (VecDeque::new(), None);
        let mut history = Self { grid, closed, levels, sums, ahead, running_sums, first: None, last: None };
        history.move_edges();
        history
    }

    /// Trades memory for speed, as a replay wants it. Nothing may have been recorded yet.
    pub(crate) fn use_dense_counts(&mut self) {
        for level in &mut self.levels {
            level.cells = Cells::Dense(Dense::default());
        }
    }

    /// The last slot that is over.
    #[must_use]
    pub const fn closed(&self) -> Slot {
        self.closed
    }

    /// The first slot ever observed.
    #[must_use]
    pub const fn first_observed(&self) -> Option<Slot> {
        self.first
    }

    /// The last slot observed so far.
    #[must_use]
    pub const fn last_observed(&self) -> Option<Slot> {
        self.last
    }

    /// The instant, in seconds since the epoch, from which on counts are in some window; what began earlier is not.
    #[must_use]
    pub fn reaches_back_to(&self) -> i64 {
        let starts = self.levels.iter().map(|level| level.needed.saturating_mul(level.width));
        starts.chain(self.period_start()).min().unwrap_or_else(|| self.end_seconds())
    }

    /// Bytes this history takes, heap included.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        size_of::<Self>()
            + self.levels.capacity() * size_of::<Level>()
            + self.levels.iter().map(|level| level.cells.heap_bytes()).sum::<usize>()
            + self.sums.capacity() * size_of::<Sum>()
            + self.ahead.capacity() * size_of::<(Slot, Counts)>()
            + self
                .running_sums
                .as_ref()
                .map_or(0, |running_sums| size_of::<RunningSums>() + running_sums.heap_bytes())
    }

    /// Adds what a source said about a slot. Late answers count in the slot they belong to.
    pub fn record(&mut self, slot: Slot, counts: Counts) -> Recorded {
        self.mark_observed(slot);
        if slot > self.closed {
            let place = self.ahead.partition_point(|(other, _)| *other < slot);
            match self.ahead.get_mut(place).filter(|(other, _)| *other == slot) {
                Some((_, waiting)) => *waiting += counts,
                None => self.ahead.insert(place, (slot, counts)),
            }
            return Recorded::Counted;
        }
        self.add(slot.0.saturating_mul(self.width()), counts, true)
    }

    /// Adds a minute read back from the ledger whose slots are no longer known, by its number since the epoch. Windows
    /// of up to six hours need slots and are left as they are.
    pub fn restore_minute(&mut self, minute: Slot, counts: Counts) -> Recorded {
        self.restore_at(minute.0.saturating_mul(60), counts)
    }

    /// Adds a quarter of an hour read back from the ledger, by its number since the epoch, as a minute is added. It must
    /// be from before any window whose cells are narrower.
    pub fn restore_quarter(&mut self, quarter: Slot, counts: Counts) -> Recorded {
        self.restore_at(quarter.0.saturating_mul(QUARTER_HOUR), counts)
    }

    fn restore_at(&mut self, seconds: i64, counts: Counts) -> Recorded {
        let slot = Slot(seconds.div_euclid(self.width()));
        if slot > self.closed {
            // written before the clock was set back: it waits like any count that is early
            return self.record(slot, counts);
        }
        self.mark_observed(slot);
        self.add(seconds, counts, false)
    }

    /// Takes out of a closed slot what was recorded for it before, and records something else.
    pub(crate) fn revise(&mut self, slot: Slot, gone: Counts, counts: Counts) {
        self.mark_observed(slot);
        if gone == counts {
            return;
        }
        let seconds = slot.0.saturating_mul(self.width());
        if let Some(running_sums) = &mut self.running_sums {
            running_sums.change(seconds, gone, counts);
        }
        for (index, level) in self.levels.iter_mut().enumerate() {
            let cell = seconds.div_euclid(level.width);
            if cell < level.needed {
                continue;
            }
            let had_bad = level.has_bad(cell);
            level.change(cell, gone, counts);
            let has_bad = level.has_bad(cell);
            for sum in self.sums.iter_mut().filter(|sum| sum.level == index && cell >= sum.from) {
                sum.total.subtract(gone.into());
                sum.total.add(counts);
                sum.note_bad(had_bad, has_bad);
            }
        }
    }

    /// Closes every slot up to and including `slot`: all windows now end where it ends. Earlier slots change nothing.
    pub fn close(&mut self, slot: Slot) {
        // slots with observations are closed one by one, the empty ones between them in one go
        while let Some((due, counts)) = self.ahead.pop_front_if(|(due, _)| *due <= slot) {
            self.move_head(due);
            self.add(due.0.saturating_mul(self.width()), counts, true);
        }
        self.move_head(slot);
    }

    /// What was observed so far of a slot that is not closed.
    pub(crate) fn waiting(&self, slot: Slot) -> Counts {
        self.ahead.iter().find(|(ahead, _)| *ahead == slot).map_or(Counts::ZERO, |(_, counts)| *counts)
    }

    /// What a window holds; `None` for a window this history was not made for.
    #[must_use]
    pub fn measure(&self, window: Window) -> Option<Measured> {
        let sum = self.sums.iter().find(|sum| sum.window == window)?;
        Some(Measured { window, counts: sum.total.counts(), observed_seconds: self.observed_seconds() })
    }

    /// How many cells of a window have bad counts; zero for a window this history was not made for.
    #[must_use]
    pub fn bad_cells(&self, window: Window) -> u64 {
        self.sums.iter().find(|sum| sum.window == window).map_or(0, |sum| sum.bad_cells)
    }

    /// The cells of a window: slots up to six hours, wider ones beyond.
    #[must_use]
    pub fn cells_of(grid: Grid, window: Window) -> u64 {
        window.as_seconds() / u64::try_from(cell_seconds(grid, window)).unwrap_or(1).max(1)
    }

    /// Begins to count a calendar period, from an instant on. Counts that wait for their slot will be in it, late ones
    /// for what was before will not.
    pub(crate) fn set_period(&mut self, from_seconds: i64) {
        self.running_sums.get_or_insert_default().begin_at(from_seconds);
    }

    /// Tells counts before and after these instants apart. To be said before anything is counted.
    pub(crate) fn cut_at(&mut self, instants: Vec<i64>) {
        self.running_sums.get_or_insert_default().cut_at(instants);
    }

    /// The first observation was at that instant, of which there may be no counts any more, or none but its minute's.
    pub(crate) fn set_first_observation(&mut self, seconds: i64) {
        let slot = Slot(seconds.div_euclid(self.width()));
        if slot <= self.closed {
            self.mark_observed(slot);
            self.first = Some(slot);
        }
    }

    /// What a calendar period holds that is so long.
    pub(crate) fn measure_since_start(&self, length: Window) -> Measured {
        let end = self.end_seconds();
        let since = self.period_start().max(self.first.map(|first| first.0.saturating_mul(self.width())));
        let covered = since.filter(|_| self.first.is_some()).map_or(0, |since| end.saturating_sub(since));
        let observed_seconds = u64::try_from(covered).unwrap_or(0);
        Measured { window: length, counts: self.running_sums().sum().counts(), observed_seconds }
    }

    fn running_sums(&self) -> &RunningSums {
        const NONE: &RunningSums = &RunningSums::NONE;
        self.running_sums.as_deref().unwrap_or(NONE)
    }

    fn period_start(&self) -> Option<i64> {
        self.running_sums().start()
    }

    /// The counts of a period by the parts that [`Self::cut_at`] tells apart, oldest first, each with its first
    /// instant: of a rolling window, or of the calendar period.
    pub(crate) fn parts(&self, window: Option<Window>) -> Vec<(i64, Counts)> {
        let counts = |(from, total): (i64, Total)| (from, total.counts());
        let Some(window) = window else {
            return self.running_sums().since(i64::MIN).map(counts).collect();
        };
        let known = self.sums.iter().find(|sum| sum.window == window);
        let Some((sum, level)) = known.and_then(|sum| Some((sum, self.levels.get(sum.level)?))) else {
            return Vec::new();
        };
        let start = sum.from.saturating_mul(level.width);
        // what is in no part that is wholly inside is in the one that the window begins in
        let mut rest = sum.total;
        let inner: Vec<(i64, Total)> =
            self.running_sums().since(start).inspect(|(_, total)| rest.subtract(*total)).collect();
        let oldest = inner.first().is_none_or(|(from, _)| *from > start).then_some((start, rest));
        oldest.into_iter().chain(inner).map(counts).collect()
    }

    /// Seconds between the start of the first observed slot and the end of the closed one.
    fn observed_seconds(&self) -> u64 {
        let slots = self.first.map_or(0, |first| self.closed.plus(1).0.saturating_sub(first.0));
        u64::try_from(slots).unwrap_or(0).saturating_mul(u64::from(self.grid.width_seconds()))
    }

    fn mark_observed(&mut self, slot: Slot) {
        self.first = Some(self.first.map_or(slot, |first| first.min(slot)));
        self.last = Some(self.last.map_or(slot, |last| last.max(slot)));
    }

    fn width(&self) -> i64 {
        i64::from(self.grid.width_seconds())
    }

    fn end_seconds(&self) -> i64 {
        self.closed.plus(1).0.saturating_mul(self.width())
    }

    fn move_head(&mut self, slot: Slot) {
        if slot > self.closed {
            self.closed = slot;
            self.move_edges();
        }
    }

    /// Takes out of every sum what is no longer inside, and forgets what is in none.
    fn move_edges(&mut self) {
        let end = self.end_seconds();
        for level in &mut self.levels {
            level.needed = i64::MAX;
        }
        for sum in &mut self.sums {
            let Some(level) = self.levels.get_mut(sum.level) else { continue };
            if end >= sum.until {
                // most often the next cell, which is found without a division
                let next = sum.until.saturating_add(level.width);
                let from = match end < next {
                    true => sum.from.saturating_add(1),
                    false => first_cell(sum.window, level.width, end),
                };
                sum.until = match end < next {
                    true => next,
                    false => leaves_at(sum.window, level.width, from),
                };
                level.open_at(from);
                let gone = level.cells.sum(sum.from, from);
                sum.total.subtract(gone);
                if gone.has_bad() {
                    sum.bad_cells = sum.bad_cells.saturating_sub(level.cells.bad_cells(sum.from, from));
                }
                sum.from = from;
            }
            let from = sum.from;
            level.needed = level.needed.min(from);
        }
        for level in &mut self.levels {
            level.cells.forget_before(level.needed);
        }
    }

    /// Adds counts that began at an instant to every level, or to those that are made of minutes.
    fn add(&mut self, seconds: i64, counts: Counts, to_slots: bool) -> Recorded {
        let running_sums = self
            .running_sums
            .as_mut()
            .is_some_and(|running_sums| running_sums.change(seconds, Counts::ZERO, counts));
        let mut kept = if running_sums { Recorded::Counted } else { Recorded::TooOld };
        for (index, level) in self.levels.iter_mut().enumerate() {
            let cell = seconds.div_euclid(level.width);
            if cell < level.needed || (level.fine && !to_slots) {
                continue;
            }
            kept = Recorded::Counted;
            // a cell that is bad for the first time; where nothing bad is added there is nothing to look up
            let (had_bad, has_bad) = (counts.bad > 0 && level.has_bad(cell), counts.bad > 0);
            let added = level.add(cell, counts);
            for sum in self.sums.iter_mut().filter(|sum| sum.level == index && cell >= sum.from) {
                sum.total.add(added);
                sum.note_bad(had_bad, has_bad);
            }
        }
        kept
    }
}

/// The width of the cells a window is summed from: slots, or as many minutes (quarters of an hour) as fit into its
/// 360th part.
fn cell_seconds(grid: Grid, window: Window) -> i64 {
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

/// The least number that both divide; both are small.
fn in_both(a: u64, b: u64) -> u64 {
    let (mut gcd, mut rest) = (a.max(1), b);
    while rest != 0 {
        (gcd, rest) = (rest, gcd % rest);
    }
    (a / gcd).saturating_mul(b)
}

/// The first cell of a window that ends at an instant.
fn first_cell(window: Window, width: i64, end: i64) -> i64 {
    let length = i64::try_from(window.as_seconds()).unwrap_or(i64::MAX);
    end.saturating_sub(length).saturating_add(rounding(window, width)).div_euclid(width)
}

/// The first end at which a cell is no longer inside a window.
fn leaves_at(window: Window, width: i64, cell: i64) -> i64 {
    let length = i64::try_from(window.as_seconds()).unwrap_or(i64::MAX);
    let start = cell.saturating_add(1).saturating_mul(width);
    start.saturating_sub(rounding(window, width)).saturating_add(length)
}

/// A window that does not begin exactly begins where it is nearest.
fn rounding(window: Window, width: i64) -> i64 {
    if window <= SLOT_WINDOW_LIMIT { 0 } else { width / 2 }
}
