//! What a tier or a condition remembers from slot to slot.

use crate::slot::Slot;

/// The state of one tier or condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AlertState {
    pub(crate) exceeded_since: Option<Slot>,
    pub(crate) firing: bool,
    /// Taken up after a restart: of the incident only the severity is known, not who of that severity fired.
    pub(crate) resumed: bool,
}

/// What a report says about one tier or condition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AlertInput {
    /// It may fire, or go on firing.
    pub(crate) exceeded: bool,
    /// It goes on firing only because its release threshold has not been passed.
    pub(crate) kept_by_release: bool,
    pub(crate) hold_seconds: u64,
}

impl AlertState {
    /// One that keeps firing until data say otherwise.
    pub(crate) const fn resumed(firing: bool) -> Self {
        Self { exceeded_since: None, firing, resumed: firing }
    }

    /// The state at the end of the next slot. `explained`: somebody who is beyond a threshold of his own accounts for
    /// the incident that was taken up, so one that only lingers was not the one that fired.
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
