//! The excluded time of a period on a page.

use super::Moment;
use lookout_model::{Corrected, CorrectedBy};
use lookout_model::{Timestamp, format};

/// Largest number of characters of a text from outside.
const TEXT: usize = 300;

/// Excluded time of a period, as a sum and by correction.
#[derive(Debug)]
pub(super) struct CorrectedRow {
    /// `2 h of the period corrected`.
    pub(super) total: String,
    /// The most recent reason.
    pub(super) reason: String,
    /// True if nothing counts now.
    pub(super) now: bool,
    pub(super) entries: Vec<EntryRow>,
    /// The number of further corrections, as text.
    pub(super) more: Option<String>,
}

/// One correction.
#[derive(Debug)]
pub(super) struct EntryRow {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) reason: String,
    pub(super) actor: String,
    pub(super) from: Moment,
    pub(super) to: Moment,
    pub(super) excludes: String,
    pub(super) recurring: bool,
}

impl CorrectedRow {
    /// Creates the row; `None` when everything counts.
    pub(super) fn new(corrected: &Corrected, now: Timestamp) -> Option<Self> {
        let total = format!("{} of the period corrected", format::duration(corrected.seconds as f64));
        let reason = corrected.entries.first().map(|entry| bounded(&entry.reason)).unwrap_or_default();
        (corrected.seconds > 0).then(|| Self {
            total,
            reason,
            now: corrected.now,
            entries: corrected.entries.iter().map(|entry| EntryRow::new(entry, now)).collect(),
            more: (corrected.more > 0).then(|| format!("{} more", format::count(corrected.more))),
        })
    }
}

impl EntryRow {
    fn new(entry: &CorrectedBy, now: Timestamp) -> Self {
        Self {
            id: entry.id.clone(),
            kind: entry.kind.as_str(),
            reason: bounded(&entry.reason),
            actor: bounded(&entry.actor),
            from: Moment::new(entry.from, now),
            to: Moment::new(entry.to, now),
            excludes: format::duration(entry.seconds as f64),
            recurring: entry.recurring,
        }
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(TEXT).collect()
}
