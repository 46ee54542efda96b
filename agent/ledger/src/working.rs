//! Incidents and deliveries in progress, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{DEAD_LETTER_RETENTION, DeadLetter, DeliveryState};
use lookout_model::{
    Acknowledgement, Delivery, DeliveryResult, Followed, IncidentRecord, Notice, Timestamp, Told,
    TransitionRecord,
};

/// Incidents that are open or were resolved lately, their transitions and their deliveries.
#[derive(Debug, Default)]
pub(crate) struct WorkingSet {
    incidents: BTreeMap<String, IncidentRecord>,
    /// In the order they were stored.
    transitions: Vec<Arc<TransitionRecord>>,
    /// By id, ascending.
    deliveries: BTreeMap<i64, Entry>,
    /// Ids of deliveries that wait, by destination and incident. Only the first of each may be sent.
    queues: BTreeMap<String, BTreeMap<String, BTreeSet<i64>>>,
    /// Ids of all deliveries by incident.
    of_incident: BTreeMap<String, BTreeSet<i64>>,
    last_delivery: i64,
}

/// One delivery and its progress.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) transition: Arc<TransitionRecord>,
    pub(crate) destination: String,
    pub(crate) attempts: u32,
    pub(crate) attempting: bool,
    pub(crate) unsure: bool,
    pub(crate) due_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
    pub(crate) state: State,
}

impl Entry {
    fn waiting(transition: Arc<TransitionRecord>, destination: &str) -> Self {
        Self {
            transition,
            destination: destination.to_owned(),
            attempts: 0,
            attempting: false,
            unsure: false,
            due_at: Timestamp::EPOCH,
            ended_at: None,
            last_error: None,
            state: State::Waiting,
        }
    }
}

/// The state of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    /// With the receiver's id of the message.
    Delivered(Option<String>),
    Failed,
}

/// Adds destinations that are not among the known ones.
pub(crate) fn add_told(known: &mut Vec<String>, told: impl IntoIterator<Item = String>) {
    for name in told {
        if !known.contains(&name) {
            known.push(name);
        }
    }
}

/// Treatment of incidents with deliveries that still wait, or were refused lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    Too,
    Kept,
}

impl WorkingSet {
    /// Stores a transition and its deliveries, unless it is stored already.
    pub(crate) fn record(&mut self, transition: &TransitionRecord) {
        let same = |stored: &Arc<TransitionRecord>| is_same(stored, transition);
        if self.transitions.iter().any(same) || !self.is_current(&transition.notice) {
            return;
        }
        let mut transition = transition.clone();
        if transition.notice.acknowledgement.is_none() {
            transition.notice.acknowledgement = self.acknowledgement(&transition.incident.id);
        }
        let transition = Arc::new(transition);
        for destination in transition.destinations.iter().collect::<BTreeSet<_>>() {
            self.insert(Entry::waiting(Arc::clone(&transition), destination));
        }
        self.keep(transition);
    }

    /// Returns whether a notice is about the last change of its incident; for news, whether that is still open.
    fn is_current(&self, notice: &Notice) -> bool {
        let Some(changed_at) = notice.changed_at else { return true };
        let id = &notice.incident.id;
        let is_open = self.incidents.get(id).is_some_and(|incident| incident.resolved_at.is_none());
        let changes = self.transitions.iter().rev().filter(|one| one.notice.news.is_none());
        let last = changes.filter(|one| one.incident.id == *id).map(|one| one.at).next();
        is_open && last == Some(changed_at)
    }

    /// Returns the last acknowledgement of an incident.
    fn acknowledgement(&self, incident: &str) -> Option<Acknowledgement> {
        let of_incident = |one: &&Arc<TransitionRecord>| one.incident.id == incident;
        let last = self.transitions.iter().rev().find(of_incident)?;
        last.notice.acknowledgement.clone()
    }

