//! What must have happened before anyone is called: guards against little traffic.
//!
//! A guard decides whether to call someone, never whether it is over.

use core::fmt;

use crate::burn::Measured;
use crate::counts::Counts;

/// What must have happened before a tier may fire at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Events in the tier's long window, whatever the budget is counted in.
    pub minimum_events: u64,
    /// Bad events in the tier's long window.
    pub minimum_bad: u64,
    /// Cells of the long window that its bad events are spread over: slots up to a window of six hours, as
    /// [`History`] has them beyond. One or none asks for nothing.
    ///
    /// [`History`]: crate::History
    pub minimum_slots: u64,
    /// How sure it has to be that the bad ratio of the long window is above the threshold.
    pub confidence: Option<Confidence>,
}

impl Default for Guard {
    /// Three bad events, so that one failed request at night pages no one.
    fn default() -> Self {
        Self { minimum_events: 0, minimum_bad: 3, minimum_slots: 1, confidence: None }
    }
}

impl Guard {
    /// What is missing in a window with these events, and bad ones in so many cells.
    pub(crate) fn missing(&self, events: Counts, bad_cells: impl FnOnce() -> u64) -> Option<HoldReason> {
        if events.total() < self.minimum_events {
            return Some(HoldReason::Events { seen: events.total(), asked: self.minimum_events });
        }
        if events.bad < self.minimum_bad {
            return Some(HoldReason::Bad { seen: events.bad, asked: self.minimum_bad });
        }
        let slots = if self.minimum_slots > 1 { bad_cells() } else { self.minimum_slots };
        (slots < self.minimum_slots).then_some(HoldReason::Slots { seen: slots, asked: self.minimum_slots })
    }

    /// Whether a window could be above a threshold, a share of bad ones, by chance. Its counts stand for one each
    /// `unit`.
    pub(crate) fn unsure(&self, window: &Measured, unit: u64, threshold: f64) -> Option<HoldReason> {
        let confidence = self.confidence?;
        let share = window.coverage();
        let unit = unit.max(1) as f64;
        let (bad, total) = (window.counts.bad as f64 / unit, window.counts.total() as f64 / unit);
        let at_least = confidence.lower_bound(bad, total) * share;
        (at_least <= threshold).then_some(HoldReason::Unsure { at_least, threshold, confidence })
    }
}

/// Why a tier or condition that is beyond its threshold does not fire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HoldReason {
    /// Too few events.
    Events {
        /// There are so many.
        seen: u64,
        /// And so many are asked for.
        asked: u64,
    },
    /// Too few bad events.
    Bad {
        /// There are so many.
        seen: u64,
        /// And so many are asked for.
        asked: u64,
    },
    /// Bad events in too few slots.
    Slots {
        /// There are so many.
        seen: u64,
        /// And so many are asked for.
        asked: u64,
    },
    /// It could be chance.
    Unsure {
        /// The Wilson score lower bound of the share of bad events.
        at_least: f64,
        /// The share it has to be above.
        threshold: f64,
        /// How sure it has to be.
        confidence: Confidence,
    },
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // two figures that differ must not look the same
        let percent = |share: f64| (share * 1e5).round() / 1e3;
        match self {
            Self::Events { seen, asked } => write!(f, "{seen} of {asked} events"),
            Self::Bad { seen, asked } => write!(f, "{seen} of {asked} bad events"),
            Self::Slots { seen, asked } => write!(f, "bad events in {seen} of {asked} slots"),
            Self::Unsure { at_least, threshold, confidence } => {
                let (at_least, threshold) = (percent(*at_least), percent(*threshold));
                write!(f, "at least {at_least} % bad at {confidence} confidence, fires above {threshold} %")
            }
        }
    }
}

/// The confidence of a two-sided interval, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence {
    ppm: u32,
    /// The quantile of the normal distribution that belongs to it, in millionths.
    z_micro: u32,
}

/// A confidence that is not in `[50, 99.9999]` percent, or not a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InvalidConfidence(
    /// The refused confidence in percent.
    pub f64,
);

impl fmt::Display for InvalidConfidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % is no confidence from 50 % to 99.9999 %", self.0)
    }
}

impl core::error::Error for InvalidConfidence {}

