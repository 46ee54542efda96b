//! The period of a budget: the time that ends now, or the one the calendar is in.
//!
//! The engine knows neither calendars nor time zones. Whoever drives it says from which slot to which the current period
//! goes ([`Evaluator::set_period`]), and says so again when the next one begins. A calendar period is judged by what
//! was counted since its start; what has not happened yet is taken as clean at the traffic observed so far, exactly as
//! the time before a young agent's first observation is. So the budget is whole at the start of a period, and
//! left = 1 − bad ratio × elapsed ÷ length ÷ budget.
//!
//! [`Evaluator::set_period`]: crate::Evaluator::set_period

use crate::slot::{Grid, Slot};
use crate::window::Window;

/// What a budget is given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// So much time, always the latest.
    Rolling(Window),
    /// Day after day, month after month: each begins with the whole budget.
    Calendar {
        /// What such a period is reckoned to last where one number is asked for: 30 days for a month.
        nominal: Window,
    },
}

impl Period {
    /// The length of the period, or what it is reckoned to be.
    #[must_use]
    pub const fn nominal(self) -> Window {
        match self {
            Self::Rolling(window) => window,
            Self::Calendar { nominal } => nominal,
        }
    }

    /// The window of a rolling period.
    #[must_use]
    pub const fn rolling(self) -> Option<Window> {
        match self {
            Self::Rolling(window) => Some(window),
            Self::Calendar { .. } => None,
        }
    }
}

/// The slots of one calendar period. A slot belongs to the period in which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first slot inside.
    pub from: Slot,
    /// The first slot of the next period.
    pub to: Slot,
}

impl Span {
    /// Whether a slot is inside.
    #[must_use]
    pub fn contains(self, slot: Slot) -> bool {
        self.from <= slot && slot < self.to
    }

    /// The first instant, seconds since the epoch.
    pub(crate) fn start_seconds(self, grid: Grid) -> i64 {
        self.from.0.saturating_mul(i64::from(grid.width_seconds()))
    }

    /// The instant at which it is over, seconds since the epoch.
    pub(crate) fn end_seconds(self, grid: Grid) -> i64 {
        self.to.0.saturating_mul(i64::from(grid.width_seconds()))
    }

    /// From the first instant to the last.
    pub(crate) fn length(self, grid: Grid) -> Window {
        let slots = u64::try_from(self.to.0.saturating_sub(self.from.0)).unwrap_or(0);
        Window::seconds(slots.saturating_mul(u64::from(grid.width_seconds())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_where_the_next_one_begins() {
        let day = Span { from: Slot(1440), to: Slot(2880) };
        assert!(!day.contains(Slot(1439)) && day.contains(Slot(1440)));
        assert!(day.contains(Slot(2879)) && !day.contains(Slot(2880)));
        assert_eq!(day.length(Grid::MINUTE), Window::days(1));
        assert_eq!(Span { from: Slot(5), to: Slot(3) }.length(Grid::MINUTE), Window::seconds(0));
    }
}
