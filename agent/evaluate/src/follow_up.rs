//! Messages that follow from time and from people, not from measurements: a page is repeated, nobody acknowledged it, a
//! silence is over, the hours of a destination begin.
//!
//! All state is in the ledger. Each pass compares what was told with what should have been told, and adds the difference.
//! So a restart neither loses nor repeats a message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lookout_config::{Config, Destination, Slo};
use lookout_engine::{Change, Severity};
use lookout_ledger::{Ledger, LedgerError};
use lookout_model::{
    DestinationMessage, END_REPEATED_FOR, Followed, News, SilenceRecord, Timestamp, TransitionRecord,
};
use lookout_runtime::clock::Clock;
use lookout_runtime::events::chain;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::silence::silence_of;

/// Least time between two passes.
const PASS_EVERY: Duration = Duration::from_secs(1);
/// Share of the time that passes may take: many incidents are looked at less often.
const PAUSE_PER_PASS: u32 = 20;

/// Dependencies of the loop.
#[derive(Clone)]
pub struct FollowUpPorts {
    /// The ledger, which holds incidents and deliveries.
    pub ledger: Arc<dyn Ledger>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The present configuration.
    pub config: watch::Receiver<Arc<Config>>,
    /// The signal that deliveries were stored.
    pub wake: Arc<Notify>,
}

/// The age of messages, which a clock that is set back does not reduce.
#[derive(Debug, Default)]
struct Ages(BTreeMap<(String, String, Timestamp), Instant>);

impl Ages {
    /// Notes the messages about open incidents, and forgets those about others.
    fn note(&mut self, followed: &[Followed]) {
        let before = std::mem::take(&mut self.0);
        for one in followed.iter().filter(|one| one.incident.resolved_at.is_none()) {
            for told in &one.told {
                let key = Self::key(one, told);
                let seen = before.get(&key).copied().unwrap_or_else(Instant::now);
                self.0.insert(key, seen);
            }
        }
    }

    fn key(followed: &Followed, told: &DestinationMessage) -> (String, String, Timestamp) {
        (followed.incident.id.clone(), told.destination.clone(), told.at)
    }

    /// Returns whether a message was told at least so long ago: by the wall clock, or since it was first seen.
    fn is_over(&self, followed: &Followed, told: &DestinationMessage, age: Duration, now: Timestamp) -> bool {
        let seen = self.0.get(&Self::key(followed, told));
        told.at + age <= now || seen.is_some_and(|seen| seen.elapsed() >= age)
    }
}

/// A message that is due.
#[derive(Debug, Clone, PartialEq)]
enum DueMessage {
    /// News for a destination.
    News { destination: String, news: News },
    /// The end, for a destination that was told of the incident while it ended.
    End { destination: String },
}

