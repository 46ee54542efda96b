//! Retention of each kind of record, the same in every ledger.

use core::time::Duration;

use lookout_model::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Slots are kept a little longer than the longest window that is summed from slots.
const SLOTS: Duration = HOUR.saturating_mul(7);
/// Minutes are kept for the usual budget periods; 28 and 30 days are.
const MINUTES: Duration = DAY.saturating_mul(90);
/// Quarters of an hour are kept for a year's budget and a month. Time zones are whole quarters of an hour away from UTC,
/// so that a calendar period begins with a row; hours would be cut in Kathmandu.
const QUARTERS: Duration = DAY.saturating_mul(400);
/// Hours of probes are kept fine for a week, and coarse as long as minutes of counts.
const RECENT_PROBES: Duration = DAY.saturating_mul(7);
const PROBES: Duration = MINUTES;
/// Incidents are kept for a year and a month, so that this month can be compared with the same one last year.
const INCIDENTS: Duration = DAY.saturating_mul(400);

/// Decisions and deploys are kept as long as incidents, so that one can be explained by the other.
const DECISIONS: Duration = INCIDENTS;
/// Most decisions that are kept: the pipelines of a large team for a year, in about 100 MB.
pub(super) const DECISIONS_KEPT: u32 = 100_000;
/// Most deploys that are kept.
pub(super) const DEPLOYS_KEPT: u32 = 50_000;

/// Largest count of one row. Sums of rows stay far inside 64 bits, and are exact even as a float.
pub(super) const COUNT_CEILING: u64 = 1 << 53;

/// Minutes of a quarter of an hour.
pub(super) const MINUTES_PER_QUARTER: i64 = 15;
const QUARTER_S: i64 = MINUTES_PER_QUARTER * 60;

/// Number of versions of an objective that are kept: four times what a budget uses.
pub(super) const OBJECTIVES_KEPT: u32 = 64;

/// Bounds of retention at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutoffs {
    /// Slots that end at or before this second become minutes. A whole minute, so that no minute is rolled up in halves.
    pub(super) slots_before_s: i64,
    /// Minutes with a smaller number become quarters of an hour. A whole hour, because that is how they are stored.
    pub(super) minutes_before: i64,
    /// Quarters of an hour with a smaller number are forgotten.
    pub(super) quarters_before: i64,
    /// Hours of probes with a smaller number become coarse.
    pub(super) recent_probe_hours_before: i64,
    /// Hours of probes with a smaller number are forgotten.
    pub(super) probe_hours_before: i64,
    /// Incidents resolved before this are forgotten.
    pub(super) incidents_before: Timestamp,
    /// Decisions and deploys before this are forgotten.
    pub(super) decisions_before: Timestamp,
}

impl Cutoffs {
    pub(super) const fn at(now: Timestamp) -> Self {
        Self {
            slots_before_s: now.saturating_sub(SLOTS).as_seconds().div_euclid(60) * 60,
            minutes_before: now.saturating_sub(MINUTES).as_seconds().div_euclid(3600) * 60,
            quarters_before: now.saturating_sub(QUARTERS).as_seconds().div_euclid(QUARTER_S),
            recent_probe_hours_before: now.saturating_sub(RECENT_PROBES).as_seconds().div_euclid(3600),
            probe_hours_before: now.saturating_sub(PROBES).as_seconds().div_euclid(3600),
            incidents_before: now.saturating_sub(INCIDENTS),
            decisions_before: now.saturating_sub(DECISIONS),
        }
    }
}
