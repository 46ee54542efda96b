//! The windowed form: values of an expression to events per slot.

use std::collections::BTreeMap;

use lookout_engine::{Grid, Window};

use lookout_promql::client::{Answer, Question, When};
use lookout_promql::query::EventQuery;

/// Remainder of rounding, so that fractions of events add up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Remainder(f64);

impl Remainder {
    /// The whole events, with what was kept back before.
    pub(super) fn whole(&mut self, events: f64) -> u64 {
        let exact = events + self.0;
        let whole = exact.round().max(0.0);
        self.0 = (exact - whole).clamp(-1.0, 1.0);
        whole as u64
    }
}

/// Queries of one SLO.
#[derive(Debug)]
pub(super) struct Windowed {
    part: EventQuery,
    total: EventQuery,
    pub(super) part_is_bad: bool,
    window: Window,
    /// Slots in a window.
    width: i64,
    rest: [Remainder; 2],
}

impl Windowed {
    pub(super) fn new(
        part: EventQuery,
        total: EventQuery,
        part_is_bad: bool,
        window: Window,
        grid: Grid,
    ) -> Self {
        let width = window.as_seconds() / u64::from(grid.width_seconds());
        let width = i64::try_from(width).unwrap_or(1).max(1);
        Self { part, total, part_is_bad, window, width, rest: [Remainder::default(); 2] }
    }

    /// Slots in a window.
    pub(super) const fn slots(&self) -> i64 {
        self.width
    }

    /// The windows that the slots from `from` to before `to` are in, the first and the one after the last; `None` when
    /// none of them is over with the slot `ready`.
    pub(super) fn windows(&self, from: i64, to: i64, ready: i64) -> Option<(i64, i64)> {
        let window_of = |slot: i64| slot.div_euclid(self.width);
        let first = window_of(from);
        let after = (window_of(to.saturating_sub(1)) + 1).min(window_of(ready.saturating_add(1)));
        (first < after).then_some((first, after))
    }

    /// Asks for the windows from `first` to before `after`.
    pub(super) fn questions(&self, first: i64, after: i64) -> [Question; 2] {
        let step = i64::try_from(self.window.as_seconds()).unwrap_or(i64::MAX);
        let end = |window: i64| window.saturating_add(1).saturating_mul(step);
        let when = When::Every { first: end(first), last: end(after.saturating_sub(1)), step };
        [&self.part, &self.total]
            .map(|expression| Question { query: expression.over(&self.window.to_string()), when })
    }

    /// Good and bad events by slot, and the newest slot of a window that has a value.
    pub(super) fn count(&mut self, [part, total]: [Answer; 2]) -> (BTreeMap<i64, (u64, u64)>, Option<i64>) {
        let (part, total) = (self.events(&part, &self.part), self.events(&total, &self.total));
        let mut slots = BTreeMap::new();
        let mut newest = None;
        for (window, total) in total {
            // without any value there was no such event yet; a value that is none says nothing
            let Some((total, part)) = total.zip(part.get(&window).copied().unwrap_or(Some(0.0))) else {
                continue;
            };
            let within = part.min(total);
            let (good, bad) =
                if self.part_is_bad { (total - within, within) } else { (within, total - within) };
            let [rest_good, rest_bad] = &mut self.rest;
            let (good, bad) = (rest_good.whole(good), rest_bad.whole(bad));
            for n in 0..self.width {
                let slot = window.saturating_mul(self.width).saturating_add(n);
                slots.insert(slot, (share(good, n, self.width), share(bad, n, self.width)));
                newest = Some(slot);
            }
        }
        (slots, newest)
    }

    /// Events by window; `None` for a window whose values are none.
    fn events(&self, answer: &Answer, expression: &EventQuery) -> BTreeMap<i64, Option<f64>> {
        let seconds = self.window.as_seconds() as f64;
        let scale = if expression.is_per_second() { seconds } else { 1.0 };
        let mut windows: BTreeMap<i64, Option<f64>> = BTreeMap::new();
        for (at_ms, value) in answer.series.iter().flat_map(|series| &series.samples) {
            let step_ms = i64::try_from(self.window.as_seconds()).unwrap_or(i64::MAX).saturating_mul(1000);
            let sum = windows.entry(at_ms.div_euclid(step_ms).saturating_sub(1)).or_insert(None);
            if value.is_finite() && *value >= 0.0 {
                *sum = Some(sum.unwrap_or(0.0) + value * scale);
            }
        }
        windows
    }
}

