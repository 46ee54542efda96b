//! Detection of jumps of the wall clock: a step by NTP, or a suspended machine.

use std::time::Duration;

use lookout_model::Timestamp;
use tokio::time::Instant;

use lookout_runtime::events::names;

/// Compares wall time with the monotonic clock from one look to the next.
#[derive(Debug)]
pub(super) struct JumpDetector {
    wall: Timestamp,
    monotonic: Instant,
    tolerance: Duration,
}

impl JumpDetector {
    /// Begins to compare. Differences of up to `tolerance` between two looks are none.
    pub(super) fn new(now: Timestamp, tolerance: Duration) -> Self {
        Self { wall: now, monotonic: Instant::now(), tolerance }
    }

    /// By how many milliseconds the wall clock jumped since the last look, forward positive; logged and counted.
    pub(super) fn look(&mut self, now: Timestamp, task: &str) -> Option<i64> {
        let jump_ms = now.millis_since(self.wall + self.monotonic.elapsed());
        (self.wall, self.monotonic) = (now, Instant::now());
        if u128::from(jump_ms.unsigned_abs()) <= self.tolerance.as_millis() {
            return None;
        }
        tracing::warn!(task.name = task, clock.jump_ms = jump_ms, "wall clock jumped, or the machine slept");
        metrics::counter!(names::CLOCK_JUMPS).increment(1);
        Some(jump_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_the_monotonic_clock_did_not_see_is_a_jump() {
        let mut detector = JumpDetector::new(Timestamp::from_seconds(1000), Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(detector.look(Timestamp::from_seconds(4600), "t"), None, "a long wait is no jump");
        assert_eq!(
            detector.look(Timestamp::from_seconds(4610), "t"),
            None,
            "a step within the tolerance is none"
        );
        assert_eq!(detector.look(Timestamp::from_seconds(4630), "t"), Some(20_000));
        assert_eq!(detector.look(Timestamp::from_seconds(4630), "t"), None, "a jump is seen once");
        assert_eq!(detector.look(Timestamp::from_seconds(1000), "t"), Some(-3_630_000));
    }
}
