//! The counts of a window by brute force: whole slots, from a documented first one to the last closed.

use lookout_engine::{
    Counts, Grid, History, MIN_COARSE_CELLS, PLAUSIBLE_PER_SECOND, Recorded, SLOT_WINDOW_LIMIT, Slot, Window,
};
use proptest::prelude::*;

/// The first instant, in seconds, whose slot is in a window that ends with `closed`. Up to six hours: the start of the
/// slot in which the window begins. Beyond: the boundary of cells next to where it begins, where a cell is as many
/// minutes (or slots, where these are longer) as fit into the 360th part of the window.
fn begins(grid: Grid, window: Window, closed: Slot) -> i64 {
    let width = i64::from(grid.width_seconds());
    let length = window.as_seconds() as i64;
    let start = (closed.0 + 1) * width - length;
    if window <= SLOT_WINDOW_LIMIT {
        return start.div_euclid(width) * width;
    }
    let unit = width.max(60);
    let cell = (length / MIN_COARSE_CELLS as i64 / unit * unit).max(unit);
    (start + cell / 2).div_euclid(cell) * cell
}

/// The sum over a plain list: what the running sums have to equal.
fn brute_force(grid: Grid, all: &[(Slot, Counts)], window: Window, closed: Slot) -> Counts {
    let from = begins(grid, window, closed);
    let inside = |slot: Slot| slot <= closed && slot.0 * i64::from(grid.width_seconds()) >= from;
    all.iter().filter(|(slot, _)| inside(*slot)).map(|(_, counts)| *counts).sum()
}

