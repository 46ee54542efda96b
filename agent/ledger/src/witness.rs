//! A small file beside the ledger, the witness: which ledger was in use, how far it had come, and which incidents were in
//! progress.
//!
//! It answers one question after a restart: is this the ledger of before, and all of it? A ledger that was deleted,
//! replaced or cut cannot answer that itself. Incidents that the ledger has lost go on from the witness, so that their
//! receivers hear of the end.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lookout_model::{Notice, Timestamp, TransitionRecord};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::Loss;
use crate::sibling::sibling;
use crate::working::{Entry, InProgress, State, WorkingSet};

/// Largest number of incidents that are remembered.
const MOST_INCIDENTS: usize = 500;
/// Largest size of the part about incidents that is written again for the number of a tick alone.
const CHEAP_BYTES: usize = 64 * 1024;
/// Time between two writes of a larger part for the progress of deliveries alone.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// The content of a ledger at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// The id of the ledger; empty when it is not known.
    pub(crate) ledger: String,
    /// Number of the last tick.
    pub(crate) tick: i64,
}

/// The state of the agent that wrote the witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Use {
    InUse,
    Closed,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    #[serde(flatten)]
    version: Version,
    state: Use,
}

/// A transition of an incident in progress, with the state of its deliveries.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    notice: Notice,
    destinations: Vec<String>,
    deliveries: Vec<RememberedDelivery>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RememberedDelivery {
    destination: String,
    attempts: u32,
    /// True if an attempt may have reached the receiver without its answer.
    unsure: bool,
    delivered: bool,
    thread: Option<String>,
}

/// The files of a ledger as a start finds them, before anything is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LedgerFiles {
    bytes: Option<u64>,
    has_log: bool,
}

impl LedgerFiles {
    /// Looks at the files of a ledger.
    pub(crate) fn at(path: &Path) -> Self {
        let bytes = std::fs::metadata(path).ok().map(|about| about.len());
        Self { bytes, has_log: sibling(path, "-wal").exists() }
    }
}

/// The memory of an earlier run.
#[derive(Debug)]
pub(crate) struct Memory {
    head: Head,
    incidents: Vec<Remembered>,
}

impl Memory {
    /// Reads the witness of a ledger. `None` without one, or when it cannot be read.
    pub(crate) fn read(ledger: &Path) -> Option<Self> {
        let path = name(ledger);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the witness of the ledger cannot be read");
                return None;
            }
        };
        let parse = || {
            let (head, incidents) = text.split_once('\n')?;
            Some(Self {
                head: serde_json::from_str(head).ok()?,
                incidents: serde_json::from_str(incidents).ok()?,
            })
        };
        let memory = parse();
        if memory.is_none() {
            tracing::warn!(path = %path.display(), "the witness of the ledger is damaged and of no use");
        }
        memory
    }

    /// Compares a ledger with the one that was in use.
    pub(crate) fn loss(&self, found: LedgerFiles, now: &Version) -> Option<Loss> {
        let before = &self.head.version;
        if before.ledger.is_empty() {
            return None;
        }
        match found.bytes {
            None => return Some(Loss::Deleted),
            Some(0) => return Some(Loss::Truncated),
            Some(_) => {}
        }
        if before.ledger != now.ledger {
            Some(Loss::Replaced)
        } else if self.head.state == Use::InUse && !found.has_log {
            Some(Loss::Log)
        } else if now.tick < before.tick {
            Some(Loss::Older)
        } else {
            None
        }
    }

    /// Returns the transitions that were in progress, in order, each with its deliveries.
    pub(crate) fn into_transitions(self) -> Vec<InProgress> {
        self.incidents.into_iter().map(Remembered::into_transition).collect()
    }
}

impl Remembered {
    fn of(transition: &TransitionRecord, entries: &[Entry]) -> Self {
        let delivery = |entry: &Entry| RememberedDelivery {
            destination: entry.destination.clone(),
            attempts: entry.attempts,
            unsure: entry.unsure || entry.attempting,
            delivered: matches!(entry.state, State::Delivered(_)),
            thread: match &entry.state {
                State::Delivered(thread) => thread.clone(),
                _ => None,
            },
        };
        Self {
            notice: transition.notice.clone(),
            destinations: transition.destinations.clone(),
            deliveries: entries.iter().map(delivery).collect(),
        }
    }

    fn into_transition(self) -> InProgress {
        let transition = Arc::new(TransitionRecord {
            incident: self.notice.incident.clone(),
            change: self.notice.change,
            at: self.notice.at,
            notice: self.notice,
            destinations: self.destinations,
        });
        let entry = |delivery: RememberedDelivery| Entry {
            transition: Arc::clone(&transition),
            destination: delivery.destination,
            attempts: delivery.attempts,
            attempting: false,
            unsure: delivery.unsure,
            due_at: Timestamp::EPOCH,
            ended_at: None,
            expired: false,
            last_error: None,
            state: if delivery.delivered { State::Delivered(delivery.thread) } else { State::Waiting },
        };
        let entries = self.deliveries.into_iter().map(entry).collect();
        (transition, entries)
    }
}

