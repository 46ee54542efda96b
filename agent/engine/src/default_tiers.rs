//! Default tiers that keep the promise: a total outage pages within its bound, or with its third event.
//!
//! The tiers of the workbook assume an objective near 99.9 % and steady traffic. Three changes make them fit any
//! objective, period and rate:
//!
//! - A tier that no failure can fire, whose windows the grid cannot tell apart, or whose long window never holds three
//!   events, is left out.
//! - When the rest does not page for a total outage in time, an outage tier comes first: 40 % of the events of twice the
//!   bound, or three bad events in a row where events are rare.
//! - A ticket lets go at half of its factor, in a short window that expects twenty bad events at the factor, or half of
//!   the long one. Otherwise chance would open and resolve it all the time at a burn of exactly its factor: at ten
//!   events a minute, a window of six hours expects four bad events and often sees one.

use crate::event_rate::{EventRate, OUTAGE_EVENTS, PromiseBound};
use crate::objective::{BurnFactor, Objective};

use crate::tier::{Severity, Tier};
use crate::window::Window;

/// The bad share that fires an outage tier.
const OUTAGE_RATIO: f64 = 0.4;

/// The events that the long window of an outage tier holds where they are rare. More than 40 % of five are three.
const RARE_EVENTS: f64 = 5.0;

/// The bad events that tell a burn at a ticket's factor from one at half of it.
const EVIDENT_BAD: f64 = 20.0;

/// The facts that default tiers follow from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TierDemand {
    /// The share of events that must be good.
    pub objective: Objective,
    /// The length of the budget's period.
    pub period: Window,
    /// The rate of counted units: events, or slices of time.
    pub rate: EventRate,
    /// The time within which a total outage must page.
    pub bound: PromiseBound,
    /// The shortest window that the grid and the slices of time can measure.
    pub shortest: Window,
}

impl Tier {
    /// Returns the default tiers. They page for a total outage within the bound.
    #[must_use]
    pub fn defaults_for(demand: TierDemand) -> Vec<Self> {
        let mut tiers: Vec<Self> =
            Self::defaults(demand.period).into_iter().filter_map(|tier| demand.fitted(tier)).collect();
        let bound = demand.bound.seconds(demand.rate);
        let in_time = |tier: &Self| {
            tier.severity == Severity::Page
                && tier.detection_seconds(demand.objective, 1.0).is_some_and(|seconds| seconds < bound)
        };
        if !tiers.iter().any(in_time) {
            tiers.insert(0, demand.outage_tier());
        }
        if !tiers.iter().any(|tier| tier.severity == Severity::Ticket) {
            tiers.push(demand.rare_ticket());
        }
        for tier in tiers.iter_mut().filter(|tier| tier.severity == Severity::Ticket) {
            demand.damp(tier);
        }
        tiers
    }
}

impl TierDemand {
    /// The tier with a short window that can be measured; `None` when it is of no use.
    fn fitted(&self, tier: Tier) -> Option<Tier> {
        let tier = Tier { short: tier.short.max(self.shortest), ..tier };
        let holds = |window: Window| self.rate.per_second() * window.as_seconds() as f64;
        let usable = tier.is_reachable(self.objective)
            && tier.short < tier.long
            && holds(tier.long) >= OUTAGE_EVENTS as f64
            && holds(tier.short) >= 1.0;
        usable.then_some(tier)
    }

    /// A window that holds so many events.
    fn holding(&self, events: f64) -> Window {
        Window::seconds((events * self.rate.interval_seconds()).ceil() as u64)
    }

    /// The windows of a tier, within the period and long enough to be measured.
    fn windows(&self, long: Window, short: Window) -> (Window, Window) {
        let twice = Window::seconds(self.shortest.as_seconds().saturating_mul(2));
        let long = long.max(twice).min(self.period);
        let half = Window::seconds((long.as_seconds() / 2).max(1));
        (long, short.max(self.shortest).min(half))
    }

    /// A tier for outages alone. Its long window holds five or six events where they are rare.
    fn outage_tier(&self) -> Tier {
        let rare = self.holding(RARE_EVENTS);
        let steady = Window::seconds((2.0 * self.bound.seconds).ceil() as u64);
        let long = if rare > Window::seconds(steady.as_seconds() / 6) { rare } else { steady };
        // half of it is short enough: the page ends three minutes after the outage, and generated rules need no further
        // short window
        let (long, short) = self.windows(long, Window::seconds(long.as_seconds() / 2));
        let factor = OUTAGE_RATIO / self.objective.budget_ratio() * 1e6;
        Tier::new(Severity::Page, long, short, BurnFactor::from_micro(factor as u64))
    }

    /// A ticket where events are rare: a tenth of the period, or twelve events.
    fn rare_ticket(&self) -> Tier {
        let long = Window::seconds(self.period.as_seconds() / 10).max(self.holding(12.0));
        let short = Window::seconds(long.as_seconds() / 12).max(self.holding(3.0));
        let (long, short) = self.windows(long, short);
        Tier::new(Severity::Ticket, long, short, BurnFactor::ONE)
    }

    /// Gives a ticket a release threshold and a short window with enough evidence.
    fn damp(&self, tier: &mut Tier) {
        tier.until = Some(BurnFactor::from_micro(tier.factor.micro() / 2));
        let bad_per_second = self.rate.per_second() * tier.threshold(self.objective);
        let evidence = EVIDENT_BAD / bad_per_second.max(f64::MIN_POSITIVE);
        let evidence = Window::seconds((evidence.ceil() as u64).next_multiple_of(60));
        tier.short = tier.short.max(evidence.min(Window::seconds(tier.long.as_seconds() / 2)));
    }
}
