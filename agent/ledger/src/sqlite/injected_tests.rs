//! Faults that tests inject into writes: a disk that fails at random, before or after it has stored, and one that hangs.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::query;
use crate::LedgerError;

/// The errors of a failing disk (EIO) and of a full one (ENOSPC).
const CODES: [i32; 2] = [5, 28];

/// Faults of one writer; none until a test asks for them.
#[derive(Debug, Default)]
pub(crate) struct Injected {
    faults: Mutex<Option<(fastrand::Rng, f64)>>,
    hang: Mutex<Hang>,
    answers: Condvar,
}

/// A disk that hangs.
#[derive(Debug, Default)]
struct Hang {
    /// Steps of writes until one hangs, and all after it.
    after: Option<usize>,
    /// Calls that hang.
    calls: usize,
}

impl Injected {
    /// Makes each step of a write fail with a probability, or heals the disk.
    pub(crate) fn set(&self, faults: Option<(u64, f64)>) {
        let faults = faults.map(|(seed, share)| (fastrand::Rng::with_seed(seed), share));
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Makes the disk hang after a number of steps of writes, or answer again. A write has three: the begin of its
    /// transaction, before the commit, after it.
    pub(crate) fn hang(&self, after: Option<usize>) {
        self.locked_hang().after = after;
        self.answers.notify_all();
    }

    /// Returns the number of calls that hang.
    pub(crate) fn hanging(&self) -> usize {
        self.locked_hang().calls
    }

    fn locked_hang(&self) -> MutexGuard<'_, Hang> {
        self.hang.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hangs, or fails at random.
    pub(super) fn step(&self, doing: &'static str) -> Result<(), LedgerError> {
        self.wait();
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((random, share)) = &mut *faults else { return Ok(()) };
        if random.f64() >= *share {
            return Ok(());
        }
        let code = CODES[random.usize(..CODES.len())];
        Err(query(doing)(sqlx::Error::Io(io::Error::from_raw_os_error(code))))
    }

    fn wait(&self) {
        let mut hang = self.locked_hang();
        match &mut hang.after {
            None => return,
            Some(0) => {}
            Some(after) => return *after -= 1,
        }
        hang.calls += 1;
        let hangs = |hang: &mut Hang| hang.after.is_some();
        let mut hang = self.answers.wait_while(hang, hangs).unwrap_or_else(PoisonError::into_inner);
        hang.calls -= 1;
    }
}
