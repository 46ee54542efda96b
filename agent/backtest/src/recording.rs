//! Counts of the past on one grid: the input of a replay from every source.

use lookout_engine::{Counts, Grid, Slot};
use lookout_model::{GridTime, Timestamp};

use super::LoadError;

/// Largest number of slots between the first and the last: two and a half years of ten seconds.
pub const SPAN_LIMIT: i64 = 8_000_000;

/// Observed slots in ascending order, each once. A missing slot was not observed; a slot without events was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    grid: Grid,
    slots: Vec<(Slot, Counts)>,
}

impl Recording {
    /// Creates a recording from counts, given by the second at which they begin and in ascending order. Its grid is no
    /// finer than `finest` and no finer than the counts themselves.
    ///
    /// # Errors
    /// Fails when nothing was observed, or the time is too long to be replayed.
    pub fn new(finest: Grid, counts: impl Into<Vec<(i64, Counts)>>) -> Result<Self, LoadError> {
        let counts = counts.into();
        Self::on(grid_for(finest, spacing(&counts)), counts)
    }

    /// Creates a recording as [`Recording::new`] does, on exactly this grid.
    ///
    /// # Errors
    /// As [`Recording::new`].
    pub fn on(grid: Grid, counts: impl Into<Vec<(i64, Counts)>>) -> Result<Self, LoadError> {
        // in place: a year is seventy megabytes
        let slot = |(second, counts): (i64, Counts)| (grid.slot_at(Timestamp::from_seconds(second)), counts);
        let mut slots: Vec<(Slot, Counts)> = counts.into().into_iter().map(slot).collect();
        slots.dedup_by(|(slot, counts), (last, sum)| {
            let same = *last >= *slot;
            if same {
                *sum += *counts;
            }
            same
        });
        let recording = Self { grid, slots };
        let (Some(first), Some(last)) = (recording.first(), recording.last()) else {
            return Err(LoadError::Empty);
        };
        match last.0.saturating_sub(first.0) < SPAN_LIMIT {
            true => Ok(recording),
            false => Err(LoadError::TooLong { width: grid.width_seconds() }),
        }
    }

    /// Returns the grid.
    #[must_use]
    pub const fn grid(&self) -> Grid {
        self.grid
    }

    /// Returns every observed slot.
    #[must_use]
    pub fn slots(&self) -> &[(Slot, Counts)] {
        &self.slots
    }

    /// Returns the first observed slot; there is one.
    #[must_use]
    pub fn first(&self) -> Option<Slot> {
        self.slots.first().map(|(slot, _)| *slot)
    }

    /// Returns the last observed slot; there is one.
    #[must_use]
    pub fn last(&self) -> Option<Slot> {
        self.slots.last().map(|(slot, _)| *slot)
    }

    /// Returns the first instant of the first slot and the end of the last.
    #[must_use]
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let of = |slot: Option<Slot>| slot.unwrap_or(Slot(0));
        (self.grid.start_of(of(self.first())), self.grid.end_of(of(self.last())))
    }

    /// Returns the sum of all events.
    #[must_use]
    pub fn total(&self) -> Counts {
        self.slots.iter().map(|(_, counts)| *counts).sum()
    }
}

/// Returns the least distance between two different times, in seconds; one when there is no second time.
fn spacing(counts: &[(i64, Counts)]) -> u32 {
    let distances = counts.windows(2).filter_map(|pair| match pair {
        [(earlier, _), (later, _)] => u32::try_from(later.saturating_sub(*earlier)).ok(),
        _ => None,
    });
    distances.filter(|&seconds| seconds > 0).min().unwrap_or(1)
}

/// Returns the finest grid that is no finer than `finest` and that has no empty slots for counts at this spacing.
fn grid_for(finest: Grid, spacing: u32) -> Grid {
    let least = finest.width_seconds().max(spacing);
    if least == finest.width_seconds() {
        return finest;
    }
    let nesting = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60].into_iter().find(|&width| width >= least);
    let width = nesting.unwrap_or_else(|| least.div_ceil(60).saturating_mul(60));
    Grid::try_new(width).unwrap_or(Grid::MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten() -> Grid {
        Grid::try_new(10).unwrap()
    }

    fn events(good: u64) -> Counts {
        Counts { good, bad: 0 }
    }

    #[test]
    fn finer_counts_are_summed_and_coarser_ones_decide_the_grid() {
        let fine: Vec<_> = (0..12).map(|n| (n * 5, events(1))).collect();
        let recording = Recording::new(ten(), fine).unwrap();
        assert_eq!((recording.grid(), recording.slots().len()), (ten(), 6));
        assert_eq!(recording.slots()[0], (Slot(0), events(2)));
        for (spacing, width) in [(7, 10), (11, 12), (59, 60), (60, 60), (61, 120), (300, 300)] {
            let counts = [(0, events(1)), (spacing, events(1)), (4 * spacing, events(1))];
            let recording = Recording::new(ten(), counts).unwrap();
            assert_eq!(recording.grid().width_seconds(), width, "counts every {spacing} s");
        }
    }

    #[test]
    fn nothing_and_far_too_much_are_refused() {
        assert!(matches!(Recording::new(ten(), []), Err(LoadError::Empty)));
        let ages = [(0, events(1)), (10, events(1)), (1_700_000_000, events(1))];
        let told = Recording::new(ten(), ages).unwrap_err().to_string();
        assert!(told.contains("8000000 slots of 10 s"), "{told}");
    }

    #[test]
    fn the_span_ends_where_the_last_slot_ends() {
        let recording = Recording::new(ten(), [(20, events(1)), (33, events(2))]).unwrap();
        assert_eq!(
            recording.span(),
            (Timestamp::from_seconds(15), Timestamp::from_seconds(45)),
            "13 s apart: slots of 15 s"
        );
    }
}
