//! Differences of counters that may start again from zero, appear and disappear.

use std::collections::HashMap;

/// Series that are remembered at most after they vanished.
const MOST_VANISHED: usize = 100_000;

/// What a scrape added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Advance {
    /// Events since the scrape before.
    pub(super) events: u64,
    /// Counters that started again.
    pub(super) resets: u64,
}

/// The counters of one side of one SLO, from scrape to scrape.
///
/// The first scrape is the baseline. A series that shows up later counts from zero, so that the very first error of a
/// process is seen. A value below the one before is a reset: the counter started again, and all it shows is new. A series
/// that is away for a while is remembered and goes on where it was.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    last: HashMap<String, Last>,
    scrapes: u64,
    /// What rounding kept back, between minus a half and a half.
    remainder: f64,
}

#[derive(Debug)]
struct Last {
    value: f64,
    scrape: u64,
}

impl Tracker {
    /// Takes the values of one successful scrape, each series under its own key; the first of two equal keys counts.
    /// Returns nothing for the baseline. Values that no counter can have are as if their series were not there.
    pub(super) fn advance(&mut self, series: impl IntoIterator<Item = (String, f64)>) -> Option<Advance> {
        let baseline = self.scrapes == 0;
        self.scrapes += 1;
        let (mut sum, mut resets) = (0.0, 0);
        for (key, value) in series {
            if !value.is_finite() || value < 0.0 {
                continue;
            }
            let now = Last { value, scrape: self.scrapes };
            let Some(last) = self.last.get_mut(&key) else {
                self.last.insert(key, now);
                sum += value;
                continue;
            };
            if last.scrape == now.scrape {
                continue;
            }
            if value < last.value {
                resets += 1;
                sum += value;
            } else {
                sum += value - last.value;
            }
            *last = now;
        }
        self.forget();
        if baseline {
            return None;
        }
        let exact = sum + self.remainder;
        let whole = exact.round().max(0.0);
        self.remainder = (exact - whole).clamp(-1.0, 1.0);
        Some(Advance { events: whole as u64, resets })
    }

