//! When a check runs: a fixed grid per check, with a phase that survives restarts.

/// The starts of a check: every `interval`, at a phase hashed from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Milliseconds between starts.
    pub interval_ms: i64,
    /// Milliseconds after the wall-aligned start of each interval.
    pub phase_ms: i64,
}