    /// Returns the incidents that are open or were resolved at or after `since`, as people attend to them.
    pub(crate) fn followed(&self, since: Timestamp) -> Vec<Followed> {
        let wanted = |incident: &IncidentRecord| incident.resolved_at.is_none_or(|at| at >= since);
        // most of the time there is none, and it is asked every second
        if !self.incidents.values().any(wanted) {
            return Vec::new();
        }
        let mut followed: BTreeMap<&str, Followed> = BTreeMap::new();
        for transition in &self.transitions {
            let (id, notice) = (transition.incident.id.as_str(), &transition.notice);
            let Some(incident) = self.incidents.get(id).filter(|incident| wanted(incident)) else { continue };
            let one = followed.entry(id).or_insert_with(|| Followed {
                incident: incident.clone(),
                change: transition.change,
                changed_at: transition.at,
                unrouted: notice.own_fault.is_some() || notice.rehearsal.is_some(),
                silence: None,
                acknowledgement: None,
                told: Vec::new(),
            });
            one.acknowledgement.clone_from(&notice.acknowledgement);
            if notice.news.is_none() {
                (one.change, one.changed_at) = (transition.change, transition.at);
                one.silence.clone_from(&notice.silence);
            }
        }
        for entry in self.deliveries.values() {
            let Some(one) = followed.get_mut(entry.transition.incident.id.as_str()) else { continue };
            one.told.push(Told {
                destination: entry.destination.clone(),
                at: entry.transition.at,
                news: entry.transition.notice.news.clone(),
                change: entry.transition.change,
            });
        }
        followed.into_values().collect()
    }

    /// Stores a transition with deliveries in any state.
    pub(crate) fn load(&mut self, transition: Arc<TransitionRecord>, entries: Vec<Entry>) {
        entries.into_iter().for_each(|entry| self.insert(entry));
        self.keep(transition);
    }

    /// Adds a transition of an earlier run. One that is stored already learns which of its deliveries have ended.
    pub(crate) fn remember(&mut self, transition: Arc<TransitionRecord>, entries: Vec<Entry>) {
        if !self.transitions.iter().any(|stored| is_same(stored, &transition)) {
            self.load(transition, entries);
            return;
        }
        for ended in entries.into_iter().filter(|entry| entry.state != State::Waiting) {
            let behind = self.deliveries.iter_mut().find(|(_, entry)| {
                entry.state == State::Waiting
                    && entry.destination == ended.destination
                    && is_same(&entry.transition, &transition)
            });
            let Some((&id, entry)) = behind else { continue };
            entry.state = ended.state;
            self.leave_queue(id, &ended.destination, &transition.incident.id);
        }
    }

    /// Returns the transitions of incidents that are open or have a delivery that waits, in order, with their deliveries;
    /// at most those of `limit` incidents, pages first.
    pub(crate) fn unfinished(&self, limit: usize) -> Vec<(&TransitionRecord, Vec<&Entry>)> {
        let waits: BTreeSet<&String> = self.queues.values().flat_map(BTreeMap::keys).collect();
        let wanted =
            |incident: &&IncidentRecord| incident.resolved_at.is_none() || waits.contains(&incident.id);
        let mut wanted: Vec<_> = self.incidents.values().filter(wanted).collect();
        wanted.sort_by_key(|incident| core::cmp::Reverse((incident.severity, incident.detected_at)));
        let wanted: BTreeSet<&str> = wanted.iter().take(limit).map(|incident| incident.id.as_str()).collect();
        let mut entries: BTreeMap<*const TransitionRecord, Vec<&Entry>> = BTreeMap::new();
        for entry in self.deliveries.values() {
            entries.entry(Arc::as_ptr(&entry.transition)).or_default().push(entry);
        }
        let transitions = self.transitions.iter().filter(|one| wanted.contains(one.incident.id.as_str()));
        transitions.map(|one| (&**one, entries.remove(&Arc::as_ptr(one)).unwrap_or_default())).collect()
    }

