//! Rows and states that the file does not have yet.

use std::collections::BTreeMap;

use lookout_engine::Counts;
use lookout_model::{CountRow, StateRecord, TransitionRecord};

use super::time_limit::Late;

/// Largest number of rows of counts that wait in memory, on each side of the ledger; beyond it the oldest are dropped.
pub const WAITING_ROWS: usize = 100_000;

/// Everything that one write stores.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) rows: Vec<CountRow>,
    pub(super) states: Vec<StateRecord>,
    pub(super) transitions: Vec<TransitionRecord>,
    /// True if incidents and deliveries of memory are stored as well.
    pub(super) all: bool,
}

/// A write that is late. It may be stored or not: only its result tells.
#[derive(Debug)]
pub(super) struct LateBatch {
    pub(super) result: Late<()>,
    pub(super) rows: Vec<CountRow>,
}

/// Everything that is not in the file yet.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// By start, SLO and width.
    counts: BTreeMap<(i64, String, u32), Counts>,
    /// By SLO.
    states: BTreeMap<String, StateRecord>,
    /// Incidents or deliveries changed while nothing was recorded.
    pub(super) working: bool,
    /// Number of rows that were dropped, because too many waited.
    pub(super) dropped: u64,
    /// A write that has not returned within its time limit, with its rows.
    pub(super) late: Option<LateBatch>,
}

impl Backlog {
    pub(super) fn add(&mut self, rows: &[CountRow]) {
        for row in rows {
            let key = (row.start_s, row.slo_id.clone(), row.width_s);
            *self.counts.entry(key).or_default() += Counts { good: row.good, bad: row.bad };
            if self.counts.len() > WAITING_ROWS && self.counts.pop_first().is_some() {
                self.dropped += 1;
            }
        }
    }

    pub(super) fn keep_states(&mut self, states: &[StateRecord]) {
        self.states.extend(states.iter().map(|record| (record.slo_id.clone(), record.clone())));
    }

    /// Creates the batch of everything that waits, and of new transitions.
    pub(super) fn batch(&self, transitions: &[TransitionRecord]) -> Batch {
        Batch {
            rows: self.rows(),
            states: self.states.values().cloned().collect(),
            transitions: transitions.to_vec(),
            all: self.working,
        }
    }

    /// Hands the rows over to a write that is late: they wait for its result and are in no other write.
    pub(super) fn hand_over(&mut self, result: Late<()>) {
        let rows = self.rows();
        self.counts.clear();
        self.late = Some(LateBatch { result, rows });
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
