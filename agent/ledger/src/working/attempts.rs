//! Deliveries that wait, their attempts, and dead letters.

use core::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Entry, State, WorkingSet, is_same};
use crate::{DEAD_LETTER_RETENTION, DEAD_LETTERS_KEPT, DeadLetter, DeliveryState, Discard, NO_DESTINATION};
use lookout_model::{Delivery, DeliveryResult, Notice, Timestamp, TransitionRecord};

impl WorkingSet {
    /// Returns the first waiting delivery of each incident.
    pub(super) fn first_waiting(&self, destination: &str) -> impl Iterator<Item = (i64, &Entry)> {
        let queues = self.queues.get(destination).into_iter().flatten();
        queues.filter_map(|(_, queue)| {
            let id = *queue.first()?;
            Some((id, self.deliveries.get(&id)?))
        })
    }

    /// Returns the deliveries that are due: those of incidents that page first, then by their age. They stay in memory until
    /// their attempt has begun and ended.
    pub(crate) fn due(&mut self, destination: &str, now: Timestamp, limit: u32) -> Vec<Delivery> {
        let mut due: Vec<_> =
            self.first_waiting(destination).filter(|(_, entry)| entry.due_at <= now).collect();
        let severity = |entry: &Entry| {
            let story = self.stories.get(&entry.transition.incident.id);
            story.map(|story| story.incident.severity)
        };
        due.sort_by_key(|(id, entry)| (Reverse(severity(entry)), *id));
        let delivery = |(id, entry): (i64, &Entry)| Delivery {
            id,
            destination: entry.destination.clone(),
            notice: entry.transition.notice.clone(),
            attempts: entry.attempts,
            unsure: entry.unsure || entry.attempting,
            thread: self.thread(entry),
        };
        let due: Vec<Delivery> = due.into_iter().take(limit as usize).map(delivery).collect();
        self.handed_out.extend(due.iter().map(|delivery| delivery.id));
        due
    }

    /// Returns the deliveries of an incident by id, ascending.
    fn of_incident(&self, incident: &str) -> impl Iterator<Item = (i64, &Entry)> {
        let ids = self.stories.get(incident).into_iter().flat_map(|story| &story.deliveries);
        ids.filter_map(|id| Some((*id, self.deliveries.get(id)?)))
    }

    /// Returns the receiver's id of the first message about the same incident.
    fn thread(&self, of: &Entry) -> Option<String> {
        self.of_incident(&of.transition.incident.id).find_map(|(_, entry)| match &entry.state {
            State::Delivered(Some(thread)) if entry.destination == of.destination => Some(thread.clone()),
            _ => None,
        })
    }

    pub(crate) fn waiting(&self, destination: &str) -> (Option<Timestamp>, u64) {
        let next = self.first_waiting(destination).map(|(_, entry)| entry.due_at).min();
        let queues = self.queues.get(destination).into_iter().flatten();
        let in_memory: u64 = queues.map(|(_, queue)| queue.len() as u64).sum();
        (next, in_memory + self.in_file_only(destination))
    }

    /// Returns a delivery that waits, to be changed.
    fn waiting_entry(&mut self, id: i64) -> Option<&mut Entry> {
        self.deliveries.get_mut(&id).filter(|entry| entry.state == State::Waiting)
    }

    pub(crate) fn begin_attempt(&mut self, id: i64) {
        self.handed_out.remove(&id);
        if let Some(entry) = self.waiting_entry(id) {
            entry.attempts = entry.attempts.saturating_add(1);
            entry.unsure |= entry.attempting;
            entry.attempting = true;
        }
    }

    /// Returns the ids of deliveries that changed with it: see [`WorkingSet::repeat_later`].
    pub(crate) fn end_attempt(&mut self, id: i64, now: Timestamp, result: &DeliveryResult) -> Vec<i64> {
        let Some(entry) = self.waiting_entry(id) else { return Vec::new() };
        entry.attempting = false;
        match result {
            DeliveryResult::Delivered { thread } => entry.state = State::Delivered(thread.clone()),
            DeliveryResult::Retry { at, error } => {
                entry.due_at = *at;
                entry.last_error = Some(error.clone());
            }
            DeliveryResult::Unsure { at, error } => {
                entry.due_at = *at;
                entry.unsure = true;
                entry.last_error = Some(error.clone());
            }
            DeliveryResult::Failed { error } => {
                entry.state = State::Failed;
                entry.last_error = Some(error.clone());
            }
        }
        if entry.state != State::Waiting {
            entry.ended_at = Some(now);
            let (destination, incident) = (entry.destination.clone(), entry.transition.incident.id.clone());
            self.leave_queue(id, &destination, &incident);
            if matches!(result, DeliveryResult::Delivered { .. }) {
                return self.repeat_later(id, &destination, &incident);
            }
        }
        Vec::new()
    }

