//! The promise of a policy: when it pages, and how often it errs.
//!
//! The figures follow from the policy and an even event rate. They hold for a full, clean history and for the worst
//! moment of a failure to begin, which is just after an event.

use core::fmt;

use crate::counts::Counts;
use crate::evaluator::Evaluator;
use crate::event_rate::{EventRate, PromiseBound};
use crate::incident::Change;
use crate::method::Method;
use crate::policy::Policy;
use crate::slot::{Grid, Slot};
use crate::tier::{Severity, Tier};
use crate::window::Window;

/// Days of an even spend that [`Promise::tickets_per_month`] is measured over.
const DAYS: u64 = 90;

/// The alerts of a policy at an event rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Promise {
    /// Seconds until a total outage pages; `None` when it never does.
    pub outage_pages_after: Option<f64>,
    /// Seconds until a failure of ten percent pages; `None` when it never does.
    pub tenth_pages_after: Option<f64>,
    /// Incidents per 30 days while the budget is spent evenly at exactly its rate.
    pub tickets_per_month: f64,
    /// Seconds until missing data alert, and the severity; `None` without such an alert.
    pub missing_data_after: Option<(u64, Severity)>,
}

/// A total outage that does not page in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatePage {
    /// Seconds until it pages; `None` when it never does.
    pub after: Option<f64>,
    /// The bound in seconds.
    pub bound: f64,
}

impl fmt::Display for LatePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            Some(after) => {
                write!(f, "a total outage pages after {after:.0} s, later than {:.0} s", self.bound)
            }
            None => write!(f, "a total outage never pages"),
        }
    }
}

impl core::error::Error for LatePage {}

impl Policy {
    /// Computes when the policy alerts at an event rate. It replays 90 days for [`Promise::tickets_per_month`].
    #[must_use]
    pub fn promise(&self, rate: EventRate) -> Promise {
        Promise {
            outage_pages_after: self.pages_after(rate, 1.0),
            tenth_pages_after: self.pages_after(rate, 0.1),
            tickets_per_month: self.incidents_at_even_spend(rate) as f64 * 30.0 / DAYS as f64,
            missing_data_after: self.data_alert.map(|severity| (self.data_alert_seconds(), severity)),
        }
    }

    /// Checks that a total outage pages within a bound.
    ///
    /// # Errors
    /// If it pages later or never.
    pub fn check_outage(&self, rate: EventRate, bound: PromiseBound) -> Result<f64, LatePage> {
        // a slice of time cannot be bad before it is over
        let (units, _) = self.counted_rate(rate, 1.0);
        let (after, bound) = (self.pages_after(rate, 1.0), bound.seconds(units));
        // an event counts at the end of its slot, and of its slice of time
        let slices = self.method.slices().map_or(0, Grid::width_seconds);
        let slack = f64::from(self.grid.width_seconds().max(slices));
        after.filter(|after| *after <= bound + slack).ok_or(LatePage { after, bound })
    }

    /// Seconds until a failure of a share of all events pages; `None` when it never does.
    #[must_use]
    pub fn pages_after(&self, rate: EventRate, bad_ratio: f64) -> Option<f64> {
        let pages = self.tiers.iter().filter(|tier| tier.severity == Severity::Page);
        let tiers = pages.filter_map(|tier| self.fires_after(tier, rate, bad_ratio));
        let rows = self.conditions.iter().filter(|condition| condition.severity == Severity::Page);
        let width = f64::from(self.grid.width_seconds());
        let rows = rows.filter_map(|condition| condition.row_seconds(rate, bad_ratio));
        tiers.chain(rows.map(|seconds| (seconds / width).ceil() * width)).min_by(f64::total_cmp)
    }

    fn fires_after(&self, tier: &Tier, rate: EventRate, bad_ratio: f64) -> Option<f64> {
        let (counted, ratio) = self.counted_rate(rate, bad_ratio);
        let per_second = counted.per_second();
        let (threshold, window) = (tier.threshold(self.objective), tier.long.as_seconds() as f64);
        // the most units that the long window can hold
        let total = (per_second * window).ceil().max(1.0);
        let bad = self.bad_needed(threshold, total);
        let units = bad / (per_second * ratio);
        let guard = self.guard;
        let events = rate.per_second() * window;
        let evidence = guard.minimum_bad.max(1) as f64 / (rate.per_second() * bad_ratio);
        let spread = guard.minimum_slots.saturating_sub(1) as f64 * f64::from(self.grid.width_seconds());
        let seconds = units.max(evidence).max(spread);
        let fires = ratio > threshold && seconds <= window && events >= guard.minimum_events as f64;
        let width = f64::from(self.grid.width_seconds());
        fires.then(|| (seconds / width).ceil() * width + tier.hold_seconds as f64)
    }

