//! Storing of the history of probes: each minute is written once it is over, and the running one when the agent stops.

use std::time::Duration;

use lookout_collect::probe::ProbeHistory;
use lookout_ledger::{LedgerError, ProbeHistoryStore};
use lookout_model::probe_history::ProbeMinute;
use lookout_runtime::events::chain;
use lookout_runtime::task::Tasks;

use super::dependencies::Dependencies;

/// Time after the end of a minute in which its last probes end.
const AFTER: Duration = Duration::from_secs(2);

pub(super) fn start_storing(dependencies: &Dependencies, tasks: &Tasks) {
    let (dependencies, stop) = (dependencies.clone(), tasks.stopping());
    tasks.supervise("probe history", move || {
        let (dependencies, stop) = (dependencies.clone(), stop.clone());
        async move {
            let Dependencies { history, ledger, clock, .. } = &dependencies;
            let mut failing = false;
            loop {
                let into = clock.now().as_millis().rem_euclid(60_000);
                let left = Duration::from_millis(60_000_u64.saturating_sub(into.unsigned_abs()));
                tokio::select! {
                    () = stop.cancelled() => {
                        note(store(history, &**ledger, history.take_all()).await, &mut failing);
                        return;
                    }
                    () = tokio::time::sleep(left + AFTER) => {
                        let ended = history.take_ended(clock.now());
                        note(store(history, &**ledger, ended).await, &mut failing);
                    }
                }
            }
        }
    });
}

/// Stores minutes, or puts them back. Returns how many minutes are forgotten for good, when the ledger takes none.
async fn store(
    history: &ProbeHistory,
    ledger: &(impl ProbeHistoryStore + ?Sized),
    rows: Vec<ProbeMinute>,
) -> Result<(), (LedgerError, usize)> {
    if rows.is_empty() {
        return Ok(());
    }
    let stored = ledger.add_probe_minutes(&rows).await;
    stored.map_err(|error| (error, history.put_back(rows)))
}

/// Logs the first failure of a row of failures, each loss, and the recovery.
fn note(stored: Result<(), (LedgerError, usize)>, failing: &mut bool) {
    let was_failing = core::mem::replace(failing, stored.is_err());
    match stored {
        Ok(()) if was_failing => tracing::info!("the ledger takes the history of probes again"),
        Ok(()) => {}
        Err((error, 0)) if was_failing => {
            tracing::debug!(error = chain(&error), "the history of probes waits")
        }
        Err((error, 0)) => {
            tracing::warn!(error = chain(&error), "the history of probes waits for the ledger")
        }
        Err((error, minutes)) => {
            tracing::warn!(
                error = chain(&error),
                minutes,
                "the oldest minutes of the history of probes are lost"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use lookout_ledger::MemoryLedger;
    use lookout_model::Timestamp;
    use lookout_model::probe_history::{ProbeCounts, ProbeHour};

    use super::*;

    /// A ledger that fails a number of times.
    struct Failing(AtomicU32, MemoryLedger);

    #[async_trait]
    impl ProbeHistoryStore for Failing {
        async fn add_probe_minutes(&self, minutes: &[ProbeMinute]) -> Result<(), LedgerError> {
            let left = self.0.load(Ordering::Relaxed);
            if left > 0 {
                self.0.store(left - 1, Ordering::Relaxed);
                return Err(LedgerError::Open {
                    path: "ledger.db".to_owned(),
                    source: sqlx::Error::PoolTimedOut,
                });
            }
            self.1.add_probe_minutes(minutes).await
        }

        async fn probe_hours(
            &self,
            target: &str,
            from: Timestamp,
            until: Timestamp,
        ) -> Result<Vec<(i64, ProbeHour)>, LedgerError> {
            self.1.probe_hours(target, from, until).await
        }
    }

    fn row(minute: i64) -> ProbeMinute {
        let mut counts = ProbeCounts::default();
        counts.add_probe(Duration::from_millis(3), true);
        ProbeMinute { target: "api".to_owned(), minute, counts }
    }

    #[tokio::test]
    async fn minutes_that_a_ledger_refused_twice_are_stored_once() {
        let (history, ledger) =
            (ProbeHistory::default(), Failing(AtomicU32::new(2), MemoryLedger::default()));
        let mut failing = false;
        for minute in 0..4 {
            let mut rows = history.take_all();
            rows.push(row(minute));
            note(store(&history, &ledger, rows).await, &mut failing);
            assert_eq!(failing, minute < 2, "{minute}");
        }
        let hours = ledger.probe_hours("api", Timestamp::EPOCH, Timestamp::EPOCH).await.unwrap();
        let minutes: Vec<(u8, u64)> =
            hours[0].1.spans().map(|(span, counts)| (span.minute, counts.probes())).collect();
        assert_eq!(minutes, [(0, 1), (1, 1), (2, 1), (3, 1)]);
        assert_eq!(history.take_all(), []);
    }
}
