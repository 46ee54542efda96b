//! One destination's outbox: an idempotent loop over the deliveries that are due.
//!
//! All state is in the ledger: deliveries that are due, attempts and results. So a restart continues where the last
//! process was stopped or killed.

mod overdue;
mod sender;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::sender::Sender;
use super::Receiver;
use super::group::{Batch, Key, Waiting};
use lookout_ledger::{DeliveryStore, LedgerError};
use lookout_model::Timestamp;
use lookout_runtime::clock::Clock;
use lookout_runtime::events::names;
use lookout_runtime::random::Random;

/// Dependencies of an outbox.
#[derive(Clone)]
pub struct Ports {
    /// The ledger, which holds the deliveries.
    pub ledger: Arc<dyn DeliveryStore>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness that spreads retries.
    pub random: Arc<Random>,
    /// The signal (`notify_waiters`) that deliveries were stored.
    pub wake: Arc<Notify>,
    /// The destination that gets what the receiver refuses for good, and pages that it does not take within a minute.
    pub fallback: Option<String>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// Longest time between two reads of the ledger: the wall clock may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Delivers to one receiver everything that is due for it, until it is stopped. Attempts in flight are finished first.
pub async fn run(receiver: Arc<dyn Receiver>, ports: Ports, stop: CancellationToken) {
    // a refresh or a read that hangs delays no delivery
    tokio::join!(
        deliver(Arc::clone(&receiver), ports.clone(), stop.clone()),
        overdue::run(receiver.name().to_owned(), ports.clone(), stop.clone()),
        refresh(Arc::clone(&receiver), ports, stop.clone()),
        read_back(receiver, stop)
    );
}

/// Reads again and again what a receiver does with what it was sent.
async fn read_back(receiver: Arc<dyn Receiver>, stop: CancellationToken) {
    let Some(every) = receiver.read_back_every() else { return };
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = receiver.read_back() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

async fn deliver(receiver: Arc<dyn Receiver>, ports: Ports, stop: CancellationToken) {
    let mut outbox = Outbox::new(receiver, ports);
    while !stop.is_cancelled() {
        let wake = Arc::clone(&outbox.sender.ports.wake);
        let woken = wake.notified();
        tokio::pin!(woken);
        // from here on no wake-up is missed, not even one during a round of deliveries
        woken.as_mut().enable();
        let sleep = outbox.deliver_due(&stop).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = woken => {}
            () = tokio::time::sleep_until(sleep) => {}
        }
    }
}

/// Repeats the present state to a receiver that forgets it.
async fn refresh(receiver: Arc<dyn Receiver>, ports: Ports, stop: CancellationToken) {
    let Some(every) = receiver.refresh_every() else { return };
    let sender = Sender::new(receiver, ports);
    let mut failures = 0_u32;
    loop {
        let pause = match sender.refresh().await {
            Ok(()) => {
                failures = 0;
                every
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures == 1 {
                    tracing::warn!(destination.name = %sender.name, error, "not refreshed");
                }
                sender.pause(failures).min(every)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The loop that delivers, and its state.
struct Outbox {
    sender: Sender,
    /// The end of the pause that the receiver asked for.
    quiet_until: Option<Instant>,
    /// Groups that wait for more incidents.
    waiting: Waiting,
    /// The instant at which the next group is complete.
    next_group: Option<Instant>,
    ledger_failures: u32,
}

impl Outbox {
    fn new(receiver: Arc<dyn Receiver>, ports: Ports) -> Self {
        let sender = Sender::new(receiver, ports);
        // from zero, so that the first of each is an increase
        for outcome in ["delivered", "retry", "failed", "expired"] {
            metrics::counter!(names::DELIVERIES, "destination" => sender.name.clone(), "outcome" => outcome)
                .increment(0);
        }
        Self { sender, quiet_until: None, waiting: Waiting::default(), next_group: None, ledger_failures: 0 }
    }

    /// Delivers everything that is due. Returns when something may be due again.
    async fn deliver_due(&mut self, stop: &CancellationToken) -> Instant {
        match self.try_deliver_due(stop).await {
            Ok(next) => {
                self.ledger_failures = 0;
                next
            }
            Err(error) => {
                self.ledger_failures = self.ledger_failures.saturating_add(1);
                let pause = self.sender.pause(self.ledger_failures);
                tracing::error!(destination.name = %self.sender.name, error = %with_cause(&error),
                    pause_seconds = pause.as_secs_f64(), "the outbox cannot use the ledger");
                Instant::now() + pause
            }
        }
    }

    async fn try_deliver_due(&mut self, stop: &CancellationToken) -> Result<Instant, LedgerError> {
        if self.quiet_until.is_some_and(|until| until <= Instant::now()) {
            self.quiet_until = None;
        }
        if self.quiet_until.is_none() {
            self.drain(stop).await?;
        }
        Ok(self.next_wakeup(self.sender.show_progress().await?))
    }

    fn next_wakeup(&self, due: Option<Timestamp>) -> Instant {
        let now = Instant::now();
        let next = due.map(|due| now + due.since(self.sender.now()).min(LONGEST_SLEEP));
        let next = next.unwrap_or(now + LONGEST_SLEEP);
        // what waits for its group is due, and is not sent before that group is complete
        let next = self.next_group.map_or(next, |ready| next.max(ready));
        // nothing is sent before the pause of the receiver is over, or that of a receiver that takes nothing
        let pause = self.quiet_until.max(self.sender.breaker.open_until());
        pause.map_or(next, |until| next.max(until)).min(now + LONGEST_SLEEP)
    }

    /// Delivers until nothing is due. It serves as many groups at a time as the receiver allows; the transitions of
    /// one group are sent one after the other.
    async fn drain(&mut self, stop: &CancellationToken) -> Result<(), LedgerError> {
        let Self { sender, quiet_until, waiting, next_group, .. } = self;
        let most = sender.receiver.concurrency().max(1);
        let mut flights = FuturesUnordered::new();
        let mut busy: BTreeSet<Key> = BTreeSet::new();
        let mut queue: VecDeque<Batch> = VecDeque::new();
        let mut failure = None;
        let woken = Arc::clone(&sender.ports.wake);
        let wake = woken.notified();
        tokio::pin!(wake);
        wake.as_mut().enable();
        loop {
            let open = quiet_until.is_none() && sender.breaker.is_closed();
            let go_on = failure.is_none() && open && !stop.is_cancelled();
            if go_on && flights.len() < most {
                if queue.is_empty() {
                    match sender.ready(waiting, &busy).await {
                        Ok((batches, next)) => {
                            queue.extend(batches);
                            *next_group = next;
                        }
                        Err(error) => failure = Some(error),
                    }
                }
                while let Some(batch) = (flights.len() < most).then(|| queue.pop_front()).flatten() {
                    busy.extend(batch.keys.iter().cloned());
                    waiting.forget(&batch.keys);
                    flights.push(sender.attempt(batch, stop));
                }
            }
            let group = next_group.filter(|_| go_on && !flights.is_empty() && flights.len() < most);
            let ended = tokio::select! {
                ended = flights.next() => ended,
                // new deliveries wait neither for an attempt that hangs nor for the round that was read before
                () = wake.as_mut(), if go_on && !flights.is_empty() => {
                    wake.set(woken.notified());
                    wake.as_mut().enable();
                    queue.clear();
                    continue;
                }
                () = tokio::time::sleep_until(group.unwrap_or_else(Instant::now)), if group.is_some() => continue,
            };
            match ended {
                None => return failure.map_or(Ok(()), Err),
                Some((keys, Ok(quiet))) => {
                    busy.retain(|key| !keys.contains(key));
                    let until = quiet.map(|wait| Instant::now() + wait);
                    *quiet_until = (*quiet_until).max(until);
                }
                Some((_, Err(error))) => failure = Some(error),
            }
        }
    }
}

fn with_cause(error: &LedgerError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod urgency_tests;
