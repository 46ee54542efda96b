//! One seeded source of randomness, handed down; its seed is logged at start so that a run can be repeated.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A shared, seeded generator.
#[derive(Debug)]
pub struct Random(Mutex<fastrand::Rng>);

impl Random {
    /// Creates a generator that yields the same numbers for the same seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// Returns a random number of the whole range.
    pub fn next(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).u64(..)
    }

    /// Returns a duration between half of `around` and all of it. It spreads retries without exceeding their plan.
    pub fn jitter(&self, around: Duration) -> Duration {
        let share = self.0.lock().unwrap_or_else(PoisonError::into_inner).f64();
        around.mul_f64(0.5 + share / 2.0)
    }
}
