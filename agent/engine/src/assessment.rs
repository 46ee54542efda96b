//! Everything that is known about an SLO at the end of a slot.
//!
//! One value is computed per SLO and slot, and every reader takes its figures from it: gate, incident, message, page,
//! API and metrics. Every measured window names its length and how much of it was observed.

use crate::alert::AlertInput;
use crate::budget::Budget;
use crate::burn::Measured;
use crate::condition_assessment::ConditionAssessment;
use crate::counts::Counts;
use crate::data_state::DataState;
use crate::guard::HoldReason;
use crate::period::Span;
use crate::present::Present;
use crate::slot::Slot;
use crate::status::Status;
use crate::tier::Tier;
use crate::versions::VersionShare;

/// One tier at the end of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TierAssessment {
    /// The tier.
    pub tier: Tier,
    /// Its long window, in the units of the method.
    pub long: Measured,
    /// Its short window.
    pub short: Measured,
    /// The events of the long window, which the guard looks at; the counts of `long` unless slices are counted.
    pub events: Counts,
    /// Both windows burn faster than the factor and the guard agrees; or the tier fires and is not released.
    pub exceeded: bool,
    /// It fires, once [`Evaluator::accept`] took the decision of this assessment.
    ///
    /// [`Evaluator::accept`]: crate::Evaluator::accept
    pub firing: bool,
    /// The reason why the guard keeps a tier that burns fast enough from firing.
    pub held: Option<HoldReason>,
    /// The first bad slot of the run that its short window sees now.
    pub since: Option<Slot>,
    /// The last bad slot of a firing tier's short window; known once the tier may let go.
    pub recovered: Option<Slot>,
    /// Seconds until it fires if the present burn goes on; `None` when that never fires it, or when it fires already.
    pub fires_after_seconds: Option<f64>,
    /// Seconds until it lets go if nothing bad happens any more; `None` while the present burn keeps it firing.
    pub lets_go_after_seconds: Option<f64>,
}

impl TierAssessment {
    pub(crate) const fn input(&self) -> AlertInput {
        AlertInput { exceeded: self.exceeded, hold_seconds: self.tier.hold_seconds }
    }

    /// Returns whether the tier is beyond its factor and waits for its hold or for the guard.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        !self.firing && (self.exceeded || self.held.is_some())
    }
}

/// One component of a composite at the end of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComponentAssessment {
    /// The state of its data.
    pub state: DataState,
    /// The last slot it was observed in.
    pub last_observed: Option<Slot>,
    /// Its events in the shortest of the tiers' long windows, as far as slices are over.
    pub recent: Counts,
    /// Its events in the period.
    pub period: Counts,
    /// The share of the recent spend that it caused; `None` when nothing was spent.
    pub recent_burn_share: Option<f64>,
    /// The share of the period's spend that it caused.
    pub period_burn_share: Option<f64>,
}

/// Everything that is known about an SLO at the end of a slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The slot that was closed last.
    pub at: Slot,
    /// The state of the data.
    pub state: DataState,
    /// The last observed slot; of several components that of the one that is silent for longest.
    pub last_observed: Option<Slot>,
    /// The state for people.
    pub status: Status,
    /// The present window.
    pub present: Present,
    /// Every tier, in the order of the policy.
    pub tiers: Vec<TierAssessment>,
    /// Every condition, in the order of the policy.
    pub conditions: Vec<ConditionAssessment>,
    /// Every component, in the order of the composite; empty when there is one indicator.
    pub components: Vec<ComponentAssessment>,
    /// The whole period. The window of a calendar period is its length.
    pub period: Measured,
    /// The calendar period; `None` for a rolling one.
    pub span: Option<Span>,
    /// The objectives of the period, oldest first; empty unless there are several.
    pub versions: Vec<VersionShare>,
    /// The error budget of the period.
    pub budget: Budget,
    /// Observed seconds of the longest window or of the period.
    pub observed_seconds: u64,
    /// Too little was observed to call the SLO healthy.
    pub young: bool,
    /// Seconds until the budget is spent at the burn of the present window; `None` when nothing fails now, or when the
    /// period ends before.
    pub seconds_to_exhaustion: Option<f64>,
}

impl Assessment {
    /// Seconds until every firing tier lets go if nothing bad happens any more; `None` while one of them is kept by the
    /// present burn, or when none fires.
    #[must_use]
    pub fn lets_go_after_seconds(&self) -> Option<f64> {
        let mut firing = self.tiers.iter().filter(|tier| tier.firing).map(|tier| tier.lets_go_after_seconds);
        firing.try_fold(None, |most: Option<f64>, one| {
            let one = one?;
            Some(Some(most.map_or(one, |most| most.max(one))))
        })?
    }
}
