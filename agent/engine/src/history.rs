//! Counts per slot and the running sum of every window over them.
//!
//! Windows of up to six hours are exact to the slot. Longer ones end at the slot and begin at the minute, because the
//! ledger keeps minutes: a window restored after a restart equals the one that was never interrupted.

use std::collections::BTreeMap;

use crate::burn::Measured;
use crate::counts::Counts;
use crate::ring::Ring;
use crate::slot::{Grid, Slot};
use crate::window::Window;

/// The longest window that is summed from slots rather than from minutes.
pub const FINE_LIMIT: Window = Window::hours(6);

/// What became of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is in the sums, or will be when its slot closes.
    Kept,
    /// Its slot is older than every window.
    TooOld,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Fine,
    Minute,
}

#[derive(Debug, Clone)]
struct Sum {
    window: Window,
    level: Level,
    /// The first slot of its level that is inside.
    from: i64,
    counts: Counts,
}

/// Counts of the past, bounded by the longest window.
#[derive(Debug, Clone)]
pub struct History {
    grid: Grid,
    /// The last closed slot; sums end where it ends.
    closed: Slot,
    fine: Ring,
    minutes: Ring,
    sums: Vec<Sum>,
    /// Observations of slots that are not closed yet.
    ahead: BTreeMap<Slot, Counts>,
    first: Option<Slot>,
    last: Option<Slot>,
}

impl History {
    /// An empty history in which `closed` is the last slot that is over.
    #[must_use]
    pub fn new(grid: Grid, windows: impl IntoIterator<Item = Window>, closed: Slot) -> Self {
        let width = u64::from(grid.width_seconds());
        let level = |window: Window| {
            if window <= FINE_LIMIT || width >= 60 { Level::Fine } else { Level::Minute }
        };
        let mut sums: Vec<Sum> = Vec::new();
        for window in windows {
            if sums.iter().all(|sum| sum.window != window) {
                sums.push(Sum { window, level: level(window), from: i64::MIN, counts: Counts::ZERO });
            }
        }
        let slots = |wanted: Level, width: u64| {
            let longest =
                sums.iter().filter(|sum| sum.level == wanted).map(|sum| sum.window.as_seconds()).max();
            usize::try_from(longest.map_or(0, |seconds| seconds.div_ceil(width) + 2)).unwrap_or(usize::MAX)
        };
        let mut history = Self {
            grid,
            closed,
            fine: Ring::new(slots(Level::Fine, width), closed.0),
            minutes: Ring::new(slots(Level::Minute, 60), 0),
            sums,
            ahead: BTreeMap::new(),
            first: None,
            last: None,
        };
        history.minutes.advance(history.minute_of(closed));
        history.move_edges();
        history
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

    /// Adds what a source said about a slot. Late answers count in the slot they belong to.
    pub fn record(&mut self, slot: Slot, counts: Counts) -> Recorded {
        self.mark_observed(slot);
        if slot > self.closed {
            *self.ahead.entry(slot).or_default() += counts;
            return Recorded::Kept;
        }
        self.add(slot, counts)
    }

    /// Adds a minute read back from the ledger whose slots are no longer known, by its number since the epoch.
    pub fn restore_minute(&mut self, minute: Slot, counts: Counts) -> Recorded {
        let seconds = minute.0.saturating_mul(60);
        self.mark_observed(Slot(seconds.div_euclid(i64::from(self.grid.width_seconds()))));
        match self.add_minute(minute.0, counts) {
            true => Recorded::Kept,
            false => Recorded::TooOld,
        }
    }

    /// Closes every slot up to and including `slot`: all windows now end where it ends. Earlier slots change nothing.
    pub fn close(&mut self, slot: Slot) {
        if slot <= self.closed {
            return;
        }
        // slots with observations are closed one by one, the empty ones between them in one go
        while let Some(entry) = self.ahead.first_entry().filter(|entry| *entry.key() <= slot) {
            let (due, counts) = entry.remove_entry();
            self.move_head(due);
            self.add(due, counts);
        }
        self.move_head(slot);
    }

    /// What a window holds; `None` for a window this history was not made for.
    #[must_use]
    pub fn measure(&self, window: Window) -> Option<Measured> {
        let sum = self.sums.iter().find(|sum| sum.window == window)?;
        Some(Measured { window, counts: sum.counts, covered_seconds: self.covered_seconds() })
    }

    /// Seconds between the start of the first observed slot and the end of the closed one.
    fn covered_seconds(&self) -> u64 {
        let slots = self.first.map_or(0, |first| self.closed.plus(1).0.saturating_sub(first.0));
        u64::try_from(slots).unwrap_or(0).saturating_mul(u64::from(self.grid.width_seconds()))
    }

    fn mark_observed(&mut self, slot: Slot) {
        self.first = Some(self.first.map_or(slot, |first| first.min(slot)));
        self.last = Some(self.last.map_or(slot, |last| last.max(slot)));
    }

    fn move_head(&mut self, slot: Slot) {
        // what leaves a window is subtracted while the rings still hold it
        self.closed = slot;
        self.move_edges();
        self.fine.advance(slot.0);
        self.minutes.advance(self.minute_of(slot));
    }

    fn move_edges(&mut self) {
        let width = i64::from(self.grid.width_seconds());
        let end_seconds = self.closed.plus(1).0.saturating_mul(width);
        for sum in &mut self.sums {
            let (ring, level_width) = match sum.level {
                Level::Fine => (&self.fine, width),
                Level::Minute => (&self.minutes, 60),
            };
            let length = i64::try_from(sum.window.as_seconds()).unwrap_or(i64::MAX);
            let from = end_seconds.saturating_sub(length).div_euclid(level_width);
            if sum.counts.is_empty() {
                sum.from = from;
            }
            while sum.from < from && !sum.counts.is_empty() {
                sum.counts = sum.counts.without(ring.get(sum.from));
                sum.from += 1;
            }
            sum.from = from;
        }
    }

    fn add(&mut self, slot: Slot, counts: Counts) -> Recorded {
        let fine = self.fine.add(slot.0, counts);
        if let Some(added) = fine {
            self.add_to_sums(Level::Fine, slot.0, added);
        }
        let minute = self.add_minute(self.minute_of(slot), counts);
        if fine.is_some() || minute { Recorded::Kept } else { Recorded::TooOld }
    }

    fn add_minute(&mut self, minute: i64, counts: Counts) -> bool {
        let added = self.minutes.add(minute, counts);
        if let Some(added) = added {
            self.add_to_sums(Level::Minute, minute, added);
        }
        added.is_some()
    }

    fn add_to_sums(&mut self, level: Level, slot: i64, counts: Counts) {
        for sum in self.sums.iter_mut().filter(|sum| sum.level == level && slot >= sum.from) {
            sum.counts += counts;
        }
    }

    fn minute_of(&self, slot: Slot) -> i64 {
        slot.0.saturating_mul(i64::from(self.grid.width_seconds())).div_euclid(60)
    }
}
