//! A ledger that lives and dies with the process: for simulated time, where no real I/O may happen.

/// A ledger in memory.
#[derive(Debug, Default)]
pub struct MemoryLedger;
