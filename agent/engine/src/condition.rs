//! Conditions beside the tiers: the budget left, a drop of the budget, the time to its exhaustion, missing data, missing
//! traffic, and restarts.
//!
//! A condition fires at its threshold and lets go at another one. A value that swings around the threshold makes one
//! incident.

use core::fmt;

use crate::alert::AlertInput;
use crate::budget::Budget;
use crate::counts::Counts;
use crate::guard::HoldReason;
use crate::incident::Cause;
use crate::objective::Objective;
use crate::slot::Slot;
use crate::tier::Severity;
use crate::traffic::{Compared, TRAFFIC_WINDOW};
use crate::window::Window;

/// The largest rounding error.
const ROUNDING: f64 = 1e-9;

/// A share of a period's error budget, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetShare {
    ppm: u32,
}

/// A share outside `[0, 100]` percent, or not a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InvalidShare(
    /// The refused share in percent.
    pub f64,
);

impl fmt::Display for InvalidShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % is no share of a budget from 0 % to 100 %", self.0)
    }
}

impl core::error::Error for InvalidShare {}

impl BudgetShare {
    /// The whole budget.
    pub const WHOLE: Self = Self { ppm: 1_000_000 };

    /// Creates a share from percent, exact to four decimals.
    ///
    /// # Errors
    /// When it is outside 0 to 100.
    pub fn try_from_percent(percent: f64) -> Result<Self, InvalidShare> {
        let ppm = (percent * 1e4).round();
        if !(0.0..=1e6).contains(&ppm) {
            return Err(InvalidShare(percent));
        }
        Ok(Self { ppm: ppm as u32 })
    }

    /// The share of one.
    #[must_use]
    pub fn ratio(self) -> f64 {
        f64::from(self.ppm) / 1e6
    }
}

impl fmt::Display for BudgetShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.ppm) / 1e4)
    }
}

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
            Criterion::BudgetLeft { .. } | Criterion::NoData { .. } | Criterion::Idle { .. } => None,
        }
    }

    /// The window whose events it needs.
    pub(crate) fn counted_window(&self) -> Option<Window> {
        self.window().filter(|_| !matches!(self.criterion, Criterion::Restarts { .. }))
    }

    /// Its threshold and its release threshold: shares of the budget or of the traffic, seconds, or starts.
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
            | Criterion::Restarts { .. } => None,
        };
        seconds.filter(|s| s.is_finite()).map(|s| s + self.hold_seconds as f64)
    }

    /// Returns whether a step of the clock keeps it from letting go.
    fn is_kept(&self, view: &View<'_>) -> bool {
        view.refilling && self.cause() == Cause::Burn
    }

    /// Measures it at the end of a slot.
    pub(crate) fn measure(
        &self,
        firing: bool,
        (since, last): (Option<Slot>, Option<Slot>),
        view: &View<'_>,
    ) -> ConditionAssessment {
        let (measured, passed, stays) = match self.criterion {
            Criterion::BudgetLeft { below, until } => {
                let left = view.budget.left_ratio;
                let under = |share: BudgetShare| left + ROUNDING < share.ratio();
                (Some(left), under(below), under(until))
            }
            Criterion::BudgetDrop { least, within, until } => {
                let bad = (view.counts)(within).bad as f64 / view.unit.max(1) as f64;
                let spent = Some(bad / view.budget.allowed).filter(|share| share.is_finite());
                let over = |share: BudgetShare| spent.is_some_and(|spent| spent + ROUNDING >= share.ratio());
                (spent, over(least), over(until))
            }
            Criterion::Exhaustion { below, at, until } => {
                let lasts = (view.seconds_left)(at);
                let under = |time: Window| lasts.is_some_and(|lasts| lasts < time.as_seconds() as f64);
                (lasts, under(below), under(until))
            }
            Criterion::NoData { after } => {
                let passed = view.frozen && view.silent_seconds > after.as_seconds();
                (Some(view.silent_seconds as f64), passed, view.frozen)
            }
            Criterion::Idle { after } => {
                let Idle { seconds, goes_on } = view.idle;
                (Some(seconds as f64), goes_on && seconds > after.as_seconds(), goes_on)
            }
            Criterion::Traffic { below_percent, floor } => {
                let share = view.traffic.and_then(|traffic| traffic.share(floor));
                let under = share.is_some_and(|share| share < f64::from(below_percent) / 100.0);
                // an hour that cannot be compared is no evidence of a recovery
                (share, under, under || share.is_none())
            }
            Criterion::Restarts { least, within } => {
                let starts = (view.starts)(within);
                // starts are not stored: after a restart of the agent nobody knows of those before
                let unproven = view.watched_seconds < within.as_seconds();
                (Some(f64::from(starts)), starts >= least, starts > 0 || unproven)
            }
        };
        let held =
            if passed && !firing && self.cause() == Cause::Burn { (view.held)(self.window()) } else { None };
        ConditionAssessment {
            condition: *self,
            measured,
            exceeded: if firing { passed || stays || self.is_kept(view) } else { passed && held.is_none() },
            kept_by_release: firing && !passed && (stays || self.is_kept(view)),
            firing,
            held,
            since,
            last,
        }
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
        }
        if self.hold_seconds > 0 {
            write!(f, " for {}", Window::seconds(self.hold_seconds))?;
        }
        Ok(())
    }
}