    /// The bad units among `total` that exceed a threshold, as far as the guard demands with confidence.
    fn bad_needed(&self, threshold: f64, total: f64) -> f64 {
        let least = (threshold * total * (1.0 + 1e-12)).floor() + 1.0;
        let Some(confidence) = self.guard.confidence else { return least };
        let (mut low, mut high) = (least, total.max(least));
        while high - low > 0.5 {
            let middle = f64::midpoint(low, high).floor();
            if confidence.lower_bound(middle, total) > threshold { high = middle } else { low = middle + 1.0 }
        }
        low
    }

    /// The rate of counted units and their bad share, when events fail at a ratio.
    fn counted_rate(&self, rate: EventRate, bad_ratio: f64) -> (EventRate, f64) {
        let Some(slices) = self.method.slices() else { return (rate, bad_ratio) };
        let units = rate.at_most_every(f64::from(slices.width_seconds()));
        match &self.method {
            Method::Timeslices { target, .. } => {
                let bad = 1.0 - bad_ratio < target.ratio();
                (units, f64::from(u8::from(bad)))
            }
            _ => (units, bad_ratio),
        }
    }

    /// The grid of a replay of months: as wide as the shortest window of a tier allows, up to five minutes.
    fn replay_grid(&self) -> Grid {
        let shortest = self.tiers.iter().map(|tier| tier.short.as_seconds()).min().unwrap_or(60);
        let fits = |seconds: &u32| u64::from(*seconds) <= shortest && *seconds > self.grid.width_seconds();
        let wide = [300, 120, 60].into_iter().find(fits).and_then(|seconds| Grid::try_new(seconds).ok());
        wide.unwrap_or(if self.grid.width_seconds() < 60 { Grid::MINUTE } else { self.grid })
    }

    /// Incidents of 90 days in which events fail at random, at exactly the rate of the budget.
    #[must_use]
    pub fn incidents_at_even_spend(&self, rate: EventRate) -> u64 {
        const DAY: u64 = 86_400;
        let grid = self.replay_grid();
        let width = u64::from(grid.width_seconds());
        let stale_after_seconds = self.stale_after_seconds.max(3 * width);
        let policy = Self { grid, stale_after_seconds, ..self.clone() };
        let warm_up = self.windows().max().map_or(0, Window::as_seconds).min(3 * DAY);
        let slots = |seconds: u64| i64::try_from(seconds / width).unwrap_or(i64::MAX);
        let (first, last) = (slots(warm_up), slots(warm_up + DAYS * DAY));
        let mut evaluator = Evaluator::new(policy, Slot(-1)).for_replay();
        let (mut sample, mut due, mut incidents) = (Sample(1), 0.0, 0);
        for slot in (0..last).map(Slot) {
            due += rate.per_second() * width as f64;
            let total = due.floor();
            due -= total;
            let bad = sample.poisson(total * self.objective.budget_ratio()).min(total as u64);
            let _ = evaluator.record(slot, Counts { good: total as u64 - bad, bad });
            if evaluator.budget_if_quiet(slot).is_none() {
                let assessment = evaluator.assess(slot);
                let decision = evaluator.decide(&assessment);
                let opened = decision.transitions.iter().filter(|told| told.change == Change::Opened).count();
                incidents += if slot.0 >= first { opened as u64 } else { 0 };
                evaluator.accept(decision);
            }
        }
        incidents
    }
}

/// A generator of random numbers (D. E. Knuth, MMIX), seeded so that a promise is the same every time.
struct Sample(u64);

impl Sample {
    /// A number in `[0, 1)`.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number of the Poisson distribution; of the normal one with the same moments where it is large.
    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            let normal = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
            return (mean + normal * mean.sqrt()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}