    fn keep(&mut self, transition: Arc<TransitionRecord>) {
        if transition.notice.news.is_none() || !self.incidents.contains_key(&transition.incident.id) {
            self.incidents.insert(transition.incident.id.clone(), transition.incident.clone());
        }
        self.transitions.push(transition);
    }

    fn insert(&mut self, entry: Entry) {
        self.last_delivery += 1;
        let of_incident = self.of_incident.entry(entry.transition.incident.id.clone()).or_default();
        of_incident.insert(self.last_delivery);
        if entry.state == State::Waiting {
            let queues = self.queues.entry(entry.destination.clone()).or_default();
            queues.entry(entry.transition.incident.id.clone()).or_default().insert(self.last_delivery);
        }
        self.deliveries.insert(self.last_delivery, entry);
    }

    fn leave_queue(&mut self, id: i64, destination: &str, incident: &str) {
        let Some(queues) = self.queues.get_mut(destination) else { return };
        let Some(queue) = queues.get_mut(incident) else { return };
        queue.remove(&id);
        if queue.is_empty() {
            queues.remove(incident);
        }
    }

    pub(crate) fn open_incidents(&self) -> Vec<IncidentRecord> {
        let open = self.incidents.values().filter(|incident| incident.resolved_at.is_none());
        let mut open: Vec<_> = open.cloned().collect();
        open.sort_by_key(|incident| incident.detected_at);
        open
    }

    pub(crate) fn incidents(&self, limit: u32) -> Vec<IncidentRecord> {
        let mut all: Vec<_> = self.incidents.values().cloned().collect();
        all.sort_by_key(|incident| core::cmp::Reverse(incident.detected_at));
        all.truncate(limit as usize);
        all
    }

    /// Returns the last change of each incident, with what people did since and all who were told.
    pub(crate) fn latest_transitions(&self, since: Timestamp) -> Vec<TransitionRecord> {
        let wanted = |incident: &&IncidentRecord| incident.resolved_at.is_none_or(|at| at >= since);
        let mut wanted: Vec<_> = self.incidents.values().filter(wanted).collect();
        wanted.sort_by_key(|incident| incident.detected_at);
        let mut last: BTreeMap<&str, TransitionRecord> = BTreeMap::new();
        let ids: BTreeSet<&str> = wanted.iter().map(|incident| incident.id.as_str()).collect();
        let mut change: BTreeMap<&str, &Arc<TransitionRecord>> = BTreeMap::new();
        let mut acknowledged: BTreeMap<&str, &Option<Acknowledgement>> = BTreeMap::new();
        for transition in self.transitions.iter().filter(|one| ids.contains(one.incident.id.as_str())) {
            let id = transition.incident.id.as_str();
            acknowledged.insert(id, &transition.notice.acknowledgement);
            if transition.notice.news.is_none() {
                change.insert(id, transition);
            }
        }
        for (id, transition) in change {
            let mut transition = TransitionRecord::clone(transition);
            transition.notice.acknowledgement = acknowledged.get(id).copied().cloned().flatten();
            last.insert(id, transition);
        }
        for entry in self.deliveries.values() {
            if let Some(transition) = last.get_mut(entry.transition.incident.id.as_str()) {
                add_told(&mut transition.destinations, [entry.destination.clone()]);
            }
        }
        wanted.into_iter().filter_map(|incident| last.remove(incident.id.as_str())).collect()
    }

    /// Returns the first waiting delivery of each incident.
    fn first_waiting(&self, destination: &str) -> impl Iterator<Item = (i64, &Entry)> {
        let queues = self.queues.get(destination).into_iter().flatten();
        queues.filter_map(|(_, queue)| {
            let id = *queue.first()?;
            Some((id, self.deliveries.get(&id)?))
        })
    }

