//! A ledger that works in memory and records everything in a file.
//!
//! Incidents and deliveries in progress are in memory as well, so that a file that is full, gone or damaged stops no
//! page. The agent goes on, marks the transitions it could not record, and writes them when the file is whole again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tracing::field;

use self::backlog::Backlog;
use self::recorder::{Recorder, is_file_fault, replace_damaged};
use self::silences::Expiry;
use self::time_limit::{PRUNE_LIMIT, TimeLimit};
use super::sqlite::{SqliteLedger, lock_name};
use super::witness::{self, LedgerFiles, Memory, Use, Witness};
use super::working::{MAX_ENDED, Waiting, WorkingSet};
use super::{Health, Ledger, LedgerError, Tick};
use lookout_model::{END_REPEATED_FOR, StateRecord, Timestamp, TransitionRecord};
use lookout_runtime::clock::Clock;
use lookout_runtime::events::chain;

pub use self::backlog::WAITING_ROWS;

/// Time that resolved incidents stay in memory: longer than their ends are repeated.
const RESOLVED_FOR: Duration = Duration::from_secs(END_REPEATED_FOR.as_secs() + 5 * 60);
/// Time after which a start that waits for the disk says so, and says so again.
const START_NOTICE: Duration = Duration::from_secs(10);

/// A ledger in memory and in a file.
pub struct WriteThroughLedger {
    recorder: Arc<Recorder>,
    time_limit: TimeLimit,
    /// The wall time of the start: memory knows everything since then.
    began_at: Timestamp,
    witness: Arc<Mutex<Witness>>,
    /// The write of the witness that is late.
    late_witness: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    /// Ends of silences that the file does not have yet, by id.
    expiries: Mutex<BTreeMap<String, Expiry>>,
    /// True if incidents or deliveries changed since the witness was written.
    unwitnessed: AtomicBool,
    /// Backlog; its lock is held during a write to the file.
    backlog: tokio::sync::Mutex<Backlog>,
}

impl std::fmt::Debug for WriteThroughLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteThroughLedger").field("path", &self.recorder.path).finish_non_exhaustive()
    }
}