impl Confidence {
    /// A confidence given in percent, exact to four decimals.
    ///
    /// # Errors
    /// When it is not from 50 to 99.9999: less is no confidence, and certainty needs infinitely many events.
    pub fn try_from_percent(percent: f64) -> Result<Self, InvalidConfidence> {
        let ppm = (percent * 1e4).round();
        if !(500_000.0..=999_999.0).contains(&ppm) {
            return Err(InvalidConfidence(percent));
        }
        let z = quantile(f64::midpoint(1.0, ppm / 1e6));
        Ok(Self { ppm: ppm as u32, z_micro: (z * 1e6).round() as u32 })
    }

    /// The confidence in percent.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.ppm) / 1e4
    }

    /// The lower end of the Wilson score interval for `bad` out of `total`; zero without events.
    ///
    /// E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American
    /// Statistical Association 22 (1927), pp. 209–212.
    #[must_use]
    pub fn lower_bound(self, bad: f64, total: f64) -> f64 {
        if total <= 0.0 {
            return 0.0;
        }
        let (ratio, z) = (bad / total, f64::from(self.z_micro) / 1e6);
        let square = z * z / total;
        let spread = z * ((ratio * (1.0 - ratio) + square / 4.0) / total).max(0.0).sqrt();
        ((ratio + square / 2.0 - spread) / (1.0 + square)).max(0.0)
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent())
    }
}

/// Where the normal distribution reaches a probability of at least one half, by halving an interval.
fn quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 6.0_f64);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if normal(middle) < probability { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The normal distribution of a value from zero to six, by its power series: ½ + φ(x) · Σ x^(2k+1) / (2k+1)!!
fn normal(x: f64) -> f64 {
    let density = (-x * x / 2.0).exp() / core::f64::consts::TAU.sqrt();
    let (mut term, mut sum) = (x, x);
    for k in 1..120 {
        term *= x * x / f64::from(2 * k + 1);
        sum += term;
    }
    0.5 + density * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    #[test]
    fn so_many_of_so_few_must_be_bad_before_it_is_sure() {
        let confidence = Confidence::try_from_percent(98.0).unwrap();
        // 99.9 % at 14.4 times: the plain rule fires on 1 of 69
        for (total, least) in [(10, 2), (50, 3), (100, 5), (1000, 24), (10_000, 172)] {
            let sure = |bad: u32| confidence.lower_bound(f64::from(bad), f64::from(total)) > 0.0144;
            assert_eq!((0..=total).find(|bad| sure(*bad)), Some(least), "of {total}");
        }
        assert!(confidence.lower_bound(1.0, 5.0) > 0.0144, "so few that only a least number helps");
        assert_eq!(confidence.lower_bound(0.0, 0.0), 0.0);
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (percent, z) in
            [(50.0, 0.674_490), (90.0, 1.644_854), (95.0, 1.959_964), (98.0, 2.326_348), (99.9, 3.290_527)]
        {
            let confidence = Confidence::try_from_percent(percent).unwrap();
            assert!((f64::from(confidence.z_micro) / 1e6 - z).abs() < 2e-6, "{confidence}");
        }
        for percent in [0.0, 49.9, 100.0, f64::NAN] {
            assert!(Confidence::try_from_percent(percent).is_err());
        }
        assert_eq!(Confidence::try_from_percent(99.5).unwrap().to_string(), "99.5%");
    }

    #[test]
    fn the_first_thing_that_is_missing_is_named() {
        let confidence = Confidence::try_from_percent(98.0).ok();
        let guard = Guard { minimum_events: 10, minimum_bad: 3, minimum_slots: 2, confidence };
        let held =
            |good, bad, cells| guard.missing(Counts { good, bad }, || cells).map(|held| held.to_string());
        assert_eq!(held(5, 1, 1).as_deref(), Some("6 of 10 events"));
        assert_eq!(held(9, 1, 1).as_deref(), Some("1 of 3 bad events"));
        assert_eq!(held(9, 3, 1).as_deref(), Some("bad events in 1 of 2 slots"));
        assert_eq!(held(9, 3, 2), None);
        let window = Measured {
            window: Window::hours(1),
            counts: Counts { good: 49, bad: 2 },
            observed_seconds: 3600,
        };
        let held = guard.unsure(&window, 1, 0.0144).map(|held| held.to_string());
        assert_eq!(held.as_deref(), Some("at least 0.88 % bad at 98% confidence, fires above 1.44 %"));
        let billions = Measured { counts: Counts { good: 49_000_000_000, bad: 2_000_000_000 }, ..window };
        assert_eq!(guard.unsure(&billions, 1_000_000_000, 0.0144), guard.unsure(&window, 1, 0.0144));
    }
}
