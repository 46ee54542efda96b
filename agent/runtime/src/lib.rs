//! Base of the agent's tasks: wall time that is handed in, one seeded generator, supervised loops, and the names of
//! the agent's metrics.
//!
//! This crate never knows what a task does: no SLO, no ledger, no receiver.

pub mod clock;
pub mod events;
pub mod exposition;
pub mod random;
pub mod recorder;
pub mod task;
