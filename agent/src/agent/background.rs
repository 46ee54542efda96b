//! Loops that belong to no single source: the evaluation, the upkeep of metrics, checks of the ledger.

use std::sync::Arc;
use std::time::Duration;

use lookout_collect::Observation;
use lookout_evaluate::{Board, Driver, Reconfigure};
use lookout_export::Recorder;
use lookout_ledger::Ledger;
use lookout_runtime::task::Tasks;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::Instant;

use super::dependencies::Dependencies;

/// Pauses between checks for damage of a small ledger, and of a large one.
const LEDGER_CHECK_EVERY: Duration = Duration::from_secs(30);
const LEDGER_CHECK_LATEST: Duration = Duration::from_secs(3600);
/// Interval at which samples of histograms are folded together.
const UPKEEP: Duration = Duration::from_secs(5);

/// Inputs of the evaluation.
pub(super) type Inputs = (mpsc::Receiver<Observation>, mpsc::Receiver<Reconfigure>);

pub(super) fn start_evaluation(
    driver: Driver,
    inputs: Inputs,
    dependencies: &Dependencies,
    board: &Board,
    wake: &Arc<Notify>,
    tasks: &Tasks,
) {
    // shared, so that a loop that panicked is started again with everything it knew
    let state = Arc::new(Mutex::new((driver, inputs)));
    let (dependencies, board, wake, stop) =
        (dependencies.clone(), board.clone(), Arc::clone(wake), tasks.stopping());
    tasks.supervise("evaluate", move || {
        let ports = lookout_evaluate::Ports {
            clock: Arc::clone(&dependencies.clock),
            board: board.clone(),
            wake: Arc::clone(&wake),
            ledger: Arc::clone(&dependencies.ledger),
        };
        let (state, stop) = (Arc::clone(&state), stop.clone());
        async move {
            let mut state = state.lock().await;
            let (driver, (observations, requests)) = &mut *state;
            lookout_evaluate::run(driver, (observations, requests), &ports, stop).await;
        }
    });
}

pub(super) fn start_upkeep(recorder: Recorder, tasks: &Tasks) {
    let stop = tasks.stopping();
    tasks.supervise("upkeep", move || {
        let (recorder, stop) = (recorder.clone(), stop.clone());
        async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(UPKEEP) => recorder.upkeep(),
                }
            }
        }
    });
}

/// Looks for damage in the ledger, seldom enough that it takes no more than a thousandth of the time.
pub(super) fn start_ledger_checks(ledger: Arc<dyn Ledger>, tasks: &Tasks) {
    let stop = tasks.stopping();
    tasks.supervise("ledger check", move || {
        let (ledger, stop) = (Arc::clone(&ledger), stop.clone());
        async move {
            let mut pause = LEDGER_CHECK_EVERY;
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                let started = Instant::now();
                ledger.check().await;
                pause = started.elapsed().saturating_mul(1000).clamp(LEDGER_CHECK_EVERY, LEDGER_CHECK_LATEST);
            }
        }
    });
}
