//! `maintenance` of a target: windows in which nobody probes it.

use lookout_model::{Recurrence, Timestamp};

use super::super::reader::{At, Reader};
use crate::keys::target::maintenance;

/// Most windows of a target.
const MOST_WINDOWS: usize = 32;

/// Length of the look ahead that finds the window of an instant.
const INSTANT: core::time::Duration = core::time::Duration::from_millis(1);

/// Time in which nobody probes a target, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceWindow {
    /// Its times.
    pub times: WindowTimes,
    /// The reason, for everyone who sees the figures.
    pub reason: String,
}

/// Times of a maintenance window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowTimes {
    /// From the first instant up to the second.
    Once(Timestamp, Timestamp),
    /// Again and again.
    Recurring(Recurrence),
}

impl MaintenanceWindow {
    /// Returns the end of the window that an instant lies in.
    #[must_use]
    pub fn end_at(&self, at: Timestamp) -> Option<Timestamp> {
        match &self.times {
            WindowTimes::Once(from, to) => (*from <= at && at < *to).then_some(*to),
            WindowTimes::Recurring(recurrence) => {
                recurrence.between(at, at + INSTANT).map(|(_, end)| end).max()
            }
        }
    }
}

/// Reads `maintenance`.
pub(super) fn read(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<MaintenanceWindow>> {
    let items = reader.list(at)?;
    if items.len() > MOST_WINDOWS {
        reader.error(at, format!("a target has at most {MOST_WINDOWS} maintenance windows"), "");
        return None;
    }
    let read: Vec<_> = items.iter().map(|item| read_window(reader, item)).collect();
    read.into_iter().collect()
}

fn read_window(reader: &mut Reader<'_>, at: &At<'_>) -> Option<MaintenanceWindow> {
    let fields = reader.fields(at, maintenance::OBJECT)?;
    let reason = reader.required(&fields, maintenance::REASON, "say why nobody probes then");
    let reason = reason.and_then(|at| reader.text(&at).map(str::to_owned));
    let every = fields.get(maintenance::EVERY).map(|at| {
        let text = reader.text(&at)?.to_owned();
        text.parse::<Recurrence>().map_err(|error| reader.error(&at, error.to_string(), "")).ok()
    });
    let ends = [maintenance::FROM, maintenance::TO].map(|key| {
        let at = fields.get(key)?;
        Some(read_instant(reader, &at))
    });
    let times = match (every, ends) {
        (Some(recurrence), [None, None]) => WindowTimes::Recurring(recurrence?),
        (None, [Some(from), Some(to)]) => {
            let (from, to) = (from?, to?);
            if to <= from {
                reader.error(at, "this window ends before it begins", "`to` is later than `from`");
                return None;
            }
            WindowTimes::Once(from, to)
        }
        _ => {
            let help = "write `every: weekly sun 02:00 for 2h in Europe/Zurich`, or `from` and `to`";
            reader.error(at, "a maintenance window has one kind of times", help);
            return None;
        }
    };
    Some(MaintenanceWindow { times, reason: reason? })
}

fn read_instant(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Timestamp> {
    let instant = reader.text(at)?.parse().ok();
    if instant.is_none() {
        reader.error(at, "this is no instant", "write it like `2026-12-01T02:00:00Z`");
    }
    instant
}