    /// Makes later transitions of the incident wait again that the destination has already: a refused one was delivered
    /// after them, and the last word must be the newest state. Returns their ids.
    fn repeat_later(&mut self, id: i64, destination: &str, incident: &str) -> Vec<i64> {
        let later = |(other, entry): &(i64, &Entry)| {
            *other > id && entry.destination == destination && matches!(entry.state, State::Delivered(_))
        };
        let ids: Vec<i64> = self.of_incident(incident).filter(later).map(|(other, _)| other).collect();
        for other in &ids {
            let Some(entry) = self.deliveries.get_mut(other) else { continue };
            (entry.state, entry.due_at, entry.ended_at) = (State::Waiting, Timestamp::EPOCH, None);
            entry.unsure = true;
            let queues = self.queues.entry(destination.to_owned()).or_default();
            queues.entry(incident.to_owned()).or_default().insert(*other);
        }
        ids
    }

    /// Returns the deliveries that were refused for good and have not expired.
    pub(super) fn dead(&self) -> impl DoubleEndedIterator<Item = (i64, &Entry)> {
        let dead = self.deliveries.iter().filter(|(_, entry)| entry.is_dead_letter());
        dead.map(|(id, entry)| (*id, entry))
    }

    pub(crate) fn dead_letters(&self) -> Vec<DeadLetter> {
        self.dead().map(|(_, entry)| letter(entry)).collect()
    }

    pub(crate) fn newest_dead_letters(&self, limit: u32) -> Vec<DeadLetter> {
        self.dead().rev().take(limit as usize).map(|(_, entry)| letter(entry)).collect()
    }

