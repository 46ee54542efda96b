//! Differences of counters that may start again from zero, appear and disappear.

use std::collections::HashMap;

use super::life::Life;

/// Series that are remembered at most after they vanished.
const MOST_VANISHED: usize = 100_000;

/// Largest value a counter can have: above it, a float no longer counts by ones.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Multiple of the largest growth so far that a sibling of a restarted counter may show and still count from zero.
const SIBLING_FACTOR: f64 = 4.0;

/// Value of one series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeriesValue {
    /// Identity of the series: its name and its labels.
    pub(super) key: String,
    pub(super) value: f64,
    /// The begin of the series, as `_created` tells it.
    pub(super) created: Option<f64>,
}

/// Growth of a set of counters since the scrape before.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Growth {
    /// Growth of series that were known.
    pub(super) continued: f64,
    /// Values of series that are new, and of all series of a new process.
    pub(super) fresh: f64,
    /// Counters that started again.
    pub(super) resets: u64,
    /// Values that no counter can have; they are left out.
    pub(super) absurd: u64,
    /// The last of them.
    pub(super) absurd_value: f64,
}

impl Growth {
    /// Growth of all series.
    pub(super) const fn sum(&self) -> f64 {
        self.continued + self.fresh
    }
}

/// Counters of one side of a ratio, from scrape to scrape.
///
/// A series that shows up counts from zero, so that the first error of a process is seen. A counter starts again when its
/// process does, when its `_created` moves, or when its value falls; all it shows then is new. A process that tells no
/// start is taken for a new one when a counter falls and the values of the others fit into one interval. A series that is
/// away for a while is remembered and continues where it was.
#[derive(Debug, Default)]
pub(super) struct CounterSet {
    last: HashMap<String, Last>,
    scrapes: u64,
    /// Largest growth of one scrape so far.
    largest: f64,
    /// Rest of rounding, between minus a half and a half.
    remainder: f64,
}

#[derive(Debug)]
struct Last {
    value: f64,
    created: Option<f64>,
    scrape: u64,
}

impl Last {
    fn restarted(&self, now: &SeriesValue) -> bool {
        let recreated = self.created.zip(now.created).is_some_and(|(before, now)| now > before);
        recreated || now.value < self.value
    }
}

impl CounterSet {
    /// Takes the values of one scrape; the first of two equal keys counts.
    pub(super) fn advance(&mut self, series: Vec<SeriesValue>, life: Life) -> Growth {
        self.scrapes += 1;
        let mut growth = Growth::default();
        let sane = |series: &SeriesValue| (0.0..=MAX_EXACT).contains(&series.value);
        let from_zero = self.siblings_restarted(&series, life);
        for now in series {
            if !sane(&now) {
                growth.absurd += 1;
                growth.absurd_value = now.value;
                continue;
            }
            let last = Last { value: now.value, created: now.created, scrape: self.scrapes };
            let Some(before) = self.last.get_mut(&now.key) else {
                growth.fresh += now.value;
                self.last.insert(now.key, last);
                continue;
            };
            if before.scrape == self.scrapes {
                continue;
            }
            if life == Life::New {
                growth.resets += 1;
                growth.fresh += now.value;
            } else if before.restarted(&now) || from_zero.is_some_and(|most| now.value <= most) {
                growth.resets += 1;
                growth.continued += now.value;
            } else {
                growth.continued += now.value - before.value;
            }
            *before = last;
        }
        self.forget();
        growth
    }

    /// Remembers the growth of a scrape that counts. Returns it in whole events; no fraction is lost.
    pub(super) fn settle(&mut self, growth: f64) -> u64 {
        self.largest = self.largest.max(growth);
        let exact = growth + self.remainder;
        let whole = exact.round().max(0.0);
        self.remainder = (exact - whole).clamp(-1.0, 1.0);
        whole as u64
    }

