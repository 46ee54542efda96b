//! Counts of the past and the running sum of every window over them.
//!
//! A window is the sum of whole cells. All windows end where the last closed slot ends; they differ in their beginning:
//!
//! - A window of up to six hours begins with the slot of its first instant. Its cells are the slots.
//! - A longer window begins at the cell boundary next to its first instant, at most half a cell away. Such a cell is a
//!   whole number of slots and of minutes, and at most the 360th part of the window: two minutes for a day, six for
//!   three days, an hour for thirty.
//!
//! The counts of a calendar period are no window but a sum that starts at an instant.
//!
//! Windows with cells of the same width share a level, which is as long as the longest of them: 30 days with the
//! default tiers are 2,160 slots and three times 360 cells, whatever the traffic. The ledger keeps minutes, and a
//! minute lies in one cell of every level. A window after a restart therefore equals the uninterrupted one.

use std::collections::VecDeque;

use crate::burn::Measured;
use crate::counts::{Counts, Total};
use crate::coverage::Coverage;
use crate::level::{Level, QUARTER_HOUR, SLOT_WINDOW_LIMIT, cell_seconds};
use crate::objective::{BurnFactor, Objective};
use crate::running_sum::RunningSums;
use crate::slot::{Grid, Slot};
use crate::window::Window;
use crate::window_sum::WindowSum;

/// The most events per second that a real source can have.
///
/// A sample beyond it is an error of its source. At this rate, no sum over five years exceeds 64 bits, so that no
/// accepted count saturates.
pub const PLAUSIBLE_PER_SECOND: u64 = 100_000_000_000;

/// The result of adding an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is in the sums, or will be when its slot closes.
    Counted,
    /// Its slot is older than every window.
    TooOld,
    /// It has more than [`PLAUSIBLE_PER_SECOND`] events per second and is not counted. Its slot stays unobserved.
    Implausible,
}

/// Returns whether a source can have so many events in a time.
pub(crate) fn is_plausible(counts: Counts, seconds: i64) -> bool {
    let most = PLAUSIBLE_PER_SECOND.saturating_mul(seconds.unsigned_abs());
    counts.good.checked_add(counts.bad).is_some_and(|total| total <= most)
}

/// Counts of the past, bounded by the longest window.
#[derive(Debug, Clone)]
pub struct History {
    grid: Grid,
    /// The last closed slot. Sums end with it.
    closed: Slot,
    levels: Vec<Level>,
    /// In the order of their levels, each of which has one or more.
    sums: Vec<WindowSum>,
    /// Observations of slots that are not closed yet, by slot.
    ahead: VecDeque<(Slot, Counts)>,
    /// `None` for most budgets.
    running_sums: Option<Box<RunningSums>>,
    pub(crate) coverage: Coverage,
    last_observed: Option<Slot>,
    last_bad: Option<Slot>,
    last_good: Option<Slot>,
}

