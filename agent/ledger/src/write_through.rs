//! A ledger that works in memory and records everything in a file.
//!
//! Incidents and deliveries in progress are in memory as well, so that a file that is full, gone or damaged stops no
//! page. The agent goes on, marks the transitions it could not record, and writes them when the file is whole again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tracing::field;

use self::silences::Expiry;
use super::sqlite::{SqliteLedger, lock_name, set_aside};
use super::witness::{self, Found, Memory, Use, Witness};
use super::working::{KEPT, Waiting, WorkingSet};
use super::{Health, Ledger, LedgerError, Tick};
use lookout_engine::Counts;
use lookout_model::{CountRow, END_REPEATED_FOR, StateRecord, Timestamp, TransitionRecord};
use lookout_runtime::clock::Clock;
use lookout_runtime::events::{chain, names};

/// Time that resolved incidents stay in memory: longer than their ends are repeated.
const RESOLVED_FOR: Duration = Duration::from_secs(END_REPEATED_FOR.as_secs() + 5 * 60);
/// Largest number of rows of counts that wait in memory, on each side of the ledger; beyond it the oldest are dropped.
pub const WAITING_ROWS: usize = 100_000;

/// A ledger in memory and in a file.
pub struct WriteThroughLedger {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    working: Mutex<WorkingSet>,
    /// The wall time of the start: memory knows everything since then.
    began_at: Timestamp,
    health: Mutex<Health>,
    /// The file while it can be read.
    file: Mutex<Option<Arc<SqliteLedger>>>,
    witness: Arc<Mutex<Witness>>,
    /// Ends of silences that the file does not have yet, by id.
    expiries: Mutex<BTreeMap<String, Expiry>>,
    /// True if incidents or deliveries changed since the witness was written.
    unwitnessed: AtomicBool,
    /// Backlog; its lock is held during a write to the file.
    backlog: tokio::sync::Mutex<Backlog>,
}

/// Everything that is not in the file yet.
#[derive(Debug, Default)]
struct Backlog {
    /// By start, SLO and width.
    counts: BTreeMap<(i64, String, u32), Counts>,
    /// By SLO.
    states: BTreeMap<String, StateRecord>,
    /// Incidents or deliveries changed while nothing was recorded.
    working: bool,
    /// Number of rows that were dropped, because too many waited.
    dropped: u64,
}

impl Backlog {
    fn add(&mut self, rows: &[CountRow]) {
        for row in rows {
            let key = (row.start_s, row.slo_id.clone(), row.width_s);
            *self.counts.entry(key).or_default() += Counts { good: row.good, bad: row.bad };
            if self.counts.len() > WAITING_ROWS && self.counts.pop_first().is_some() {
                self.dropped += 1;
            }
        }
    }

    fn keep_states(&mut self, states: &[StateRecord]) {
        self.states.extend(states.iter().map(|record| (record.slo_id.clone(), record.clone())));
    }

    fn rows(&self) -> Vec<CountRow> {
        let row = |((start_s, slo_id, width_s), counts): (&(i64, String, u32), &Counts)| CountRow {
            slo_id: slo_id.clone(),
            start_s: *start_s,
            width_s: *width_s,
            good: counts.good,
            bad: counts.bad,
        };
        self.counts.iter().map(row).collect()
    }
}

impl std::fmt::Debug for WriteThroughLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteThroughLedger").field("path", &self.path).finish_non_exhaustive()
    }
}