fn windows() -> Vec<Window> {
    vec![
        Window::seconds(20),
        Window::seconds(72),
        Window::minutes(5),
        Window::hours(1),
        Window::hours(6),
        Window::seconds(6 * 3600 + 1),
        Window::hours(7),
        Window::days(1),
        Window::days(3),
        Window::days(28),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Record counts so many slots before (negative: after) the closed one.
    Record { back: i64, good: u64, bad: u64 },
    /// Close so many more slots.
    Close(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let count = || prop_oneof![4 => 0_u64..50, 1 => 0_u64..10_000_000, 1 => 0..2 * PLAUSIBLE_PER_SECOND];
    prop_oneof![
        4 => (-3_i64..40, count(), count()).prop_map(|(back, good, bad)| Step::Record { back, good, bad }),
        1 => (0_i64..30_000, count(), count()).prop_map(|(back, good, bad)| Step::Record { back, good, bad }),
        4 => (1_i64..5).prop_map(Step::Close),
        1 => (1_i64..3000).prop_map(Step::Close),
        1 => (1_i64..300_000).prop_map(Step::Close),
    ]
}

fn width() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1_u32), Just(10), Just(30), Just(60), Just(120), Just(3600)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Exact for all inputs: late, early and huge counts, gaps, any order.
    #[test]
    fn every_window_equals_the_brute_force_sum(
        width in width(),
        start in -1_000_000_i64..1_000_000,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let grid = Grid::try_new(width).unwrap();
        let mut history = History::new(grid, windows(), Slot(start), u64::MAX);
        let mut closed = Slot(start);
        let mut all = Vec::new();
        for step in steps {
            match step {
                Step::Record { back, good, bad } => {
                    let (slot, counts) = (closed.plus(-back), Counts { good, bad });
                    let oldest = windows().iter().map(|window| begins(grid, *window, closed)).min().unwrap();
                    let inside = slot.0 * i64::from(width) >= oldest;
                    let is_plausible = good + bad <= PLAUSIBLE_PER_SECOND * u64::from(width);
                    let wanted = match (is_plausible, inside) {
                        (false, _) => Recorded::Implausible,
                        (true, true) => Recorded::Counted,
                        // a cell begins with its window: only counts of some window are kept
                        (true, false) => Recorded::TooOld,
                    };
                    prop_assert_eq!(history.record(slot, counts), wanted);
                    if is_plausible {
                        all.push((slot, counts));
                    }
                }
                Step::Close(slots) => {
                    closed = closed.plus(slots);
                    history.close(closed);
                }
            }
            for window in windows() {
                let measured = history.measure(window).unwrap().counts;
                prop_assert_eq!(measured, brute_force(grid, &all, window, closed), "{} at {:?}", window, closed);
            }
        }
    }

    #[test]
    fn a_window_begins_within_its_720th_part_of_where_it_should_and_exactly_when_it_is_short(
        width in width(),
        closed in -10_000_000_i64..10_000_000,
        seconds in 1_u64..366 * 86_400,
    ) {
        let (grid, window) = (Grid::try_new(width).unwrap(), Window::seconds(seconds));
        let mut history = History::new(grid, [window], Slot(closed), u64::MAX);
        let (width, length) = (i64::from(width), seconds as i64);
        // one event in every slot around the edge: the sum says where the window begins
        let nominal = (closed + 1) * width - length;
        let around = length / 360 + 2 * width;
        let (first, last) = ((nominal - around).div_euclid(width), (nominal + around).div_euclid(width));
        prop_assume!(last - first < 20_000);
        for slot in first..=last.min(closed) {
            history.record(Slot(slot), Counts { good: 1, bad: 0 });
        }
        let inside = history.measure(window).unwrap().counts.good as i64;
        let begins = (last.min(closed) + 1 - inside) * width;
        if window <= SLOT_WINDOW_LIMIT {
            prop_assert!(begins <= nominal && nominal < begins + width);
        } else {
            // nothing is finer than half a slot or half a minute
            prop_assert!((begins - nominal).abs() <= (length / 720).max(width / 2).max(30), "{begins} {nominal}");
        }
        prop_assert!(history.reaches_back_to() == begins || inside == 0);
    }

    #[test]
    fn a_restart_at_any_slot_changes_no_window(
        width in prop_oneof![Just(10_u32), Just(60), Just(300)],
        events in prop::collection::vec((0_i64..9000, 0_u64..9, 0_u64..9), 1..200),
        start in 0_i64..1_000_000,
        age in 0_i64..3600,
        order in any::<bool>(),
    ) {
        let grid = Grid::try_new(width).unwrap();
        let width = i64::from(width);
        let closed = Slot(start + 9000);
        let mut whole = History::new(grid, windows(), closed, u64::MAX);
        let mut restored = History::new(grid, windows(), closed, u64::MAX);
        // the ledger has rolled up to minutes what is older than seven hours, whole minutes only, some time ago
        let rolled_up_before = ((closed.0 + 1) * width - 7 * 3600 - age).div_euclid(60) * 60;
        let mut minutes = std::collections::BTreeMap::<i64, Counts>::new();
        let mut slots = Vec::new();
        for (slot, good, bad) in events {
            let (slot, counts) = (start + slot, Counts { good, bad });
            whole.record(Slot(slot), counts);
            if (slot + 1) * width <= rolled_up_before {
                *minutes.entry(slot * width / 60).or_default() += counts;
            } else {
                slots.push((Slot(slot), counts));
            }
        }
        // what is read back begins where the history says that it matters
        let since = restored.reaches_back_to();
        let restore_slots = |restored: &mut History| {
            let wanted = slots.iter().filter(|(slot, _)| slot.0 * width >= since);
            wanted.for_each(|(slot, counts)| _ = restored.record(*slot, *counts));
        };
        if order {
            restore_slots(&mut restored);
        }
        for (minute, counts) in minutes.range(since.div_euclid(60)..) {
            restored.restore_minute(Slot(*minute), *counts);
        }
        if !order {
            restore_slots(&mut restored);
        }
        for later in [0, 1, 7, 33, 4000, 100_000] {
            whole.close(closed.plus(later));
            restored.close(closed.plus(later));
            for window in windows() {
                prop_assert_eq!(
                    whole.measure(window).unwrap().counts,
                    restored.measure(window).unwrap().counts
                );
            }
        }
    }
}
