//! Probes over HTTP: one attempt, one deadline, one outcome per slot, with a reason from a closed list.

mod outcome;

pub use outcome::{Outcome, Phases, Reason, Verdict};