impl WriteThroughLedger {
    /// Opens the file, and creates it when there is none. A damaged file is set aside untouched, and a new one begins.
    /// A damaged file that no agent has used yet is left alone, because it may be anything.
    ///
    /// # Errors
    /// Fails when the file is in use, of a newer version, of another program, or cannot be opened.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, LedgerError> {
        let (memory, found) = (Memory::read(path), Found::at(path));
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
        let mut working = file.in_progress(clock.now() - RESOLVED_FOR, KEPT).await?;
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
            path: path.to_owned(),
            began_at: clock.now(),
            clock,
            working: Mutex::new(working),
            health: Mutex::new(health),
            file: Mutex::new(Some(Arc::new(file))),
            witness: Arc::new(Mutex::new(witness)),
            expiries: Mutex::default(),
            unwitnessed: AtomicBool::new(false),
            backlog: tokio::sync::Mutex::new(backlog),
        })
    }

    /// Writes the witness: which ledger this is, its last tick, and the incidents in progress. `now` forbids to put it off.
    async fn witness(&self, state: Use, now: bool) {
        let file = self.locked_file().clone();
        let version = match &file {
            Some(file) => file.version().await.ok(),
            None => None,
        };
        let witness = Arc::clone(&self.witness);
        let is_due = now || locked(&witness).is_due();
        let changed = is_due && self.unwitnessed.swap(false, Ordering::Relaxed);
        let incidents = changed.then(|| witness::in_progress(&self.working()));
        // the disk may be slow, and probes share this thread
        let writing = move || locked(&witness).write(version, incidents.as_deref(), state);
        if let Err(error) = tokio::task::spawn_blocking(writing).await {
            tracing::warn!(%error, "the witness of the ledger was not written");
        }
    }

    fn working(&self) -> MutexGuard<'_, WorkingSet> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expiries(&self) -> MutexGuard<'_, BTreeMap<String, Expiry>> {
        self.expiries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked_health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked_file(&self) -> MutexGuard<'_, Option<Arc<SqliteLedger>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the file to read from.
    fn readable(&self) -> Result<Arc<SqliteLedger>, LedgerError> {
        self.locked_file().clone().ok_or_else(|| self.not_recording())
    }

    /// Returns the file to write to, unless writing failed a moment ago.
    fn writable(&self) -> Result<Arc<SqliteLedger>, LedgerError> {
        if self.locked_health().not_recording.is_some() { Err(self.not_recording()) } else { self.readable() }
    }

    fn not_recording(&self) -> LedgerError {
        let reason = self.locked_health().not_recording.clone();
        LedgerError::NotRecording { reason: reason.unwrap_or_else(|| "its file is not open".to_owned()) }
    }

    /// Sets the state to not recording. A lasting fault is counted once.
    fn set_not_recording(&self, error: &LedgerError) {
        let reason = chain(error);
        let mut health = self.locked_health();
        if health.not_recording.replace(reason.clone()).is_none() {
            health.begin_fault(format!("Nothing is recorded: {reason}."));
            health.lost_rows = 0;
            tracing::error!(
                error = reason,
                "the ledger records nothing; incidents and deliveries go on in memory"
            );
        }
    }

    /// Reports rows that were dropped since so many were. The first of a fault is a fault of its own.
    fn count_dropped(&self, before: u64, dropped: u64) {
        if dropped == before {
            return;
        }
        metrics::counter!(names::LEDGER_LOST_ROWS).increment(dropped - before);
        let mut health = self.locked_health();
        health.lost_rows = dropped;
        if before == 0 {
            health.faults += 1;
            tracing::error!(limit = WAITING_ROWS, "too many counts wait for the ledger; the oldest are lost");
        }
    }

    /// Ends the fault after everything that was kept is written.
    fn set_recording(&self) {
        let mut health = self.locked_health();
        if health.not_recording.take().is_none() {
            return;
        }
        match health.lost_rows {
            0 => tracing::info!("the ledger records again, and everything that waited is written"),
            lost => tracing::warn!(lost_rows = lost, "the ledger records again; the oldest counts are lost"),
        }
    }

    /// Writes the backlog and new transitions. Opens the file again first when it was closed after a fault.
    async fn record(&self, backlog: &Backlog, transitions: &[TransitionRecord]) -> Result<(), LedgerError> {
        let open = self.locked_file().clone();
        let (file, all) = match open {
            Some(file) => (file, backlog.working),
            None => (self.reopen().await?, true),
        };
        let (rows, states) = (backlog.rows(), backlog.states.values().cloned().collect::<Vec<_>>());
        let tick = Tick { counts: &rows, transitions, states: &states };
        let stored = if all {
            let (known, deliveries) = self.working().everything();
            let transitions = &[known.as_slice(), transitions].concat();
            file.store(Tick { transitions, ..tick }, &deliveries).await
        } else {
            file.store(tick, &[]).await
        };
        match stored {
            Err(error) if is_file_fault(&error) => {
                self.detach(&file, &error).await;
                Err(error)
            }
            stored => stored,
        }
    }

    /// Opens the file again after a fault closed it.
    async fn reopen(&self) -> Result<Arc<SqliteLedger>, LedgerError> {
        let file = match SqliteLedger::open(&self.path).await {
            Err(error @ LedgerError::Corrupt { .. }) => {
                let (file, sentence) = replace_damaged(&self.path, &error, self.clock.now()).await?;
                tracing::error!("{sentence}");
                self.locked_health().begin_fault(sentence);
                file
            }
            opened => opened?,
        };
        let file = Arc::new(file);
        *self.locked_file() = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Saves the data that the open file still holds and closes it: it is deleted, replaced or damaged.
    async fn detach(&self, file: &Arc<SqliteLedger>, error: &LedgerError) {
        let faults = self.locked_health().faults;
        self.set_not_recording(error);
        *self.locked_file() = None;
        let whole = match error {
            LedgerError::Lost { what, .. } => file.salvage(*what).await,
            _ => false,
        };
        let mut sentence = format!("A fault was found: {}.", chain(error));
        if whole {
            sentence.push_str(" Everything in it was saved.");
        } else if file.check_file().await.is_err() {
            sentence.push_str(&self.forget_what_was_in_the_file());
            match set_aside(&self.path, self.clock.now()) {
                Ok(Some(aside)) => sentence.push_str(&set_aside_sentence(&aside)),
                Ok(None) => sentence.push_str(" Counts from before are lost, and a new ledger begins."),
                Err(error) => tracing::error!(error = chain(&error), "a damaged ledger cannot be set aside"),
            }
        }
        file.close_connections().await;
        let mut health = self.locked_health();
        // a fault of the file during another fault is one more
        health.faults = faults;
        health.begin_fault(sentence);
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
            Ok(file) => file.store_deliveries(&entries).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            backlog.working = true;
            self.set_not_recording(&error);
        }
    }
}

