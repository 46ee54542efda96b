//! How long what is kept, the same for every kind of ledger.

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Slots are kept a little longer than the longest window that is summed from slots.
const SLOTS_MS: i64 = 7 * HOUR_MS;
/// Minutes are kept for the usual budget periods; 28 and 30 days are.
const MINUTES_MS: i64 = 90 * DAY_MS;
/// Quarters of an hour are kept for a year's budget and a month. Time zones are whole quarters of an hour away from UTC,
/// so that a calendar period begins with a row; hours would be cut in Kathmandu.
const QUARTERS_MS: i64 = 400 * DAY_MS;
/// Incidents are kept for a year and a month, so that this month can be compared with the same one last year.
const INCIDENTS_MS: i64 = 400 * DAY_MS;

/// More events than this are not counted in one row: sums of rows stay far inside 64 bits, exact even as a float.
pub(super) const COUNT_CEILING: u64 = 1 << 53;

/// Minutes of a quarter of an hour.
pub(super) const MINUTES_PER_QUARTER: i64 = 15;
const QUARTER_MS: i64 = MINUTES_PER_QUARTER * 60_000;

/// Versions of an objective that are kept: four times what a budget is judged by.
pub(super) const OBJECTIVES_KEPT: u32 = 64;

/// What is past retention at some moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutoffs {
    /// Slots that end at or before this second become minutes. A whole minute, so that no minute is rolled up in halves.
    pub(super) slots_before_s: i64,
    /// Minutes with a smaller number become quarters of an hour. A whole hour, because that is how they are stored.
    pub(super) minutes_before: i64,
    /// Quarters of an hour with a smaller number are forgotten.
    pub(super) quarters_before: i64,
    /// Incidents resolved before this are forgotten.
    pub(super) incidents_before_ms: i64,
}

impl Cutoffs {
    pub(super) const fn at(now_ms: i64) -> Self {
        Self {
            slots_before_s: now_ms.saturating_sub(SLOTS_MS).div_euclid(60_000) * 60,
            minutes_before: now_ms.saturating_sub(MINUTES_MS).div_euclid(HOUR_MS) * 60,
            quarters_before: now_ms.saturating_sub(QUARTERS_MS).div_euclid(QUARTER_MS),
            incidents_before_ms: now_ms.saturating_sub(INCIDENTS_MS),
        }
    }
}
