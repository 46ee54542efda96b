//! The schedule of a check: a fixed grid, with a phase that survives restarts.
//!
//! The phase is hashed from the name, so that many checks of one interval neither start at the same instant nor move
//! when the agent is restarted.

use std::time::Duration;

use lookout_model::Timestamp;
use sha2::{Digest as _, Sha256};

/// The starts of a check: every `interval`, at a phase hashed from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Milliseconds between starts.
    pub interval_ms: i64,
    /// Milliseconds after the wall-aligned start of each interval.
    pub phase_ms: i64,
}

impl Schedule {
    /// The schedule of the check `name`. An interval below a millisecond counts as one.
    #[must_use]
    pub fn new(name: &str, interval: Duration) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        // not std's hasher: its result may differ between releases of the compiler
        let hash = Sha256::digest(name.as_bytes());
        let prefix = hash.iter().take(7).fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
        Self { interval_ms, phase_ms: prefix.rem_euclid(interval_ms) }
    }

    /// The first start strictly later than an instant.
    #[must_use]
    pub const fn next_after(&self, now: Timestamp) -> Timestamp {
        self.start_of(self.number_at(now).saturating_add(1))
    }

    /// The number, counted from the epoch, of the slot that contains an instant; a slot lasts from one start to the next.
    #[must_use]
    pub const fn number_at(&self, now: Timestamp) -> i64 {
        now.as_millis().saturating_sub(self.phase_ms).div_euclid(self.interval_ms)
    }

    /// Returns the start of the slot of a number.
    #[must_use]
    pub const fn start_of(&self, number: i64) -> Timestamp {
        Timestamp::from_millis(number.saturating_mul(self.interval_ms).saturating_add(self.phase_ms))
    }

    /// Returns the number of whole slots from the one that starts at `start` that are over at an instant.
    #[must_use]
    pub const fn over_since(&self, start: Timestamp, now: Timestamp) -> i64 {
        let late = now.millis_since(start);
        if late < 0 { 0 } else { late / self.interval_ms }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_phase_of_a_name_never_changes() {
        // fixed values: a change here moves every check of every user at the next release
        let schedule = Schedule::new("api-health", Duration::from_secs(10));
        assert_eq!((schedule.interval_ms, schedule.phase_ms), (10_000, PHASE_OF_API_HEALTH));
    }

    /// First seven bytes of `printf api-health | sha256sum`, modulo 10,000.
    const PHASE_OF_API_HEALTH: i64 = 2_536;

    #[test]
    fn names_spread_over_the_interval() {
        let tenths: std::collections::BTreeSet<i64> = (0..100)
            .map(|n| Schedule::new(&format!("target-{n}"), Duration::from_secs(10)).phase_ms / 1000)
            .collect();
        assert_eq!(tenths.len(), 10, "a hundred checks reach every second of ten");
    }

    proptest! {
        #[test]
        fn the_next_start_is_the_first_one_later(
            name in ".{0,20}",
            interval_ms in 1_u64..100_000_000,
            now in -4_000_000_000_000_i64..4_000_000_000_000,
        ) {
            let schedule = Schedule::new(&name, Duration::from_millis(interval_ms));
            prop_assert!((0..schedule.interval_ms).contains(&schedule.phase_ms));
            let next_after = |millis| schedule.next_after(Timestamp::from_millis(millis)).as_millis();
            let next = next_after(now);
            prop_assert!(next > now && next - now <= schedule.interval_ms);
            prop_assert_eq!((next - schedule.phase_ms).rem_euclid(schedule.interval_ms), 0);
            prop_assert_eq!(next_after(next), next + schedule.interval_ms);
            prop_assert_eq!(next_after(next - 1), next);
        }

        #[test]
        fn every_instant_is_in_exactly_one_slot(
            interval_ms in 1_u64..10_000_000,
            now in -4_000_000_000_000_i64..4_000_000_000_000,
        ) {
            let schedule = Schedule::new("a", Duration::from_millis(interval_ms));
            let now = Timestamp::from_millis(now);
            let number = schedule.number_at(now);
            prop_assert!(schedule.start_of(number) <= now && now < schedule.start_of(number + 1));
        }

        #[test]
        fn late_slots_are_counted_without_walking_them(late in -100_000_i64..100_000, interval_s in 1_u64..60) {
            let schedule = Schedule::new("a", Duration::from_secs(interval_s));
            let start = schedule.next_after(Timestamp::from_seconds(1_700_000_000));
            let now = Timestamp::from_millis(start.as_millis() + late);
            let walked = (0..).take_while(|n| (n + 1) * schedule.interval_ms <= late).count();
            prop_assert_eq!(schedule.over_since(start, now), i64::try_from(walked).unwrap());
        }
    }
}
