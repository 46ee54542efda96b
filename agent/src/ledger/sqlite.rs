//! The embedded ledger: one SQLite file in WAL mode, one writer.

/// A ledger in an SQLite file.
#[derive(Debug)]
pub struct SqliteLedger;
