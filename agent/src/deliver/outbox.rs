//! One destination's outbox: an idempotent drain of what the ledger says is due.
//!
//! It keeps no state that matters: what is due, what was attempted and what is over stands in the ledger, so that a
//! restart goes on where the last process was stopped or killed.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Receiver, Refused, Retry};
use crate::clock::Clock;
use crate::events::names;
use crate::ledger::{Delivery, DeliveryResult, Ledger, LedgerError};
use crate::random::Random;

/// The outside of an outbox.
#[derive(Clone)]
pub struct Ports {
    /// Where deliveries wait.
    pub ledger: Arc<dyn Ledger>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Spreads retries.
    pub random: Arc<Random>,
    /// Told (`notify_waiters`) when deliveries were stored.
    pub wake: Arc<Notify>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// Deliveries taken from the ledger at once.
const BATCH: u32 = 32;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The ledger is asked again after this, whatever it said, because the wall clock may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Refreshes cover incidents that were resolved so long ago at most.
const REFRESH_RESOLVED_MS: i64 = 15 * 60_000;

/// Tells one receiver everything that is due for it, until it is stopped. An attempt in flight is finished first.
pub async fn run(receiver: Arc<dyn Receiver>, ports: Ports, stop: CancellationToken) {
    let mut outbox = Outbox::new(receiver, ports);
    while !stop.is_cancelled() {
        let wake = Arc::clone(&outbox.ports.wake);
        let woken = wake.notified();
        tokio::pin!(woken);
        // from here on no wake-up is missed, also not one during the drain
        woken.as_mut().enable();
        let sleep = outbox.turn(&stop).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = woken => {}
            () = tokio::time::sleep_until(sleep) => {}
        }
    }
}

struct Outbox {
    receiver: Arc<dyn Receiver>,
    ports: Ports,
    name: String,
    /// The receiver asked for silence until then.
    quiet_until: Option<Instant>,
    next_refresh: Option<Instant>,
    failed_refreshes: u32,
    ledger_failures: u32,
}

impl Outbox {
    fn new(receiver: Arc<dyn Receiver>, ports: Ports) -> Self {
        let name = receiver.name().to_owned();
        let next_refresh = receiver.refresh_every().map(|_| Instant::now());
        Self {
            receiver,
            ports,
            name,
            quiet_until: None,
            next_refresh,
            failed_refreshes: 0,
            ledger_failures: 0,
        }
    }

    /// Does what is to be done now. Returns when there is something to do next.
    async fn turn(&mut self, stop: &CancellationToken) -> Instant {
        match self.try_turn(stop).await {
            Ok(next) => {
                self.ledger_failures = 0;
                metrics::gauge!(names::TASK_LAST_SUCCESS, "task" => format!("deliver {}", self.name))
                    .set(self.ports.clock.now_ms() as f64 / 1000.0);
                next
            }
            Err(error) => {
                self.ledger_failures = self.ledger_failures.saturating_add(1);
                let pause = self.pause(self.ledger_failures);
                tracing::error!(destination.name = %self.name, error = %with_cause(&error),
                    pause_seconds = pause.as_secs_f64(), "the outbox cannot use the ledger");
                Instant::now() + pause
            }
        }
    }

    async fn try_turn(&mut self, stop: &CancellationToken) -> Result<Instant, LedgerError> {
        if self.quiet_until.is_some_and(|until| until <= Instant::now()) {
            self.quiet_until = None;
        }
        if self.quiet_until.is_none() {
            self.drain(stop).await?;
        }
        if self.quiet_until.is_none() && !stop.is_cancelled() {
            self.refresh().await?;
        }
        let (due_ms, waiting) = self.ports.ledger.waiting(&self.name).await?;
        metrics::gauge!(names::DELIVERIES_WAITING, "destination" => self.name.clone()).set(waiting as f64);
        Ok(self.next_turn(due_ms))
    }

