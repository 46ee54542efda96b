//! The objective over time.
//!
//! A spent budget stays spent: the past is measured by the objective of its time. A period in which the objective changed
//! has as much budget as its parts had together. Tiers ask whether the budget burns too fast now, and know the current
//! objective only.

use crate::counts::Counts;
use crate::objective::Objective;
use crate::slot::Slot;

/// The largest number of versions. Older counts belong to the oldest of them.
pub const VERSIONS_LIMIT: usize = 16;

/// An objective and its first slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The first slot of the objective.
    pub from: Slot,
    /// The objective.
    pub objective: Objective,
}

/// The counts of a period under one version of the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionShare {
    /// The first instant of the version in the period, in seconds since the epoch.
    pub from_seconds: i64,
    /// The objective.
    pub objective: Objective,
    /// The counts of the period under it.
    pub counts: Counts,
}

/// The objectives of an SLO with the first instant of each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Versions {
    /// Oldest first; empty unless there was a change.
    changes: Vec<(i64, Objective)>,
}

impl Versions {
    /// Keeps the newest of these versions, by their first instants; none without a change.
    pub(crate) fn new(versions: impl IntoIterator<Item = (i64, Objective)>) -> Self {
        let mut changes: Vec<(i64, Objective)> = versions.into_iter().collect();
        changes.sort_by_key(|(from, _)| *from);
        // of two at the same instant the later one holds
        changes.reverse();
        changes.dedup_by_key(|(from, _)| *from);
        changes.reverse();
        changes.dedup_by_key(|(_, objective)| *objective);
        changes.drain(..changes.len().saturating_sub(VERSIONS_LIMIT));
        if changes.len() < 2 {
            changes.clear();
        }
        changes.shrink_to_fit();
        Self { changes }
    }

    /// The instants at which the objective changed.
    pub(crate) fn cuts(&self) -> Vec<i64> {
        // the first version holds for everything before it, too
        self.changes.iter().skip(1).map(|(from, _)| *from).collect()
    }

    /// The objective at an instant; `None` when it never changed.
    pub(crate) fn at(&self, instant: i64) -> Option<Objective> {
        let (mut known, first) = (self.changes.iter().rev(), self.changes.first());
        known.find(|(from, _)| *from <= instant).or(first).map(|(_, objective)| *objective)
    }

    pub(crate) fn is_single(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.changes.capacity() * size_of::<(i64, Objective)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objective(percent: f64) -> Objective {
        Objective::try_from_percent(percent).unwrap()
    }

    #[test]
    fn the_first_holds_for_ever_before_and_the_last_ever_after() {
        let versions =
            Versions::new([(100, objective(99.0)), (200, objective(99.9)), (300, objective(95.0))]);
        let at = |instant| versions.at(instant).unwrap().percent();
        assert_eq!([at(0), at(199), at(200), at(299), at(i64::MAX)], [99.0, 99.0, 99.9, 99.9, 95.0]);
        assert_eq!(versions.cuts(), [200, 300]);
    }

    #[test]
    fn what_did_not_change_is_no_version() {
        assert!(Versions::new([]).is_single());
        assert!(Versions::new([(100, objective(99.0)), (200, objective(99.0))]).is_single());
        let twice = Versions::new([(100, objective(99.0)), (100, objective(99.9))]);
        assert!(twice.is_single(), "nothing was ever judged by the first");
        let many = Versions::new((0..100).map(|n| (n, objective(f64::from(n as i32 % 7)))));
        assert_eq!(many.changes.len(), VERSIONS_LIMIT);
    }
}
