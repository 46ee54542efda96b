//! The rate of events that a promise is made for, and its bound.

use core::fmt;

/// The bad events in a row that page where events are rare.
pub const OUTAGE_EVENTS: u64 = 3;

/// An even rate of events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventRate {
    per_second: f64,
}

/// A rate that is not a positive number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InvalidRate(
    /// The refused rate in events per second.
    pub f64,
);

impl fmt::Display for InvalidRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events a second are not a positive rate", self.0)
    }
}

impl core::error::Error for InvalidRate {}

impl EventRate {
    /// Creates a rate of events per second.
    ///
    /// # Errors
    /// If it is not a positive, finite number.
    pub fn try_per_second(per_second: f64) -> Result<Self, InvalidRate> {
        let is_rate = per_second.is_finite() && per_second > 0.0;
        if is_rate { Ok(Self { per_second }) } else { Err(InvalidRate(per_second)) }
    }

    /// Creates the rate of one event per interval, like that of a probe.
    ///
    /// # Errors
    /// If the interval is not a positive, finite number of seconds.
    pub fn try_every_seconds(seconds: f64) -> Result<Self, InvalidRate> {
        Self::try_per_second(1.0 / seconds)
    }

    /// Events per second.
    #[must_use]
    pub const fn per_second(self) -> f64 {
        self.per_second
    }

    /// The rate, limited to one unit per so many seconds, like that of slices of time.
    #[must_use]
    pub fn at_most_every(self, seconds: f64) -> Self {
        Self { per_second: self.per_second.min(1.0 / seconds.max(f64::MIN_POSITIVE)) }
    }

    /// Whole events of a time.
    #[must_use]
    pub fn events_in(self, seconds: u64) -> u64 {
        // a tiny part more, so that 0.1 per second is 1 after ten seconds and not 0.999…
        (self.per_second * seconds as f64 + 1e-6) as u64
    }

    /// Seconds from one event to the next.
    #[must_use]
    pub const fn interval_seconds(self) -> f64 {
        1.0 / self.per_second
    }
}

/// The time within which a total outage must page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PromiseBound {
    /// Seconds, where events are frequent.
    pub seconds: f64,
    /// Events, where these take longer.
    pub events: u64,
}

impl Default for PromiseBound {
    /// Five minutes, or three events.
    fn default() -> Self {
        Self { seconds: 300.0, events: OUTAGE_EVENTS }
    }
}

impl PromiseBound {
    /// The bound in seconds at an event rate.
    #[must_use]
    pub fn seconds(self, rate: EventRate) -> f64 {
        self.seconds.max(self.events as f64 * rate.interval_seconds())
    }
}
