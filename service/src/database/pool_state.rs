//! The state of a pool at one moment, for its metrics.

use std::time::Duration;

/// The state of a pool at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolState {
    /// Idle connections.
    pub idle: u32,
    /// Permits that are free.
    pub available: u32,
    /// Permits whose connection is being recovered.
    pub recovering: u32,
    /// Permits that were held for longer than any request may last. This is a defect.
    pub stranded: u32,
    /// All permits.
    pub max: u32,
    /// Age of the oldest checkout.
    pub oldest_checkout: Duration,
    /// Connections that were closed because they did not answer.
    pub discarded_silent: u64,
    /// Connections that were closed after an error.
    pub discarded_failed: u64,
}