fn locked(witness: &Mutex<Witness>) -> MutexGuard<'_, Witness> {
    witness.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether the file itself is at fault, so that it must be opened again.
fn is_file_fault(error: &LedgerError) -> bool {
    match error {
        LedgerError::Lost { .. } | LedgerError::Corrupt { .. } => true,
        LedgerError::Query { source, .. } => super::sqlite::is_damage(source),
        _ => false,
    }
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

async fn replace_damaged(
    path: &Path,
    error: &LedgerError,
    now: Timestamp,
) -> Result<(SqliteLedger, String), LedgerError> {
    let aside = set_aside(path, now).map_err(|failure| LedgerError::Corrupt {
        path: path.display().to_string(),
        what: format!("{}; it cannot be set aside: {}", chain(error), chain(&failure)),
    })?;
    let kept = aside.map_or_else(String::new, |aside| set_aside_sentence(&aside));
    Ok((SqliteLedger::open(path).await?, format!("A fault was found: {}.{kept}", chain(error))))
}

fn set_aside_sentence(aside: &Path) -> String {
    let aside = aside.display();
    format!(
        " It is kept untouched as {aside}, and a new ledger begins; `lookout ledger recover {aside} FILE` saves what can be read of it."
    )
}

#[async_trait]
impl Ledger for WriteThroughLedger {
    async fn states(&self) -> Result<Vec<StateRecord>, LedgerError> {
        self.readable()?.states().await
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
        let mut recorded = self.record(&backlog, transitions).await;
        if recorded.is_err() {
            // with a connection or a file that was opened again
            backlog.working = true;
            recorded = self.record(&backlog, transitions).await;
        }
        if let Err(error) = &recorded {
            self.set_not_recording(error);
        }
        self.count_dropped(dropped, backlog.dropped);
        match recorded {
            Ok(()) => {
                *backlog = Backlog::default();
                self.set_recording();
                if let Ok(file) = self.readable() {
                    self.write_expiries(&file).await;
                }
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
        file.prune(now).await?;
        drop(backlog);
        let cutoffs = super::retention::Cutoffs::at(now);
        {
            let mut working = self.working();
            working.forget_resolved_before(now - RESOLVED_FOR, Waiting::Kept);
            working.forget_resolved_before(cutoffs.incidents_before, Waiting::Too);
        }
        self.count_in_file_only().await
    }

    fn health(&self) -> Health {
        self.locked_health().clone()
    }

    async fn check(&self) {
        let Ok(file) = self.readable() else { return };
        if let Err(error) = file.check_file().await
            && is_file_fault(&error)
        {
            let mut backlog = self.backlog.lock().await;
            backlog.working = true;
            self.detach(&file, &error).await;
        }
    }

    async fn close(&self) {
        // a last try for rows that wait
        let _ = self.commit(&[], &[]).await;
        let file = self.locked_file().take();
        if let Some(file) = file {
            file.close().await;
        }
        self.witness(Use::Closed, true).await;
    }
}

mod overflow;
mod silences;
mod stores;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod overflow_tests;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod restart_tests;
#[cfg(test)]
mod tests;
