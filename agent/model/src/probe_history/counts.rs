//! Probes of a span of time.

use core::time::Duration;

/// Buckets of durations. Each is wider by a fifth than the one before; the last holds all above.
pub(super) const BUCKETS: u8 = 80;

/// Upper bound of the first bucket.
const FIRST_S: f64 = 0.000_1;

/// Buckets until a bound has doubled.
const PER_DOUBLING: f64 = 4.0;

/// Probes of a span of time, by duration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbeCounts {
    /// Probes by the bucket of their duration, in rising order.
    durations: Vec<(u8, u64)>,
    failed: u64,
    missed: u64,
}

impl ProbeCounts {
    pub(super) fn of_parts(durations: Vec<(u8, u64)>, failed: u64, missed: u64) -> Self {
        Self { durations, failed, missed }
    }

    /// Adds a probe. A failed one counts with the time it took.
    pub fn add_probe(&mut self, duration: Duration, is_ok: bool) {
        self.add_to(bucket_of(duration), 1);
        self.failed = self.failed.saturating_add(u64::from(!is_ok));
    }

    /// Adds slots without a probe.
    pub const fn add_missed(&mut self, slots: u64) {
        self.missed = self.missed.saturating_add(slots);
    }

    /// Adds the probes of another span.
    pub fn add(&mut self, other: &Self) {
        for (bucket, probes) in &other.durations {
            self.add_to(*bucket, *probes);
        }
        self.failed = self.failed.saturating_add(other.failed);
        self.missed = self.missed.saturating_add(other.missed);
    }

    fn add_to(&mut self, bucket: u8, probes: u64) {
        match self.durations.binary_search_by_key(&bucket, |(known, _)| *known) {
            Ok(place) => {
                if let Some((_, known)) = self.durations.get_mut(place) {
                    *known = known.saturating_add(probes);
                }
            }
            Err(place) => self.durations.insert(place, (bucket, probes)),
        }
    }

    /// Number of probes.
    #[must_use]
    pub fn probes(&self) -> u64 {
        self.durations.iter().fold(0, |sum, (_, probes)| sum.saturating_add(*probes))
    }

    /// Number of probes that failed.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// Number of slots without a probe.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// Returns whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.durations.is_empty() && self.failed == 0 && self.missed == 0
    }

    /// The duration that a share of the probes did not exceed: the upper bound of its bucket. Without probes there is none.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let wanted = (self.probes() as f64 * share).ceil().max(1.0);
        let mut seen = 0.0;
        let found = self.durations.iter().find(|(_, probes)| {
            seen += *probes as f64;
            seen >= wanted
        });
        found.map(|(bucket, _)| bound_of(*bucket))
    }

    pub(super) fn durations(&self) -> &[(u8, u64)] {
        &self.durations
    }

    /// The same in buckets that are `1 << shift` times as many in one; each is named by its last one.
    pub(super) fn coarser(&self, shift: u8) -> Self {
        let mut coarse = Self { durations: Vec::new(), ..*self };
        for (bucket, probes) in &self.durations {
            coarse.add_to(bucket >> shift, *probes);
        }
        coarse
    }
}

fn bucket_of(duration: Duration) -> u8 {
    let doublings = (duration.as_secs_f64() / FIRST_S).log2().max(0.0);
    // below 2^53 a cast is exact, and it saturates
    ((doublings * PER_DOUBLING).ceil() as u64).min(u64::from(BUCKETS - 1)) as u8
}

fn bound_of(bucket: u8) -> Duration {
    Duration::from_secs_f64(FIRST_S * (f64::from(bucket) / PER_DOUBLING).exp2())
}