impl History {
    /// Creates an empty history in which `closed` is the last slot that is over. A stretch of more than
    /// `stale_after_seconds` without an observation is a gap.
    #[must_use]
    pub fn new(
        grid: Grid,
        windows: impl IntoIterator<Item = Window>,
        closed: Slot,
        stale_after_seconds: u64,
    ) -> Self {
        let mut sums: Vec<WindowSum> = Vec::new();
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
                levels.push(Level::new(width, fine));
            }
            sums.push(WindowSum::new(window, u8::try_from(level).unwrap_or(u8::MAX)));
        }
        sums.sort_by_key(|sum| sum.level);
        levels.shrink_to_fit();
        sums.shrink_to_fit();
        let mut history = Self {
            grid,
            closed,
            levels,
            sums,
            ahead: VecDeque::new(),
            running_sums: None,
            coverage: Coverage::new(stale_after_seconds),
            last_observed: None,
            last_bad: None,
            last_good: None,
        };
        history.move_edges();
        history
    }

    /// Trades memory for speed. Call it before anything is recorded.
    pub(crate) fn use_dense_counts(&mut self) {
        for level in &mut self.levels {
            level.use_dense_counts();
        }
    }

    /// The last slot that is over.
    #[must_use]
    pub const fn closed(&self) -> Slot {
        self.closed
    }

    /// The last observed slot.
    #[must_use]
    pub const fn last_observed(&self) -> Option<Slot> {
        self.last_observed
    }

    /// The last closed slot with a bad event.
    #[must_use]
    pub const fn last_bad(&self) -> Option<Slot> {
        self.last_bad
    }

    /// The last closed slot with a good event.
    #[must_use]
    pub const fn last_good(&self) -> Option<Slot> {
        self.last_good
    }

    /// The first instant of the longest window or of the period, in seconds since the epoch.
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
            + self.levels.iter().map(|level| level.heap_bytes()).sum::<usize>()
            + self.sums.capacity() * size_of::<WindowSum>()
            + self.ahead.capacity() * size_of::<(Slot, Counts)>()
            + self.coverage.heap_bytes()
            + self
                .running_sums
                .as_ref()
                .map_or(0, |running_sums| size_of::<RunningSums>() + running_sums.heap_bytes())
    }

    /// Adds an observation of a slot. A late one counts in its own slot.
    pub fn record(&mut self, slot: Slot, counts: Counts) -> Recorded {
        if !is_plausible(counts, self.width()) {
            return Recorded::Implausible;
        }
        let start = slot.0.saturating_mul(self.width());
        self.mark_observed(slot, start, self.width());
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

    /// Adds a minute of the ledger, by its number since the epoch. Its slots are no longer known: windows of up to six
    /// hours, which need slots, do not change. The whole minute is observed.
    pub fn restore_minute(&mut self, minute: Slot, counts: Counts) -> Recorded {
        self.restore_at(minute.0.saturating_mul(60), 60, counts)
    }

    /// Adds a quarter of an hour of the ledger, by its number since the epoch. It must be older than every window with
    /// narrower cells. The whole quarter is observed.
    pub fn restore_quarter(&mut self, quarter: Slot, counts: Counts) -> Recorded {
        self.restore_at(quarter.0.saturating_mul(QUARTER_HOUR), QUARTER_HOUR, counts)
    }

    fn restore_at(&mut self, seconds: i64, width: i64, counts: Counts) -> Recorded {
        if !is_plausible(counts, width) {
            return Recorded::Implausible;
        }
        let slot = Slot(seconds.div_euclid(self.width()));
        if slot > self.closed {
            // from before the clock was set back: it waits like any early count
            return self.record(slot, counts);
        }
        self.mark_observed(slot, seconds, width);
        self.add(seconds, counts, false)
    }

    /// Replaces counts of a closed slot by others.
    pub(crate) fn revise(&mut self, slot: Slot, old: Counts, new: Counts) {
        let seconds = slot.0.saturating_mul(self.width());
        self.mark_observed(slot, seconds, self.width());
        if old == new {
            return;
        }
        self.note_last(seconds, new);
        if let Some(running_sums) = &mut self.running_sums {
            running_sums.change(seconds, old, new);
        }
        for (level, sums) in by_level(&mut self.levels, &mut self.sums) {
            let cell = seconds.div_euclid(level.width);
            if cell < level.needed {
                continue;
            }
            let had_bad = level.has_bad(cell);
            if level.is_closed(cell) {
                sums.iter_mut().for_each(WindowSum::forget_leaving);
            }
            level.change(cell, old, new);
            let has_bad = level.has_bad(cell);
            for sum in sums.iter_mut().filter(|sum| cell >= sum.from) {
                sum.total.subtract(old.into());
                sum.total.add(new);
                sum.note_bad(had_bad, has_bad);
            }
        }
    }

    /// Closes every slot up to and including `slot`, where all windows now end. Earlier slots change nothing.
    pub fn close(&mut self, slot: Slot) {
        // observed slots are closed one by one, empty ones between them at once
        while let Some((due, counts)) = self.ahead.pop_front_if(|(due, _)| *due <= slot) {
            self.move_head(due);
            self.add(due.0.saturating_mul(self.width()), counts, true);
        }
        self.move_head(slot);
    }

    /// The counts so far of a slot that is not closed.
    pub(crate) fn waiting(&self, slot: Slot) -> Counts {
        self.ahead.iter().find(|(ahead, _)| *ahead == slot).map_or(Counts::ZERO, |(_, counts)| *counts)
    }

    /// Measures a window; `None` for a window that this history does not have.
    #[must_use]
    pub fn measure(&self, window: Window) -> Option<Measured> {
        let sum = self.sums.iter().find(|sum| sum.window == window)?;
        let level = self.levels.get(usize::from(sum.level))?;
        let (start, end) = (sum.from.saturating_mul(level.width), self.end_seconds());
        // A long window begins at a cell, less than one before the window itself. What was observed of a young history is
        // exact all the same; a window is never observed for longer than it lasts.
        let observed = self.coverage.seconds(start, end);
        let (seconds, summed) = (window.as_seconds(), end.abs_diff(start).max(1));
        let observed_seconds = if observed >= summed { seconds } else { observed.min(seconds) };
        Some(Measured { window, counts: sum.total.counts(), observed_seconds })
    }

    /// Returns whether the observed time of a window burns faster than a factor.
    pub(crate) fn burns(&self, window: Window, objective: Objective, factor: BurnFactor) -> bool {
        let Some(sum) = self.sums.iter().find(|sum| sum.window == window) else { return false };
        let measured = Measured { window, counts: sum.total.counts(), observed_seconds: u64::MAX };
        sum.total.has_bad() && measured.exceeds(objective, factor)
    }

    /// Number of cells of a window with bad counts; zero for a window that this history does not have.
    #[must_use]
    pub fn bad_cells(&self, window: Window) -> u64 {
        self.sums.iter().find(|sum| sum.window == window).map_or(0, |sum| sum.bad_cells.into())
    }

    /// Number of cells of a window.
    #[must_use]
    pub fn cells_of(grid: Grid, window: Window) -> u64 {
        window.as_seconds() / u64::try_from(cell_seconds(grid, window)).unwrap_or(1).max(1)
    }

    /// Starts a calendar period at an instant. Counts of later slots will be in it, late ones of earlier slots not.
    pub(crate) fn set_period(&mut self, from_seconds: i64) {
        self.running_sums.get_or_insert_default().begin_at(from_seconds);
    }

    /// Separates the counts before and after these instants. Call it before anything is counted.
    pub(crate) fn cut_at(&mut self, instants: Vec<i64>) {
        self.running_sums.get_or_insert_default().cut_at(instants);
    }

    /// Sets the instant of the first observation: nothing before it is observed. Minutes and quarters of the ledger may
    /// begin earlier.
    pub(crate) fn set_first_observation(&mut self, seconds: i64) {
        let (width, slot) = (self.width(), self.slot_at(seconds));
        let start = slot.0.saturating_mul(width);
        if slot <= self.closed {
            self.mark_observed(slot, start, width);
        }
        self.coverage.forget_before(start);
    }

    /// Observed seconds of the time that counts can be in.
    pub(crate) fn observed_seconds(&self) -> u64 {
        self.coverage.seconds(self.reaches_back_to(), self.end_seconds())
    }

    /// Measures the calendar period, which is `length` long.
    pub(crate) fn measure_since_start(&self, length: Window) -> Measured {
        let end = self.end_seconds();
        let from = self.period_start().unwrap_or(i64::MIN / 2);
        let observed_seconds = self.coverage.seconds(from, end);
        Measured { window: length, counts: self.running_sums().sum().counts(), observed_seconds }
    }

    fn running_sums(&self) -> &RunningSums {
        const NONE: &RunningSums = &RunningSums::NONE;
        self.running_sums.as_deref().unwrap_or(NONE)
    }

    fn period_start(&self) -> Option<i64> {
        self.running_sums().start()
    }

    /// The counts of a rolling window or of the calendar period, separated by [`Self::cut_at`], oldest first, each with
    /// its first instant.
    pub(crate) fn parts(&self, window: Option<Window>) -> Vec<(i64, Counts)> {
        let counts = |(from, total): (i64, Total)| (from, total.counts());
        let Some(window) = window else {
            return self.running_sums().since(i64::MIN).map(counts).collect();
        };
        let known = self.sums.iter().find(|sum| sum.window == window);
        let Some((sum, level)) = known.and_then(|sum| Some((sum, self.levels.get(usize::from(sum.level))?)))
        else {
            return Vec::new();
        };
        let start = sum.from.saturating_mul(level.width);
        // the part in which the window begins holds the rest
        let mut rest = sum.total;
        let inner: Vec<(i64, Total)> =
            self.running_sums().since(start).inspect(|(_, total)| rest.subtract(*total)).collect();
        let oldest = inner.first().is_none_or(|(from, _)| *from > start).then_some((start, rest));
        oldest.into_iter().chain(inner).map(counts).collect()
    }

    /// Cells of a window with their counts, newest first. Each comes with its first instant in seconds.
    pub(crate) fn cells_backwards(&self, window: Window) -> impl Iterator<Item = (i64, Counts)> {
        self.find(window).into_iter().flat_map(|(sum, level)| {
            level.backwards(sum.from).map(|(cell, counts)| (cell.saturating_mul(level.width), counts))
        })
    }

    /// The counts of a window after its first `skipped` seconds, by whole cells.
    pub(crate) fn sum_after(&self, window: Window, skipped: u64) -> Counts {
        self.find(window).map_or(Counts::ZERO, |(sum, level)| {
            let skipped = i64::try_from(skipped).unwrap_or(i64::MAX) / level.width.max(1);
            level.sum_from(sum.from.saturating_add(skipped)).counts()
        })
    }

    /// The seconds after which at most `allowed` bad events are left in a window, if no further ones follow.
    pub(crate) fn seconds_until_bad_falls_to(&self, window: Window, allowed: f64) -> u64 {
        let Some((sum, level)) = self.find(window) else { return 0 };
        let mut bad = 0_u64;
        let exceeds = |(_, counts): &(i64, Counts)| {
            bad = bad.saturating_add(counts.bad);
            bad as f64 > allowed
        };
        let oldest_kept = level.backwards(sum.from).find(exceeds);
        oldest_kept.map_or(0, |(cell, _)| {
            let cells = u64::try_from(cell.saturating_sub(sum.from)).unwrap_or(0).saturating_add(1);
            cells.saturating_mul(u64::try_from(level.width).unwrap_or(1)).min(window.as_seconds())
        })
    }

    fn find(&self, window: Window) -> Option<(&WindowSum, &Level)> {
        let sum = self.sums.iter().find(|sum| sum.window == window)?;
        Some((sum, self.levels.get(usize::from(sum.level))?))
    }

    /// The slot that holds an instant.
    pub(crate) fn slot_at(&self, seconds: i64) -> Slot {
        Slot(seconds.div_euclid(self.width()))
    }

    fn mark_observed(&mut self, slot: Slot, from: i64, width: i64) {
        self.last_observed = self.last_observed.max(Some(slot));
        self.coverage.observe(from, from.saturating_add(width));
    }

    fn note_last(&mut self, seconds: i64, counts: Counts) {
        let slot = self.slot_at(seconds);
        if counts.bad > 0 {
            self.last_bad = self.last_bad.max(Some(slot));
        }
        if counts.good > 0 {
            self.last_good = self.last_good.max(Some(slot));
        }
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

    /// Removes from every sum the cells that left it, and drops cells that no sum needs.
    fn move_edges(&mut self) {
        let end = self.end_seconds();
        for level in &mut self.levels {
            level.needed = i64::MAX;
        }
        for sum in &mut self.sums {
            let Some(level) = self.levels.get_mut(usize::from(sum.level)) else { continue };
            sum.move_edge(level, end);
            let from = sum.from;
            level.needed = level.needed.min(from);
        }
        for level in &mut self.levels {
            level.forget();
        }
        if self.coverage.has_gaps() {
            let reach = self.reaches_back_to();
            self.coverage.drop_before(reach);
        }
    }

    /// Adds counts of an instant to every level, or to those with cells of whole minutes.
    fn add(&mut self, seconds: i64, counts: Counts, to_slots: bool) -> Recorded {
        self.note_last(seconds, counts);
        let running_sums = self
            .running_sums
            .as_mut()
            .is_some_and(|running_sums| running_sums.change(seconds, Counts::ZERO, counts));
        let mut kept = if running_sums { Recorded::Counted } else { Recorded::TooOld };
        for (level, sums) in by_level(&mut self.levels, &mut self.sums) {
            let cell = seconds.div_euclid(level.width);
            if cell < level.needed || (level.fine && !to_slots) {
                continue;
            }
            kept = Recorded::Counted;
            // nothing bad added needs no lookup
            let (had_bad, has_bad) = (counts.bad > 0 && level.has_bad(cell), counts.bad > 0);
            if level.is_closed(cell) {
                sums.iter_mut().for_each(WindowSum::forget_leaving);
            }
            let added = level.add(cell, counts);
            for sum in sums.iter_mut().filter(|sum| cell >= sum.from) {
                sum.total.add(added);
                sum.note_bad(had_bad, has_bad);
            }
        }
        kept
    }
}

/// Returns each level with its sums.
fn by_level<'h>(
    levels: &'h mut [Level],
    sums: &'h mut [WindowSum],
) -> impl Iterator<Item = (&'h mut Level, &'h mut [WindowSum])> {
    levels.iter_mut().zip(sums.chunk_by_mut(|one, next| one.level == next.level))
}
