//! The counter form: scraped samples to events per slot.
//!
//! A series is counted from the value it had before; one that a target under watch shows for the first time counts
//! from zero, so that the very first error of a process is seen. A target that shows up is a baseline itself: it may
//! have run for weeks before somebody scraped it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lookout_engine::Grid;
use lookout_model::{GridTime, Timestamp};

use super::windowed::Remainder;
use lookout_config::Ratio;
use lookout_promql::client::{Answer, Question, Series, When};
use lookout_promql::selector::Selector;

/// Longest distance to the value before, and the longest gap over which a difference counts.
const BEFORE_S: i64 = 3600;

/// Series that are remembered at most after they vanished.
const MOST_VANISHED: usize = 100_000;

/// Queries of one SLO.
#[derive(Debug)]
pub(super) struct Counters {
    part: String,
    total: String,
    pub(super) part_is_bad: bool,
}

/// The counters of both sides at the end of a slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// The second up to which samples are counted.
    pub(super) at_s: i64,
    part: Side,
    total: Side,
    /// Jobs and instances that were seen.
    targets: HashSet<(String, String)>,
    /// The instant of the last sample of the total.
    last_sample_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default)]
struct Side {
    last: HashMap<String, Last>,
    remainder: Remainder,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    value: f64,
    at: Timestamp,
}

/// Counts.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Events of the part and of all, by slot; only slots that are observed.
    pub(super) slots: BTreeMap<i64, (u64, u64)>,
    /// The newest slot with a sample.
    pub(super) newest: Option<i64>,
    /// Counters that started again.
    pub(super) resets: u64,
}

impl Counters {
    pub(super) fn new(ratio: &Ratio) -> Self {
        let text = |selector: &Selector| selector.for_prometheus().to_string();
        match ratio {
            Ratio::Good { good, total } => Self { part: text(good), total: text(total), part_is_bad: false },
            Ratio::Bad { bad, total } => Self { part: text(bad), total: text(total), part_is_bad: true },
        }
    }

    /// Asks for the values at an instant: those of the part, those of all.
    pub(super) fn before(&self, at_s: i64) -> [Question; 2] {
        let question = |selector: &str| Question {
            query: format!("last_over_time({selector}[{BEFORE_S}s])"),
            when: When::At(at_s),
        };
        [question(&self.part), question(&self.total)]
    }

    /// Asks for the samples after one instant and up to another.
    pub(super) fn samples(&self, from_s: i64, to_s: i64) -> [Question; 2] {
        let question = |selector: &str| Question {
            query: format!("{selector}[{}s]", to_s.saturating_sub(from_s).max(1)),
            when: When::At(to_s),
        };
        [question(&self.part), question(&self.total)]
    }
}

impl Standing {
    /// The counters as an instant finds them.
    pub(super) fn at(at_s: i64, [part, total]: [Answer; 2]) -> Self {
        let mut standing = Self { at_s, ..Self::default() };
        let at = Timestamp::from_seconds(at_s);
        for (side, answer) in [(&mut standing.part, part), (&mut standing.total, total)] {
            for series in &answer.series {
                let Some(value) = series.samples.last().map(|(_, value)| *value).filter(|v| countable(*v))
                else {
                    continue;
                };
                standing.targets.insert(target(series));
                side.last.insert(key(series), Last { value, at });
            }
        }
        if !standing.total.last.is_empty() {
            standing.last_sample_at = Some(at);
        }
        standing
    }

    /// Counts the samples that were taken since, up to `to_s`. Slots between two samples that are at most `bridge_s`
    /// apart are observed too.
    pub(super) fn advance(
        &mut self,
        [part, total]: [Answer; 2],
        to_s: i64,
        grid: Grid,
        bridge_s: i64,
    ) -> Tally {
        let span = (Timestamp::from_seconds(self.at_s), Timestamp::from_seconds(to_s));
        // when each target was first seen, on either side
        let mut first_seen: HashMap<(String, String), Timestamp> = HashMap::new();
        for series in part.series.iter().chain(&total.series) {
            let first = within(series, span).map(|(at, _)| at).next();
            if let Some(first) = first {
                let seen = first_seen.entry(target(series)).or_insert(first);
                *seen = first.min(*seen);
            }
        }
        let seen_before = |target: &(String, String), at: Timestamp| {
            self.targets.contains(target) || first_seen.get(target).is_some_and(|first| *first < at)
        };
        let mut tally = Tally::default();
        let (part, _) = self.part.advance(&part, span, grid, &seen_before, &mut tally.resets);
        let mut part_resets = 0;
        core::mem::swap(&mut part_resets, &mut tally.resets);
        let (total, sampled) = self.total.advance(&total, span, grid, &seen_before, &mut tally.resets);
        tally.resets = tally.resets.max(part_resets);
        self.targets.extend(first_seen.into_keys());
        tally.newest = sampled.last().map(|at| slot_of(grid, *at));
        for slot in self.observed(&sampled, grid, bridge_s) {
            let real = |side: &BTreeMap<i64, f64>| side.get(&slot).copied().unwrap_or(0.0);
            let events = (self.part.remainder.whole(real(&part)), self.total.remainder.whole(real(&total)));
            tally.slots.insert(slot, events);
        }
        self.last_sample_at = sampled.last().copied().or(self.last_sample_at);
        // what comes after the last sample is asked for again
        if let Some(newest) = tally.newest {
            self.at_s = grid.end_of(lookout_engine::Slot(newest)).as_seconds().min(to_s);
        }
        tally
    }

