//! The state of an evaluator that its counts do not tell, so that a restart goes on where the last tick was.
//!
//! Instants are seconds since the epoch and alerts have their text, because grid and tiers may change between two runs.
//! A tier that has changed starts anew. An incident that no saved alert explains is of an older ledger or of other
//! tiers: all alerts of its severity fire on then, until data end them.

/// State of an evaluator beside its counts and incidents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedState {
    /// Tiers and conditions that fire, wait for their hold time or see a run of failure.
    pub alerts: Vec<SavedAlert>,
    /// Begin of the present run of failure.
    pub failing_since: Option<i64>,
    /// Observed time of the events.
    pub observed: SavedCoverage,
    /// Observed time of the slices, where slices are counted.
    pub rated: SavedCoverage,
    /// Begin of the latest slots with a start of the process behind the data, and the number of starts.
    pub starts: Vec<(i64, u32)>,
    /// The row of outcomes, where one is counted.
    pub row: Option<SavedRow>,
    /// Begin of the last slot before the clock was set.
    pub stepped: Option<i64>,
}

/// The row of equal outcomes of probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedRow {
    /// Failures since the last success.
    pub failures: u32,
    /// Successes since the last failure, as far as they matter.
    pub successes: u32,
    /// Begin of the first and of the last slot of the last row of failures.
    pub failed: Option<(i64, i64)>,
}

/// State of one tier or condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedAlert {
    /// The tier or condition as specs write it.
    pub alert: String,
    /// True if it fires.
    pub firing: bool,
    /// Begin of the slot since which its threshold is passed.
    pub exceeded_since: Option<i64>,
    /// Begin of the run of failure that its short window sees.
    pub run_since: Option<i64>,
}

/// Observed time of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedCoverage {
    /// The longest silence that is no gap, in seconds.
    pub gap_after: i64,
    /// Time without a gap, oldest first.
    pub stretches: Vec<SavedStretch>,
}

/// Time without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedStretch {
    /// Its begin.
    pub from: i64,
    /// Its end; `None` while it goes on.
    pub to: Option<i64>,
    /// Unseen seconds in it.
    pub unseen: i64,
}
