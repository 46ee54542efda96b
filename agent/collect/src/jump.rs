//! Tells jumps of the wall clock (a step by NTP, a suspended machine) from time that passed.

use std::time::Duration;

use tokio::time::Instant;

use lookout_runtime::events::names;

/// Compares wall time with the monotonic clock from one look to the next.
#[derive(Debug)]
pub(super) struct JumpDetector {
    wall_ms: i64,
    monotonic: Instant,
    tolerance_ms: i64,
}

impl JumpDetector {
    /// Begins to compare. Differences of up to `tolerance` between two looks are none.
    pub(super) fn new(now_ms: i64, tolerance: Duration) -> Self {
        let tolerance_ms = i64::try_from(tolerance.as_millis()).unwrap_or(i64::MAX);
        Self { wall_ms: now_ms, monotonic: Instant::now(), tolerance_ms }
    }

    /// By how much the wall clock jumped since the last look, forward positive; logged and counted.
    pub(super) fn look(&mut self, now_ms: i64, task: &str) -> Option<i64> {
        let passed_ms = i64::try_from(self.monotonic.elapsed().as_millis()).unwrap_or(i64::MAX);
        let jump_ms = now_ms.saturating_sub(self.wall_ms).saturating_sub(passed_ms);
        (self.wall_ms, self.monotonic) = (now_ms, Instant::now());
        if jump_ms.saturating_abs() <= self.tolerance_ms {
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
        let mut detector = JumpDetector::new(1_000_000, Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(detector.look(4_600_000, "t"), None, "a long wait is no jump");
        assert_eq!(detector.look(4_610_000, "t"), None, "a step within the tolerance is none");
        assert_eq!(detector.look(4_630_000, "t"), Some(20_000));
        assert_eq!(detector.look(4_630_000, "t"), None, "a jump is seen once");
        assert_eq!(detector.look(1_000_000, "t"), Some(-3_630_000));
    }
}
