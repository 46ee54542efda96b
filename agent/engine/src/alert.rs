//! The state of a tier or condition between two slots.

use crate::slot::Slot;

/// The state of one tier or condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AlertState {
    pub(crate) exceeded_since: Option<Slot>,
    pub(crate) firing: bool,
}

/// The measurement of one tier or condition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AlertInput {
    /// It may fire, or fire on.
    pub(crate) exceeded: bool,
    pub(crate) hold_seconds: u64,
}

impl AlertState {
    /// Returns the state at the end of the next slot.
    pub(crate) fn next(self, input: AlertInput, at: Slot, seconds: impl Fn(Slot, Slot) -> u64) -> Self {
        if !input.exceeded {
            return Self::default();
        }
        let since = self.exceeded_since.unwrap_or(at);
        let held = seconds(since, at) >= input.hold_seconds;
        Self { exceeded_since: Some(since), firing: self.firing || held }
    }
}