    /// The largest value that a counter that did not fall may show and still be of a new process; none when nothing fell.
    fn siblings_restarted(&self, series: &[SeriesValue], life: Life) -> Option<f64> {
        if life != Life::Unknown {
            return None;
        }
        let fell = series.iter().filter_map(|now| {
            let before = self.last.get(&now.key)?;
            (now.value >= 0.0 && before.restarted(now)).then_some(now.value)
        });
        let largest_after_fall = fell.reduce(f64::max)?;
        Some(SIBLING_FACTOR * self.largest.max(largest_after_fall))
    }

    /// Drops what vanished, when a neighbour whose label values never end would fill the memory.
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

    fn value(key: &str, value: f64) -> SeriesValue {
        SeriesValue { key: key.to_owned(), value, created: None }
    }

    fn live(counters: &mut CounterSet, series: &[(&str, f64)], life: Life) -> (u64, u64) {
        let growth = counters.advance(series.iter().map(|(key, v)| value(key, *v)).collect(), life);
        (counters.settle(growth.sum()), growth.resets)
    }

    fn scrape(counters: &mut CounterSet, series: &[(&str, f64)]) -> (u64, u64) {
        live(counters, series, Life::Unknown)
    }

    /// A set whose first scrape is not counted.
    fn based_on(series: &[(&str, f64)]) -> CounterSet {
        let mut counters = CounterSet::default();
        counters.advance(series.iter().map(|(key, v)| value(key, *v)).collect(), Life::Unknown);
        counters
    }

    #[test]
    fn later_series_count_from_zero() {
        let mut counters = based_on(&[("ok", 1000.0)]);
        assert_eq!(scrape(&mut counters, &[("ok", 1000.0)]), (0, 0));
        assert_eq!(scrape(&mut counters, &[("ok", 1007.0), ("error", 1.0)]), (8, 0));
    }

    #[test]
    fn a_reset_counts_what_came_after_it() {
        let mut counters = based_on(&[("a", 100.0), ("b", 5000.0)]);
        assert_eq!(scrape(&mut counters, &[("a", 3.0), ("b", 5001.0)]), (4, 1), "one process of several");
        assert_eq!(scrape(&mut counters, &[("a", 0.0), ("b", 0.0)]), (0, 2));
    }

    #[test]
    fn a_new_process_counts_from_zero_although_no_counter_fell() {
        let mut counters = based_on(&[("500", 100.0), ("200", 50.0)]);
        assert_eq!(live(&mut counters, &[("500", 100.0), ("200", 50.0)], Life::New), (150, 2));
        assert_eq!(live(&mut counters, &[("500", 120.0), ("200", 60.0)], Life::New), (180, 2));
        assert_eq!(live(&mut counters, &[("500", 121.0), ("200", 60.0)], Life::Same), (1, 0));
    }

    #[test]
    fn a_counter_that_fell_tells_of_its_siblings() {
        let mut counters = based_on(&[("500", 100.0), ("200", 50.0)]);
        assert_eq!(scrape(&mut counters, &[("500", 100.0), ("200", 40.0)]), (140, 2));
        assert_eq!(scrape(&mut counters, &[("500", 110.0), ("200", 39.0)]), (149, 2));
        // where the start of the process is known to be the same, it does not
        assert_eq!(live(&mut counters, &[("500", 111.0), ("200", 3.0)], Life::Same), (4, 1));
    }

    #[test]
    fn a_creation_that_moved_is_a_reset() {
        let mut counters = CounterSet::default();
        let at = |value: f64, created| SeriesValue { key: "a".to_owned(), value, created: Some(created) };
        counters.advance(vec![at(100.0, 1.0)], Life::Unknown);
        assert_eq!(counters.advance(vec![at(110.0, 1.0)], Life::Unknown).continued, 10.0);
        let growth = counters.advance(vec![at(115.0, 2.0)], Life::Unknown);
        assert_eq!((growth.continued, growth.resets), (115.0, 1));
    }

