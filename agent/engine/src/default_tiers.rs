//! Default tiers that keep the promise: a total outage pages within five minutes, or with its third event.
//!
//! The tiers of the workbook assume an objective near 99.9 % and steady traffic. Three changes make them fit any
//! objective, period and rate:
//!
//! - A tier that no failure can fire, or whose long window never holds three events, is left out.
//! - When the rest does not page for a total outage in time, an outage tier comes first: 40 % of the events of ten
//!   minutes, or three bad events in a row where events are rare.
//! - A ticket lets go at half of its factor, in a short window that expects twenty bad events at the factor, or half of
//!   the long one. Otherwise chance would open and resolve it all the time at a burn of exactly its factor: at ten
//!   events a minute, a window of six hours expects four bad events and often sees one.

use crate::event_rate::{EventRate, OUTAGE_EVENTS, PromiseBound};
use crate::objective::{BurnFactor, Objective};

use crate::tier::{Severity, Tier};
use crate::window::Window;

/// The bad share that fires an outage tier.
const OUTAGE_RATIO: f64 = 0.4;

/// The bad events that tell a burn at a ticket's factor from one at half of it.
const EVIDENT_BAD: f64 = 20.0;

/// The long window of an outage tier with steady traffic.
const OUTAGE_WINDOW: Window = Window::minutes(10);

impl Tier {
    /// Returns the default tiers for an objective, a period and an event rate. They page for a total outage within the
    /// default [`PromiseBound`].
    #[must_use]
    pub fn defaults_for(objective: Objective, period: Window, rate: EventRate) -> Vec<Self> {
        default_tiers(objective, period, rate)
    }
}

fn default_tiers(objective: Objective, period: Window, rate: EventRate) -> Vec<Tier> {
    let usable = |tier: &Tier| {
        let holds = |window: Window| rate.per_second() * window.as_seconds() as f64;
        tier.is_reachable(objective) && holds(tier.long) >= OUTAGE_EVENTS as f64 && holds(tier.short) >= 1.0
    };
    let mut tiers: Vec<Tier> = Tier::defaults(period).into_iter().filter(usable).collect();
    let bound = PromiseBound::default().seconds(rate);
    let in_time = |tier: &Tier| {
        tier.severity == Severity::Page && tier.detection_seconds(objective, 1.0).is_some_and(|s| s < bound)
    };
    if !tiers.iter().any(in_time) {
        tiers.insert(0, outage_tier(objective, period, rate));
    }
    if !tiers.iter().any(|tier| tier.severity == Severity::Ticket) {
        tiers.push(rare_ticket(period, rate));
    }
    for tier in tiers.iter_mut().filter(|tier| tier.severity == Severity::Ticket) {
        tier.until = Some(BurnFactor::from_micro(tier.factor.micro() / 2));
        let evidence = EVIDENT_BAD / (rate.per_second() * tier.threshold(objective)).max(f64::MIN_POSITIVE);
        let evidence = Window::seconds((evidence.ceil() as u64).next_multiple_of(60));
        tier.short = tier.short.max(evidence.min(Window::seconds(tier.long.as_seconds() / 2)));
    }
    tiers
}

/// A tier for outages alone. Its long window holds four or five events where they are rare.
fn outage_tier(objective: Objective, period: Window, rate: EventRate) -> Tier {
    let interval = rate.interval_seconds();
    let four = Window::seconds((4.0 * interval).ceil() as u64);
    let long = if four > Window::seconds(80) { four } else { OUTAGE_WINDOW }.min(period);
    let two = Window::seconds((2.0 * interval).ceil() as u64);
    let short = Window::seconds(long.as_seconds() / 12).max(two).max(Window::seconds(1)).min(long);
    let factor = OUTAGE_RATIO / objective.budget_ratio() * 1e6;
    Tier::new(Severity::Page, long, short, BurnFactor::from_micro(factor as u64))
}

/// A ticket where events are rare: a tenth of the period, or twelve events.
fn rare_ticket(period: Window, rate: EventRate) -> Tier {
    let events = |n: f64| Window::seconds((n * rate.interval_seconds()).ceil() as u64);
    let long = Window::seconds(period.as_seconds() / 10).max(events(12.0)).min(period);
    let short = Window::seconds(long.as_seconds() / 12).max(events(3.0)).min(long);
    Tier::new(Severity::Ticket, long, short, BurnFactor::ONE)
}