    /// Slots in which samples were taken, and those between two samples that are no further apart than usual.
    fn observed(&self, sampled: &BTreeSet<Timestamp>, grid: Grid, bridge_s: i64) -> BTreeSet<i64> {
        let mut slots = BTreeSet::new();
        let mut before = self.last_sample_at;
        for at in sampled {
            let slot = slot_of(grid, *at);
            let near = before.filter(|before| at.millis_since(*before) <= bridge_s.saturating_mul(1000));
            let from = near.map_or(slot, |before| slot_of(grid, before).saturating_add(1));
            // a baseline that stands on the very start of the span belongs to the slot before it
            slots.extend(from..slot);
            slots.insert(slot);
            before = Some(*at);
        }
        slots
    }
}

impl Side {
    /// Events by slot, and when samples were taken.
    fn advance(
        &mut self,
        answer: &Answer,
        span: (Timestamp, Timestamp),
        grid: Grid,
        seen_before: &impl Fn(&(String, String), Timestamp) -> bool,
        resets: &mut u64,
    ) -> (BTreeMap<i64, f64>, BTreeSet<Timestamp>) {
        let (mut events, mut sampled): (BTreeMap<i64, f64>, _) = (BTreeMap::new(), BTreeSet::new());
        for series in &answer.series {
            let (key, target) = (key(series), target(series));
            let mut last = self.last.get(&key).copied();
            for (at, value) in within(series, span) {
                let grown = match last {
                    Some(last) if at.millis_since(last.at) > BEFORE_S * 1000 => 0.0,
                    Some(last) if value < last.value => {
                        *resets += 1;
                        value
                    }
                    Some(last) => value - last.value,
                    None if seen_before(&target, at) => value,
                    None => 0.0,
                };
                *events.entry(slot_of(grid, at)).or_default() += grown;
                sampled.insert(at);
                last = Some(Last { value, at });
            }
            if let Some(last) = last {
                self.last.insert(key, last);
            }
        }
        if self.last.len() > MOST_VANISHED {
            // label values that never end must not fill the memory
            let from = span.0;
            self.last.retain(|_, last| last.at > from);
        }
        (events, sampled)
    }
}

/// The slot whose events a sample is the first to see: one taken on a boundary belongs to the slot that ends there.
fn slot_of(grid: Grid, at: Timestamp) -> i64 {
    grid.slot_at(at - Timestamp::TICK).0
}

/// Samples after the start of a span and up to its end that a counter can have. A range includes its start in older
/// releases of Prometheus, and not in newer ones.
fn within(
    series: &Series,
    (from, to): (Timestamp, Timestamp),
) -> impl Iterator<Item = (Timestamp, f64)> + '_ {
    let inside = move |(at, value): &(Timestamp, f64)| *at > from && *at <= to && countable(*value);
    series.samples.iter().map(|(millis, value)| (Timestamp::from_millis(*millis), *value)).filter(inside)
}

