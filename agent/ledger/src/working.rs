//! Incidents and deliveries in progress, in memory.

mod attempts;
mod eviction;

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::DeadLetter;
use lookout_model::{DestinationMessage, Followed, IncidentRecord, Notice, Timestamp, TransitionRecord};

pub(crate) use eviction::{MAX_ENDED, Waiting};

/// Incidents that are open or were resolved lately, their transitions and their deliveries.
#[derive(Debug, Default)]
pub(crate) struct WorkingSet {
    /// By the id of the incident.
    stories: BTreeMap<String, Story>,
    /// By id, ascending.
    deliveries: BTreeMap<i64, Entry>,
    /// Ids of deliveries that wait, by destination and incident. Only the first of each may be sent.
    queues: BTreeMap<String, BTreeMap<String, BTreeSet<i64>>>,
    last_transition: u64,
    last_delivery: i64,
    /// Deliveries that an outbox was given and has not begun.
    handed_out: BTreeSet<i64>,
    /// Deliveries whose progress is not in the file yet.
    unstored: BTreeSet<i64>,
    /// Number of deliveries that wait in the file only, by destination.
    in_file_only: BTreeMap<String, u64>,
    /// Incidents of the file that cannot be read back.
    unreadable: BTreeSet<String>,
    /// Dead letters that a person gave up, until it is told.
    discarded: Vec<DeadLetter>,
}

/// An incident, its transitions and its deliveries.
#[derive(Debug)]
struct Story {
    incident: IncidentRecord,
    /// In the order they were stored, each with its number in the order of all.
    transitions: Vec<(u64, Arc<TransitionRecord>)>,
    deliveries: BTreeSet<i64>,
}

impl Story {
    /// Returns the transitions, newest first.
    fn newest_first(&self) -> impl Iterator<Item = &Arc<TransitionRecord>> {
        self.transitions.iter().rev().map(|(_, transition)| transition)
    }

    /// Returns the last change, which is no news.
    fn last_change(&self) -> Option<&Arc<TransitionRecord>> {
        self.newest_first().find(|one| one.notice.news.is_none())
    }

    fn holds(&self, transition: &TransitionRecord) -> bool {
        self.newest_first().any(|stored| is_same(stored, transition))
    }

    fn is_open(&self) -> bool {
        self.incident.resolved_at.is_none()
    }
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
    /// True for a delivery that failed and is not tried again.
    pub(crate) expired: bool,
}

impl Entry {
    /// Returns whether it was refused for good and can be tried again.
    fn is_dead_letter(&self) -> bool {
        self.state == State::Failed && !self.expired
    }

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
            expired: false,
        }
    }
}

/// A transition of an incident in progress, and its deliveries.
pub(crate) type InProgress = (Arc<TransitionRecord>, Vec<Entry>);

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

impl WorkingSet {
    /// Stores a transition and its deliveries, unless it is stored already.
    pub(crate) fn record(&mut self, transition: &TransitionRecord) {
        let story = self.stories.get(&transition.incident.id);
        if story.is_some_and(|story| story.holds(transition)) || !is_current(story, &transition.notice) {
            return;
        }
        let mut transition = transition.clone();
        if transition.notice.acknowledgement.is_none() {
            let last = story.and_then(|story| story.newest_first().next());
            transition.notice.acknowledgement = last.and_then(|last| last.notice.acknowledgement.clone());
        }
        let transition = Arc::new(transition);
        self.keep(Arc::clone(&transition));
        for destination in transition.destinations.iter().collect::<BTreeSet<_>>() {
            self.insert(Entry::waiting(Arc::clone(&transition), destination));
        }
    }

    /// Returns whether the transitions of an incident are in memory.
    pub(crate) fn holds(&self, incident: &str) -> bool {
        self.stories.contains_key(incident)
    }

    /// Returns the incidents that are open or were resolved at or after `since`, as people attend to them.
    pub(crate) fn followed(&self, since: Timestamp) -> Vec<Followed> {
        self.since(since).filter_map(|story| self.follow(story)).collect()
    }

