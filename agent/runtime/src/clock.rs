//! Wall time, handed in. Durations and timers use `tokio::time`, so that one paused clock covers both.

use lookout_model::Timestamp;
use tokio::time::Instant;

/// Source of wall time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current wall time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where wall time enters")]
    fn now(&self) -> Timestamp {
        jiff::Timestamp::now().into()
    }
}

/// Wall time that advances with tokio's clock: under a paused runtime both move together.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    base: Timestamp,
    start: Instant,
}

impl TokioClock {
    /// Creates a clock that shows `base` now.
    #[must_use]
    pub fn starting_at(base: Timestamp) -> Self {
        Self { base, start: Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.base + self.start.elapsed()
    }
}