    fn next_turn(&self, due_ms: Option<i64>) -> Instant {
        let now = Instant::now();
        let due = due_ms.map(|due_ms| {
            let wait_ms = due_ms.saturating_sub(self.ports.clock.now_ms());
            now + Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).min(LONGEST_SLEEP)
        });
        let next = [due, self.next_refresh].into_iter().flatten().min().unwrap_or(now + LONGEST_SLEEP);
        // nothing goes out before the receiver wants to hear again
        self.quiet_until.map_or(next, |until| next.max(until)).min(now + LONGEST_SLEEP)
    }

    async fn drain(&mut self, stop: &CancellationToken) -> Result<(), LedgerError> {
        loop {
            let now_ms = self.ports.clock.now_ms();
            let due = self.ports.ledger.due_deliveries(&self.name, now_ms, BATCH).await?;
            if due.is_empty() {
                return Ok(());
            }
            for delivery in &due {
                if stop.is_cancelled() || self.attempt(delivery, stop).await?.is_break() {
                    return Ok(());
                }
            }
        }
    }

    /// One attempt, noted before and after. Breaks when the receiver wants silence.
    async fn attempt(
        &mut self,
        delivery: &Delivery,
        stop: &CancellationToken,
    ) -> Result<ControlFlow<()>, LedgerError> {
        self.ports.ledger.begin_attempt(delivery.id, self.ports.clock.now_ms()).await?;
        let answer = self.receiver.deliver(delivery).await;
        if let Err(Refused { retry: Retry::After(wait), .. }) = &answer {
            self.quiet_until = Some(Instant::now() + *wait);
        }
        let result = self.judge(delivery, answer);
        self.tell_of(delivery, &result);
        self.note(delivery, &result, stop).await;
        Ok(if self.quiet_until.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn judge(&self, delivery: &Delivery, answer: Result<Option<String>, Refused>) -> DeliveryResult {
        let Refused { error, retry } = match answer {
            Ok(thread) => return DeliveryResult::Delivered { thread },
            Err(refused) => refused,
        };
        let now_ms = self.ports.clock.now_ms();
        let after =
            |wait: Duration| now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let back_off = || after(self.pause(delivery.attempts.saturating_add(1)));
        match retry {
            Retry::After(wait) => DeliveryResult::Retry { at_ms: after(wait), error },
            Retry::BackOff => DeliveryResult::Retry { at_ms: back_off(), error },
            Retry::Unsure => DeliveryResult::Unsure { at_ms: back_off(), error },
            Retry::Never => DeliveryResult::Failed { error },
        }
    }

    fn tell_of(&self, delivery: &Delivery, result: &DeliveryResult) {
        let (incident, change) = (&delivery.notice.incident.id, &delivery.notice.change);
        let attempt = delivery.attempts.saturating_add(1);
        let outcome = match result {
            DeliveryResult::Delivered { .. } => {
                tracing::info!(destination.name = %self.name, incident.id = %incident, change = %change, attempt,
                    "delivered");
                "delivered"
            }
            DeliveryResult::Retry { error, .. } | DeliveryResult::Unsure { error, .. } => {
                tracing::warn!(destination.name = %self.name, incident.id = %incident, change = %change, attempt,
                    error = %error, "not delivered, will be tried again");
                "retry"
            }
            DeliveryResult::Failed { error } => {
                tracing::error!(destination.name = %self.name, incident.id = %incident, change = %change, attempt,
                    error = %error, "not delivered, and the receiver will never take it");
                "failed"
            }
        };
        metrics::counter!(names::DELIVERIES, "destination" => self.name.clone(), "outcome" => outcome)
            .increment(1);
    }

    /// Notes what became of an attempt, however long the ledger needs: forgetting it would mean telling twice.
    async fn note(&self, delivery: &Delivery, result: &DeliveryResult, stop: &CancellationToken) {
        let mut failures = 0_u32;
        while let Err(error) =
            self.ports.ledger.end_attempt(delivery.id, self.ports.clock.now_ms(), result).await
        {
            failures = failures.saturating_add(1);
            tracing::error!(destination.name = %self.name, error = %with_cause(&error),
                "the outcome of a delivery cannot be noted");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.pause(failures)) => {}
            }
        }
    }

    async fn refresh(&mut self) -> Result<(), LedgerError> {
        let (Some(every), Some(at)) = (self.receiver.refresh_every(), self.next_refresh) else {
            return Ok(());
        };
        if Instant::now() < at {
            return Ok(());
        }
        let since_ms = self.ports.clock.now_ms().saturating_sub(REFRESH_RESOLVED_MS);
        let latest = self.ports.ledger.latest_transitions(since_ms).await?;
        let pause = match self.receiver.refresh(&latest).await {
            Ok(()) => {
                self.failed_refreshes = 0;
                every
            }
            Err(refused) => {
                self.failed_refreshes = self.failed_refreshes.saturating_add(1);
                if self.failed_refreshes == 1 {
                    tracing::warn!(destination.name = %self.name, error = %refused.error, "not refreshed");
                }
                match refused.retry {
                    Retry::After(wait) => wait,
                    Retry::BackOff | Retry::Unsure => self.pause(self.failed_refreshes).min(every),
                    Retry::Never => every,
                }
            }
        };
        self.next_refresh = Some(Instant::now() + pause);
        Ok(())
    }

    /// The pause after so many failures in a row.
    fn pause(&self, failures: u32) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10));
        self.ports.random.jitter(doubled.min(LONGEST_PAUSE))
    }
}

fn with_cause(error: &LedgerError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
