//! History of the probes of a target: rows of equal length, from the hours of the ledger.

use std::time::Duration;

use lookout_ledger::{LedgerError, ProbeHistoryStore};
use lookout_model::probe_history::{ProbeCounts, ProbeHour};
use lookout_model::{Timestamp, parse_duration, print_duration};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Longest time that can be shown: the ledger keeps no more.
const LONGEST: Duration = DAY.saturating_mul(90);

/// Lengths of a row, by the longest time that is shown with it.
const ROWS: [(Duration, Duration); 4] = [
    (HOUR.saturating_mul(2), Duration::from_secs(60)),
    (DAY, Duration::from_secs(900)),
    (DAY.saturating_mul(7), HOUR.saturating_mul(2)),
    (LONGEST, DAY),
];

/// Shares of the probes whose durations are told.
pub(super) const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

/// Length of a history: `24h` when nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Last(pub(super) Duration);

impl Last {
    pub(super) fn parse(text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text else { return Ok(Self(DAY)) };
        let minute = Duration::from_secs(60);
        let length = parse_duration(text).ok().filter(|length| (minute..=LONGEST).contains(length));
        length
            .map(Self)
            .ok_or_else(|| format!("last: write a length like `24h`, from 1m to {}", print_duration(LONGEST)))
    }
}

/// History of a target.
#[derive(Debug, PartialEq)]
pub(super) struct History {
    /// Length of a row.
    pub(super) step: Duration,
    /// Rows, oldest first, each with the instant at which it begins. A row without probes is there too.
    pub(super) rows: Vec<(Timestamp, ProbeCounts)>,
    /// All of it.
    pub(super) sum: ProbeCounts,
}

/// Reads the history of a target up to now.
pub(super) async fn read(
    ledger: &(impl ProbeHistoryStore + ?Sized),
    target: &str,
    last: Last,
    now: Timestamp,
) -> Result<History, LedgerError> {
    let hours = ledger.probe_hours(target, now - last.0, now).await?;
    Ok(of_hours(&hours, last, now))
}

fn of_hours(hours: &[(i64, ProbeHour)], last: Last, now: Timestamp) -> History {
    let step = ROWS.into_iter().find(|(longest, _)| last.0 <= *longest).map_or(DAY, |(_, step)| step);
    let step_s = i64::try_from(step.as_secs()).unwrap_or(i64::MAX);
    // rows begin at whole multiples of their length, so that a row is the same at every look
    let first = (now - last.0).as_seconds().div_euclid(step_s);
    let end = now.as_seconds().div_euclid(step_s);
    let mut rows: Vec<ProbeCounts> = (first..=end).map(|_| ProbeCounts::default()).collect();
    let mut sum = ProbeCounts::default();
    for (hour, probes) in hours {
        for (span, counts) in probes.spans() {
            let at = hour.saturating_mul(3600).saturating_add(i64::from(span.minute) * 60);
            let place = usize::try_from(at.div_euclid(step_s) - first);
            if let Some(row) = place.ok().and_then(|place| rows.get_mut(place)) {
                row.add(counts);
                sum.add(counts);
            }
        }
    }
    let starts = (first..=end).map(|number| Timestamp::from_seconds(number.saturating_mul(step_s)));
    History { step, rows: starts.zip(rows).collect(), sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(minutes: &[(u8, u64)]) -> ProbeHour {
        let mut hour = ProbeHour::default();
        for (minute, ms) in minutes {
            let mut counts = ProbeCounts::default();
            counts.add_probe(Duration::from_millis(*ms), *ms < 100);
            hour.add(*minute, &counts);
        }
        hour
    }

    #[test]
    fn minutes_fall_into_the_row_in_which_they_begin() {
        let hours = [(10, hour(&[(0, 5), (14, 6), (15, 700)])), (11, hour(&[(59, 8)]))];
        let now = Timestamp::from_seconds(12 * 3600 + 30);
        let history = of_hours(&hours, Last(DAY), now);
        assert_eq!((history.step, history.rows.len()), (Duration::from_secs(900), 97));
        let seen: Vec<_> = history.rows.iter().filter(|(_, counts)| !counts.is_empty()).collect();
        let told: Vec<_> = seen
            .iter()
            .map(|(at, counts)| (at.as_seconds() / 900, counts.probes(), counts.failed()))
            .collect();
        assert_eq!(told, [(40, 2, 0), (41, 1, 1), (47, 1, 0)]);
        assert_eq!((history.sum.probes(), history.sum.failed()), (4, 1));
        let minutes = of_hours(&hours, Last(2 * HOUR), now);
        assert_eq!((minutes.step.as_secs(), minutes.rows.len(), minutes.sum.probes()), (60, 121, 4));
    }

    #[test]
    fn a_length_is_bounded() {
        assert_eq!(Last::parse(None), Ok(Last(DAY)));
        assert_eq!(Last::parse(Some("90d")), Ok(Last(LONGEST)));
        for bad in ["", "soon", "30s", "91d", "-1h"] {
            assert!(Last::parse(Some(bad)).unwrap_err().contains("from 1m to 90d"), "{bad}");
        }
    }
}
