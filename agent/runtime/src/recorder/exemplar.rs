//! The trace that samples belong to. The facade has no argument for it, so that it is lent to the thread that records.

use std::cell::Cell;

use lookout_model::Timestamp;

/// A trace and the time of its sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trace {
    pub(super) id: u128,
    pub(super) at: Timestamp,
}

thread_local! {
    static CURRENT: Cell<Option<Trace>> = const { Cell::new(None) };
}

/// Records what `record` records into histograms as samples of a trace, named by 32 hex digits. The last sample of each
/// bucket leads to its trace from there on.
pub fn with_trace<R>(trace_id: &str, at: Timestamp, record: impl FnOnce() -> R) -> R {
    let id = u128::from_str_radix(trace_id, 16).ok().filter(|_| trace_id.len() == 32);
    let before = CURRENT.replace(id.map(|id| Trace { id, at }));
    let result = record();
    CURRENT.set(before);
    result
}

pub(super) fn current() -> Option<Trace> {
    CURRENT.get()
}
