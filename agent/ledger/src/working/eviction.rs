//! Incidents that leave memory: their transitions and deliveries are in the file, or nobody needs them any more.
//!
//! Open incidents stay; the number of SLOs bounds them. Of those that are over, memory holds the ones whose deliveries are
//! due next and the ones that ended last. So a destination that takes little costs no memory, however long that lasts.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, InProgress, Story, WorkingSet};
use lookout_engine::Change;
use lookout_model::Timestamp;

/// Largest number of incidents that are over in memory: with deliveries that wait for one destination, and of those
/// that ended last.
pub(crate) const MAX_ENDED: usize = 1000;
/// Time in which a destination that was told of an incident while it ended is told of the end.
const ENDS_ARE_TOLD: Duration = Duration::from_secs(15 * 60);

/// Treatment of incidents with deliveries that still wait, or were refused lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    Dropped,
    Preserved,
}

impl WorkingSet {
    /// Returns the number of deliveries that wait for a destination in the file only.
    pub(crate) fn in_file_only(&self, destination: &str) -> u64 {
        self.in_file_only.get(destination).copied().unwrap_or(0)
    }

    /// Returns the number of deliveries that wait in the file only, for all destinations.
    pub(crate) fn in_file_only_all(&self) -> u64 {
        self.in_file_only.values().sum()
    }

    /// Returns whether deliveries wait in the file only for destinations that are not in a list.
    pub(crate) fn others_in_file_only(&self, destinations: &[String]) -> bool {
        self.in_file_only.iter().any(|(name, count)| *count > 0 && !destinations.contains(name))
    }

    /// Sets the numbers of deliveries that wait in the file only.
    pub(crate) fn set_in_file_only(&mut self, counts: BTreeMap<String, u64>) {
        self.in_file_only = counts;
    }

    /// Returns the ids of the incidents in memory, and of those that cannot be read back.
    pub(crate) fn known(&self) -> Vec<String> {
        self.stories.keys().chain(&self.unreadable).cloned().collect()
    }

    /// Adds incidents that were read from the file. Those without a transition cannot be read back.
    pub(crate) fn load_incidents(&mut self, ids: &[String], read: Vec<InProgress>) {
        for (transition, entries) in read {
            self.load(transition, entries);
        }
        let missing = ids.iter().filter(|id| !self.stories.contains_key(*id));
        self.unreadable.extend(missing.cloned());
    }

    /// Notes that the progress of deliveries is not in the file yet.
    pub(crate) fn hold(&mut self, deliveries: &[i64]) {
        self.unstored.extend(deliveries);
    }

    /// Returns deliveries whose progress the caller stores now.
    pub(crate) fn unheld(&mut self, deliveries: &[i64]) -> Vec<Entry> {
        deliveries.iter().for_each(|id| {
            self.unstored.remove(id);
        });
        deliveries.iter().filter_map(|id| self.deliveries.get(id).cloned()).collect()
    }

    /// Removes incidents that are over and not needed soon. All of it must be in the file. Returns whether there was one.
    pub(crate) fn shed(&mut self, now: Timestamp) -> bool {
        if self.stories.values().filter(|story| !story.is_open()).count() <= MAX_ENDED {
            return false;
        }
        let needed = self.needed(now);
        let unneeded = |(id, story): &(&String, &Story)| !story.is_open() && !needed.contains(id.as_str());
        let unneeded: BTreeSet<String> =
            self.stories.iter().filter(unneeded).map(|(id, _)| id.clone()).collect();
        self.remove(&unneeded);
        !unneeded.is_empty()
    }

    /// Returns incidents that stay in memory although they are over.
    fn needed(&self, now: Timestamp) -> BTreeSet<&str> {
        let in_use = |(id, entry): &(&i64, &Entry)| {
            entry.attempting
                || entry.is_dead_letter()
                || self.handed_out.contains(id)
                || self.unstored.contains(id)
        };
        let in_use = self.deliveries.iter().filter(in_use);
        let mut needed: BTreeSet<&str> =
            in_use.map(|(_, entry)| entry.transition.incident.id.as_str()).collect();
        let mut waits: BTreeSet<&str> = BTreeSet::new();
        for (destination, queues) in &self.queues {
            waits.extend(queues.keys().map(String::as_str));
            let mut next: Vec<_> = self.first_waiting(destination).collect();
            let pages = |entry: &Entry| Reverse(entry.transition.incident.severity);
            next.sort_by_key(|(id, entry)| (entry.due_at.max(now), pages(entry), *id));
            needed
                .extend(next.iter().take(MAX_ENDED).map(|(_, entry)| entry.transition.incident.id.as_str()));
        }
        let over = self.stories.iter().filter(|(id, story)| !story.is_open() && !waits.contains(id.as_str()));
        let mut last: Vec<_> = over.collect();
        last.sort_by_key(|(_, story)| Reverse(story.incident.resolved_at));
        needed.extend(last.iter().take(MAX_ENDED).map(|(id, _)| id.as_str()));
        let unaware = self.stories.iter().filter(|(_, story)| {
            story.incident.resolved_at >= Some(now - ENDS_ARE_TOLD)
                && self.someone_is_unaware_of_the_end(story)
        });
        needed.extend(unaware.map(|(id, _)| id.as_str()));
        needed
    }

    fn someone_is_unaware_of_the_end(&self, story: &Story) -> bool {
        let entries = || story.deliveries.iter().filter_map(|id| self.deliveries.get(id));
        let aware: BTreeSet<&str> = entries()
            .filter(|entry| entry.transition.change == Change::Resolved)
            .map(|entry| entry.destination.as_str())
            .collect();
        entries().any(|entry| !aware.contains(entry.destination.as_str()))
    }

    /// Removes incidents that were resolved before `before`, with their transitions and deliveries.
    pub(crate) fn forget_resolved_before(&mut self, before: Timestamp, waiting: Waiting) {
        let waits: BTreeSet<&str> = match waiting {
            Waiting::Dropped => BTreeSet::new(),
            Waiting::Preserved => {
                let dead = self.dead().map(|(_, entry)| &entry.transition.incident.id);
                self.queues.values().flat_map(BTreeMap::keys).chain(dead).map(String::as_str).collect()
            }
        };
        let old = |(id, story): &(&String, &Story)| {
            story.incident.resolved_at.is_some_and(|at| at < before) && !waits.contains(id.as_str())
        };
        let old = self.stories.iter().filter(old).map(|(id, _)| id.clone()).collect();
        self.remove(&old);
    }

    fn remove(&mut self, incidents: &BTreeSet<String>) {
        if incidents.is_empty() {
            return;
        }
        for id in incidents {
            let Some(story) = self.stories.remove(id) else { continue };
            for delivery in story.deliveries {
                self.deliveries.remove(&delivery);
                self.handed_out.remove(&delivery);
                self.unstored.remove(&delivery);
            }
        }
        for queues in self.queues.values_mut() {
            queues.retain(|incident, _| !incidents.contains(incident));
        }
    }
}
