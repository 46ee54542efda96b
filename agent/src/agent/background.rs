//! Loops that belong to no single source: the evaluation, checks of the ledger.

use std::sync::Arc;
use std::time::Duration;

use lookout_collect::Observation;
use lookout_config::Config;
use lookout_evaluate::{Board, Driver, Reconfigure};
use lookout_export::MetricsExport;
use lookout_ledger::Ledger;
use lookout_runtime::events::chain;
use lookout_runtime::exposition::Format;
use lookout_runtime::task::Tasks;
use lookout_web::State;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::Instant;

use super::dependencies::{BuildError, Dependencies, unprepared};

/// Pauses between checks for damage of a small ledger, and of a large one.
const LEDGER_CHECK_EVERY: Duration = Duration::from_secs(30);
const LEDGER_CHECK_LATEST: Duration = Duration::from_secs(3600);
/// Time that the last export of metrics may take.
const LAST_EXPORT: Duration = Duration::from_secs(2);

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

/// Sender of metrics to a collector, and the time between two exports.
pub(super) type PeriodicExport = (MetricsExport, Duration);

/// Prepares the export of metrics, if the configuration asks for it.
pub(super) fn metrics_export(
    config: &Config,
    dependencies: &Dependencies,
) -> Result<Option<PeriodicExport>, BuildError> {
    let Some(otlp) = &config.otlp else { return Ok(None) };
    let Some(every) = otlp.metrics_every else { return Ok(None) };
    let environment = config.environment.as_deref();
    let export = MetricsExport::new(&otlp.endpoint, environment, dependencies.clock.now());
    export.map(|export| Some((export, every))).map_err(|error| unprepared("the export of metrics", error))
}

/// Sends the metrics at each interval, and once more at the end. A failure is logged once.
pub(super) fn start_metrics_export((export, every): PeriodicExport, state: &State, tasks: &Tasks) {
    let (state, stop) = (state.clone(), tasks.stopping());
    tasks.supervise("otlp metrics", move || {
        let (export, state, stop) = (export.clone(), state.clone(), stop.clone());
        async move {
            let mut failing = false;
            loop {
                let within = tokio::select! {
                    () = stop.cancelled() => LAST_EXPORT,
                    () = tokio::time::sleep(every) => every,
                };
                let sent = export
                    .send(&lookout_web::metrics_text(&state, Format::Text), state.clock.now(), within)
                    .await;
                if let Err(error) = &sent
                    && !failing
                {
                    tracing::warn!(error = chain(error), "metrics do not reach the collector");
                }
                failing = sent.is_err();
                if stop.is_cancelled() {
                    return;
                }
            }
        }
    });
}
