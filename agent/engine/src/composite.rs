//! Several indicators under one objective.
//!
//! Components differ in traffic. A sum of their events would hide all but the busiest, so they are joined slice by
//! slice. In a slice, every component with events has a bad share. The slice costs the largest share or the weighted
//! mean of them, and counts like any other slice.

use core::fmt;
use std::sync::Arc;

use crate::counts::Counts;
use crate::objective::Objective;
use crate::slice_target::{BILLION, SliceTarget};
use crate::slot::Grid;

/// The largest number of components of one SLO.
pub const COMPONENT_LIMIT: usize = 16;

/// The rule that joins the components of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// A slice is as bad as its worst component.
    WorstOf,
    /// A slice is as bad as the weighted mean of its components.
    Weights,
}

impl Join {
    /// The word in specs and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorstOf => "worst-of",
            Self::Weights => "weights",
        }
    }
}

/// The weight of a component relative to the others, exact to six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    ppm: u32,
}

/// A weight outside `(0, 1000]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InvalidWeight(
    /// The refused weight.
    pub f64,
);

impl fmt::Display for InvalidWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no weight above 0 and up to 1000", self.0)
    }
}

impl core::error::Error for InvalidWeight {}

impl Weight {
    /// The weight of a component that counts as much as the others.
    pub const ONE: Self = Self { ppm: 1_000_000 };

    /// Creates a weight.
    ///
    /// # Errors
    /// If it is outside `(0, 1000]`, to six decimals.
    pub fn try_new(weight: f64) -> Result<Self, InvalidWeight> {
        let ppm = (weight * 1e6).round();
        if !(1.0..=1e9).contains(&ppm) {
            return Err(InvalidWeight(weight));
        }
        Ok(Self { ppm: ppm as u32 })
    }

    /// The weight as a number.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.ppm) / 1e6
    }
}

/// One of the joined indicators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    weight: Weight,
    /// The cost of a slice whose events are all bad, in billionths of a slice.
    cost_ppb: u32,
    slice_target: Option<SliceTarget>,
}

impl Default for Component {
    fn default() -> Self {
        Self { weight: Weight::ONE, cost_ppb: BILLION as u32, slice_target: None }
    }
}

impl Component {
    /// Returns the component with a weight.
    #[must_use]
    pub const fn with_weight(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }

    /// Returns the component with a slice target: each slice is wholly good or wholly bad.
    #[must_use]
    pub const fn with_slice_target(self, slice_target: SliceTarget) -> Self {
        Self { slice_target: Some(slice_target), ..self }
    }

    /// Returns the component with an objective of its own: it burns the budget of the `whole` as fast as it burns its
    /// own. A component with more budget than the whole costs less; one with less costs at most the slice.
    #[must_use]
    pub fn with_objective(self, own: Objective, whole: Objective) -> Self {
        let (own, whole) = (u64::from(own.budget_ppb()), u64::from(whole.budget_ppb()));
        let cost = (whole * BILLION + own / 2).checked_div(own).unwrap_or(BILLION).clamp(1, BILLION);
        Self { cost_ppb: u32::try_from(cost).unwrap_or(u32::MAX), ..self }
    }

    /// The weight, for [`Join::Weights`].
    #[must_use]
    pub const fn weight(self) -> Weight {
        self.weight
    }

    /// The cost of a slice with these events, in billionths; `None` without events.
    fn bad_share(self, events: Counts) -> Option<u64> {
        let total = u128::from(events.good) + u128::from(events.bad);
        let weighed = u128::from(events.good) * u128::from(BILLION);
        if total == 0 {
            return None;
        }
        let good = match self.slice_target {
            Some(target) => BILLION * u64::from(target.is_met(events)),
            // rounded to the nearest billionth; never more than a whole
            None => u64::try_from((weighed + total / 2) / total).unwrap_or(BILLION).min(BILLION),
        };
        // below 10¹⁸, like the product of any two shares
        Some(((BILLION - good) * u64::from(self.cost_ppb) + BILLION / 2) / BILLION)
    }
}

