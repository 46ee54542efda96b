//! One destination's outbox: an idempotent loop over the deliveries that are due.
//!
//! All state is in the ledger: deliveries that are due, attempts and results. So a restart continues where the last
//! process was stopped or killed.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Receiver, Refused, Retry};
use lookout_ledger::{Ledger, LedgerError};
use lookout_model::{Delivery, DeliveryResult, Timestamp};
use lookout_runtime::clock::Clock;
use lookout_runtime::events::names;
use lookout_runtime::random::Random;

/// Dependencies of an outbox.
#[derive(Clone)]
pub struct Ports {
    /// The ledger, which holds the deliveries.
    pub ledger: Arc<dyn Ledger>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness that spreads retries.
    pub random: Arc<Random>,
    /// The signal (`notify_waiters`) that deliveries were stored.
    pub wake: Arc<Notify>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// Number of deliveries read from the ledger at once.
const BATCH: u32 = 32;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Longest time between two reads of the ledger: the wall clock may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Largest age of a resolved incident that refreshes cover.
const REFRESH_RESOLVED: Duration = Duration::from_secs(15 * 60);

/// Delivers to one receiver everything that is due for it, until it is stopped. Attempts in flight are finished first.
pub async fn run(receiver: Arc<dyn Receiver>, ports: Ports, stop: CancellationToken) {
    // a refresh that hangs delays no delivery
    tokio::join!(
        deliver(Arc::clone(&receiver), ports.clone(), stop.clone()),
        refresh(Arc::clone(&receiver), ports, stop)
    );
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

/// State of the loop that delivers.
struct Sender {
    receiver: Arc<dyn Receiver>,
    ports: Ports,
    name: String,
    /// The wall time and the monotonic time of the start: the time of retries never goes back.
    started: (Timestamp, Instant),
}

struct Outbox {
    sender: Sender,
    /// The end of the pause that the receiver asked for.
    quiet_until: Option<Instant>,
    ledger_failures: u32,
}

impl Outbox {
    fn new(receiver: Arc<dyn Receiver>, ports: Ports) -> Self {
        let sender = Sender::new(receiver, ports);
        // from zero, so that the first of each is an increase
        for outcome in ["delivered", "retry", "failed"] {
            metrics::counter!(names::DELIVERIES, "destination" => sender.name.clone(), "outcome" => outcome)
                .increment(0);
        }
        Self { sender, quiet_until: None, ledger_failures: 0 }
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
        // nothing is sent before the pause of the receiver is over
        self.quiet_until.map_or(next, |until| next.max(until)).min(now + LONGEST_SLEEP)
    }

    /// Delivers until nothing is due. It serves as many incidents at a time as the receiver allows; the transitions of
    /// one incident are sent one after the other.
    async fn drain(&mut self, stop: &CancellationToken) -> Result<(), LedgerError> {
        let sender = &self.sender;
        let most = sender.receiver.concurrency().max(1);
        let mut flights = FuturesUnordered::new();
        let mut busy: BTreeSet<i64> = BTreeSet::new();
        let mut queue: VecDeque<Delivery> = VecDeque::new();
        let mut failure = None;
        loop {
            let go_on = failure.is_none() && self.quiet_until.is_none() && !stop.is_cancelled();
            let wake = sender.ports.wake.notified();
            tokio::pin!(wake);
            wake.as_mut().enable();
            if go_on && flights.len() < most {
                if queue.is_empty() {
                    let limit = BATCH.saturating_add(u32::try_from(busy.len()).unwrap_or(0));
                    match sender.ports.ledger.due_deliveries(&sender.name, sender.now(), limit).await {
                        Ok(due) => queue.extend(due.into_iter().filter(|one| !busy.contains(&one.id))),
                        Err(error) => failure = Some(error),
                    }
                    if let Err(error) = sender.show_progress().await {
                        failure = Some(error);
                    }
                }
                while let Some(delivery) = (flights.len() < most).then(|| queue.pop_front()).flatten() {
                    busy.insert(delivery.id);
                    flights.push(sender.attempt(delivery, stop));
                }
            }
            let ended = tokio::select! {
                ended = flights.next() => ended,
                // new deliveries do not wait for an attempt that hangs
                () = wake, if go_on && !flights.is_empty() && flights.len() < most => continue,
            };
            match ended {
                None => return failure.map_or(Ok(()), Err),
                Some((id, Ok(quiet))) => {
                    busy.remove(&id);
                    let until = quiet.map(|wait| Instant::now() + wait);
                    self.quiet_until = self.quiet_until.max(until);
                }
                Some((_, Err(error))) => failure = Some(error),
            }
        }
    }
}

impl Sender {
    fn new(receiver: Arc<dyn Receiver>, ports: Ports) -> Self {
        let (name, started) = (receiver.name().to_owned(), (ports.clock.now(), Instant::now()));
        Self { receiver, ports, name, started }
    }

    /// Returns the wall time of the start plus the time since then. Retries are due by it, so that a clock that is set
    /// back delays nothing.
    fn now(&self) -> Timestamp {
        let (at, since) = self.started;
        at + since.elapsed()
    }

    /// Updates the gauges of waiting deliveries and of this task. Returns the instant at which the next delivery is
    /// due.
    async fn show_progress(&self) -> Result<Option<Timestamp>, LedgerError> {
        let (due, waiting) = self.ports.ledger.waiting(&self.name).await?;
        metrics::gauge!(names::DELIVERIES_WAITING, "destination" => self.name.clone()).set(waiting as f64);
        let letters = self.ports.ledger.dead_letters(self.ports.clock.now()).await?;
        let dead = letters.iter().filter(|letter| letter.destination == self.name).count();
        metrics::gauge!(names::DEAD_LETTERS, "destination" => self.name.clone()).set(dead as f64);
        metrics::gauge!(names::TASK_LAST_SUCCESS, "task" => format!("deliver {}", self.name))
            .set(self.ports.clock.now().as_seconds_f64());
        Ok(due)
    }

    /// Makes one attempt, recorded before and after. Returns the pause that the receiver asks for.
    async fn attempt(
        &self,
        delivery: Delivery,
        stop: &CancellationToken,
    ) -> (i64, Result<Option<Duration>, LedgerError>) {
        if let Err(error) = self.ports.ledger.begin_attempt(delivery.id, self.now()).await {
            return (delivery.id, Err(error));
        }
        let failures = delivery.attempts.saturating_add(1);
        let answer =
            self.receiver.deliver(&delivery).await.map_err(|refused| self.bounded(refused, failures));
        let quiet = match &answer {
            Err(Refused { retry: Retry::After(wait), .. }) => Some(*wait),
            _ => None,
        };
        let result = self.classify(&delivery, answer);
        self.log_result(&delivery, &result);
        self.record_result(&delivery, &result, stop).await;
        (delivery.id, Ok(quiet))
    }

    fn classify(&self, delivery: &Delivery, answer: Result<Option<String>, Refused>) -> DeliveryResult {
        let Refused { error, retry } = match answer {
            Ok(thread) => return DeliveryResult::Delivered { thread },
            Err(refused) => refused,
        };
        let now = self.now();
        let after = |wait: Duration| now + wait;
        let back_off = || after(self.pause(delivery.attempts.saturating_add(1)));
        match retry {
            Retry::After(wait) => DeliveryResult::Retry { at: after(wait), error },
            Retry::BackOff => DeliveryResult::Retry { at: back_off(), error },
            Retry::Unsure => DeliveryResult::Unsure { at: back_off(), error },
            Retry::Never => DeliveryResult::Failed { error },
        }
    }

    fn log_result(&self, delivery: &Delivery, result: &DeliveryResult) {
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

    /// Records the result of an attempt, and repeats that until the ledger accepts it: without the record the message
    /// would be sent twice.
    async fn record_result(&self, delivery: &Delivery, result: &DeliveryResult, stop: &CancellationToken) {
        let mut failures = 0_u32;
        while let Err(error) =
            self.ports.ledger.end_attempt(delivery.id, self.ports.clock.now(), result).await
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

    async fn refresh(&self) -> Result<(), String> {
        let since = self.ports.clock.now() - REFRESH_RESOLVED;
        let latest = self.ports.ledger.latest_transitions(since).await;
        let latest = latest.map_err(|error| with_cause(&error))?;
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use tokio::sync::watch;

    use super::*;
    use lookout_ledger::MemoryLedger;
    use lookout_model::TransitionRecord;
    use lookout_model::sample::{T0, lifecycle};
    use lookout_runtime::clock::TokioClock;

    /// Receiver that answers as scripted, and records every delivery with its time.
    struct Scripted {
        answers: Mutex<VecDeque<Retry>>,
        told: watch::Sender<Vec<(u64, String)>>,
        refreshed: watch::Sender<usize>,
        start: Instant,
    }

    #[async_trait]
    impl Receiver for Scripted {
        fn name(&self) -> &str {
            "chat"
        }

        async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
            let second = self.start.elapsed().as_secs();
            self.told.send_modify(|told| told.push((second, delivery.notice.change.to_string())));
            match self.answers.lock().unwrap().pop_front() {
                Some(retry) => Err(Refused { error: "scripted".to_owned(), retry }),
                None => Ok(None),
            }
        }

        async fn refresh(&self, latest: &[TransitionRecord]) -> Result<(), Refused> {
            self.refreshed.send_modify(|n| *n += latest.len());
            Ok(())
        }

        fn refresh_every(&self) -> Option<Duration> {
            Some(Duration::from_secs(30))
        }
    }

    struct Scene {
        receiver: Arc<Scripted>,
        ports: Ports,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    impl Scene {
        fn open(answers: impl Into<VecDeque<Retry>>) -> Self {
            let receiver = Arc::new(Scripted {
                answers: Mutex::new(answers.into()),
                told: watch::Sender::new(Vec::new()),
                refreshed: watch::Sender::new(0),
                start: Instant::now(),
            });
            let ports = Ports {
                ledger: Arc::new(MemoryLedger::default()),
                clock: Arc::new(TokioClock::starting_at(T0)),
                random: Arc::new(Random::from_seed(7)),
                wake: Arc::new(Notify::new()),
            };
            let stop = CancellationToken::new();
            let port = Arc::clone(&receiver) as Arc<dyn Receiver>;
            let task = tokio::spawn(run(port, ports.clone(), stop.clone()));
            Self { receiver, ports, stop, task }
        }

        async fn store(&self, transitions: &[TransitionRecord]) {
            self.ports.ledger.commit(&[], transitions).await.unwrap();
            self.ports.wake.notify_waiters();
        }

        async fn told(&self, n: usize) -> Vec<(u64, String)> {
            let mut told = self.receiver.told.subscribe();
            let told = tokio::time::timeout(Duration::from_secs(7200), told.wait_for(|told| told.len() >= n));
            told.await.unwrap().unwrap().clone()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stored_transition_goes_out_at_once() {
        let scene = Scene::open([]);
        tokio::time::sleep(Duration::from_secs(7)).await;
        scene.store(&lifecycle(T0, &["chat", "other"])).await;
        let told = scene.told(4).await;
        let changes: Vec<_> = told.iter().map(|(second, change)| (*second, change.as_str())).collect();
        assert_eq!(changes, [(7, "opened"), (7, "escalated"), (7, "eased"), (7, "resolved")]);
        scene.stop.cancel();
        scene.task.await.unwrap();
        assert_eq!(scene.ports.ledger.waiting("chat").await.unwrap(), (None, 0));
        assert_eq!(scene.ports.ledger.waiting("other").await.unwrap().1, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_minute_and_it_is_never_given_up() {
        let scene = Scene::open([Retry::BackOff; 60]);
        let [opened, ..] = lifecycle(T0, &["chat"]);
        scene.store(&[opened]).await;
        let seconds: Vec<u64> = scene.told(61).await.into_iter().map(|(second, _)| second).collect();
        let pauses: Vec<u64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses[0] <= 1 && pauses[3] >= 3, "{pauses:?}");
        assert!(pauses.iter().all(|&pause| pause <= 61), "{pauses:?}");
        assert!(pauses[8..].iter().all(|&pause| pause >= 29), "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_asks_for_silence_gets_it() {
        let scene = Scene::open([Retry::After(Duration::from_secs(40))]);
        let [first, ..] = lifecycle(T0, &["chat"]);
        let [second, ..] = lifecycle(T0 + Duration::from_millis(1), &["chat"]);
        scene.store(&[first]).await;
        scene.told(1).await;
        scene.store(&[second]).await;
        let seconds: Vec<u64> = scene.told(3).await.into_iter().map(|(second, _)| second).collect();
        assert_eq!(seconds, [0, 40, 40], "also not about another incident");
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_asks_for_an_hour_is_asked_again_after_a_minute() {
        let scene = Scene::open([Retry::After(Duration::from_secs(3600))]);
        let [first, ..] = lifecycle(T0, &["chat"]);
        scene.store(&[first]).await;
        let seconds: Vec<u64> = scene.told(2).await.into_iter().map(|(second, _)| second).collect();
        assert_eq!(seconds, [0, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_asks_to_be_asked_again_at_once_is_not() {
        let scene = Scene::open([Retry::After(Duration::ZERO); 8]);
        let [first, ..] = lifecycle(T0, &["chat"]);
        scene.store(&[first]).await;
        let seconds: Vec<u64> = scene.told(9).await.into_iter().map(|(second, _)| second).collect();
        assert!(seconds[8] >= 60, "pauses grow as without a wish: {seconds:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hopeless_one_is_given_up_and_the_next_goes_out() {
        let scene = Scene::open([Retry::Never, Retry::Unsure]);
        let [opened, escalated, ..] = lifecycle(T0, &["chat"]);
        scene.store(&[opened, escalated]).await;
        let changes: Vec<_> = scene.told(3).await.into_iter().map(|(_, change)| change).collect();
        assert_eq!(changes, ["opened", "escalated", "escalated"]);
    }

    #[tokio::test(start_paused = true)]
    async fn open_incidents_are_refreshed_every_half_minute() {
        let scene = Scene::open([]);
        let [opened, ..] = lifecycle(T0, &["chat"]);
        scene.store(&[opened]).await;
        scene.told(1).await;
        tokio::time::sleep(Duration::from_secs(121)).await;
        assert_eq!(*scene.receiver.refreshed.borrow(), 5, "at once and four times since");
    }
}