    #[test]
    fn a_series_that_was_away_goes_on_where_it_was_and_absurd_values_are_left_out() {
        let mut counters = based_on(&[("a", 10.0)]);
        assert_eq!(scrape(&mut counters, &[]), (0, 0));
        assert_eq!(scrape(&mut counters, &[("a", 12.0)]), (2, 0));
        for absurd in [f64::NAN, -1.0, f64::INFINITY, 1e308, 18_446_744_073_709_551_616.0] {
            let growth = counters.advance(vec![value("a", absurd)], Life::Unknown);
            assert_eq!((growth.sum(), growth.absurd), (0.0, 1), "{absurd}");
        }
        assert_eq!(scrape(&mut counters, &[("a", 14.0)]), (2, 0));
        assert_eq!(scrape(&mut counters, &[("a", 4.0)]), (4, 1));
    }

    #[test]
    fn a_series_that_is_told_twice_counts_once() {
        let mut counters = CounterSet::default();
        assert_eq!(scrape(&mut counters, &[("a", 4.0), ("a", 9.0)]), (4, 0));
    }

    #[test]
    fn fractions_add_up() {
        let mut counters = based_on(&[("a", 0.0)]);
        let events: u64 = (1..=100).map(|n| scrape(&mut counters, &[("a", f64::from(n) * 0.3)]).0).sum();
        assert_eq!(events, 30);
    }

    #[test]
    fn endless_label_values_do_not_fill_the_memory() {
        let mut counters = CounterSet::default();
        for round in 0..12 {
            let series = (0..10_000).map(|n| value(&format!("{round}-{n}"), 1.0)).collect();
            counters.advance(series, Life::Unknown);
        }
        assert!(counters.last.len() <= MOST_VANISHED + 10_000, "{}", counters.last.len());
    }

    proptest! {
        /// Any history of increments, restarts and scrapes: where every process tells its start, nothing that a scrape
        /// could still see is lost or counted twice.
        #[test]
        fn with_known_starts_the_sum_is_what_each_life_showed(
            rounds in proptest::collection::vec(
                (proptest::collection::vec((0_usize..4, 1_u32..50), 0..6), any::<bool>(), any::<bool>()),
                1..60,
            ),
        ) {
            let mut counters = based_on(&[("0", 0.0), ("1", 0.0), ("2", 0.0), ("3", 0.0)]);
            let mut values = [0_u64; 4];
            let mut at_scrape = [0_u64; 4];
            let (mut truth, mut counted, mut life) = (0_u64, 0_u64, Life::Same);
            for (increments, restart, scraped) in rounds {
                if restart {
                    (values, life) = ([0; 4], Life::New);
                }
                for (series, by) in increments {
                    values[series] += u64::from(by);
                }
                if scraped {
                    let new = life == Life::New;
                    truth += values.iter().zip(&at_scrape).map(|(now, old)| if new { *now } else { now - old }).sum::<u64>();
                    at_scrape = values;
                    let series = values.iter().enumerate().map(|(n, v)| value(&n.to_string(), *v as f64)).collect();
                    let growth = counters.advance(series, life);
                    counted += counters.settle(growth.sum());
                    life = Life::Same;
                }
            }
            prop_assert_eq!(counted, truth);
        }

        /// Every increment is scraped before the next restart: then the sum is exact, wherever the restarts fall.
        #[test]
        fn scraped_before_every_restart_it_is_exact(
            lives in proptest::collection::vec(proptest::collection::vec(1_u32..1000, 1..8), 1..12),
        ) {
            let mut counters = based_on(&[("a", 0.0)]);
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
                    let (events, again) = scrape(&mut counters, &[("a", value as f64)]);
                    counted += events;
                    resets += again;
                }
                before = value;
            }
            prop_assert_eq!((counted, resets), (truth, visible));
        }
    }
}