/// Several indicators under one objective.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composite {
    slices: Grid,
    join: Join,
    components: Arc<[Component]>,
}

/// A number of components outside the allowed range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidComposite(
    /// The refused number.
    pub usize,
);

impl fmt::Display for InvalidComposite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a composite has 2 to {COMPONENT_LIMIT} components, not {}", self.0)
    }
}

impl core::error::Error for InvalidComposite {}

impl Composite {
    /// Joins components in slices of a grid.
    ///
    /// # Errors
    /// If there are fewer than two or more than [`COMPONENT_LIMIT`].
    pub fn try_new(
        slices: Grid,
        join: Join,
        components: impl IntoIterator<Item = Component>,
    ) -> Result<Self, InvalidComposite> {
        let components: Arc<[Component]> = components.into_iter().collect();
        match components.len() {
            2..=COMPONENT_LIMIT => Ok(Self { slices, join, components }),
            other => Err(InvalidComposite(other)),
        }
    }

    /// The grid of slices; a slice is a whole number of slots and of minutes.
    #[must_use]
    pub const fn slices(&self) -> Grid {
        self.slices
    }

    /// The rule that joins the components.
    #[must_use]
    pub const fn join(&self) -> Join {
        self.join
    }

    /// Its components, in the order in which their counts are recorded.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Rates a slice by the events of every component that has some.
    pub(crate) fn rate(&self, events: impl Iterator<Item = (usize, Counts)>) -> SliceResult {
        let mut shares = [None; COMPONENT_LIMIT];
        for (place, counts) in events {
            if let (Some(share), Some(component)) = (shares.get_mut(place), self.components.get(place)) {
                *share = component.bad_share(counts);
            }
        }
        match self.join {
            Join::WorstOf => worst_of(&shares),
            Join::Weights => self.weighed(&shares),
        }
    }

    fn weighed(&self, shares: &[Option<u64>; COMPONENT_LIMIT]) -> SliceResult {
        let weight = |place: usize| self.components.get(place).map_or(0, |part| u128::from(part.weight.ppm));
        let present =
            || shares.iter().enumerate().filter_map(|(place, share)| Some((weight(place), (*share)?)));
        let whole: u128 = present().map(|(weight, _)| weight).sum();
        if whole == 0 {
            return SliceResult::NOTHING;
        }
        let mean = |sum: u128| u64::try_from((sum + whole / 2) / whole).unwrap_or(BILLION).min(BILLION);
        let bad = mean(present().map(|(weight, share)| weight * u128::from(share)).sum());
        let mut attributed = [0; COMPONENT_LIMIT];
        for (place, (attributed, share)) in attributed.iter_mut().zip(shares).enumerate() {
            *attributed = mean(weight(place) * u128::from(share.unwrap_or(0)));
        }
        SliceResult { whole: Counts { good: BILLION - bad, bad }, attributed }
    }
}

/// Components that are as bad as the worst share the attribution.
fn worst_of(shares: &[Option<u64>; COMPONENT_LIMIT]) -> SliceResult {
    let Some(bad) = shares.iter().flatten().copied().max() else { return SliceResult::NOTHING };
    let is_worst = |share: &Option<u64>| bad > 0 && *share == Some(bad);
    let worst = shares.iter().filter(|share| is_worst(share)).count() as u64;
    let attributed = shares.map(|share| if is_worst(&share) { bad / worst.max(1) } else { 0 });
    SliceResult { whole: Counts { good: BILLION - bad, bad }, attributed }
}

/// The result of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SliceResult {
    /// The slice in the units of its method; zero without events.
    pub(crate) whole: Counts,
    /// The part of its bad that each component causes.
    pub(crate) attributed: [u64; COMPONENT_LIMIT],
}

impl SliceResult {
    pub(crate) const NOTHING: Self = Self { whole: Counts::ZERO, attributed: [0; COMPONENT_LIMIT] };

