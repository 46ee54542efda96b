//! The pace of a job of Prometheus.

/// Interval of a job, and the time that each of its scrapes may take.
pub(super) struct Pace {
    pub(super) interval: String,
    pub(super) timeout: String,
}
