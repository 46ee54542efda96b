//! The period of a budget: rolling, or of the calendar.
//!
//! The engine knows neither calendars nor time zones. The caller sets the slots of the current period with
//! [`Evaluator::set_period`], and sets them again when the next one starts. A calendar period is measured by the counts
//! since its start. Its future is taken as clean at the observed traffic, like all unseen time. The budget is whole at
//! the start of a period, and left = 1 − bad ratio × elapsed ÷ length ÷ budget.
//!
//! [`Evaluator::set_period`]: crate::Evaluator::set_period

use crate::slot::{Grid, Slot};
use crate::window::Window;

/// The period of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// The latest time of this length.
    Rolling(Window),
    /// A day, week, month or year of the calendar. Each starts with the whole budget.
    Calendar {
        /// The length where one number is needed: 30 days for a month.
        nominal: Window,
    },
}

impl Period {
    /// The length of the period, or its nominal length.
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
    /// Returns whether a slot is inside.
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

    /// The length.
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