/// The time without events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle {
    /// Its seconds, as far as they were observed and watched.
    pub(crate) seconds: u64,
    /// No event came in the last observed slot.
    pub(crate) goes_on: bool,
}

/// The input of conditions.
pub(crate) struct View<'a> {
    pub(crate) budget: &'a Budget,
    /// The count that stands for one event or slice.
    pub(crate) unit: u64,
    pub(crate) frozen: bool,
    /// The clock was set, and the present window still has counts from before.
    pub(crate) refilling: bool,
    /// Seconds since the last observation.
    pub(crate) silent_seconds: u64,
    /// The time without events.
    pub(crate) idle: Idle,
    /// Seconds since the agent began to watch.
    pub(crate) watched_seconds: u64,
    /// The last hour beside the same hour a week before; `None` while the last hour is not wholly known.
    pub(crate) traffic: Option<Compared>,
    /// The starts of the process in a window.
    pub(crate) starts: &'a dyn Fn(Window) -> u32,
    /// The counts of a window in the period, in the units of the method.
    pub(crate) counts: &'a dyn Fn(Window) -> Counts,
    /// Seconds that the budget lasts at the burn of a window; `None` when it does not shrink.
    pub(crate) seconds_left: &'a dyn Fn(Window) -> Option<f64>,
    /// The reason of the guard for a window or the period.
    pub(crate) held: &'a dyn Fn(Option<Window>) -> Option<HoldReason>,
}

/// One condition at the end of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConditionAssessment {
    /// The condition.
    pub condition: Condition,
    /// The value that is compared with its thresholds: a share of the budget or of the traffic, seconds, or starts. `None`
    /// when there is nothing to compare.
    pub measured: Option<f64>,
    /// Its threshold is passed and the guard agrees; or it fires and is not released.
    pub exceeded: bool,
    /// It fires below its threshold, because it is not released yet.
    pub kept_by_release: bool,
    /// It fires, once [`Evaluator::accept`] took the decision of this assessment.
    ///
    /// [`Evaluator::accept`]: crate::Evaluator::accept
    pub firing: bool,
    /// The reason why the guard keeps it from firing.
    pub held: Option<HoldReason>,
    /// The first slot of what it sees: the first start in the window, or the first slot without events.
    pub since: Option<Slot>,
    /// The last slot of what it sees: the last start in the window.
    pub last: Option<Slot>,
}

impl ConditionAssessment {
    pub(crate) const fn input(&self) -> AlertInput {
        AlertInput {
            exceeded: self.exceeded,
            kept_by_release: self.kept_by_release,
            hold_seconds: self.condition.hold_seconds,
        }
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
