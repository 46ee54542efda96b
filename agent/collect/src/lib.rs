//! Probes, scrapes and queries: events outside become counts per slot. Discovery finds the addresses that are probed.
//!
//! This crate judges one event at a time. It never knows an objective, a budget or an alert.

pub mod discover;
mod jump;
pub mod probe;
pub mod promql;
mod resources;
pub mod scrape;
mod slots;
mod stream_numbers;
#[cfg(test)]
mod test_clock;
mod wording;

use lookout_engine::{Counts, Slot};
use tokio::sync::mpsc;

pub use slots::Schedule;
pub use stream_numbers::StreamNumbers;

/// Counts of one slot of one stream. No observation is not the same as an observation of nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Number of the stream, from [`StreamNumbers`]: which SLO or component of one it is about.
    pub stream: usize,
    /// The slot of the evaluation grid it belongs to.
    pub slot: Slot,
    /// Good and bad events.
    pub counts: Counts,
    /// Starts of the process that was observed.
    pub starts: u32,
    /// A value that cannot be true; the counts then say nothing.
    pub quarantined: Option<Quarantined>,
}

/// A value that a source showed and that is not counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quarantined {
    /// The value: that of a sample, or a number of events.
    pub value: f64,
    /// The reason: `absurd_growth`.
    pub reason: &'static str,
}

impl Observation {
    /// Counts of a slot, without a start.
    #[must_use]
    pub const fn new(stream: usize, slot: Slot, counts: Counts) -> Self {
        Self { stream, slot, counts, starts: 0, quarantined: None }
    }

    /// A value of a slot that is not counted.
    #[must_use]
    pub const fn quarantined(stream: usize, slot: Slot, quarantined: Quarantined) -> Self {
        Self { quarantined: Some(quarantined), ..Self::new(stream, slot, Counts::ZERO) }
    }
}

/// Channel of observations.
pub type Feed = mpsc::Sender<Observation>;