    pub(crate) fn dead_letter_counts(&self) -> BTreeMap<String, u64> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (_, entry) in self.dead() {
            match counts.get_mut(&entry.destination) {
                Some(letters) => *letters += 1,
                None => drop(counts.insert(entry.destination.clone(), 1)),
            }
        }
        counts
    }

    /// Marks dead letters of incidents that are over as expired: those that are too old, and the oldest of too many. Returns
    /// them with their ids.
    pub(crate) fn expire(&mut self, now: Timestamp) -> (Vec<i64>, Vec<DeadLetter>) {
        let over_at = |entry: &Entry| {
            let story = self.stories.get(&entry.transition.incident.id)?;
            story.incident.resolved_at.max(entry.ended_at).filter(|_| !story.is_open())
        };
        let over: Vec<(i64, Timestamp)> =
            self.dead().filter_map(|(id, entry)| Some((id, over_at(entry)?))).collect();
        let too_many = over.len().saturating_sub(DEAD_LETTERS_KEPT);
        let expires = |(place, (_, at)): &(usize, &(i64, Timestamp))| {
            *place < too_many || *at + DEAD_LETTER_RETENTION <= now
        };
        let ids: Vec<i64> = over.iter().enumerate().filter(expires).map(|(_, (id, _))| *id).collect();
        let letters = self.mark_expired(&ids);
        (ids, letters)
    }

    /// Marks as expired what waits or was refused at destinations that are not in a list. Returns it with its ids.
    pub(crate) fn expire_all_but(
        &mut self,
        destinations: &[String],
        now: Timestamp,
    ) -> (Vec<i64>, Vec<DeadLetter>) {
        let lost = |(_, entry): &(&i64, &mut Entry)| {
            (entry.state == State::Waiting || entry.is_dead_letter())
                && !destinations.contains(&entry.destination)
        };
        let mut ids = Vec::new();
        for (id, entry) in self.deliveries.iter_mut().filter(lost) {
            ids.push(*id);
            if entry.state == State::Waiting {
                (entry.state, entry.ended_at) = (State::Failed, Some(now));
                entry.last_error = Some(NO_DESTINATION.to_owned());
            }
        }
        self.queues.retain(|destination, _| destinations.contains(destination));
        let letters = self.mark_expired(&ids);
        (ids, letters)
    }

    /// Marks the dead letters that a person gives up as expired. Returns them with their ids.
    pub(crate) fn discard(&mut self, which: &Discard) -> (Vec<i64>, Vec<DeadLetter>) {
        let mut ids = Vec::new();
        for (id, entry) in self.deliveries.iter_mut().filter(|(_, entry)| entry.is_dead_letter()) {
            if which.means(&entry.destination, &entry.transition.incident.id) {
                entry.last_error = Some(which.reason(entry.last_error.as_deref().unwrap_or_default()));
                ids.push(*id);
            }
        }
        let letters = self.mark_expired(&ids);
        self.discarded.extend(letters.iter().cloned());
        (ids, letters)
    }

    /// Returns what was given up since the last call.
    pub(crate) fn take_discarded(&mut self) -> Vec<DeadLetter> {
        core::mem::take(&mut self.discarded)
    }

    fn mark_expired(&mut self, ids: &[i64]) -> Vec<DeadLetter> {
        let mut letters = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(entry) = self.deliveries.get_mut(id) else { continue };
            entry.expired = true;
            letters.push(letter(entry));
        }
        letters
    }

    /// Returns whether a destination accepted a message at or after an instant.
    pub(crate) fn has_accepted(&self, destination: &str, since: Timestamp) -> bool {
        self.deliveries.values().any(|entry| {
            matches!(entry.state, State::Delivered(_))
                && entry.destination == destination
                && entry.ended_at >= Some(since)
        })
    }

    /// Adds a delivery of a stored transition for another destination, unless it has one. Returns its id.
    pub(crate) fn forward(&mut self, notice: &Notice, destination: &str) -> Option<i64> {
        let same = |stored: &&Arc<TransitionRecord>| {
            (stored.incident.id.as_str(), stored.change, stored.at)
                == (notice.incident.id.as_str(), notice.change, notice.at)
        };
        let story = self.stories.get(&notice.incident.id)?;
        let transition = Arc::clone(story.newest_first().find(same)?);
        let has = |(_, entry): (i64, &Entry)| {
            entry.destination == destination && is_same(&entry.transition, &transition)
        };
        if self.of_incident(&transition.incident.id).any(has) {
            return None;
        }
        self.insert(Entry::waiting(transition, destination));
        Some(self.last_delivery)
    }

    pub(crate) fn deliveries_of(&self, incident: &str) -> Vec<DeliveryState> {
        let state = |entry: &Entry| DeliveryState {
            destination: entry.destination.clone(),
            change: entry.transition.notice.word().to_owned(),
            at: entry.transition.at,
            state: match entry.state {
                State::Waiting => "waiting",
                State::Delivered(_) => "delivered",
                State::Failed => "failed",
            },
            attempts: entry.attempts,
            error: entry.last_error.clone(),
        };
        self.of_incident(incident).map(|(_, entry)| state(entry)).collect()
    }

    /// Makes dead letters wait again, and all that waits due. Returns the ids of the dead letters.
    pub(crate) fn retry(&mut self, destination: Option<&str>) -> Vec<i64> {
        let wanted = |entry: &Entry| destination.is_none_or(|name| name == entry.destination);
        for entry in self.deliveries.values_mut().filter(|entry| wanted(entry)) {
            if entry.state == State::Waiting {
                entry.due_at = Timestamp::EPOCH;
            }
        }
        let ids: Vec<i64> = self.dead().filter(|(_, entry)| wanted(entry)).map(|(id, _)| id).collect();
        for &id in &ids {
            let Some(entry) = self.deliveries.get_mut(&id) else { continue };
            (entry.state, entry.due_at, entry.ended_at) = (State::Waiting, Timestamp::EPOCH, None);
            let queues = self.queues.entry(entry.destination.clone()).or_default();
            queues.entry(entry.transition.incident.id.clone()).or_default().insert(id);
        }
        ids
    }
}

fn letter(entry: &Entry) -> DeadLetter {
    DeadLetter {
        destination: entry.destination.clone(),
        incident_id: entry.transition.incident.id.clone(),
        slo_id: entry.transition.incident.slo_id.clone(),
        change: entry.transition.notice.word().to_owned(),
        at: entry.transition.at,
        refused_at: entry.ended_at.unwrap_or(Timestamp::EPOCH),
        error: entry.last_error.clone().unwrap_or_default(),
    }
}