    /// Returns the incidents that are open or were resolved at or after `since`.
    fn since(&self, since: Timestamp) -> impl Iterator<Item = &Story> {
        self.stories.values().filter(move |story| story.incident.resolved_at.is_none_or(|at| at >= since))
    }

    fn follow(&self, story: &Story) -> Option<Followed> {
        let (change, newest) = (story.last_change()?, story.newest_first().next()?);
        let first = story.transitions.first().map(|(_, first)| &first.notice)?;
        let told = story.deliveries.iter().filter_map(|id| self.deliveries.get(id));
        let told = told.map(|entry| DestinationMessage {
            destination: entry.destination.clone(),
            at: entry.transition.at,
            news: entry.transition.notice.news.clone(),
            change: entry.transition.change,
        });
        Some(Followed {
            incident: story.incident.clone(),
            change: change.change,
            changed_at: change.at,
            unrouted: first.own_fault.is_some() || first.rehearsal.is_some(),
            silence: change.notice.silence.clone(),
            acknowledgement: newest.notice.acknowledgement.clone(),
            told: told.collect(),
        })
    }

    /// Stores a transition with deliveries in any state.
    pub(crate) fn load(&mut self, transition: Arc<TransitionRecord>, entries: Vec<Entry>) {
        self.keep(transition);
        entries.into_iter().for_each(|entry| self.insert(entry));
    }

