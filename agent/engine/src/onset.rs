//! The beginning and the end of a failure, found in the counts of a window.
//!
//! Some bad events are normal, so the first bad event is not the beginning. Every cell scores `bad − threshold × total`:
//! below the threshold a cell scores less than zero, above it more. The failure begins with the cell from which on the
//! scores have the largest sum. It ends with the cell up to which they have the largest sum. Both are the most likely
//! change points between a time below the threshold and a time above it (E. S. Page, "Continuous Inspection Schemes",
//! Biometrika 41, 1954).

use crate::counts::Counts;
use crate::history::History;
use crate::objective::{BurnFactor, Objective};
use crate::slot::Slot;
use crate::window::Window;

/// Returns the first slot of the failure that a window ends with; `None` when the window has no failure.
pub(crate) fn first_bad(
    history: &History,
    window: Window,
    objective: Objective,
    factor: BurnFactor,
) -> Option<Slot> {
    let (mut sum, mut best, mut first) = (0.0, 0.0, None);
    for (start, counts) in history.cells_backwards(window) {
        sum += score(counts, objective, factor);
        if counts.bad > 0 && sum > best {
            (best, first) = (sum, Some(start));
        }
    }
    first.map(|start| history.slot_at(start))
}

/// Returns the last slot of the failure that a window begins with, or the last bad one before.
pub(crate) fn last_bad(
    history: &History,
    window: Window,
    objective: Objective,
    factor: BurnFactor,
) -> Option<Slot> {
    // the largest sum from the front is the smallest from the back
    let (mut sum, mut least, mut last) = (0.0, 0.0, None);
    for (start, counts) in history.cells_backwards(window) {
        if counts.bad > 0 && (last.is_none() || sum < least) {
            (least, last) = (sum, Some(start));
        }
        sum += score(counts, objective, factor);
    }
    // a window without any bad event ended before it
    last.map(|start| history.slot_at(start)).or(history.last_bad())
}

fn score(counts: Counts, objective: Objective, factor: BurnFactor) -> f64 {
    // a total failure scores even where the threshold is above one
    let threshold = (factor.value() * objective.budget_ratio()).min(0.5);
    counts.bad as f64 - threshold * counts.total() as f64
}