fn countable(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

fn target(series: &Series) -> (String, String) {
    (series.label("job").to_owned(), series.label("instance").to_owned())
}

/// One name for one series.
fn key(series: &Series) -> String {
    let mut key = String::new();
    for (label, value) in &series.labels {
        // the length keeps two series apart whatever their values hold
        key.push_str(&format!("{label}={}:{value}\u{1f}", value.len()));
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_800_000_000;

    fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Series {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Series { labels, samples: samples.iter().map(|(s, value)| ((T + s) * 1000, *value)).collect() }
    }

    fn answer(series: Vec<Series>) -> Answer {
        Answer { series, ..Answer::default() }
    }

    fn grid() -> Grid {
        Grid::try_new(10).unwrap()
    }

    /// Events by slot since T.
    fn shown(tally: &Tally) -> Vec<(i64, u64, u64)> {
        tally.slots.iter().map(|(slot, (part, total))| (slot - T / 10, *part, *total)).collect()
    }

    const OK: [(&str, &str); 2] = [("instance", "a"), ("code", "200")];
    const FAILED: [(&str, &str); 2] = [("instance", "a"), ("code", "500")];

    #[test]
    fn differences_belong_to_the_slot_of_the_later_sample() {
        let mut standing = Standing::at(T, [answer(vec![]), answer(vec![series(&OK, &[(-3, 100.0)])])]);
        let total =
            answer(vec![series(&OK, &[(0, 100.0), (2, 104.0), (10, 110.0), (17, 112.0), (32, 120.0)])]);
        let tally = standing.advance([answer(vec![]), total], T + 50, grid(), 37);
        assert_eq!(
            shown(&tally),
            [(0, 0, 10), (1, 0, 2), (2, 0, 0), (3, 0, 8)],
            "on a boundary is before it"
        );
        assert_eq!((tally.newest, standing.at_s), (Some(T / 10 + 3), T + 40), "the rest is asked for again");
        // the first error shows up in a series that was not there before
        let failed = || series(&FAILED, &[(44, 1.0), (47, 3.0)]);
        let total = answer(vec![series(&OK, &[(44, 121.0), (47, 121.0)]), failed()]);
        let tally = standing.advance([answer(vec![failed()]), total], T + 50, grid(), 37);
        assert_eq!(shown(&tally), [(4, 3, 4)]);
    }

    #[test]
    fn a_reset_counts_what_came_before_and_after_it() {
        let before = answer(vec![series(&OK, &[(-1, 50.0)])]);
        let mut standing = Standing::at(T, [answer(vec![]), before]);
        let total = answer(vec![series(&OK, &[(1, 57.0), (4, 2.0), (8, 5.0)])]);
        let tally = standing.advance([answer(vec![]), total], T + 10, grid(), 37);
        assert_eq!((shown(&tally), tally.resets), (vec![(0, 0, 12)], 1));
    }

    #[test]
    fn a_target_that_shows_up_is_its_own_baseline() {
        let mut standing = Standing { at_s: T, ..Standing::default() };
        let fresh = series(&[("instance", "new")], &[(5, 1_000_000.0), (15, 1_000_004.0)]);
        let late = series(&[("instance", "new"), ("code", "500")], &[(15, 2.0)]);
        let tally = standing.advance([answer(vec![late]), answer(vec![fresh])], T + 20, grid(), 37);
        assert_eq!(shown(&tally), [(0, 0, 0), (1, 2, 4)], "its later series count from zero");
    }

    #[test]
    fn no_sample_is_no_observation() {
        let mut standing = Standing::at(T, [answer(vec![]), answer(vec![series(&OK, &[(-3, 100.0)])])]);
        let tally = standing.advance([answer(vec![]), answer(vec![])], T + 600, grid(), 37);
        assert_eq!((shown(&tally), tally.newest, standing.at_s), (vec![], None, T));
        // a gap is not bridged, and its events are counted where the counter is seen again
        let again = answer(vec![series(&OK, &[(605, 160.0)])]);
        let tally = standing.advance([answer(vec![]), again], T + 610, grid(), 37);
        assert_eq!(shown(&tally), [(60, 0, 60)]);
        // but not after an hour: that is no measurement of this slot
        let mut long = Standing::at(T, [answer(vec![]), answer(vec![series(&OK, &[(0, 100.0)])])]);
        let again = answer(vec![series(&OK, &[(3605, 900.0), (3615, 903.0)])]);
        let tally = long.advance([answer(vec![]), again], T + 3620, grid(), 37);
        assert_eq!(shown(&tally), [(360, 0, 0), (361, 0, 3)]);
    }

    #[test]
    fn values_that_no_counter_has_are_as_if_they_were_not_there() {
        let before = answer(vec![series(&OK, &[(0, 10.0)])]);
        let mut standing = Standing::at(T, [answer(vec![]), before]);
        let values = [(2, f64::NAN), (3, -1.0), (4, f64::INFINITY), (15, 12.0)];
        let tally = standing.advance([answer(vec![]), answer(vec![series(&OK, &values)])], T + 20, grid(), 5);
        assert_eq!(shown(&tally), [(1, 0, 2)]);
    }

    #[test]
    fn however_the_span_is_cut_the_sum_is_the_same() {
        // a counter that restarts, scraped every 7 s
        let value = |s: i64| if s < 400 { 10.0 + s as f64 * 3.0 } else { (s - 400) as f64 };
        let all = series(&OK, &(0..120).map(|n| (n * 7, value(n * 7))).collect::<Vec<_>>());
        let at = |s: i64| {
            let before = all.samples.iter().rfind(|(at, _)| *at <= (T + s) * 1000).copied();
            let found = Series { samples: before.into_iter().collect(), ..all.clone() };
            Standing::at(T + s, [answer(vec![]), answer(vec![found])])
        };
        let count = |cuts: &[i64]| {
            let mut slots = BTreeMap::new();
            for pair in cuts.windows(2) {
                let whole = answer(vec![all.clone()]);
                slots.extend(at(pair[0]).advance([answer(vec![]), whole], T + pair[1], grid(), 18).slots);
            }
            slots
        };
        let whole = count(&[0, 800]);
        assert_eq!(whole.values().map(|(_, total)| total).sum::<u64>(), 399 / 7 * 7 * 3 + 798 - 400);
        assert_eq!(count(&[0, 400, 410, 800]), whole);
        assert_eq!(count(&(0..=80).map(|n| n * 10).collect::<Vec<_>>()), whole);
    }
}
