//! History of the probes of a target: for each minute of an hour its probes by duration, those that failed, and the slots
//! without a probe.
//!
//! An hour becomes a few bytes. It is exact to the minute and to a fifth of a duration while that fits; else it gets coarser
//! until it does. So the room that a target takes is bounded, whatever its interval and however its durations scatter.

mod bytes;
mod counts;
mod hour;

pub use counts::ProbeCounts;
pub use hour::{ProbeHour, Span};

/// Bytes of an hour while it is recent. With its key and the slack of a B-tree, a day of 24 takes less than 8 KB.
pub const RECENT_HOUR_BYTES: usize = 248;

/// Bytes of an hour afterwards.
pub const OLD_HOUR_BYTES: usize = 64;

/// Probes of a target in one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeMinute {
    /// Name of the target.
    pub target: String,
    /// Number of the minute since the epoch.
    pub minute: i64,
    /// Its probes.
    pub counts: ProbeCounts,
}

#[cfg(test)]
mod tests;