    pub(crate) fn due(&self, destination: &str, now: Timestamp, limit: u32) -> Vec<Delivery> {
        let mut due: Vec<_> =
            self.first_waiting(destination).filter(|(_, entry)| entry.due_at <= now).collect();
        due.sort_by_key(|(id, _)| *id);
        let delivery = |(id, entry): (i64, &Entry)| Delivery {
            id,
            destination: entry.destination.clone(),
            notice: entry.transition.notice.clone(),
            attempts: entry.attempts,
            unsure: entry.unsure || entry.attempting,
            thread: self.thread(entry),
        };
        due.into_iter().take(limit as usize).map(delivery).collect()
    }

    /// Returns the deliveries of an incident by id, ascending.
    fn of_incident(&self, incident: &str) -> impl Iterator<Item = (i64, &Entry)> {
        let ids = self.of_incident.get(incident).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.deliveries.get(id)?)))
    }

    /// Returns the receiver's id of the first message about the same incident.
    fn thread(&self, of: &Entry) -> Option<String> {
        self.of_incident(&of.transition.incident.id).find_map(|(_, entry)| match &entry.state {
            State::Delivered(Some(thread)) if entry.destination == of.destination => Some(thread.clone()),
            _ => None,
        })
    }

    /// Returns the deliveries that are part of a message of a destination.
    fn told(&self, destination: &str) -> impl DoubleEndedIterator<Item = (&Entry, &str)> {
        self.deliveries.values().filter_map(move |entry| match &entry.state {
            State::Delivered(Some(thread)) if entry.destination == destination => {
                Some((entry, thread.as_str()))
            }
            _ => None,
        })
    }

    /// Returns the newest notice of every incident whose message has this id, in the order in which they were told. What
    /// still waits to be told is left out.
    pub(crate) fn conversation(&self, destination: &str, thread: &str) -> Vec<Notice> {
        let queues = self.queues.get(destination).into_iter().flat_map(BTreeMap::values).flatten();
        let waiting = queues.filter_map(|id| self.deliveries.get(id));
        let waiting: BTreeSet<_> = waiting.map(|entry| Arc::as_ptr(&entry.transition)).collect();
        let mut last: BTreeMap<&str, &Notice> = BTreeMap::new();
        for transition in self.transitions.iter().filter(|one| !waiting.contains(&Arc::as_ptr(one))) {
            last.insert(&transition.incident.id, &transition.notice);
        }
        // an incident is taken out once it is found
        let told = self.told(destination).filter(|(_, id)| *id == thread);
        told.filter_map(|(entry, _)| last.remove(entry.transition.incident.id.as_str())).cloned().collect()
    }

    /// Returns the id of the newest message about an open incident of a service, of those told since an instant.
    pub(crate) fn newest_conversation(
        &self,
        destination: &str,
        service: &str,
        since: Timestamp,
    ) -> Option<String> {
        let is_open = |id: &str| self.incidents.get(id).is_some_and(|one| one.resolved_at.is_none());
        let wanted = |entry: &Entry| {
            let incident = &entry.transition.incident;
            incident.service == service && entry.transition.at >= since && is_open(&incident.id)
        };
        self.told(destination).rev().find(|(entry, _)| wanted(entry)).map(|(_, thread)| thread.to_owned())
    }

    pub(crate) fn waiting(&self, destination: &str) -> (Option<Timestamp>, u64) {
        let next = self.first_waiting(destination).map(|(_, entry)| entry.due_at).min();
        let queues = self.queues.get(destination).into_iter().flatten();
        (next, queues.map(|(_, queue)| queue.len() as u64).sum())
    }

    /// Returns a delivery that waits, to be changed.
    fn waiting_entry(&mut self, id: i64) -> Option<&mut Entry> {
        self.deliveries.get_mut(&id).filter(|entry| entry.state == State::Waiting)
    }

    pub(crate) fn begin_attempt(&mut self, id: i64) {
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

    /// Returns the deliveries that were refused for good since an instant.
    fn dead(&self, since: Timestamp) -> impl Iterator<Item = (i64, &Entry)> {
        let dead = move |entry: &Entry| entry.state == State::Failed && entry.ended_at >= Some(since);
        self.deliveries.iter().filter(move |(_, entry)| dead(entry)).map(|(id, entry)| (*id, entry))
    }

    pub(crate) fn dead_letters(&self, since: Timestamp) -> Vec<DeadLetter> {
        let letter = |(_, entry): (i64, &Entry)| DeadLetter {
            destination: entry.destination.clone(),
            incident_id: entry.transition.incident.id.clone(),
            slo_id: entry.transition.incident.slo_id.clone(),
            change: entry.transition.notice.word().to_owned(),
            at: entry.transition.at,
            error: entry.last_error.clone().unwrap_or_default(),
        };
        self.dead(since).map(letter).collect()
    }

    /// Adds a delivery of a stored transition for another destination, unless it has one. Returns its id.
    pub(crate) fn forward(&mut self, notice: &Notice, destination: &str) -> Option<i64> {
        let same = |stored: &&Arc<TransitionRecord>| {
            (stored.incident.id.as_str(), stored.change, stored.at)
                == (notice.incident.id.as_str(), notice.change, notice.at)
        };
        let transition = Arc::clone(self.transitions.iter().find(same)?);
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

    /// Makes dead letters wait again. Returns their ids.
    pub(crate) fn retry(&mut self, destination: Option<&str>, since: Timestamp) -> Vec<i64> {
        let wanted = |entry: &Entry| destination.is_none_or(|name| name == entry.destination);
        let ids: Vec<i64> = self.dead(since).filter(|(_, entry)| wanted(entry)).map(|(id, _)| id).collect();
        for &id in &ids {
            let Some(entry) = self.deliveries.get_mut(&id) else { continue };
            (entry.state, entry.due_at, entry.ended_at) = (State::Waiting, Timestamp::EPOCH, None);
            let queues = self.queues.entry(entry.destination.clone()).or_default();
            queues.entry(entry.transition.incident.id.clone()).or_default().insert(id);
        }
        ids
    }

    /// Returns a delivery by its id.
    pub(crate) fn entry(&self, id: i64) -> Option<&Entry> {
        self.deliveries.get(&id)
    }

    /// Returns every transition in order, and every delivery.
    pub(crate) fn everything(&self) -> (Vec<TransitionRecord>, Vec<Entry>) {
        let transitions = self.transitions.iter().map(|transition| TransitionRecord::clone(transition));
        (transitions.collect(), self.deliveries.values().cloned().collect())
    }

    /// Removes incidents that were resolved before `before`, with their transitions and deliveries.
    pub(crate) fn forget_resolved_before(&mut self, before: Timestamp, waiting: Waiting) {
        let waits: BTreeSet<String> = match waiting {
            Waiting::Too => BTreeSet::new(),
            Waiting::Kept => {
                let dead = self.dead(before - DEAD_LETTER_RETENTION);
                let dead = dead.map(|(_, entry)| &entry.transition.incident.id);
                self.queues.values().flat_map(BTreeMap::keys).chain(dead).cloned().collect()
            }
        };
        self.incidents
            .retain(|id, incident| incident.resolved_at.is_none_or(|at| at >= before) || waits.contains(id));
        let kept = &self.incidents;
        self.transitions.retain(|transition| kept.contains_key(&transition.incident.id));
        self.deliveries.retain(|_, entry| kept.contains_key(&entry.transition.incident.id));
        self.of_incident.retain(|incident, _| kept.contains_key(incident));
        for queues in self.queues.values_mut() {
            queues.retain(|incident, _| kept.contains_key(incident));
        }
    }
}

fn is_same(one: &TransitionRecord, other: &TransitionRecord) -> bool {
    (&one.incident.id, one.change, one.at) == (&other.incident.id, other.change, other.at)
}