impl WriteThroughLedger {
    /// Opens the file, and creates it when there is none. A damaged file is set aside untouched, and a new one begins.
    /// A damaged file that no agent has used yet is left alone, because it may be anything.
    ///
    /// # Errors
    /// Fails when the file is in use, of a newer version, of another program, or cannot be opened.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, LedgerError> {
        let (runtime, path) = (Handle::current(), path.to_owned());
        let name = path.display().to_string();
        // a disk that hangs must not hang in silence
        let mut opening =
            tokio::task::spawn_blocking(move || runtime.block_on(Self::open_file(&path, clock)));
        let started = Instant::now();
        loop {
            match timeout(START_NOTICE, &mut opening).await {
                Ok(Ok(opened)) => return opened,
                Ok(Err(error)) => return Err(LedgerError::NotRecording { reason: error.to_string() }),
                Err(_) => tracing::warn!(
                    path = name,
                    waited_s = started.elapsed().as_secs(),
                    "the start waits for the ledger: it is large, or its disk does not answer"
                ),
            }
        }
    }

    async fn open_file(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, LedgerError> {
        let (memory, found) = (Memory::read(path), LedgerFiles::at(path));
        let mut health = Health::default();
        let was_used = lock_name(path).exists();
        let file = match SqliteLedger::open(path).await {
            Err(error @ LedgerError::Corrupt { .. }) if was_used => {
                let (file, sentence) = replace_damaged(path, &error, clock.now()).await?;
                tracing::error!("{sentence}");
                health = Health { faults: 1, last_fault: sentence, ..health };
                file
            }
            opened => opened?,
        };
        if let Err(error) = file.make_due().await {
            tracing::warn!(error = chain(&error), "deliveries wait until their retry is due");
        }
        let mut working = file.in_progress(clock.now() - RESOLVED_FOR, MAX_ENDED).await?;
        let version = file.version().await?;
        let mut witness = Witness::beside(path);
        let mut backlog = Backlog::default();
        if let Some(memory) = memory {
            if health.faults == 0
                && let Some(loss) = memory.loss(found, &version)
            {
                let sentence = format!("A fault was found at the start: {loss}.");
                tracing::error!("{sentence}");
                health = Health { faults: 1, last_fault: sentence, ..health };
            }
            backlog.working = remember(&file, memory, &mut working).await?;
        }
        working.set_in_file_only(file.waiting_elsewhere(&working.known()).await?);
        witness.write(Some(version), Some(&witness::in_progress(&working)), Use::InUse);
        Ok(Self {
            began_at: clock.now(),
            recorder: Arc::new(Recorder {
                path: path.to_owned(),
                clock,
                working: Mutex::new(working),
                health: Mutex::new(health),
                file: Mutex::new(Some(Arc::new(file))),
            }),
            time_limit: TimeLimit::new(time_limit::LIMIT),
            witness: Arc::new(Mutex::new(witness)),
            late_witness: tokio::sync::Mutex::default(),
            expiries: Mutex::default(),
            unwitnessed: AtomicBool::new(false),
            backlog: tokio::sync::Mutex::new(backlog),
        })
    }

    /// Writes the witness: which ledger this is, its last tick, and the incidents in progress. `now` forbids to put it off.
    async fn witness(&self, state: Use, now: bool) {
        let mut late = self.late_witness.lock().await;
        let is_late = late.as_ref().is_some_and(|writing| !writing.is_finished());
        if is_late || self.time_limit.is_overdue() {
            // nothing is written to a disk that hangs; the next tick tries again
            return;
        }
        let file = self.recorder.locked_file().clone();
        let version = match &file {
            Some(file) => self.time_limit.read(file, file.version()).await.ok(),
            None => None,
        };
        let witness = Arc::clone(&self.witness);
        let is_due = now || locked(&witness).is_due();
        let changed = is_due && self.unwitnessed.swap(false, Ordering::Relaxed);
        let incidents = changed.then(|| witness::in_progress(&self.working()));
        // the disk may be slow, and probes share this thread
        let writing = move || locked(&witness).write(version, incidents.as_deref(), state);
        let mut writing = tokio::task::spawn_blocking(writing);
        match timeout(self.time_limit.limit(), &mut writing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the witness of the ledger was not written"),
            Err(_) => {
                tracing::warn!("the witness of the ledger waits for its disk");
                *late = Some(writing);
            }
        }
    }

    fn working(&self) -> MutexGuard<'_, WorkingSet> {
        self.recorder.working()
    }

    fn expiries(&self) -> MutexGuard<'_, BTreeMap<String, Expiry>> {
        self.expiries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the file to read from.
    fn readable(&self) -> Result<Arc<SqliteLedger>, LedgerError> {
        self.recorder.readable()
    }

    /// Returns the file to write to, unless writing failed a moment ago or a write is late.
    fn writable(&self) -> Result<Arc<SqliteLedger>, LedgerError> {
        if self.time_limit.is_overdue() { Err(self.time_limit.no_answer()) } else { self.recorder.writable() }
    }

    /// Takes the result of a write that was late. What it did not store waits again.
    async fn take_late(&self, backlog: &mut Backlog) {
        if self.time_limit.is_overdue() {
            return;
        }
        let Some(late) = backlog.late.take() else { return };
        match late.result.result().await {
            Ok(()) => tracing::info!("the disk of the ledger answers again; what it was given is stored"),
            Err(error) => {
                tracing::warn!(error = chain(&error), "the disk of the ledger answers again, with an error");
                backlog.add(&late.rows);
            }
        }
    }

    /// Writes the backlog and new transitions.
    async fn record(
        &self,
        backlog: &mut Backlog,
        transitions: &[TransitionRecord],
    ) -> Result<(), LedgerError> {
        self.take_late(backlog).await;
        if self.time_limit.is_overdue() {
            return Err(self.time_limit.no_answer());
        }
        let write = Arc::clone(&self.recorder).record(backlog.batch(transitions));
        match self.time_limit.run(self.time_limit.limit(), write).await {
            Ok(recorded) => recorded,
            Err(late) => {
                backlog.hand_over(late);
                Err(self.time_limit.no_answer())
            }
        }
    }

    /// Stores the progress of deliveries in the file; memory has it already.
    async fn store_progress(&self, deliveries: &[i64]) {
        self.unwitnessed.store(true, Ordering::Relaxed);
        let mut backlog = self.backlog.lock().await;
        let entries = self.working().unheld(deliveries);
        if entries.is_empty() {
            return;
        }
        let noted = match self.writable() {
            Ok(file) => self.time_limit.write(async move { file.store_deliveries(&entries).await }).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            backlog.working = true;
            self.recorder.set_not_recording(&error);
        }
    }
}

fn locked(witness: &Mutex<Witness>) -> MutexGuard<'_, Witness> {
    witness.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds the incidents of an earlier run that the ledger has lost. Returns whether there was one.
