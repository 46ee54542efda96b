//! Attempts of one destination: what is due, one message at a time, recorded before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::field;

use super::{Ports, with_cause};
use crate::breaker::Breaker;
use crate::group::{Batch, Grouping, Key, Update, Waiting};
use crate::message::is_over;
use crate::{Receiver, Refused, Retry};
use lookout_ledger::LedgerError;
use lookout_model::{Delivery, DeliveryResult, END_REPEATED_FOR, Timestamp, TransitionRecord};
use lookout_runtime::events::names;

/// Number of deliveries read from the ledger at once, when each goes alone.
const ALONE: u32 = 32;
/// Number of deliveries read from the ledger at once, when a message has all of them in full.
const BATCHED: u32 = 100;
/// Number of deliveries read from the ledger at once, when they are grouped.
const GROUPED: u32 = 1000;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Time for which an incident joins the message about its service; a later one gets a message of its own.
const JOINS: Duration = Duration::from_secs(15 * 60);

/// State of the loop that delivers.
pub(super) struct Sender {
    pub(super) receiver: Arc<dyn Receiver>,
    pub(super) ports: Ports,
    pub(super) name: String,
    /// Open while the receiver takes nothing, so that it is tried once in a while, and not once for each message.
    pub(super) breaker: Breaker,
    /// The wall time and the monotonic time of the start: the time of retries never goes back.
    started: (Timestamp, Instant),
}

impl Sender {
    pub(super) fn new(receiver: Arc<dyn Receiver>, ports: Ports) -> Self {
        let (name, started) = (receiver.name().to_owned(), (ports.clock.now(), Instant::now()));
        Self { receiver, ports, name, breaker: Breaker::default(), started }
    }

    /// Returns the wall time of the start plus the time since then. Retries are due by it, so that a clock that is set
    /// back delays nothing.
    pub(super) fn now(&self) -> Timestamp {
        let (at, since) = self.started;
        at + since.elapsed()
    }

    /// Updates the gauges of waiting deliveries and of this task. Returns the instant at which the next delivery is
    /// due.
    pub(super) async fn show_progress(&self) -> Result<Option<Timestamp>, LedgerError> {
        let (due, waiting) = self.ports.ledger.waiting(&self.name).await?;
        metrics::gauge!(names::DELIVERIES_WAITING, "destination" => self.name.clone()).set(waiting as f64);
        let letters = self.ports.ledger.dead_letter_counts().await?;
        let dead = letters.get(&self.name).copied().unwrap_or_default();
        metrics::gauge!(names::DEAD_LETTERS, "destination" => self.name.clone()).set(dead as f64);
        metrics::gauge!(names::TASK_LAST_SUCCESS, "task" => format!("deliver {}", self.name))
            .set(self.ports.clock.now().as_seconds_f64());
        Ok(due)
    }

    /// Returns the messages to send now, and the instant at which the next one is complete. A group with a message
    /// under way is left out.
    pub(super) async fn ready(
        &self,
        waiting: &mut Waiting,
        busy: &BTreeSet<Key>,
    ) -> Result<(Vec<Batch>, Option<Instant>), LedgerError> {
        let grouping = self.receiver.grouping();
        let limit = match grouping {
            Grouping::Alone => ALONE.saturating_add(u32::try_from(busy.len()).unwrap_or(0)),
            Grouping::Batched => BATCHED.saturating_add(u32::try_from(busy.len()).unwrap_or(0)),
            Grouping::Followed | Grouping::Edited => GROUPED,
        };
        let due = self.ports.ledger.due_deliveries(&self.name, self.now(), limit).await?;
        self.show_progress().await?;
        let places: BTreeMap<i64, usize> =
            due.iter().enumerate().map(|(place, delivery)| (delivery.id, place)).collect();
        let mut joined: BTreeMap<String, Option<String>> = BTreeMap::new();
        let mut batches: BTreeMap<Key, Batch> = BTreeMap::new();
        for delivery in due {
            let mut key = Key::of(&delivery, grouping);
            if busy.contains(&key) {
                continue;
            }
            let mut thread = delivery.thread.clone();
            if let Key::Service(service) = &key {
                if !joined.contains_key(service) {
                    // what was told has instants of the wall clock, too
                    let since = self.ports.clock.now() - JOINS;
                    let found = self.ports.ledger.newest_conversation(&self.name, service, since).await?;
                    joined.insert(service.clone(), found);
                }
                thread = joined.get(service).cloned().flatten();
                key = thread.clone().map_or(key, Key::Thread);
                if busy.contains(&key) {
                    continue;
                }
            }
            let keys = BTreeSet::from([key.clone()]);
            let batch = batches.entry(key).or_insert(Batch { keys, thread, deliveries: Vec::new() });
            batch.deliveries.push(delivery);
        }
        if matches!(grouping, Grouping::Followed | Grouping::Edited) {
            self.join_retries(&mut batches).await?;
        }
        let (mut ready, next) = waiting.ready(batches, self.receiver.group_wait(), Instant::now());
        // in the order of the ledger: pages first, then what waits longest
        ready.sort_by_key(|batch| {
            batch.deliveries.iter().filter_map(|one| places.get(&one.id)).min().copied()
        });
        Ok((ready, next))
    }

