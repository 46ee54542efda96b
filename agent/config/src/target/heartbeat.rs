//! `heartbeat` of a target: `heartbeat: { every: 24h, grace: 1h }`.

use core::time::Duration;

use super::super::reader::{Fields, Reader};
use crate::keys::target::heartbeat;

/// Calls that a job makes. Their absence is the failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatCheck {
    /// Longest usual time between two calls.
    pub every: Duration,
    /// Time by which a call may be late.
    pub grace: Duration,
}

/// Reads the keys of `heartbeat`.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<HeartbeatCheck> {
    let every = reader.required(fields, heartbeat::EVERY, "say how often the job calls, like `24h`");
    let every = every.and_then(|at| {
        let every = reader.duration(&at)?;
        if every.is_zero() {
            reader.error(&at, "the time between two calls is above zero", "write a time like `24h`");
            return None;
        }
        Some(every)
    });
    let grace = match fields.get(heartbeat::GRACE) {
        Some(at) => reader.duration(&at),
        None => every.map(|every| every / 10),
    };
    Some(HeartbeatCheck { every: every?, grace: grace? })
}
