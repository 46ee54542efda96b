//! What an evaluator measured at the end of a slot.

use crate::alert::AlertInput;
use crate::budget::Budget;
use crate::burn::Measured;
use crate::condition::ConditionReport;
use crate::counts::Counts;
use crate::guard::HoldReason;
use crate::period::Span;
use crate::slot::Slot;
use crate::state::DataState;
use crate::tier::Tier;
use crate::versions::VersionShare;

/// What one tier sees at the end of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TierReport {
    /// The tier.
    pub tier: Tier,
    /// Its long window, in what the budget is counted in.
    pub long: Measured,
    /// Its short window.
    pub short: Measured,
    /// The events of the long window, which the guard looks at; the counts of `long` unless slices are counted.
    pub events: Counts,
    /// Both windows burn faster than the factor and the guard is content, or it fires and both burn faster than the
    /// factor that releases it.
    pub exceeded: bool,
    /// Whether it fires, once [`Evaluator::accept`] took the decision of this report.
    ///
    /// [`Evaluator::accept`]: crate::Evaluator::accept
    pub firing: bool,
    /// It fires, and would not begin to: only the factor that releases it keeps it.
    pub kept_by_release: bool,
    /// Why the guard keeps a tier that burns fast enough from firing.
    pub held: Option<HoldReason>,
}

impl TierReport {
    pub(crate) const fn input(&self) -> AlertInput {
        AlertInput {
            exceeded: self.exceeded,
            kept_by_release: self.kept_by_release,
            hold_seconds: self.tier.hold_seconds,
        }
    }
}

/// What is known of one component of a composite at the end of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComponentReport {
    /// What is known about its data.
    pub state: DataState,
    /// The last slot it was observed in.
    pub last_observed: Option<Slot>,
    /// Its events in the shortest of the tiers' long windows, as far as slices are over.
    pub recent: Counts,
    /// Its events in the period.
    pub period: Counts,
    /// Which share of what the whole spent recent it is to attributed for; `None` when nothing was spent.
    pub recent_burn_share: Option<f64>,
    /// Which share of what the whole spent in the period it is to attributed for.
    pub period_burn_share: Option<f64>,
}

/// What an evaluator knows at the end of a slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The slot that was closed last.
    pub at: Slot,
    /// What is known about the data.
    pub state: DataState,
    /// Every tier, in the order of the policy.
    pub tiers: Vec<TierReport>,
    /// Every condition, in the order of the policy.
    pub conditions: Vec<ConditionReport>,
    /// Every component, in the order of the composite; none when there is one indicator.
    pub components: Vec<ComponentReport>,
    /// The whole period. The window of a calendar period is its length, of which what has passed is covered.
    pub period: Measured,
    /// From when to when a calendar period goes; `None` for a rolling one.
    pub span: Option<Span>,
    /// The objectives that the budget of the period is judged by, oldest first; empty unless there are several.
    pub versions: Vec<VersionShare>,
    /// The error budget of the period.
    pub budget: Budget,
    /// Seconds until the budget is gone at the burn rate of the window that spends it fastest; `None` when nothing
    /// burns, or when the period is over before.
    pub seconds_to_exhaustion: Option<f64>,
}
