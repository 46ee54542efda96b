//! Consecutive outcomes of probes.

use crate::counts::Counts;
use crate::slot::Slot;

/// The row of equal outcomes that goes on. A slot without an outcome neither ends it nor makes it longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OutcomeRow {
    /// Failures since the last success.
    failures: u32,
    /// Successes since the last failure, as far as they are counted.
    successes: u32,
    /// The first and the last slot of the last row of failures.
    failed: Option<(Slot, Slot)>,
    /// A slot and the longest row of failures that its end sees: a row may begin and end within one slot.
    longest: Option<(Slot, u32)>,
}

impl OutcomeRow {
    /// Restores a row.
    pub(crate) const fn restored(failures: u32, successes: u32, failed: Option<(Slot, Slot)>) -> Self {
        Self { failures, successes, failed, longest: None }
    }

    /// Adds the outcomes of a slot, the good ones first, which are seen at the end of another slot when they are late.
    /// `enough` successes are counted and no more, so that the row of a healthy target does not change.
    pub(crate) fn record(&mut self, (slot, seen_at): (Slot, Slot), outcomes: Counts, enough: u32) {
        let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        if outcomes.good > 0 {
            let successes = self.successes.saturating_add(number(outcomes.good));
            (self.failures, self.successes) = (0, successes.min(enough));
        }
        if outcomes.bad > 0 {
            let first = self.failed.filter(|_| self.failures > 0).map_or(slot, |(first, _)| first);
            self.failures = self.failures.saturating_add(number(outcomes.bad));
            (self.successes, self.failed) = (0, Some((first, slot)));
            let known = self.longest.filter(|(at, _)| *at == seen_at).map_or(0, |(_, failures)| failures);
            self.longest = Some((seen_at, known.max(self.failures)));
        }
    }

    /// The failures of the row that goes on, or of the longest one that was seen at the end of `at`.
    pub(crate) fn failures(&self, at: Slot) -> u32 {
        let longest = self.longest.filter(|(slot, _)| *slot == at);
        longest.map_or(0, |(_, failures)| failures).max(self.failures)
    }

    /// The failures since the last success.
    pub(crate) const fn present_failures(&self) -> u32 {
        self.failures
    }

    /// The successes since the last failure.
    pub(crate) const fn successes(&self) -> u32 {
        self.successes
    }

    /// The first and the last slot of the last row of failures.
    pub(crate) const fn failed(&self) -> Option<(Slot, Slot)> {
        self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn good() -> Counts {
        Counts { good: 1, bad: 0 }
    }

    fn bad() -> Counts {
        Counts { good: 0, bad: 1 }
    }

    #[test]
    fn a_row_that_ends_within_its_slot_is_seen_at_the_end_of_that_slot() {
        let mut row = OutcomeRow::default();
        for outcome in [bad(), bad(), bad(), good()] {
            row.record((Slot(7), Slot(7)), outcome, 2);
        }
        assert_eq!((row.failures(Slot(7)), row.failures(Slot(8)), row.present_failures()), (3, 0, 0));
        assert_eq!((row.successes(), row.failed()), (1, Some((Slot(7), Slot(7)))));
        row.record((Slot(8), Slot(8)), bad(), 2);
        assert_eq!((row.failures(Slot(8)), row.failed()), (1, Some((Slot(8), Slot(8)))));
    }

    proptest! {
        /// The length of the last run in the list of outcomes, however they are spread over slots.
        #[test]
        fn a_row_is_the_run_at_the_end_of_the_outcomes(
            outcomes in prop::collection::vec((any::<bool>(), 0_i64..3), 1..60),
            enough in 1_u32..5,
        ) {
            let (mut row, mut slot) = (OutcomeRow::default(), 0);
            let mut failures = Vec::new();
            for (is_good, later) in &outcomes {
                slot += later;
                row.record((Slot(slot), Slot(slot)), if *is_good { good() } else { bad() }, enough);
                failures.push(slot);
            }
            let run = |wanted: bool| outcomes.iter().rev().take_while(|(is_good, _)| *is_good == wanted).count();
            prop_assert_eq!(row.present_failures() as usize, run(false));
            prop_assert_eq!(row.successes() as usize, run(true).min(enough as usize));
            if run(false) > 0 {
                let first = failures[outcomes.len() - run(false)];
                prop_assert_eq!(row.failed(), Some((Slot(first), Slot(slot))));
            }
        }
    }
}