    /// A slice of one indicator.
    pub(crate) const fn of_one(whole: Counts) -> Self {
        Self { whole, ..Self::NOTHING }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composite(join: Join, components: impl IntoIterator<Item = Component>) -> Composite {
        Composite::try_new(Grid::MINUTE, join, components).unwrap()
    }

    fn objective(percent: f64) -> Objective {
        Objective::try_from_percent(percent).unwrap()
    }

    fn with_weight(weight: f64) -> Component {
        Component::default().with_weight(Weight::try_new(weight).unwrap())
    }

    /// Bad share of the slice and the parts that the first two cause, in millionths.
    fn rated(composite: &Composite, events: &[(u64, u64)]) -> (u64, u64, u64) {
        let events = events.iter().map(|&(good, bad)| Counts { good, bad });
        let result = composite.rate(events.enumerate());
        assert!([0, BILLION].contains(&result.whole.total()));
        (result.whole.bad / 1000, result.attributed[0] / 1000, result.attributed[1] / 1000)
    }

    #[test]
    fn weights_are_shared_out_among_those_that_had_traffic() {
        let composite = composite(Join::Weights, [with_weight(0.7), with_weight(0.3)]);
        // 0.7 × 10 % + 0.3 × 50 %, however many requests there were
        assert_eq!(rated(&composite, &[(9_000, 1_000), (1, 1)]), (220_000, 70_000, 150_000));
        assert_eq!(
            rated(&composite, &[(9, 1), (0, 0)]),
            (100_000, 100_000, 0),
            "the whole weight is the first's"
        );
        assert_eq!(rated(&composite, &[(0, 0), (0, 5)]), (1_000_000, 0, 1_000_000));
        assert_eq!(rated(&composite, &[(0, 0), (0, 0)]), (0, 0, 0));
        assert_eq!(composite.rate(core::iter::empty()), SliceResult::NOTHING);
    }

    #[test]
    fn a_slice_is_as_bad_as_its_worst() {
        let composite = composite(Join::WorstOf, [Component::default(); 2]);
        assert_eq!(rated(&composite, &[(90, 10), (1, 1)]), (500_000, 0, 500_000));
        assert_eq!(rated(&composite, &[(50, 50), (1, 1)]), (500_000, 250_000, 250_000), "both cause it");
        assert_eq!(rated(&composite, &[(5, 0), (7, 0)]), (0, 0, 0));
    }

    #[test]
    fn slice_targets_make_whole_slices() {
        let target =
            |ratio| Component::default().with_slice_target(SliceTarget::try_from_ratio(ratio).unwrap());
        let composite = composite(Join::WorstOf, [target(0.9), target(0.5)]);
        assert_eq!(rated(&composite, &[(90, 10), (1, 1)]), (0, 0, 0), "both just meet their targets");
        assert_eq!(rated(&composite, &[(89, 11), (1, 1)]), (1_000_000, 1_000_000, 0));
    }

    #[test]
    fn an_objective_of_its_own_is_burnt_as_fast_as_that_of_the_whole() {
        let whole = objective(99.9);
        let parts = [99.9, 99.0].map(|own| Component::default().with_objective(objective(own), whole));
        let composite = composite(Join::WorstOf, parts);
        // twice its budget of 0.1 %, against thrice its budget of 1 %
        assert_eq!(rated(&composite, &[(998, 2), (97, 3)]), (3_000, 0, 3_000));
        let stricter = Component::default().with_objective(objective(99.99), whole);
        assert_eq!(stricter, Component::default(), "no slice is worse than wholly bad");
    }

    #[test]
    fn what_cannot_be_joined_is_refused() {
        for count in [0, 1, COMPONENT_LIMIT + 1] {
            let refused = Composite::try_new(Grid::MINUTE, Join::WorstOf, vec![Component::default(); count]);
            assert_eq!(refused, Err(InvalidComposite(count)));
        }
        for bad in [0.0, -1.0, 1e-7, 1000.1, f64::NAN] {
            assert!(Weight::try_new(bad).is_err(), "{bad}");
        }
        assert_eq!(Weight::try_new(0.7).unwrap().value(), 0.7);
    }
}
