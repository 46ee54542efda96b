//! Slots that need not be asked for any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lookout_engine::{Counts, Grid};
use lookout_model::{GridTime, Timestamp};

/// Slots that ended longer ago than this are counted by the minute: no window needs them finer, and the ledger does not
/// keep them finer.
pub(super) const COARSE_AFTER_S: i64 = 7 * 3600;

/// A set of slots, as spans that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// First slots, and the slots after the last ones.
    spans: BTreeMap<i64, i64>,
    /// The newest slot that was observed, not merely asked for.
    pub(super) newest: Option<i64>,
}

impl Known {
    /// Adds the slots from `from` to before `to`.
    pub(super) fn add(&mut self, mut from: i64, mut to: i64) {
        if from >= to {
            return;
        }
        // spans that touch it become part of it, the last ones first
        while let Some((&start, &end)) = self.spans.range(..=to).next_back().filter(|(_, end)| **end >= from)
        {
            self.spans.remove(&start);
            (from, to) = (from.min(start), to.max(end));
        }
        self.spans.insert(from, to);
    }

    /// Adds a slot that was observed.
    pub(super) fn observe(&mut self, slot: i64) {
        self.add(slot, slot.saturating_add(1));
        self.newest = self.newest.max(Some(slot));
    }

    pub(super) fn contains(&self, slot: i64) -> bool {
        self.spans.range(..=slot).next_back().is_some_and(|(_, end)| slot < *end)
    }

    /// The last unknown slot from `from` up to and including `upto`.
    pub(super) fn last_unknown(&self, from: i64, upto: i64) -> Option<i64> {
        let last = match self.spans.range(..=upto).next_back() {
            Some((start, end)) if upto < *end => start - 1,
            _ => upto,
        };
        (last >= from).then_some(last)
    }

    /// The first unknown slot from `from` on.
    pub(super) fn first_unknown(&self, from: i64) -> i64 {
        match self.spans.range(..=from).next_back() {
            Some((_, end)) if from < *end => *end,
            _ => from,
        }
    }

    /// Forgets what is older than anyone asks for.
    pub(super) fn forget_before(&mut self, slot: i64) {
        while let Some((&start, &end)) = self.spans.first_key_value().filter(|(start, _)| **start < slot) {
            self.spans.remove(&start);
            if end > slot {
                self.spans.insert(slot, end);
                return;
            }
        }
    }
}

/// Counts of one SLO that are known already. They outlive the loop that fills them, so that one that panicked and is
/// started again sends
/// nothing twice.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<Known>>);

impl Progress {
    /// Counts of a ledger: starts in seconds, widths in seconds and counts of slots; numbers and counts of minutes.
    #[must_use]
    pub fn of_ledger(
        grid: Grid,
        now: Timestamp,
        slots: &[(i64, u32, Counts)],
        minutes: &[(i64, Counts)],
    ) -> Self {
        let slot_at = |seconds: i64| grid.slot_at(Timestamp::from_seconds(seconds)).0;
        let mut known = Known::default();
        let mut add = |from_s: i64, to_s: i64| {
            let (from, last) = (slot_at(from_s), slot_at(to_s.saturating_sub(1)));
            known.add(from, last + 1);
            known.newest = known.newest.max(Some(last));
        };
        let coarse_before_s = coarse_before_s(now);
        for (start_s, width_s, _) in slots {
            let end_s = start_s.saturating_add(i64::from(*width_s));
            // an old minute is sent as one observation of its last slot
            let whole_minute = end_s % 60 == 0 && end_s <= coarse_before_s;
            add(if whole_minute { (*start_s).min(end_s - 60) } else { *start_s }, end_s);
        }
        for (minute, _) in minutes {
            add(minute.saturating_mul(60), minute.saturating_mul(60).saturating_add(60));
        }
        Self(Arc::new(Mutex::new(known)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Slots that ended at or before this second are counted by the minute; a whole minute itself.
pub(super) const fn coarse_before_s(now: Timestamp) -> i64 {
    now.as_seconds().saturating_sub(COARSE_AFTER_S).div_euclid(60) * 60
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_are_a_set_of_slots(adds in proptest::collection::vec((0_i64..60, 0_i64..12), 0..20), cut in 0_i64..70) {
            let (mut known, mut truth) = (Known::default(), BTreeSet::new());
            for (from, length) in adds {
                known.add(from, from + length);
                truth.extend(from..from + length);
            }
            for slot in 0..75 {
                prop_assert_eq!(known.contains(slot), truth.contains(&slot), "{}", slot);
                prop_assert_eq!(known.first_unknown(slot), (slot..).find(|s| !truth.contains(s)).unwrap());
                let last = (20..=slot).rev().find(|s| !truth.contains(s));
                prop_assert_eq!(known.last_unknown(20, slot), last);
            }
            let ends: Vec<(i64, i64)> = known.spans.iter().map(|(start, end)| (*start, *end)).collect();
            prop_assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", ends);
            known.forget_before(cut);
            for slot in 0..75 {
                prop_assert_eq!(known.contains(slot), slot >= cut && truth.contains(&slot), "{}", slot);
            }
        }
    }

    #[test]
    fn a_ledger_says_what_is_known() {
        let grid = Grid::try_new(10).unwrap();
        let now_s = 1_800_000_000;
        let now = Timestamp::from_seconds(now_s);
        let none = Counts::ZERO;
        // two slots of now; a minute of eight hours ago that was sent whole, and one that broke off after two slots
        let old = now_s - 8 * 3600;
        let slots =
            [(old + 50, 10, none), (old + 60, 10, none), (old + 70, 10, none), (now_s - 20, 10, none)];
        let progress = Progress::of_ledger(grid, now, &slots, &[(now_s / 60 - 1000, none)]);
        let known = progress.lock();
        let contains = |seconds: i64| known.contains(seconds / 10);
        assert!((old..old + 80).step_by(10).all(contains) && !contains(old - 10) && !contains(old + 80));
        assert!(contains(now_s - 20) && !contains(now_s - 30) && !contains(now_s - 10));
        assert!((0..6).all(|n| contains(now_s - 60_000 + n * 10)) && !contains(now_s - 60_000 + 60));
        assert_eq!(known.newest, Some(now_s / 10 - 2));
    }
}
