//! Measures conditions at the end of a slot.

use crate::alert::AlertInput;
use crate::budget::Budget;
use crate::budget_share::BudgetShare;
use crate::condition::{Condition, Criterion};
use crate::counts::Counts;
use crate::guard::HoldReason;
use crate::incident::Cause;
use crate::outcome_row::OutcomeRow;
use crate::slot::Slot;
use crate::traffic::Compared;
use crate::window::Window;

/// The largest rounding error.
const ROUNDING: f64 = 1e-9;

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
    /// The slot that has ended, and the row of outcomes that goes on.
    pub(crate) row: (Slot, OutcomeRow),
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
    /// The value that is compared with its thresholds: a share of the budget or of the traffic, seconds, starts, or failures
    /// in a row. `None` when there is nothing to compare.
    pub measured: Option<f64>,
    /// Its threshold is passed and the guard agrees; or it fires and is not released.
    pub exceeded: bool,
    /// It fires, once [`Evaluator::accept`] took the decision of this assessment.
    ///
    /// [`Evaluator::accept`]: crate::Evaluator::accept
    pub firing: bool,
    /// The reason why the guard keeps it from firing.
    pub held: Option<HoldReason>,
    /// The first slot of what it sees: the first start in the window, the first slot without events, or the first failure
    /// of the row.
    pub since: Option<Slot>,
    /// The last slot of what it sees: the last start in the window, or the last failure.
    pub last: Option<Slot>,
}

impl ConditionAssessment {
    pub(crate) const fn input(&self) -> AlertInput {
        AlertInput { exceeded: self.exceeded, hold_seconds: self.condition.hold_seconds }
    }
}

impl Condition {
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
            Criterion::Down { after, up_after } => {
                let (at, row) = view.row;
                let failures = row.failures(at);
                (Some(f64::from(failures)), failures >= after, row.successes() < up_after)
            }
        };
        let held =
            if passed && !firing && self.cause() == Cause::Burn { (view.held)(self.window()) } else { None };
        ConditionAssessment {
            condition: *self,
            measured,
            exceeded: if firing { passed || stays || self.is_kept(view) } else { passed && held.is_none() },
            firing,
            held,
            since,
            last,
        }
    }
}
