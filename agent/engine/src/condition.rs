//! Conditions beside the tiers: the budget left, a drop of the budget, the time to its exhaustion, missing data, missing
//! traffic, restarts, and failures in a row.
//!
//! A condition fires at its threshold and lets go at another one. A value that swings around the threshold makes one
//! incident.

use core::fmt;

use crate::budget_share::BudgetShare;
use crate::event_rate::EventRate;
use crate::incident::Cause;
use crate::objective::Objective;
use crate::tier::Severity;
use crate::traffic::TRAFFIC_WINDOW;
use crate::window::Window;

/// The criterion of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Criterion {
    /// Less than a share of the period's budget is left.
    BudgetLeft {
        /// Fires below it.
        below: BudgetShare,
        /// Lets go when at least this much is left again.
        until: BudgetShare,
    },
    /// At least a share of the period's budget was spent within a window.
    BudgetDrop {
        /// Fires from it on.
        least: BudgetShare,
        /// The window of the spend.
        within: Window,
        /// Lets go when less than this was spent.
        until: BudgetShare,
    },
    /// The budget is spent within a time if the burn of a window goes on. A spent budget counts while that burn is faster
    /// than even.
    Exhaustion {
        /// Fires below it.
        below: Window,
        /// The window whose burn is taken.
        at: Window,
        /// Lets go when it lasts at least this long.
        until: Window,
    },
    /// Nothing was observed for a time. Lets go when data arrive.
    NoData {
        /// Fires after it.
        after: Window,
    },
    /// Data arrived for a time and showed no event. Lets go with the first event.
    Idle {
        /// Fires after it.
        after: Window,
    },
    /// The last hour had less than a share of the events of the same hour a week before. Lets go above the share.
    Traffic {
        /// Fires below it, in percent.
        below_percent: u8,
        /// The events that the hour a week before must have had.
        floor: u64,
    },
    /// The process behind the data started several times within a window. Lets go when it did not start for as long.
    Restarts {
        /// Fires from so many starts on.
        least: u32,
        /// The window that they are counted in.
        within: Window,
    },
    /// Probes failed one after the other. Lets go after as many successes one after the other.
    Down {
        /// Fires from so many failures on.
        after: u32,
        /// Lets go after so many successes.
        up_after: u32,
    },
}

/// A criterion with its severity. Those on the budget feed the incident of the tiers; the others have their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The severity of its alert.
    pub severity: Severity,
    /// The criterion.
    pub criterion: Criterion,
    /// Seconds that it must hold before it fires.
    pub hold_seconds: u64,
}

impl Condition {
    /// Fires while less than `below` of the budget is left. Lets go five points of a percentage higher, or halfway to
    /// the whole budget where that is less.
    #[must_use]
    pub const fn budget_left(severity: Severity, below: BudgetShare) -> Self {
        let halfway = below.ppm.midpoint(BudgetShare::WHOLE.ppm);
        let until = if halfway < below.ppm + 50_000 { halfway } else { below.ppm + 50_000 };
        let criterion = Criterion::BudgetLeft { below, until: BudgetShare { ppm: until } };
        Self { severity, criterion, hold_seconds: 0 }
    }

    /// Fires while at least `least` of the period's budget was spent `within` a window. Lets go when less than three
    /// quarters of that were.
    #[must_use]
    pub const fn budget_drop(severity: Severity, least: BudgetShare, within: Window) -> Self {
        let until = BudgetShare { ppm: least.ppm - least.ppm / 4 };
        Self { severity, criterion: Criterion::BudgetDrop { least, within, until }, hold_seconds: 0 }
    }

    /// Fires while the budget lasts less than `below` at the burn of the window `at`. Lets go when it lasts a quarter
    /// longer.
    #[must_use]
    pub const fn exhaustion(severity: Severity, below: Window, at: Window) -> Self {
        let seconds = below.as_seconds();
        let until = Window::seconds(seconds.saturating_add(seconds.div_ceil(4)));
        Self { severity, criterion: Criterion::Exhaustion { below, at, until }, hold_seconds: 0 }
    }

    /// Fires while nothing has been observed for longer than `after`.
    #[must_use]
    pub const fn no_data(severity: Severity, after: Window) -> Self {
        Self { severity, criterion: Criterion::NoData { after }, hold_seconds: 0 }
    }

    /// Fires while data show no event for longer than `after`.
    #[must_use]
    pub const fn idle(severity: Severity, after: Window) -> Self {
        Self { severity, criterion: Criterion::Idle { after }, hold_seconds: 0 }
    }

    /// Fires while the last hour has less than a share of the events of the same hour a week before, if that had at
    /// least `floor`.
    #[must_use]
    pub const fn traffic(severity: Severity, below_percent: u8, floor: u64) -> Self {
        Self { severity, criterion: Criterion::Traffic { below_percent, floor }, hold_seconds: 0 }
    }

    /// Fires from the given number of starts within a window on.
    #[must_use]
    pub const fn restarts(severity: Severity, least: u32, within: Window) -> Self {
        Self { severity, criterion: Criterion::Restarts { least, within }, hold_seconds: 0 }
    }