    /// Adds to each shared message what waits for another try. It would be told anyway as the state of its incident, and
    /// then a second time on its own.
    async fn join_retries(&self, batches: &mut BTreeMap<Key, Batch>) -> Result<(), LedgerError> {
        if !batches.keys().any(|key| matches!(key, Key::Thread(_))) {
            return Ok(());
        }
        for delivery in self.ports.ledger.due_deliveries(&self.name, Timestamp::MAX, GROUPED).await? {
            let key = Key::of(&delivery, self.receiver.grouping());
            let batch = matches!(key, Key::Thread(_)).then(|| batches.get_mut(&key)).flatten();
            if let Some(batch) =
                batch.filter(|batch| batch.deliveries.iter().all(|one| one.id != delivery.id))
            {
                batch.deliveries.push(delivery);
            }
        }
        Ok(())
    }

    /// Makes one attempt, recorded before and after. Returns the pause that the receiver asks for.
    #[tracing::instrument(name = "deliver", level = "info", skip_all, fields(
        otel.kind = "client", otel.status_code = field::Empty, destination.name = %self.name,
        deliveries = batch.deliveries.len(), outcome = field::Empty,
    ))]
    pub(super) async fn attempt(
        &self,
        batch: Batch,
        stop: &CancellationToken,
    ) -> (BTreeSet<Key>, Result<Option<Duration>, LedgerError>) {
        let Batch { keys, thread, deliveries } = batch;
        let told = match &thread {
            Some(thread) if self.receiver.grouping() != Grouping::Alone => {
                self.ports.ledger.conversation(&self.name, thread).await
            }
            _ => Ok(Vec::new()),
        };
        let update = match told {
            Ok(told) => Update::new(deliveries, thread, told),
            Err(error) => return (keys, Err(error)),
        };
        let ids: Vec<i64> = update.deliveries.iter().map(|delivery| delivery.id).collect();
        if let Err(error) = self.ports.ledger.begin_attempts(&ids, self.now()).await {
            return (keys, Err(error));
        }
        let attempts = update.deliveries.iter().map(|delivery| delivery.attempts).max().unwrap_or(0);
        let failures = attempts.saturating_add(1);
        let answer = self.send(&update).await.map_err(|refused| self.bounded(refused, failures));
        let is_sent = self.is_sent(&update);
        if is_sent {
            self.note_health(&update, &answer);
        }
        let quiet = match &answer {
            Err(Refused { retry: Retry::After(wait), .. }) => Some(*wait),
            _ => None,
        };
        let result = self.classify(failures, answer);
        for delivery in &update.deliveries {
            self.log_result(delivery, &result);
        }
        let forwarded = match result {
            DeliveryResult::Failed { .. } => self.fall_back(&update).await,
            DeliveryResult::Delivered { .. } => self.end_at_fallback(&update).await,
            DeliveryResult::Retry { .. } | DeliveryResult::Unsure { .. } => Ok(()),
        };
        if let Err(error) = forwarded {
            // still begun: it is tried again
            return (keys, Err(error));
        }
        // what is not sent proves nothing about the receiver
        let ended_at = if is_sent { self.ports.clock.now() } else { Timestamp::EPOCH };
        self.record_result(&ids, (ended_at, &result), stop).await;
        (keys, Ok(quiet))
    }

    /// Gives refused transitions to the fallback, before they are recorded as refused: a crash in between repeats it.
    async fn fall_back(&self, update: &Update) -> Result<(), LedgerError> {
        let Some(fallback) = &self.ports.fallback else { return Ok(()) };
        for delivery in &update.deliveries {
            if self.ports.ledger.forward(&delivery.notice, fallback).await? {
                tracing::warn!(destination.name = %self.name, fallback, incident.id = %delivery.notice.incident.id,
                    "a refused message goes to the fallback");
            }
        }
        self.ports.wake.notify_waiters();
        Ok(())
    }

    /// Forwards the end of incidents that the fallback has heard of. Their alerts would stay open there for ever.
    async fn end_at_fallback(&self, update: &Update) -> Result<(), LedgerError> {
        let Some(fallback) = &self.ports.fallback else { return Ok(()) };
        for Delivery { notice, .. } in update.deliveries.iter().filter(|delivery| is_over(&delivery.notice)) {
            let known = self.ports.ledger.deliveries_of(&notice.incident.id).await?;
            if known.iter().any(|one| one.destination == *fallback)
                && self.ports.ledger.forward(notice, fallback).await?
            {
                self.ports.wake.notify_waiters();
            }
        }
        Ok(())
    }

    /// Returns whether a message is sent: some receivers are only told of what matters.
    fn is_sent(&self, update: &Update) -> bool {
        self.receiver.grouping() != Grouping::Followed || update.is_loud()
    }

    /// Sends the message, unless the receiver is only told of what matters. Returns the id of the message that the
    /// incidents share.
    async fn send(&self, update: &Update) -> Result<Option<String>, Refused> {
        if !self.is_sent(update) {
            return Ok(None);
        }
        let grouping = self.receiver.grouping();
        let sent = match update.deliveries.as_slice() {
            [delivery] if update.members.len() == 1 => self.receiver.deliver(delivery).await?,
            _ => self.receiver.deliver_group(update).await?,
        };
        if grouping == Grouping::Alone {
            return Ok(sent);
        }
        // a receiver without ids of its own gets the id of the incident that began the message
        let first = update.deliveries.first().map(|delivery| delivery.notice.incident.id.clone());
        Ok(sent.or_else(|| update.thread.clone()).or(first))
    }

    /// Opens or closes the breaker.
    fn note_health(&self, update: &Update, answer: &Result<Option<String>, Refused>) {
        match (answer, update.deliveries.first()) {
            (Err(Refused { retry: Retry::BackOff | Retry::Unsure, .. }), Some(first)) => {
                self.breaker.fail(first.id);
            }
            _ => self.breaker.close(),
        }
    }

    fn classify(&self, failures: u32, answer: Result<Option<String>, Refused>) -> DeliveryResult {
        let Refused { error, retry } = match answer {
            Ok(thread) => return DeliveryResult::Delivered { thread },
            Err(refused) => refused,
        };
        let now = self.now();
        let after = |wait: Duration| now + wait;
        let back_off = || after(self.pause(failures));
        match retry {
            Retry::After(wait) => DeliveryResult::Retry { at: after(wait), error },
            Retry::BackOff => DeliveryResult::Retry { at: back_off(), error },
            Retry::Unsure => DeliveryResult::Unsure { at: back_off(), error },
            Retry::Never => DeliveryResult::Failed { error },
        }
    }

    fn log_result(&self, delivery: &Delivery, result: &DeliveryResult) {
        let (incident, change) = (&delivery.notice.incident.id, delivery.notice.word());
        let attempt = delivery.attempts.saturating_add(1);
        let outcome = match result {
            DeliveryResult::Delivered { .. } => {
                tracing::info!(destination.name = %self.name, incident.id = %incident, change, attempt,
                    "delivered");
                "delivered"
            }
            DeliveryResult::Retry { error, .. } | DeliveryResult::Unsure { error, .. } => {
                tracing::warn!(destination.name = %self.name, incident.id = %incident, change, attempt,
                    error = %error, "not delivered, will be tried again");
                "retry"
            }
            DeliveryResult::Failed { error } => {
                tracing::error!(destination.name = %self.name, incident.id = %incident, change, attempt,
                    error = %error, "not delivered, and the receiver will never take it");
                "failed"
            }
        };
        let span = tracing::Span::current();
        span.record("outcome", outcome);
        if outcome != "delivered" {
            span.record("otel.status_code", "ERROR");
        }
        metrics::counter!(names::DELIVERIES, "destination" => self.name.clone(), "outcome" => outcome)
            .increment(1);
    }

    /// Records the result of an attempt, and repeats that until the ledger accepts it: without the record the message
    /// would be sent twice.
    async fn record_result(
        &self,
        deliveries: &[i64],
        (ended_at, result): (Timestamp, &DeliveryResult),
        stop: &CancellationToken,
    ) {
        let mut failures = 0_u32;
        while let Err(error) = self.ports.ledger.end_attempts(deliveries, ended_at, result).await {
            failures = failures.saturating_add(1);
            tracing::error!(destination.name = %self.name, error = %with_cause(&error),
                "the outcome of a delivery cannot be noted");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.pause(failures)) => {}
            }
        }
    }

    pub(super) async fn refresh(&self) -> Result<(), String> {
        let since = self.ports.clock.now() - END_REPEATED_FOR;
        let latest = self.ports.ledger.latest_transitions(since).await;
        let mut latest = latest.map_err(|error| with_cause(&error))?;
        // an end is repeated once it was told: before that, a delivery still tells what came before it
        let waiting = self.ports.ledger.latest_of_waiting(&self.name).await;
        let waiting = waiting.map_err(|error| with_cause(&error))?;
        let slo = |one: &TransitionRecord| (one.incident.service.clone(), one.incident.slo.clone());
        let ends: BTreeSet<_> = waiting.iter().filter(|one| is_over(&one.notice)).map(slo).collect();
        latest.retain(|one| !is_over(&one.notice) || !ends.contains(&slo(one)));
        self.receiver.refresh(&latest).await.map_err(|refused| refused.error)
    }

    /// Limits the pause that a receiver asks for. It may be longer than the usual one, up to a minute, so that no page
    /// waits for an hour. It may not be shorter: a receiver that fails at once and asks for an immediate retry would
    /// keep the agent busy.
    fn bounded(&self, refused: Refused, failures: u32) -> Refused {
        match refused.retry {
            Retry::After(asked) => {
                Refused { retry: Retry::After(asked.min(LONGEST_PAUSE).max(self.pause(failures))), ..refused }
            }
            Retry::BackOff | Retry::Unsure | Retry::Never => refused,
        }
    }

    /// Returns the pause after this number of failures in a row.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10));
        self.ports.random.jitter(doubled.min(LONGEST_PAUSE))
    }
}