async fn remember(
    file: &SqliteLedger,
    memory: Memory,
    working: &mut WorkingSet,
) -> Result<bool, LedgerError> {
    let mut any = false;
    for (transition, entries) in memory.into_transitions() {
        let stored = file.incident(&transition.incident.id).await?;
        // a resolved one may have been changed after the witness was written
        if stored.is_none_or(|incident| incident.resolved_at.is_none()) {
            working.remember(transition, entries);
            any = true;
        }
    }
    Ok(any)
}

#[async_trait]
impl Ledger for WriteThroughLedger {
    async fn states(&self) -> Result<Vec<StateRecord>, LedgerError> {
        let file = self.readable()?;
        self.time_limit.read(&file, file.states()).await
    }

    #[tracing::instrument(name = "ledger", level = "info", skip_all, fields(
        db.operation.name = "commit_tick", otel.kind = "client", otel.status_code = field::Empty,
        counts = tick.counts.len(), transitions = tick.transitions.len(),
    ))]
    async fn commit_tick(&self, tick: Tick<'_>) -> Result<(), LedgerError> {
        let transitions = tick.transitions;
        let mut backlog = self.backlog.lock().await;
        let dropped = backlog.dropped;
        backlog.add(tick.counts);
        backlog.keep_states(tick.states);
        let recorded = self.record(&mut backlog, transitions).await;
        if let Err(error) = &recorded {
            backlog.working = true;
            self.recorder.set_not_recording(error);
        }
        self.recorder.count_dropped(dropped, backlog.dropped);
        match recorded {
            Ok(()) => {
                *backlog = Backlog::default();
                self.recorder.set_recording();
                self.write_expiries().await;
                self.keep(transitions).await;
            }
            Err(_) => {
                tracing::Span::current().record("otel.status_code", "ERROR");
                let mut working = self.working();
                for transition in transitions {
                    let mut marked = transition.clone();
                    marked.notice.not_recorded = true;
                    working.record(&marked);
                }
            }
        }
        self.unwitnessed.fetch_or(!transitions.is_empty(), Ordering::Relaxed);
        self.witness(Use::InUse, !transitions.is_empty()).await;
        Ok(())
    }

    async fn prune(&self, now: Timestamp) -> Result<(), LedgerError> {
        let file = self.writable()?;
        let backlog = self.backlog.lock().await;
        let pruned = self.time_limit.run(PRUNE_LIMIT, async move { file.prune(now).await }).await;
        drop(backlog);
        pruned.unwrap_or_else(|_| Err(self.time_limit.no_answer()))?;
        let cutoffs = super::retention::Cutoffs::at(now);
        {
            let mut working = self.working();
            working.forget_resolved_before(now - RESOLVED_FOR, Waiting::Preserved);
            working.forget_resolved_before(cutoffs.incidents_before, Waiting::Dropped);
        }
        self.count_in_file_only().await
    }

    fn health(&self) -> Health {
        self.recorder.locked_health().clone()
    }

    async fn check(&self) {
        let Ok(file) = self.readable() else { return };
        let (runtime, checked) = (Handle::current(), Arc::clone(&file));
        // it reads the whole file: no time is too long
        let checking = tokio::task::spawn_blocking(move || runtime.block_on(checked.check_file()));
        let Ok(Err(error)) = checking.await else { return };
        if is_file_fault(&error) {
            let mut backlog = self.backlog.lock().await;
            backlog.working = true;
            let recorder = Arc::clone(&self.recorder);
            let detach = async move {
                recorder.detach(&file, &error).await;
                Ok(())
            };
            if let Err(error) = self.time_limit.write(detach).await {
                self.recorder.set_not_recording(&error);
            }
        }
    }

    async fn close(&self) {
        // a last try for rows that wait
        let _ = self.commit(&[], &[]).await;
        let file = self.recorder.locked_file().take();
        if let Some(file) = file {
            let close = async move {
                file.close().await;
                Ok(())
            };
            if let Err(error) = self.time_limit.write(close).await {
                tracing::error!(
                    error = chain(&error),
                    "the ledger is left open; what is not recorded is lost"
                );
            }
        }
        self.witness(Use::Closed, true).await;
    }
}

mod backlog;
mod overflow;
mod recorder;
mod silences;
mod stores;
mod time_limit;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod hang_tests;
#[cfg(test)]
mod overflow_tests;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod restart_tests;
#[cfg(test)]
mod tests;
