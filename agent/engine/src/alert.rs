//! The state of a tier or condition between two slots.

use crate::slot::Slot;

/// The state of one tier or condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AlertState {
    pub(crate) exceeded_since: Option<Slot>,
    pub(crate) firing: bool,
    /// Resumed after a restart. The severity of the incident is known, not the alert that opened it.
    pub(crate) resumed: bool,
}

/// The measurement of one tier or condition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AlertInput {
    /// It may fire, or fire on.
    pub(crate) exceeded: bool,
    /// It fires on below its threshold, because it is not released yet.
    pub(crate) kept_by_release: bool,
    pub(crate) hold_seconds: u64,
}

impl AlertState {
    /// An alert of a resumed incident, which fires on until data end it.
    pub(crate) const fn resumed(firing: bool) -> Self {
        Self { exceeded_since: None, firing, resumed: firing }
    }

    /// Returns the state at the end of the next slot. `explained`: another alert beyond its own threshold explains the
    /// resumed incident, so one that is merely kept did not open it.
    pub(crate) fn next(
        self,
        input: AlertInput,
        explained: bool,
        at: Slot,
        seconds: impl Fn(Slot, Slot) -> u64,
    ) -> Self {
        if !input.exceeded || (self.resumed && input.kept_by_release && explained) {
            return Self::default();
        }
        let since = self.exceeded_since.unwrap_or(at);
        let held = seconds(since, at) >= input.hold_seconds;
        Self { exceeded_since: Some(since), firing: self.firing || held, resumed: false }
    }
}