    /// Fires after `after` failed probes in a row, and lets go after `up_after` good ones in a row.
    #[must_use]
    pub const fn down(severity: Severity, after: u32, up_after: u32) -> Self {
        Self { severity, criterion: Criterion::Down { after, up_after }, hold_seconds: 0 }
    }

    /// Returns the condition with a hold in seconds.
    #[must_use]
    pub const fn holding(mut self, seconds: u64) -> Self {
        self.hold_seconds = seconds;
        self
    }

    /// Returns the condition with another release threshold, a share. Only conditions on the budget change.
    #[must_use]
    pub const fn until_share(mut self, share: BudgetShare) -> Self {
        if let Criterion::BudgetLeft { until, .. } | Criterion::BudgetDrop { until, .. } = &mut self.criterion
        {
            *until = share;
        }
        self
    }

    /// Returns the condition with another release threshold, a time. Only exhaustion changes.
    #[must_use]
    pub const fn until_time(mut self, time: Window) -> Self {
        if let Criterion::Exhaustion { until, .. } = &mut self.criterion {
            *until = time;
        }
        self
    }

    /// The cause of the incident that it feeds.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self.criterion {
            Criterion::NoData { .. } => Cause::DataMissing,
            Criterion::Idle { .. } | Criterion::Traffic { .. } => Cause::TrafficMissing,
            Criterion::Restarts { .. } => Cause::CrashLoop,
            Criterion::Down { .. } => Cause::TargetDown,
            Criterion::BudgetLeft { .. } | Criterion::BudgetDrop { .. } | Criterion::Exhaustion { .. } => {
                Cause::Burn
            }
        }
    }

    /// The name in specs, JSON and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.criterion {
            Criterion::BudgetLeft { .. } => "budget-left",
            Criterion::BudgetDrop { .. } => "budget-drop",
            Criterion::Exhaustion { .. } => "exhaustion",
            Criterion::NoData { .. } => "no-data",
            Criterion::Idle { .. } => "idle",
            Criterion::Traffic { .. } => "traffic",
            Criterion::Restarts { .. } => "restarts",
            Criterion::Down { .. } => "down",
        }
    }

    /// The window that it looks at; `None` for the period or no window.
    #[must_use]
    pub const fn window(&self) -> Option<Window> {
        match self.criterion {
            Criterion::BudgetDrop { within, .. } => Some(within),
            Criterion::Exhaustion { at, .. } => Some(at),
            Criterion::Traffic { .. } => Some(TRAFFIC_WINDOW),
            Criterion::Restarts { within, .. } => Some(within),
            Criterion::BudgetLeft { .. }
            | Criterion::NoData { .. }
            | Criterion::Idle { .. }
            | Criterion::Down { .. } => None,
        }
    }

    /// The window whose events it needs.
    pub(crate) fn counted_window(&self) -> Option<Window> {
        self.window().filter(|_| !matches!(self.criterion, Criterion::Restarts { .. }))
    }

    /// Its threshold and its release threshold: shares of the budget or of the traffic, seconds, starts, or probes in a
    /// row.
    #[must_use]
    pub fn thresholds(&self) -> (f64, f64) {
        let seconds = |window: Window| window.as_seconds() as f64;
        match self.criterion {
            Criterion::BudgetLeft { below, until } => (below.ratio(), until.ratio()),
            Criterion::BudgetDrop { least, until, .. } => (least.ratio(), until.ratio()),
            Criterion::Exhaustion { below, until, .. } => (seconds(below), seconds(until)),
            Criterion::NoData { after } | Criterion::Idle { after } => (seconds(after), seconds(after)),
            Criterion::Traffic { below_percent, .. } => {
                let share = f64::from(below_percent) / 100.0;
                (share, share)
            }
            Criterion::Restarts { least, .. } => (f64::from(least), 1.0),
            Criterion::Down { after, up_after } => (f64::from(after), f64::from(up_after)),
        }
    }

    /// Seconds until it fires when the bad ratio steps from zero to `bad_ratio` under even traffic, with a budget that
    /// was whole; `None` when it never does.
    #[must_use]
    pub fn detection_seconds(&self, objective: Objective, period: Window, bad_ratio: f64) -> Option<f64> {
        let (period, burn) = (period.as_seconds() as f64, bad_ratio / objective.budget_ratio());
        let (threshold, _) = self.thresholds();
        let seconds = match self.criterion {
            Criterion::BudgetLeft { .. } => Some(period * (1.0 - threshold) / burn).filter(|s| *s < period),
            Criterion::BudgetDrop { within, .. } => {
                Some(period * threshold / burn).filter(|s| *s <= within.as_seconds() as f64)
            }
            Criterion::Exhaustion { at, .. } => {
                let at = at.as_seconds() as f64;
                // while the window fills, its burn grows; after that only the budget shrinks
                let filling = period * at / (burn * (at + threshold));
                let filled = (period / burn - threshold).max(at);
                Some(if filling <= at { filling } else { filled }).filter(|_| burn > 1.0)
            }
            Criterion::NoData { .. }
            | Criterion::Idle { .. }
            | Criterion::Traffic { .. }
            | Criterion::Restarts { .. }
            | Criterion::Down { .. } => None,
        };
        seconds.filter(|s| s.is_finite()).map(|s| s + self.hold_seconds as f64)
    }
}

