//! Every window equals the brute-force sum of its slots, whatever order the counts came in.

use lookout_engine::{Counts, FINE_LIMIT, Grid, History, Slot, Window};
use proptest::prelude::*;

/// The sum over a plain list: what the running sums have to equal.
fn brute_force(grid: Grid, all: &[(Slot, Counts)], window: Window, closed: Slot) -> Counts {
    let width = i64::from(grid.width_seconds());
    let end = (closed.0 + 1) * width;
    let level = if window <= FINE_LIMIT || width >= 60 { width } else { 60 };
    let from = (end - window.as_seconds() as i64).div_euclid(level) * level;
    all.iter().filter(|(slot, _)| *slot <= closed && slot.0 * width >= from).map(|(_, counts)| *counts).sum()
}

fn windows() -> Vec<Window> {
    vec![
        Window::seconds(20),
        Window::minutes(5),
        Window::hours(1),
        Window::hours(6),
        Window::hours(7),
        Window::days(1),
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
    prop_oneof![
        4 => (-3_i64..40, 0_u64..50, 0_u64..50).prop_map(|(back, good, bad)| Step::Record { back, good, bad }),
        4 => (1_i64..5).prop_map(Step::Close),
        1 => (1_i64..3000).prop_map(Step::Close),
    ]
}

fn width() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1_u32), Just(10), Just(30), Just(60), Just(120)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_window_equals_the_brute_force_sum(
        width in width(),
        start in 0_i64..1_000_000,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let grid = Grid::try_new(width).unwrap();
        let mut history = History::new(grid, windows(), Slot(start));
        let mut closed = Slot(start);
        let mut all = Vec::new();
        for step in steps {
            match step {
                Step::Record { back, good, bad } => {
                    let (slot, counts) = (closed.plus(-back), Counts { good, bad });
                    history.record(slot, counts);
                    all.push((slot, counts));
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
    fn restoring_slots_and_minutes_after_a_restart_changes_no_window(
        events in prop::collection::vec((0_i64..9000, 0_u64..9, 0_u64..9), 1..200),
        cut in 1_i64..9000,
    ) {
        // ten-second slots over a day; the ledger has rolled everything older than seven hours up to minutes
        let grid = Grid::try_new(10).unwrap();
        let closed = Slot(9000);
        let mut whole = History::new(grid, windows(), closed);
        let mut restored = History::new(grid, windows(), closed);
        let rolled_up_before = closed.plus(-7 * 360).0;
        let mut minutes = std::collections::BTreeMap::<i64, Counts>::new();
        for (slot, good, bad) in events {
            let counts = Counts { good, bad };
            whole.record(Slot(slot), counts);
            if slot < rolled_up_before.min(cut) / 6 * 6 {
                *minutes.entry(slot / 6).or_default() += counts;
            } else {
                restored.record(Slot(slot), counts);
            }
        }
        for (minute, counts) in minutes {
            restored.restore_minute(Slot(minute), counts);
        }
        for later in [0, 1, 7, 4000] {
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