/// The writer of a witness.
#[derive(Debug)]
pub(crate) struct Witness {
    path: PathBuf,
    version: Version,
    /// The part about incidents, as it was written last or is to be written again.
    incidents: String,
    /// True if the last write failed.
    failed: bool,
    /// The instant at which that part was written.
    written: Option<Instant>,
}

impl Witness {
    /// Creates the witness of a ledger. Nothing is written yet.
    pub(crate) fn beside(ledger: &Path) -> Self {
        let (version, incidents) = (Version::default(), String::new());
        Self { path: name(ledger), version, incidents, failed: false, written: None }
    }

    /// Returns whether the progress of a delivery is written at once. While there are many incidents it is not written with
    /// every tick.
    pub(crate) fn is_due(&self) -> bool {
        self.incidents.len() <= CHEAP_BYTES
            || self.written.is_none_or(|written| written.elapsed() >= PROGRESS_EVERY)
    }

    /// Writes the state of the ledger, and what is in progress if it changed. A failure is logged: the ledger on the same disk
    /// says more about it. The next call writes all of it again. Without a version, the last one stays.
    pub(crate) fn write(&mut self, version: Option<Version>, in_progress: Option<&[InProgress]>, state: Use) {
        let version = version.unwrap_or_else(|| self.version.clone());
        let incidents = in_progress.map(text_of).filter(|incidents| *incidents != self.incidents);
        let (changed, length) = (incidents.is_some() || self.failed, self.incidents.len());
        if !changed && state == Use::InUse && (version == self.version || length > CHEAP_BYTES) {
            return;
        }
        self.version = version;
        if let Some(incidents) = incidents {
            (self.incidents, self.written) = (incidents, Some(Instant::now()));
        }
        let replaced = self.replace(state, changed);
        self.failed = replaced.is_err();
        if let Err(error) = replaced {
            tracing::warn!(%error, path = %self.path.display(), "the witness of the ledger cannot be written");
        }
    }

    fn replace(&self, state: Use, sync: bool) -> io::Result<()> {
        let head = serde_json::to_string(&Head { version: self.version.clone(), state })?;
        let next = sibling(&self.path, ".next");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&next)?;
        writeln!(file, "{head}")?;
        file.write_all(self.incidents.as_bytes())?;
        // the number of a tick is no reason to wait for the disk
        if sync {
            file.sync_data()?;
        }
        std::fs::rename(&next, &self.path)
    }
}

/// Returns what a witness remembers of the incidents in progress.
pub(crate) fn in_progress(working: &WorkingSet) -> Vec<InProgress> {
    working.unfinished(MOST_INCIDENTS)
}

fn text_of(in_progress: &[InProgress]) -> String {
    let remembered: Vec<Remembered> =
        in_progress.iter().map(|(transition, entries)| Remembered::of(transition, entries)).collect();
    serde_json::to_string(&remembered).unwrap_or_else(|_| "[]".to_owned())
}

/// Notes that another ledger is in place on purpose: a backup was restored.
pub(crate) fn accept_next(ledger: &Path) {
    let Some(memory) = Memory::read(ledger) else { return };
    let incidents = serde_json::to_string(&memory.incidents).unwrap_or_else(|_| "[]".to_owned());
    let witness = Witness { incidents, ..Witness::beside(ledger) };
    if let Err(error) = witness.replace(Use::Closed, true) {
        tracing::warn!(%error, "the next start will report that the ledger was replaced");
    }
}

/// Returns the name of the witness of a ledger.
fn name(ledger: &Path) -> PathBuf {
    sibling(ledger, ".witness")
}

#[cfg(test)]
mod tests {
    use lookout_model::sample::{T0, lifecycle};

    use super::*;

    #[test]
    fn a_write_that_fails_loses_no_incident_and_is_made_up_for() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.db");
        let mut working = WorkingSet::default();
        let [opened, ..] = lifecycle(T0, &["slack"]);
        working.record(&opened);
        let incidents = in_progress(&working);
        let mut witness = Witness::beside(&ledger);
        let mut tick = 0;
        let mut write = |incidents: Option<&[InProgress]>| {
            tick += 1;
            witness.write(Some(Version { ledger: "one".to_owned(), tick }), incidents, Use::InUse);
        };
        write(Some(&[]));
        let in_the_way = sibling(&name(&ledger), ".next");
        // twice: the incident is handed over while nothing can be written, and nothing changes after it
        for expected in [1, 2] {
            std::fs::create_dir(&in_the_way).unwrap();
            write(Some(&incidents[..1]));
            write(None);
            std::fs::remove_dir(&in_the_way).unwrap();
            write(None);
            let memory = Memory::read(&ledger).expect("it can be read");
            assert_eq!((memory.head.version.tick, memory.incidents.len()), (expected * 3 + 1, 1));
        }
    }
}
