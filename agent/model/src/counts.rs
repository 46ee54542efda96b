//! Counts as the ledger keeps them, and the objectives over time.

use crate::Timestamp;

/// Counts of one slot of one SLO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRow {
    /// `Slo::id`.
    pub slo_id: String,
    /// Start of the slot, seconds since the epoch.
    pub start_s: i64,
    /// Width of the slot in seconds.
    pub width_s: u32,
    /// Good events to add.
    pub good: u64,
    /// Bad events to add.
    pub bad: u64,
}

/// An objective and the instant from which it was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectiveRecord {
    /// The first instant.
    pub from: Timestamp,
    /// The share of events that had to be good, in parts per billion.
    pub good_ppb: u32,
}
