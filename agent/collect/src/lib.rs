//! Probes, scrapes and queries: what happened outside becomes counts per slot.

mod jump;
pub mod probe;
pub mod promql;
#[cfg(test)]
mod rehearsal;
pub mod scrape;
mod slots;
mod wording;

use lookout_engine::{Counts, Slot};
use tokio::sync::mpsc;

pub use slots::Schedule;

/// What a source says about one slot of one stream. No observation is not the same as an observation of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// Index into [`Config::streams`]: which SLO or component of one it is about.
    ///
    /// [`Config::streams`]: lookout_config::Config::streams
    pub stream: usize,
    /// The slot of the evaluation grid it belongs to.
    pub slot: Slot,
    /// What happened in it.
    pub counts: Counts,
}

/// Where collectors put what they observe.
pub type Feed = mpsc::Sender<Observation>;