    /// A neighbour whose label values never end must not fill the memory: then what vanished is forgotten.
    fn forget(&mut self) {
        if self.last.len() > MOST_VANISHED {
            let current = self.scrapes;
            self.last.retain(|_, last| last.scrape == current);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scrape(tracker: &mut Tracker, series: &[(&str, f64)]) -> Option<(u64, u64)> {
        let advance = tracker.advance(series.iter().map(|(key, value)| ((*key).to_owned(), *value)))?;
        Some((advance.events, advance.resets))
    }

    #[test]
    fn the_first_scrape_is_the_baseline_and_later_series_count_from_zero() {
        let mut tracker = Tracker::default();
        assert_eq!(scrape(&mut tracker, &[("ok", 1000.0)]), None);
        assert_eq!(scrape(&mut tracker, &[("ok", 1000.0)]), Some((0, 0)));
        assert_eq!(scrape(&mut tracker, &[("ok", 1007.0), ("error", 1.0)]), Some((8, 0)));
        let mut empty = Tracker::default();
        assert_eq!(scrape(&mut empty, &[]), None, "an empty scrape is a baseline too");
        assert_eq!(scrape(&mut empty, &[("error", 2.0)]), Some((2, 0)));
    }

    #[test]
    fn a_reset_counts_what_came_after_it() {
        let mut tracker = Tracker::default();
        scrape(&mut tracker, &[("a", 100.0), ("b", 5.0)]);
        assert_eq!(scrape(&mut tracker, &[("a", 3.0), ("b", 6.0)]), Some((4, 1)));
        assert_eq!(scrape(&mut tracker, &[("a", 0.0), ("b", 0.0)]), Some((0, 2)));
    }

    #[test]
    fn a_series_that_was_away_goes_on_where_it_was() {
        let mut tracker = Tracker::default();
        scrape(&mut tracker, &[("a", 10.0)]);
        assert_eq!(scrape(&mut tracker, &[]), Some((0, 0)));
        assert_eq!(scrape(&mut tracker, &[("a", 12.0)]), Some((2, 0)));
        assert_eq!(scrape(&mut tracker, &[("a", f64::NAN)]), Some((0, 0)));
        assert_eq!(scrape(&mut tracker, &[("a", -1.0)]), Some((0, 0)));
        assert_eq!(scrape(&mut tracker, &[("a", f64::INFINITY)]), Some((0, 0)));
        assert_eq!(scrape(&mut tracker, &[("a", 4.0)]), Some((4, 1)));
    }

    #[test]
    fn a_series_that_is_told_twice_counts_once() {
        let mut tracker = Tracker::default();
        scrape(&mut tracker, &[]);
        assert_eq!(scrape(&mut tracker, &[("a", 4.0), ("a", 9.0)]), Some((4, 0)));
    }

    #[test]
    fn fractions_add_up() {
        let mut tracker = Tracker::default();
        scrape(&mut tracker, &[("a", 0.0)]);
        let events: u64 =
            (1..=100).map(|n| scrape(&mut tracker, &[("a", f64::from(n) * 0.3)]).unwrap().0).sum();
        assert_eq!(events, 30);
    }

    #[test]
    fn endless_label_values_do_not_fill_the_memory() {
        let mut tracker = Tracker::default();
        for round in 0..12 {
            tracker.advance((0..10_000).map(|n| (format!("{round}-{n}"), 1.0)));
        }
        assert!(tracker.last.len() <= MOST_VANISHED + 10_000, "{}", tracker.last.len());
    }

    proptest! {
        /// Any history of increments, restarts and scrapes: once there is a baseline, nothing that a scrape could still
        /// see is lost or counted twice.
        #[test]
        fn the_sum_of_advances_is_what_happened(
            rounds in proptest::collection::vec(
                (proptest::collection::vec((0_usize..4, 1_u32..50), 0..6), any::<bool>(), any::<bool>()),
                1..60,
            ),
        ) {
            let mut tracker = Tracker::default();
            let mut counters = [0_u64; 4];
            let mut at_scrape = [0_u64; 4];
            let (mut truth, mut counted, mut primed) = (0_u64, 0_u64, false);
            for (increments, restart, scraped) in rounds {
                // a restart is visible when no counter has passed its old value again by the next scrape; the others are
                // indistinguishable from growth for everyone who reads counters
                if restart {
                    counters = [0; 4];
                }
                for (series, by) in increments {
                    counters[series] += u64::from(by);
                }
                if scraped {
                    let growth = |(now, before): (&u64, &u64)| if now < before { *now } else { now - before };
                    let grown: u64 = counters.iter().zip(&at_scrape).map(growth).sum();
                    truth += if primed { grown } else { 0 };
                    at_scrape = counters;
                    let series = counters.iter().enumerate().map(|(n, value)| (n.to_string(), *value as f64));
                    counted += tracker.advance(series).map_or(0, |advance| advance.events);
                    primed = true;
                }
            }
            prop_assert_eq!(counted, truth);
        }

        /// Every increment is scraped before the next restart: then the sum is exact, wherever the restarts fall.
        #[test]
        fn scraped_before_every_restart_it_is_exact(
            lives in proptest::collection::vec(proptest::collection::vec(1_u32..1000, 1..8), 1..12),
        ) {
            let mut tracker = Tracker::default();
            prop_assert_eq!(tracker.advance([("a".to_owned(), 0.0)]), None);
            let (mut truth, mut counted, mut resets) = (0_u64, 0_u64, 0_u64);
            let mut before = 0_u64;
            let mut visible = 0_u64;
            for life in lives {
                // a process announces its counters with zero before it counts
                let mut value = 0_u64;
                visible += u64::from(before > 0);
                for by in std::iter::once(0).chain(life) {
                    value += u64::from(by);
                    truth += u64::from(by);
                    let advance = tracker.advance([("a".to_owned(), value as f64)]).unwrap();
                    counted += advance.events;
                    resets += advance.resets;
                }
                before = value;
            }
            prop_assert_eq!((counted, resets), (truth, visible));
        }
    }
}
