//! The file of a ledger, and the incidents and deliveries in memory that go on without it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lookout_model::Timestamp;
use lookout_runtime::clock::Clock;
use lookout_runtime::events::{chain, names};

use super::backlog::{Batch, WAITING_ROWS};
use crate::sqlite::{SqliteLedger, is_damage, set_aside};
use crate::working::WorkingSet;
use crate::{Health, LedgerError, Tick};

/// The part of a ledger that its writes use. A write that is late holds it for as long as it runs.
pub(super) struct Recorder {
    pub(super) path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) working: Mutex<WorkingSet>,
    pub(super) health: Mutex<Health>,
    /// The file while it can be read.
    pub(super) file: Mutex<Option<Arc<SqliteLedger>>>,
}

impl Recorder {
    pub(super) fn working(&self) -> MutexGuard<'_, WorkingSet> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn locked_health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn locked_file(&self) -> MutexGuard<'_, Option<Arc<SqliteLedger>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the file to read from.
    pub(super) fn readable(&self) -> Result<Arc<SqliteLedger>, LedgerError> {
        self.locked_file().clone().ok_or_else(|| self.not_recording())
    }

    /// Returns the file to write to, unless writing failed a moment ago.
    pub(super) fn writable(&self) -> Result<Arc<SqliteLedger>, LedgerError> {
        if self.locked_health().not_recording.is_some() { Err(self.not_recording()) } else { self.readable() }
    }

    pub(super) fn not_recording(&self) -> LedgerError {
        let reason = self.locked_health().not_recording.clone();
        LedgerError::NotRecording { reason: reason.unwrap_or_else(|| "its file is not open".to_owned()) }
    }

    /// Sets the state to not recording. A lasting fault is counted once.
    pub(super) fn set_not_recording(&self, error: &LedgerError) {
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
    pub(super) fn count_dropped(&self, before: u64, dropped: u64) {
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
    pub(super) fn set_recording(&self) {
        let mut health = self.locked_health();
        if health.not_recording.take().is_none() {
            return;
        }
        match health.lost_rows {
            0 => tracing::info!("the ledger records again, and everything that waited is written"),
            lost => tracing::warn!(lost_rows = lost, "the ledger records again; the oldest counts are lost"),
        }
    }

    /// Writes a batch. After a failure it tries once more, with a connection or a file that was opened again.
    pub(super) async fn record(self: Arc<Self>, mut batch: Batch) -> Result<(), LedgerError> {
        if self.store(&batch).await.is_ok() {
            return Ok(());
        }
        batch.all = true;
        self.store(&batch).await
    }

    /// Writes a batch. Opens the file again first when it was closed after a fault.
    async fn store(&self, batch: &Batch) -> Result<(), LedgerError> {
        let open = self.locked_file().clone();
        let (file, all) = match open {
            Some(file) => (file, batch.all),
            None => (self.reopen().await?, true),
        };
        let tick = Tick { counts: &batch.rows, transitions: &batch.transitions, states: &batch.states };
        let stored = if all {
            let (known, deliveries) = self.working().everything();
            let transitions = &[known.as_slice(), &batch.transitions].concat();
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
    pub(super) async fn detach(&self, file: &Arc<SqliteLedger>, error: &LedgerError) {
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

    /// Forgets what waited in a file that cannot be read any more. Returns the sentence about it.
    fn forget_what_was_in_the_file(&self) -> String {
        let mut working = self.working();
        let lost: u64 = working.in_file_only_all();
        working.set_in_file_only(BTreeMap::new());
        if lost == 0 { String::new() } else { format!(" {lost} messages that waited in it are not sent.") }
    }
}

/// Returns whether the file itself is at fault, so that it must be opened again.
pub(super) fn is_file_fault(error: &LedgerError) -> bool {
    match error {
        LedgerError::Lost { .. } | LedgerError::Corrupt { .. } => true,
        LedgerError::Query { source, .. } => is_damage(source),
        _ => false,
    }
}

pub(super) async fn replace_damaged(
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
