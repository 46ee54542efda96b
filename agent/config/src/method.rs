//! `budgetingMethod`: a budget counts events or slices of time.

use lookout_engine::{Grid, Method, SliceTarget, Window};

use super::reader::{At, Fields, Reader};
use crate::keys::openslo::{objective, slo};

/// Longest slice; a period should have many of them.
const LONGEST_SLICE: Window = Window::days(1);

/// OpenSLO's `budgetingMethod`, before it is known how long a slice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BudgetingMethod {
    Occurrences,
    Timeslices,
    RatioTimeslices,
}

pub(super) fn read_budgeting(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<BudgetingMethod> {
    let at = reader.required(fields, slo::BUDGETING_METHOD, "write `budgetingMethod: Occurrences`")?;
    let choices = [
        ("Occurrences", BudgetingMethod::Occurrences),
        ("Timeslices", BudgetingMethod::Timeslices),
        ("RatioTimeslices", BudgetingMethod::RatioTimeslices),
    ];
    reader.choice(&at, &choices)
}

/// Reads the method in full, from the fields of an objective. Without a known `budgeting` there is an error already.
pub(super) fn read_method(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    budgeting: Option<BudgetingMethod>,
    grid: Option<Grid>,
) -> Option<Method> {
    let budgeting = budgeting?;
    if budgeting != BudgetingMethod::Timeslices
        && let Some(at) = fields.get(objective::TIME_SLICE_TARGET)
    {
        let help = "leave it out, or write `budgetingMethod: Timeslices`";
        reader.error(&at, "only budgeting by Timeslices judges a slice by a target", help);
    }
    if budgeting == BudgetingMethod::Occurrences {
        if let Some(at) = fields.get(objective::TIME_SLICE_WINDOW) {
            let help = "leave it out, or write `budgetingMethod: Timeslices`";
            reader.error(&at, "budgeting by Occurrences counts events, not slices of time", help);
        }
        return Some(Method::Occurrences);
    }
    let target = match budgeting {
        BudgetingMethod::Timeslices => {
            let how = "write `timeSliceTarget: 0.95`, the share of its events that makes a slice good";
            let at = reader.required(fields, objective::TIME_SLICE_TARGET, how);
            at.and_then(|at| read_target(reader, &at)).map(Some)
        }
        _ => Some(None),
    };
    let how = "write how long a slice is, like `timeSliceWindow: 1m`";
    let window = reader.required(fields, objective::TIME_SLICE_WINDOW, how);
    let slices = window.and_then(|at| read_window(reader, &at, grid))?;
    Some(match target? {
        Some(target) => Method::Timeslices { slices, target },
        None => Method::RatioTimeslices { slices },
    })
}

pub(super) fn read_target(reader: &mut Reader<'_>, at: &At<'_>) -> Option<SliceTarget> {
    let ratio = reader.number(at)?;
    let target = SliceTarget::try_from_ratio(ratio).ok();
    if target.is_none() {
        reader.error(at, "a slice target is a share above 0 and up to 1", "write `timeSliceTarget: 0.95`");
    }
    target
}

/// Slices are made of slots, and after some hours the ledger knows minutes only.
pub(super) fn read_window(reader: &mut Reader<'_>, at: &At<'_>, grid: Option<Grid>) -> Option<Grid> {
    let duration = reader.duration(at)?;
    let slot = grid.map_or(1, |grid| u64::from(grid.width_seconds()));
    let seconds = duration.as_secs();
    let whole = duration.subsec_nanos() == 0 && seconds > 0 && seconds <= LONGEST_SLICE.as_seconds();
    if !whole || !seconds.is_multiple_of(60) || !seconds.is_multiple_of(slot) {
        let slots =
            if slot > 60 { format!(" and of slots of {}", Window::seconds(slot)) } else { String::new() };
        let message = format!("a time slice is a whole number of minutes{slots}, up to {LONGEST_SLICE}");
        reader.error(at, message, "write `timeSliceWindow: 1m` or `5m`");
        return None;
    }
    u32::try_from(seconds).ok().and_then(|seconds| Grid::try_new(seconds).ok())
}
