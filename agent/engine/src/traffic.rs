//! Events per quarter of an hour for a week, to compare an hour with the same hour a week before.
//!
//! The hour is that of the last four quarters that are over. Where a zone changes its clocks within the week, the same
//! hour by the wall is an hour earlier or later in the counts; the caller names the distance, since zones are not known
//! here.

use crate::level::QUARTER_HOUR;
use crate::window::Window;

/// The window that is compared.
pub(crate) const TRAFFIC_WINDOW: Window = Window::hours(1);

/// The distance of the same hour a week before, without a change of clocks, in seconds.
const WEEK: i64 = 7 * 86_400;

/// The share of the hour that must have been observed.
const COVERED: f64 = 0.95;

/// The quarters of the compared window.
const COMPARED: i64 = 4;

/// The quarters that are kept: a week, the hour before it, a change of clocks, and the quarter that goes on.
const MAX_QUARTERS: usize = 7 * 96 + 4 + 8 + 1;

/// Events of the last hour, and of the same hour a week before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) now: u64,
    pub(crate) before: u64,
}

impl Compared {
    /// The events of the last hour as a share of those a week before; `None` when those were fewer than `floor`.
    pub(crate) fn share(self, floor: u64) -> Option<f64> {
        (self.before >= floor.max(1)).then(|| self.now as f64 / self.before as f64)
    }
}

/// The events of a week, by quarters of an hour.
#[derive(Debug, Clone)]
pub(crate) struct Traffic {
    /// The events of a quarter, at its number modulo the length.
    quarters: Vec<u64>,
    /// The newest quarter.
    newest: i64,
    /// Seconds from an instant to the same hour a week before.
    distance: i64,
}

impl Traffic {
    pub(crate) fn new(at_seconds: i64) -> Self {
        Self { quarters: vec![0; MAX_QUARTERS], newest: at_seconds.div_euclid(QUARTER_HOUR), distance: WEEK }
    }

    /// The first instant, in seconds since the epoch, whose events matter.
    pub(crate) const fn reaches_back_to(&self) -> i64 {
        self.newest.saturating_sub(MAX_QUARTERS as i64 - 1).saturating_mul(QUARTER_HOUR)
    }

    /// Sets the seconds to the same hour a week before.
    pub(crate) const fn set_distance(&mut self, seconds: i64) {
        self.distance = seconds;
    }

    /// Adds events at an instant in seconds since the epoch. What is older than a week is not kept.
    pub(crate) fn record(&mut self, at_seconds: i64, events: u64) {
        let quarter = at_seconds.div_euclid(QUARTER_HOUR);
        self.advance(quarter);
        if self.newest.saturating_sub(quarter) < MAX_QUARTERS as i64
            && let Some(kept) = self.quarters.get_mut(index(quarter))
        {
            *kept = kept.saturating_add(events);
        }
    }

    fn advance(&mut self, quarter: i64) {
        let passed = quarter.saturating_sub(self.newest).clamp(0, MAX_QUARTERS as i64);
        for n in 0..passed {
            if let Some(kept) = self.quarters.get_mut(index(quarter.saturating_sub(n))) {
                *kept = 0;
            }
        }
        self.newest = self.newest.max(quarter);
    }

    /// Compares the last four quarters before an instant with the same quarters a week before. `observed_seconds` are
    /// those of the last hour.
    pub(crate) fn compare(&self, at_seconds: i64, observed_seconds: u64) -> Option<Compared> {
        let known = observed_seconds as f64 >= COVERED * TRAFFIC_WINDOW.as_seconds() as f64;
        let end = at_seconds.div_euclid(QUARTER_HOUR);
        let end_before = at_seconds.saturating_sub(self.distance).div_euclid(QUARTER_HOUR);
        known.then(|| Compared { now: self.sum(end), before: self.sum(end_before) })
    }

    /// The events of the quarters before `end`.
    fn sum(&self, end: i64) -> u64 {
        let kept = |quarter: i64| {
            let age = self.newest.saturating_sub(quarter);
            let known = (0..MAX_QUARTERS as i64).contains(&age);
            self.quarters.get(index(quarter)).copied().filter(|_| known).unwrap_or(0)
        };
        (1..=COMPARED).map(|n| kept(end.saturating_sub(n))).fold(0, u64::saturating_add)
    }

    pub(crate) const fn heap_bytes(&self) -> usize {
        self.quarters.capacity() * size_of::<u64>()
    }
}

fn index(quarter: i64) -> usize {
    usize::try_from(quarter.rem_euclid(MAX_QUARTERS as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    #[test]
    fn an_hour_is_compared_with_the_same_hour_a_week_before() {
        let mut traffic = Traffic::new(0);
        let at = 7 * 86_400 + 10 * HOUR;
        for minute in 0..at / 60 {
            let hour = minute / 60 % 24;
            traffic.record(minute * 60, if hour == 9 { 100 } else { 1 });
        }
        assert_eq!(traffic.compare(at, 3600), Some(Compared { now: 6000, before: 6000 }));
        assert_eq!(traffic.compare(at, 3000), None, "an hour that was not observed");
        traffic.set_distance(WEEK - HOUR);
        assert_eq!(traffic.compare(at, 3600), Some(Compared { now: 6000, before: 60 }));
    }

    #[test]
    fn a_gap_leaves_nothing_of_an_earlier_week() {
        let mut traffic = Traffic::new(0);
        traffic.record(10, 5);
        traffic.record(30 * 86_400, 7);
        let sum: u64 = traffic.quarters.iter().sum();
        assert_eq!(sum, 7);
        traffic.record(10, 5);
        assert_eq!(traffic.quarters.iter().sum::<u64>(), 7, "what is too old is not kept");
    }

    #[test]
    fn few_events_a_week_before_say_nothing() {
        assert_eq!(Compared { now: 0, before: 9 }.share(10), None);
        assert_eq!(Compared { now: 3, before: 10 }.share(10), Some(0.3));
        assert_eq!(Compared { now: 3, before: 0 }.share(0), None);
    }
}