/// Returns the share of part `n` of a number in equal parts; all parts together hold all of it.
fn share(events: u64, n: i64, parts: i64) -> u64 {
    let (events, parts) = (u128::from(events), u128::try_from(parts).unwrap_or(1).max(1));
    let upto = |n: i64| events * u128::try_from(n).unwrap_or(0) / parts;
    u64::try_from(upto(n.saturating_add(1)) - upto(n)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use lookout_promql::client::Series;
    use lookout_promql::query::{Dialect, Query};

    fn expression(text: &str) -> EventQuery {
        EventQuery::try_new(Query::parse(text, Dialect::PromQl).unwrap()).unwrap()
    }

    fn form(part_is_bad: bool) -> Windowed {
        let (part, total) =
            (expression("sum(rate(e[{{.window}}]))"), expression("sum(increase(r[{{.window}}]))"));
        Windowed::new(part, total, part_is_bad, Window::seconds(30), Grid::try_new(10).unwrap())
    }

    fn answer(values: &[&[(i64, f64)]]) -> Answer {
        let series = |samples: &&[(i64, f64)]| Series {
            samples: samples.iter().map(|(at, value)| (at * 30_000, *value)).collect(),
            ..Series::default()
        };
        Answer { series: values.iter().map(series).collect(), ..Answer::default() }
    }

    #[test]
    fn whole_windows_are_asked_for_at_their_ends() {
        let form = form(true);
        assert_eq!(form.windows(7, 12, 11), Some((2, 4)), "from the start of the window that slot 7 is in");
        assert_eq!(form.windows(7, 10, 10), Some((2, 3)), "a window that is not over waits");
        assert_eq!(form.windows(7, 8, 50), Some((2, 3)), "one of whose slots some are known does not");
        assert_eq!((form.windows(6, 8, 7), form.windows(9, 10, 10)), (None, None));
        let [part, total] = form.questions(2, 4);
        assert_eq!(
            (part.query.as_str(), total.query.as_str()),
            ("sum(rate(e[30s]))", "sum(increase(r[30s]))")
        );
        assert_eq!(part.when, When::Every { first: 90, last: 120, step: 30 });
    }

    #[test]
    fn rates_become_events_of_the_slots_of_their_window() {
        let mut form = form(true);
        // 0.1 failures a second are 3 in 30 s; all of the three series of the total count
        let (slots, newest) =
            form.count([answer(&[&[(3, 0.1)]]), answer(&[&[(3, 10.0), (4, 5.0)], &[(3, 1.0)]])]);
        assert_eq!(newest, Some(11));
        let shown: Vec<_> = slots.into_iter().collect();
        assert_eq!(shown[..3], [(6, (2, 1)), (7, (3, 1)), (8, (3, 1))]);
        assert_eq!(shown[3..], [(9, (1, 0)), (10, (2, 0)), (11, (2, 0))], "no series is no failure");
    }

    #[test]
    fn a_count_is_not_taken_for_a_rate() {
        for function in ["changes", "resets", "present_over_time", "count_over_time"] {
            let part = expression(&format!("sum({function}(e[{{{{.window}}}}]))"));
            let total = expression("sum(rate(r[{{.window}}]))");
            let mut form = Windowed::new(part, total, true, Window::seconds(30), Grid::try_new(10).unwrap());
            // 3 in 30 s, of 2 a second
            let (slots, _) = form.count([answer(&[&[(3, 3.0)]]), answer(&[&[(3, 2.0)]])]);
            let bad: u64 = slots.values().map(|(_, bad)| bad).sum();
            assert_eq!(bad, 3, "{function}");
        }
    }

    #[test]
    fn what_is_no_number_is_no_observation() {
        for (part, total) in [
            (vec![(3, 0.0)], vec![(3, f64::NAN)]),
            (vec![(3, f64::NAN)], vec![(3, 10.0)]),
            (vec![(3, -1.0)], vec![(3, 10.0)]),
            (vec![(3, 0.0)], vec![(3, f64::INFINITY)]),
            (vec![(3, 0.0)], vec![]),
        ] {
            let counted = form(false).count([answer(&[&part]), answer(&[&total])]);
            assert_eq!(counted, (BTreeMap::new(), None), "{part:?} {total:?}");
        }
        let (slots, _) = form(false).count([answer(&[&[(3, 1.0)]]), answer(&[&[(3, 6.0)]])]);
        assert_eq!(slots[&6], (2, 0), "more good than all is all");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_by_spreading_or_rounding(rates in proptest::collection::vec(0.0_f64..3.0, 1..50)) {
            let mut form = form(true);
            let (mut good, mut bad, mut truth) = (0, 0, (0.0, 0.0));
            for (n, rate) in rates.iter().enumerate() {
                let at = i64::try_from(n).unwrap() + 1;
                let (slots, _) = form.count([answer(&[&[(at, rate / 90.0)]]), answer(&[&[(at, *rate)]])]);
                good += slots.values().map(|(good, _)| good).sum::<u64>();
                bad += slots.values().map(|(_, bad)| bad).sum::<u64>();
                truth = (truth.0 + rate * 2.0 / 3.0, truth.1 + rate / 3.0);
            }
            prop_assert!((good as f64 - truth.0).abs() <= 0.5 + 1e-6 && (bad as f64 - truth.1).abs() <= 0.5 + 1e-6);
        }

        #[test]
        fn shares_are_even_and_whole(events in any::<u64>(), parts in 1_i64..60) {
            let shares: Vec<u64> = (0..parts).map(|n| share(events, n, parts)).collect();
            prop_assert_eq!(shares.iter().map(|n| u128::from(*n)).sum::<u128>(), u128::from(events));
            prop_assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
