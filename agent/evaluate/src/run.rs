//! The loop that drives the evaluators: wall-aligned ticks, observations in between, and a look ahead when some are bad.

use std::sync::Arc;
use std::time::Duration;

use lookout_engine::Slot;
use lookout_model::GridTime;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{Board, Driver, Reconfiguration, RestoreError, Snapshot};
use lookout_collect::Observation;
use lookout_ledger::Ledger;
use lookout_runtime::clock::Clock;
use lookout_runtime::events::{chain, names};

/// Dependencies of the loop.
pub struct Ports {
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Board of snapshots.
    pub board: Board,
    /// Woken when someone has to be told.
    pub wake: Arc<Notify>,
    /// The ledger, for its upkeep.
    pub ledger: Arc<dyn Ledger>,
}

/// Slots between two ticks by which the wall clock was set or the machine slept; less is a late wake-up.
const JUMP: i64 = 4;
const MINUS_JUMP: i64 = -JUMP;

/// Between two looks at slots that are not over, so that a service that fails as a whole is looked at as a whole.
const EARLY_DETECTION_EVERY: Duration = Duration::from_millis(200);

/// Interval at which old counts are rolled up.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// Request to go on with another configuration.
pub struct Reconfigure {
    /// The configuration.
    pub to: Reconfiguration,
    /// Receives the result. After an error the evaluation goes on as before.
    pub reply: oneshot::Sender<Result<(), RestoreError>>,
}

/// The event that ends a wait.
enum Event {
    Tick,
    Stop,
    Reconfigure(Box<Reconfigure>),
}

/// Runs until told to stop; what was observed until then is stored.
pub async fn run(
    driver: &mut Driver,
    (feed, requests): (&mut mpsc::Receiver<Observation>, &mut mpsc::Receiver<Reconfigure>),
    ports: &Ports,
    stop: CancellationToken,
) {
    let grid = driver.config().grid;
    // an answer that left in time may arrive a moment after its slot ended
    let settle = Duration::from_millis((u64::from(grid.width_seconds()) * 1000 / 20).clamp(20, 500));
    // from zero, so that the first of them is an increase
    for counted in [names::LEDGER_FAILURES, names::LEDGER_LOST_ROWS, names::CLOCK_JUMPS] {
        metrics::counter!(counted).increment(0);
    }
    let mut last = grid.slot_at(ports.clock.now() - settle).plus(-1);
    let mut pruned = Instant::now();
    let mut next_detection = Instant::now();
    let mut batch = Vec::new();
    loop {
        let due = grid.end_of(last.plus(1)) + settle;
        // after the wall clock was set back, ticks go on at their pace and late counts still count
        let wait = due.since(ports.clock.now());
        let tick = tokio::time::sleep(wait.min(Duration::from_secs(grid.width_seconds().into())));
        tokio::pin!(tick);
        let event = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Event::Stop,
                () = &mut tick => break Event::Tick,
                Some(request) = requests.recv() => break Event::Reconfigure(Box::new(request)),
                () = tokio::time::sleep_until(next_detection), if driver.has_bad_slots() => {
                    detect_early(driver, ports).await;
                    next_detection = Instant::now() + EARLY_DETECTION_EVERY;
                }
                received = feed.recv_many(&mut batch, 1024) => {
                    if received == 0 {
                        break Event::Stop;
                    }
                    batch.drain(..).for_each(|observation| driver.record(observation));
                }
            }
        };
        while let Ok(observation) = feed.try_recv() {
            driver.record(observation);
        }
        if let Event::Reconfigure(request) = event {
            reconfigure(driver, ports, *request, last).await;
            continue;
        }
        let closed = grid.slot_at(ports.clock.now() - settle).plus(-1);
        match closed.0.saturating_sub(last.0) {
            JUMP.. => driver.note_clock_step(closed),
            ..=MINUS_JUMP => {
                // windows that end in the future would see nothing until the clock has caught up
                driver.reload(ports.clock.now()).await;
                last = closed;
            }
            _ => {}
        }
        last = last.max(closed);
        evaluate(driver, ports, last).await;
        if matches!(event, Event::Stop) {
            return;
        }
        if pruned.elapsed() >= PRUNE_EVERY {
            pruned = Instant::now();
            if let Err(error) = ports.ledger.prune(ports.clock.now()).await {
                tracing::warn!(error = chain(&error), "old counts stay");
            }
        }
    }
}

/// Goes on with another configuration, and publishes its SLOs at once.
async fn reconfigure(driver: &mut Driver, ports: &Ports, Reconfigure { to, reply }: Reconfigure, last: Slot) {
    let done = driver.reconfigure(to, last, ports.clock.now()).await;
    if done.is_ok() {
        evaluate(driver, ports, last).await;
        // incidents of SLOs that are gone were resolved
        ports.wake.notify_waiters();
    }
    // whoever asked may have gone
    let _ = reply.send(done);
}

/// Stores and publishes results of a slot that are certain before its end.
async fn detect_early(driver: &mut Driver, ports: &Ports) {
    let changed = driver.detect_early(ports.clock.now()).await;
    if changed.is_empty() {
        return;
    }
    let mut snapshot = Snapshot::clone(&ports.board.read());
    for (index, status) in changed {
        if let Some(shown) = snapshot.slos.get_mut(index) {
            *shown = status;
        }
    }
    ports.board.publish(snapshot);
    ports.wake.notify_waiters();
}

async fn evaluate(driver: &mut Driver, ports: &Ports, slot: Slot) {
    let started = Instant::now();
    let span = tracing::info_span!("evaluate", slos = driver.config().slos.len());
    let (snapshot, told) = driver.tick(slot).instrument(span).await;
    ports.board.publish(snapshot);
    if told {
        ports.wake.notify_waiters();
    }
    metrics::histogram!(names::EVALUATION_SECONDS).record(started.elapsed().as_secs_f64());
    let now_s = ports.clock.now().as_seconds_f64();
    metrics::gauge!(names::TASK_LAST_SUCCESS, "task" => "evaluate").set(now_s);
}