impl Condition {
    /// Seconds until failures in a row fire it when every event fails, or each one that an even failure leaves, from just
    /// after an event on; `None` when they never do, and for other criteria.
    #[must_use]
    pub fn row_seconds(&self, rate: EventRate, bad_ratio: f64) -> Option<f64> {
        let Criterion::Down { after, .. } = self.criterion else { return None };
        // an even failure of a part of the events has a good one between two bad ones
        let in_a_row = bad_ratio >= 1.0 || after == 1 && bad_ratio > 0.0;
        in_a_row.then(|| f64::from(after) * rate.interval_seconds() / bad_ratio)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.severity, self.kind())?;
        let usual = |usual: Self| usual.criterion == self.criterion;
        match self.criterion {
            Criterion::BudgetLeft { below, until } => {
                write!(f, "{below}")?;
                if !usual(Self::budget_left(self.severity, below)) {
                    write!(f, " until {until}")?;
                }
            }
            Criterion::BudgetDrop { least, within, until } => {
                write!(f, "{least} in {within}")?;
                if !usual(Self::budget_drop(self.severity, least, within)) {
                    write!(f, " until {until}")?;
                }
            }
            Criterion::Exhaustion { below, at, until } => {
                write!(f, "{below} at {at}")?;
                if !usual(Self::exhaustion(self.severity, below, at)) {
                    write!(f, " until {until}")?;
                }
            }
            Criterion::NoData { after } | Criterion::Idle { after } => write!(f, "{after}")?,
            Criterion::Traffic { below_percent, floor } => write!(f, "{below_percent}% floor {floor}")?,
            Criterion::Restarts { least, within } => write!(f, "{least} in {within}")?,
            Criterion::Down { after, up_after } => write!(f, "{after} until {up_after}")?,
        }
        if self.hold_seconds > 0 {
            write!(f, " for {}", Window::seconds(self.hold_seconds))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(percent: f64) -> BudgetShare {
        BudgetShare::try_from_percent(percent).unwrap()
    }

    #[test]
    fn conditions_are_released_a_little_beyond_their_threshold() {
        let left = |percent| Condition::budget_left(Severity::Ticket, share(percent)).thresholds();
        assert_eq!((left(10.0), left(0.0), left(98.0)), ((0.1, 0.15), (0.0, 0.05), (0.98, 0.99)));
        let drop = Condition::budget_drop(Severity::Page, share(4.0), Window::hours(1));
        assert_eq!(drop.thresholds(), (0.04, 0.03));
        let lasts = Condition::exhaustion(Severity::Page, Window::hours(4), Window::hours(1));
        assert_eq!(lasts.thresholds(), (14_400.0, 18_000.0));
    }

    #[test]
    fn a_condition_prints_what_is_not_usual() {
        let left = Condition::budget_left(Severity::Ticket, share(10.0));
        assert_eq!(left.to_string(), "ticket budget-left 10%");
        assert_eq!(
            left.until_share(share(20.0)).holding(600).to_string(),
            "ticket budget-left 10% until 20% for 10m"
        );
        let drop = Condition::budget_drop(Severity::Page, share(2.5), Window::hours(1));
        assert_eq!(drop.to_string(), "page budget-drop 2.5% in 1h");
        let lasts = Condition::exhaustion(Severity::Ticket, Window::days(3), Window::hours(6));
        assert_eq!(lasts.to_string(), "ticket exhaustion 3d at 6h");
        assert_eq!(lasts.until_time(Window::days(5)).to_string(), "ticket exhaustion 3d at 6h until 5d");
        assert_eq!(Condition::no_data(Severity::Page, Window::minutes(10)).to_string(), "page no-data 10m");
    }

    #[test]
    fn the_closed_forms_of_a_total_outage() {
        let objective = Objective::try_from_percent(99.9).unwrap();
        let after = |condition: Condition| condition.detection_seconds(objective, Window::days(30), 1.0);
        let near =
            |found: Option<f64>, seconds: f64| found.is_some_and(|found| (found - seconds).abs() < 1e-6);
        // the whole budget is 43.2 minutes of it
        assert!(near(after(Condition::budget_left(Severity::Page, share(10.0))), 2332.8));
        assert!(near(after(Condition::budget_drop(Severity::Page, share(5.0), Window::hours(1))), 129.6));
        assert_eq!(after(Condition::budget_drop(Severity::Page, share(50.0), Window::minutes(5))), None);
        // 2592 s × 1 h ÷ (1 h + 6 h)
        let lasts = Condition::exhaustion(Severity::Page, Window::hours(6), Window::hours(1));
        assert!(near(after(lasts), 2592.0 / 7.0));
        assert_eq!(lasts.detection_seconds(objective, Window::days(30), 0.001), None, "an even burn lasts");
    }
}