    /// Adds a transition of an earlier run. One that is stored already learns which of its deliveries have ended.
    pub(crate) fn remember(&mut self, transition: Arc<TransitionRecord>, entries: Vec<Entry>) {
        if !self.stories.get(&transition.incident.id).is_some_and(|story| story.holds(&transition)) {
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
    pub(crate) fn unfinished(&self, limit: usize) -> Vec<InProgress> {
        let waits: BTreeSet<&String> = self.queues.values().flat_map(BTreeMap::keys).collect();
        let wanted = |(id, story): &(&String, &Story)| story.is_open() || waits.contains(id);
        let mut wanted: Vec<&Story> = self.stories.iter().filter(wanted).map(|(_, story)| story).collect();
        wanted.sort_by_key(|story| Reverse((story.incident.severity, story.incident.detected_at)));
        wanted.truncate(limit);
        let mut transitions: Vec<_> = wanted.into_iter().flat_map(|story| self.told_of(story)).collect();
        transitions.sort_by_key(|(number, ..)| *number);
        transitions.into_iter().map(|(_, transition, entries)| (transition, entries)).collect()
    }

    /// Returns the transitions of an incident with their numbers and their deliveries.
    fn told_of(&self, story: &Story) -> impl Iterator<Item = (u64, Arc<TransitionRecord>, Vec<Entry>)> {
        story.transitions.iter().map(|(number, transition)| {
            let entries = story.deliveries.iter().filter_map(|id| self.deliveries.get(id));
            let entries = entries.filter(|entry| Arc::ptr_eq(&entry.transition, transition));
            (*number, Arc::clone(transition), entries.cloned().collect())
        })
    }

    fn keep(&mut self, transition: Arc<TransitionRecord>) {
        self.last_transition += 1;
        let incident = &transition.incident;
        let story = self.stories.entry(incident.id.clone()).or_insert_with(|| Story {
            incident: incident.clone(),
            transitions: Vec::new(),
            deliveries: BTreeSet::new(),
        });
        if transition.notice.news.is_none() {
            story.incident.clone_from(incident);
        }
        story.transitions.push((self.last_transition, transition));
    }

    /// Adds a delivery of a transition that is in memory.
    fn insert(&mut self, entry: Entry) {
        self.last_delivery += 1;
        let incident = &entry.transition.incident.id;
        let Some(story) = self.stories.get_mut(incident) else { return };
        story.deliveries.insert(self.last_delivery);
        if entry.state == State::Waiting {
            let queues = self.queues.entry(entry.destination.clone()).or_default();
            queues.entry(incident.clone()).or_default().insert(self.last_delivery);
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
        let open = self.stories.values().filter(|story| story.is_open());
        let mut open: Vec<_> = open.map(|story| story.incident.clone()).collect();
        open.sort_by_key(|incident| incident.detected_at);
        open
    }

    pub(crate) fn incidents(&self, before: Option<&str>, limit: u32) -> Vec<IncidentRecord> {
        let mut all: Vec<_> = self.stories.values().map(|story| &story.incident).collect();
        all.sort_by_key(|incident| (Reverse(incident.detected_at), &incident.id));
        let position = |id| all.iter().position(|incident| incident.id == id);
        let first = before.map_or(0, |id| position(id).map_or(all.len(), |at| at + 1));
        all.into_iter().skip(first).take(limit as usize).cloned().collect()
    }

    /// Returns the last change of each incident, with what people did since and all who were told.
    pub(crate) fn latest_transitions(&self, since: Timestamp) -> Vec<TransitionRecord> {
        let mut wanted: Vec<&Story> = self.since(since).collect();
        wanted.sort_by_key(|story| story.incident.detected_at);
        wanted.into_iter().filter_map(|story| self.latest(story)).collect()
    }

    /// Returns the same for each incident with a delivery that waits for a destination.
    pub(crate) fn latest_of_waiting(&self, destination: &str) -> Vec<TransitionRecord> {
        let waiting = self.queues.get(destination).into_iter().flat_map(BTreeMap::keys);
        waiting.filter_map(|id| self.latest(self.stories.get(id)?)).collect()
    }

    fn latest(&self, story: &Story) -> Option<TransitionRecord> {
        let mut last = TransitionRecord::clone(story.last_change()?);
        let newest = story.newest_first().next()?;
        last.notice.acknowledgement.clone_from(&newest.notice.acknowledgement);
        let told = story.deliveries.iter().filter_map(|id| self.deliveries.get(id));
        add_told(&mut last.destinations, told.map(|entry| entry.destination.clone()));
        Some(last)
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
        let queues = self.queues.get(destination);
        let waits = |transition: &Arc<TransitionRecord>| {
            let queue = queues.and_then(|queues| queues.get(&transition.incident.id)).into_iter().flatten();
            queue.filter_map(|id| self.deliveries.get(id)).any(|one| Arc::ptr_eq(&one.transition, transition))
        };
        let mut seen = BTreeSet::new();
        let told = self.told(destination).filter(|(_, id)| *id == thread);
        let told = told.map(|(entry, _)| entry.transition.incident.id.as_str());
        let stories = told.filter(|id| seen.insert(*id)).filter_map(|id| self.stories.get(id));
        let newest = stories.filter_map(|story| story.newest_first().find(|one| !waits(one)));
        newest.map(|transition| transition.notice.clone()).collect()
    }

    /// Returns the id of the newest message about an open incident of a service, of those told since an instant.
    pub(crate) fn newest_conversation(
        &self,
        destination: &str,
        service: &str,
        since: Timestamp,
    ) -> Option<String> {
        let is_open = |id: &str| self.stories.get(id).is_some_and(Story::is_open);
        let wanted = |entry: &Entry| {
            let incident = &entry.transition.incident;
            incident.service == service && entry.transition.at >= since && is_open(&incident.id)
        };
        self.told(destination).rev().find(|(entry, _)| wanted(entry)).map(|(_, thread)| thread.to_owned())
    }

    /// Returns every transition in order, and every delivery.
    pub(crate) fn everything(&self) -> (Vec<TransitionRecord>, Vec<Entry>) {
        let mut transitions: Vec<_> = self.stories.values().flat_map(|story| &story.transitions).collect();
        transitions.sort_by_key(|(number, _)| *number);
        let transitions = transitions.into_iter().map(|(_, one)| TransitionRecord::clone(one));
        (transitions.collect(), self.deliveries.values().cloned().collect())
    }
}

/// Returns whether a notice is about the last change of its incident; for news, whether that is still open.
fn is_current(story: Option<&Story>, notice: &Notice) -> bool {
    let Some(changed_at) = notice.changed_at else { return true };
    let open = story.filter(|story| story.is_open());
    open.and_then(Story::last_change).is_some_and(|last| last.at == changed_at)
}

fn is_same(one: &TransitionRecord, other: &TransitionRecord) -> bool {
    (&one.incident.id, one.change, one.at) == (&other.incident.id, other.change, other.at)
}
