//! Groups: incidents that open together share one message, so that nobody is flooded.
//!
//! Incidents of one service form a group. When several services fail at once, all of it is one group: a digest. The id
//! of the message, which the ledger keeps with each delivery, says later which incidents share it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lookout_engine::{Change, Severity};
use lookout_model::{Delivery, Notice};
use tokio::time::Instant;

use crate::message::is_over;

/// Number of services that fail at once from which on one message covers all of them.
const STORM: usize = 4;

/// Treatment of several incidents by a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// Each transition goes alone: the receiver groups by itself.
    Alone,
    /// Transitions that come together share a message; none is left out.
    Batched,
    /// One message about the start, one about each rise in severity, one about the end.
    Followed,
    /// One message that is edited.
    Edited,
}

/// A message about one incident or several.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The transitions it tells, oldest first.
    pub deliveries: Vec<Delivery>,
    /// The receiver's id of the first message, if there was one.
    pub thread: Option<String>,
    /// The present state of every incident of the group, worst first.
    pub members: Vec<Notice>,
}

impl Update {
    /// Creates the update of a group from its transitions and the incidents that share its message.
    #[must_use]
    pub fn new(deliveries: Vec<Delivery>, thread: Option<String>, told: Vec<Notice>) -> Self {
        let changed: BTreeSet<&str> =
            deliveries.iter().map(|delivery| delivery.notice.incident.id.as_str()).collect();
        let mut members: Vec<Notice> =
            told.into_iter().filter(|notice| !changed.contains(notice.incident.id.as_str())).collect();
        // the news of others were told before
        members.iter_mut().for_each(|notice| notice.news = None);
        members.extend(deliveries.iter().map(|delivery| delivery.notice.clone()));
        worst_first(&mut members);
        Self { deliveries, thread, members }
    }

    /// Returns whether an earlier attempt at one of the transitions may have arrived.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        self.deliveries.iter().any(|delivery| delivery.unsure)
    }

    /// Returns whether every incident is resolved.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.members.iter().all(is_over)
    }

    /// Returns whether it makes the group page, or adds an incident that pages.
    #[must_use]
    pub fn raises_page(&self) -> bool {
        let raises = |delivery: &Delivery| {
            let notice = &delivery.notice;
            notice.incident.severity == Severity::Page
                && match notice.change {
                    _ if notice.news.is_some() => notice.is_alarm(),
                    Change::Opened | Change::Reopened => true,
                    Change::Escalated => !self.another_pages(),
                    Change::Eased | Change::Resolved => false,
                }
        };
        self.deliveries.iter().any(raises)
    }

    /// Returns whether people must hear of it, and not only see it where they look.
    #[must_use]
    pub fn is_loud(&self) -> bool {
        let opens = |delivery: &Delivery| {
            let notice = &delivery.notice;
            notice.news.is_some() || matches!(notice.change, Change::Opened | Change::Reopened)
        };
        self.thread.is_none() || self.is_over() || self.raises_page() || self.deliveries.iter().any(opens)
    }

    /// Returns whether an incident whose state this does not change pages.
    fn another_pages(&self) -> bool {
        let changed = |notice: &Notice| {
            self.deliveries.iter().any(|delivery| delivery.notice.incident.id == notice.incident.id)
        };
        let pages = |notice: &&Notice| !is_over(notice) && notice.incident.severity == Severity::Page;
        self.members.iter().filter(pages).any(|notice| !changed(notice))
    }
}

/// Sorts open incidents before resolved ones, pages before tickets, and a faster burn before a slower one.
pub(super) fn worst_first(members: &mut [Notice]) {
    let burn = |notice: &Notice| notice.evidence.present.as_ref().and_then(|present| present.burn);
    members.sort_by(|a, b| {
        let rank = |notice: &Notice| (!is_over(notice), notice.incident.severity);
        rank(b)
            .cmp(&rank(a))
            .then_with(|| burn(b).unwrap_or(0.0).total_cmp(&burn(a).unwrap_or(0.0)))
            .then_with(|| a.incident.slo_id.cmp(&b.incident.slo_id))
    });
}

/// Transitions that go out as one message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Batch {
    /// Names of the groups; no two messages about the same one are under way at a time.
    pub(super) keys: BTreeSet<Key>,
    pub(super) thread: Option<String>,
    pub(super) deliveries: Vec<Delivery>,
}

/// The name of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// One incident.
    Incident(String),
    /// Incidents of a service that were not told yet.
    Service(String),
    /// Incidents that share a message.
    Thread(String),
}

impl Key {
    /// Returns the group of a delivery. A fault of the agent itself and a drill are never
    /// hidden in a group.
    pub(super) fn of(delivery: &Delivery, grouping: Grouping) -> Self {
        let incident = &delivery.notice.incident;
        match &delivery.thread {
            _ if grouping == Grouping::Alone => Self::Incident(incident.id.clone()),
            Some(thread) => Self::Thread(thread.clone()),
            None if delivery.notice.own_fault.is_some() || delivery.notice.rehearsal.is_some() => {
                Self::Incident(incident.id.clone())
            }
            None => Self::Service(incident.service.clone()),
        }
    }
}

/// Groups that wait for more incidents.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The instant at which each group was seen first.
    since: BTreeMap<Key, Instant>,
}

impl Waiting {
    /// Returns the batches that wait no longer, and the instant at which the next one is ready.
    pub(super) fn ready(
        &mut self,
        batches: BTreeMap<Key, Batch>,
        wait: Duration,
        now: Instant,
    ) -> (Vec<Batch>, Option<Instant>) {
        self.since.retain(|key, _| batches.contains_key(key));
        for key in batches.keys() {
            self.since.entry(key.clone()).or_insert(now);
        }
        let (mut ready, mut next) = (Vec::new(), None::<Instant>);
        for batch in one_digest(batches) {
            let since = batch.keys.iter().filter_map(|key| self.since.get(key)).min().copied();
            let due = since.unwrap_or(now) + if batch.is_urgent() { Duration::ZERO } else { wait };
            if due <= now {
                ready.push(batch);
            } else {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        (ready, next)
    }

    /// Forgets groups whose message is under way.
    pub(super) fn forget(&mut self, keys: &BTreeSet<Key>) {
        self.since.retain(|key, _| !keys.contains(key));
    }
}

impl Batch {
    /// Returns whether it is sent at once: nothing can join it, or a known group starts to page.
    fn is_urgent(&self) -> bool {
        let alone = self.keys.iter().all(|key| matches!(key, Key::Incident(_)));
        let escalates = |delivery: &Delivery| {
            delivery.notice.change == Change::Escalated && delivery.notice.news.is_none()
        };
        alone || self.thread.is_some() && self.deliveries.iter().any(escalates)
    }
}

/// Makes one batch of the services that fail at once, when there are many.
fn one_digest(batches: BTreeMap<Key, Batch>) -> Vec<Batch> {
    let (new, mut others): (Vec<_>, Vec<_>) =
        batches.into_iter().partition(|(key, _)| matches!(key, Key::Service(_)));
    if new.len() < STORM {
        others.extend(new);
        return others.into_iter().map(|(_, batch)| batch).collect();
    }
    let mut digest = Batch { keys: BTreeSet::new(), thread: None, deliveries: Vec::new() };
    for (_, batch) in new {
        digest.keys.extend(batch.keys);
        digest.deliveries.extend(batch.deliveries);
    }
    digest.deliveries.sort_by_key(|delivery| delivery.id);
    std::iter::once(digest).chain(others.into_iter().map(|(_, batch)| batch)).collect()
}