/// Adds the messages that are due, until it is stopped.
pub async fn follow_up(ports: FollowUpPorts, stop: CancellationToken) {
    let mut ages = Ages::default();
    loop {
        let begun = Instant::now();
        let config = Arc::clone(&ports.config.borrow());
        match pass_with(&*ports.ledger, &config, &mut ages, ports.clock.now()).await {
            Ok(0) => {}
            Ok(_) => ports.wake.notify_waiters(),
            Err(error) => tracing::warn!(error = chain(&error), "open incidents are not followed up"),
        }
        let pause = PASS_EVERY.max(begun.elapsed() * PAUSE_PER_PASS);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Adds the messages that are due at an instant, for a process that has just begun. Returns how many.
#[cfg(test)]
pub(super) async fn pass(ledger: &dyn Ledger, config: &Config, now: Timestamp) -> Result<usize, LedgerError> {
    pass_with(ledger, config, &mut Ages::default(), now).await
}

/// Adds the messages that are due at an instant of the wall clock. Returns how many.
async fn pass_with(
    ledger: &dyn Ledger,
    config: &Config,
    ages: &mut Ages,
    now: Timestamp,
) -> Result<usize, LedgerError> {
    let followed = ledger.followed(now - END_REPEATED_FOR).await?;
    ages.note(&followed);
    if followed.is_empty() {
        return Ok(0);
    }
    // while nobody knows what is silenced, everything is told
    let silences = ledger.silences(now).await.unwrap_or_default();
    let slos: BTreeMap<String, &Slo> = config.slos.iter().map(|slo| (slo.id(), slo)).collect();
    let of = |one: &Followed| {
        let slo = slos.get(&one.incident.slo_id).copied();
        (one.changed_at, due(config, slo, &silences, one, (ages, now)))
    };
    let due: BTreeMap<String, (Timestamp, Vec<DueMessage>)> = followed
        .iter()
        .map(|one| (one.incident.id.clone(), of(one)))
        .filter(|(_, (_, due))| !due.is_empty())
        .collect();
    if due.is_empty() {
        return Ok(0);
    }
    let latest = ledger.latest_transitions(now - END_REPEATED_FOR).await?;
    let mut added = 0;
    for transition in latest {
        let known = due.get(&transition.incident.id);
        // what has changed meanwhile is looked at with the next pass
        let Some((_, due)) = known.filter(|(changed_at, _)| *changed_at == transition.at) else { continue };
        added += due.len();
        // after all that was told, also when the clock was set back
        let told = followed.iter().filter(|one| one.incident.id == transition.incident.id);
        let last = told.flat_map(|one| &one.told).map(|told| told.at + Timestamp::TICK).max();
        add(ledger, &transition, due, now.max(transition.at).max(last.unwrap_or(now))).await?;
    }
    Ok(added)
}

/// Stores the messages about one incident. Each kind of news is one record, so that they differ in time by a tick.
async fn add(
    ledger: &dyn Ledger,
    transition: &TransitionRecord,
    due: &[DueMessage],
    now: Timestamp,
) -> Result<(), LedgerError> {
    let mut grouped: Vec<(News, Vec<String>)> = Vec::new();
    for one in due {
        match one {
            DueMessage::End { destination } => {
                ledger.forward(&transition.notice, destination).await?;
            }
            DueMessage::News { destination, news } => {
                match grouped.iter_mut().find(|(known, _)| known == news) {
                    Some((_, names)) => names.push(destination.clone()),
                    None => grouped.push((news.clone(), vec![destination.clone()])),
                }
            }
        }
    }
    let mut at = now;
    let mut records = Vec::new();
    for (news, destinations) in grouped {
        tracing::info!(
            incident.id = transition.incident.id,
            news = news.as_str(),
            destinations = destinations.join(","),
            "an open incident is told"
        );
        records.push(transition.with_news(news, at, destinations));
        at += Timestamp::TICK;
    }
    if records.is_empty() { Ok(()) } else { ledger.commit(&[], &records).await }
}

/// Returns what must be told about an incident.
fn due(
    config: &Config,
    slo: Option<&Slo>,
    silences: &[SilenceRecord],
    followed: &Followed,
    (ages, now): (&Ages, Timestamp),
) -> Vec<DueMessage> {
    if followed.incident.resolved_at.is_some() {
        return ends(config, followed);
    }
    let silenced = slo.is_some_and(|slo| {
        !followed.unrouted && silence_of(silences, slo, followed.incident.severity, now).is_some()
    });
    if silenced {
        return Vec::new();
    }
    let late = |destination: &Destination| {
        let taken = slo.is_some_and(|slo| destination.takes(slo, followed.incident.severity, now));
        let unaware = !followed.unrouted && taken && told_since(followed, destination).is_none();
        unaware.then(|| News::Late { silence: followed.silence.clone() })
    };
    let mut due = Vec::new();
    for destination in &config.destinations {
        let name = || destination.name.clone();
        if let Some(news) = late(destination).or_else(|| repeated(destination, followed, (ages, now))) {
            due.push(DueMessage::News { destination: name(), news });
        }
        if let Some((to, news)) = escalated(config, destination, followed, (ages, now)) {
            due.push(DueMessage::News { destination: to, news });
        }
    }
    due
}

/// Returns the last message to a destination since the incident became as severe as it is.
fn told_since<'f>(followed: &'f Followed, destination: &Destination) -> Option<&'f DestinationMessage> {
    // who was told of a page knows of the ticket that is left
    let alarmed_at = match followed.change {
        Change::Opened | Change::Reopened | Change::Escalated => followed.changed_at,
        Change::Eased | Change::Resolved => Timestamp::MIN,
    };
    let told = followed.told.iter().rev().find(|told| told.destination == destination.name);
    told.filter(|told| told.at >= alarmed_at)
}

/// Returns a repetition, if the page was told as long ago as the destination asks for.
fn repeated(destination: &Destination, followed: &Followed, (ages, now): (&Ages, Timestamp)) -> Option<News> {
    let interval = destination.route.repeat_interval?;
    let told = told_since(followed, destination)?;
    let due = followed.incident.severity == Severity::Page
        && destination.route.is_active(now)
        && ages.is_over(followed, told, interval, now);
    due.then_some(News::Repeated)
}

/// Returns the escalation of a page that nobody acknowledged since the destination was told of it.
fn escalated(
    config: &Config,
    destination: &Destination,
    followed: &Followed,
    (ages, now): (&Ages, Timestamp),
) -> Option<(String, News)> {
    let escalate = destination.route.escalate.as_ref()?;
    let (since, incident) = (followed.changed_at, &followed.incident);
    let page = incident.severity == Severity::Page && incident.resolved_at.is_none();
    let known = config.destinations.iter().any(|one| one.name == escalate.to);
    // an acknowledgement of the ticket before says nothing about the page
    let answered = followed.acknowledgement.as_ref().is_some_and(|answer| answer.at >= since);
    let mut heard = followed.told.iter().filter(|told| told.at >= since);
    let first = heard.clone().find(|told| told.destination == destination.name)?;
    let handed_over = heard.any(|told| {
        let from_here =
            matches!(&told.news, Some(News::Unacknowledged { from, .. }) if *from == destination.name);
        from_here && told.destination == escalate.to
    });
    let due =
        page && known && !answered && !handed_over && ages.is_over(followed, first, escalate.after, now);
    let news = News::Unacknowledged { from: destination.name.clone(), after_s: escalate.after.as_secs() };
    due.then(|| (escalate.to.clone(), news))
}

/// Returns the destinations that were told of an incident while it ended, and not of its end.
fn ends(config: &Config, followed: &Followed) -> Vec<DueMessage> {
    if followed.change != Change::Resolved {
        return Vec::new();
    }
    let unaware = |destination: &&Destination| {
        let mut told = followed.told.iter().filter(|told| told.destination == destination.name);
        told.clone().next().is_some()
            && !told.any(|told| told.change == Change::Resolved && told.at >= followed.changed_at)
    };
    let unaware = config.destinations.iter().filter(unaware);
    unaware.map(|destination| DueMessage::End { destination: destination.name.clone() }).collect()
}

#[cfg(test)]
mod tests;
