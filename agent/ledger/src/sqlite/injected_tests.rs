//! Faults that tests inject into writes: a disk that fails at random, before or after it has stored.

use std::io;
use std::sync::{Mutex, PoisonError};

use super::query;
use crate::LedgerError;

/// The errors of a failing disk (EIO) and of a full one (ENOSPC).
const CODES: [i32; 2] = [5, 28];

/// Faults of one writer; none until a test asks for them.
#[derive(Debug, Default)]
pub(crate) struct Injected(Mutex<Option<(fastrand::Rng, f64)>>);

impl Injected {
    /// Makes each step of a write fail with a probability, or heals the disk.
    pub(crate) fn set(&self, faults: Option<(u64, f64)>) {
        let faults = faults.map(|(seed, share)| (fastrand::Rng::with_seed(seed), share));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Fails at random.
    pub(super) fn step(&self, doing: &'static str) -> Result<(), LedgerError> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((random, share)) = &mut *faults else { return Ok(()) };
        if random.f64() >= *share {
            return Ok(());
        }
        let code = CODES[random.usize(..CODES.len())];
        Err(query(doing)(sqlx::Error::Io(io::Error::from_raw_os_error(code))))
    }
}
