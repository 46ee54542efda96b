//! Probes of the last minutes, until the ledger has them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lookout_model::Timestamp;
use lookout_model::probe_history::{ProbeCounts, ProbeMinute};

/// Minutes that wait for a ledger that takes none. Older ones are forgotten, so that memory stays bounded.
const WAITING: usize = 15;

/// Targets of a minute.
type Minute = HashMap<String, ProbeCounts>;

/// Probes that are not stored yet, by minute and target. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct ProbeHistory(Arc<Mutex<BTreeMap<i64, Minute>>>);

impl ProbeHistory {
    /// Adds a probe to the minute in which it started.
    pub(super) fn add_probe(&self, target: &str, at: Timestamp, duration: Duration, is_ok: bool) {
        self.change(target, at, |counts| counts.add_probe(duration, is_ok));
    }

    /// Adds slots that ended without a probe.
    pub(super) fn add_missed(&self, target: &str, at: Timestamp, slots: u64) {
        self.change(target, at, |counts| counts.add_missed(slots));
    }

    fn change(&self, target: &str, at: Timestamp, change: impl FnOnce(&mut ProbeCounts)) {
        let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = minutes.entry(minute_of(at)).or_default();
        match minute.get_mut(target) {
            Some(counts) => change(counts),
            None => change(minute.entry(target.to_owned()).or_default()),
        }
    }

    /// Takes the minutes that ended by `now`, oldest first.
    #[must_use]
    pub fn take_ended(&self, now: Timestamp) -> Vec<ProbeMinute> {
        self.take(minute_of(now))
    }

    /// Takes all minutes, also the one that goes on.
    #[must_use]
    pub fn take_all(&self) -> Vec<ProbeMinute> {
        self.take(i64::MAX)
    }

    fn take(&self, before: i64) -> Vec<ProbeMinute> {
        let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let later = minutes.split_off(&before);
        let taken = core::mem::replace(&mut *minutes, later);
        let rows = taken.into_iter().flat_map(|(minute, targets)| {
            targets.into_iter().map(move |(target, counts)| ProbeMinute { target, minute, counts })
        });
        rows.collect()
    }

    /// Takes minutes back that could not be stored. Returns how many of the oldest are forgotten.
    pub fn put_back(&self, rows: Vec<ProbeMinute>) -> usize {
        let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            minutes.entry(row.minute).or_default().entry(row.target).or_default().add(&row.counts);
        }
        let many = minutes.len().saturating_sub(WAITING);
        (0..many).for_each(|_| drop(minutes.pop_first()));
        many
    }
}

const fn minute_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    #[test]
    fn ended_minutes_are_taken_once_and_a_running_one_stays() {
        let history = ProbeHistory::default();
        history.add_probe("api", at(59), Duration::from_millis(3), true);
        history.add_probe("api", at(61), Duration::from_millis(3), false);
        history.add_missed("web", at(30), 2);
        let mut rows = history.take_ended(at(119));
        rows.sort_by(|a, b| a.target.cmp(&b.target));
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.target.as_str(), row.minute, row.counts.probes(), row.counts.missed()))
            .collect();
        assert_eq!(told, [("api", 0, 1, 0), ("web", 0, 0, 2)]);
        assert_eq!(history.take_ended(at(119)), []);
        let rest = history.clone().take_all();
        assert_eq!((rest.len(), rest[0].minute, rest[0].counts.failed()), (1, 1, 1));
    }

    #[test]
    fn what_could_not_be_stored_adds_up_and_is_bounded() {
        let history = ProbeHistory::default();
        for minute in 0..WAITING as i64 {
            history.add_probe("api", at(minute * 60), Duration::from_millis(3), true);
        }
        assert_eq!(history.put_back(history.take_all()), 0);
        history.add_probe("api", at(0), Duration::from_millis(3), true);
        assert_eq!(history.take_ended(at(60))[0].counts.probes(), 2);
        history.add_probe("api", at(0), Duration::from_millis(3), true);
        history.add_probe("api", at(WAITING as i64 * 60), Duration::from_millis(3), true);
        assert_eq!(history.put_back(Vec::new()), 1);
        assert_eq!(history.take_all().first().map(|row| row.minute), Some(1));
    }
}
