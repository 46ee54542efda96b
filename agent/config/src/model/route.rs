//! Routes: the incidents that a destination takes, and the hours at which it takes them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use lookout_model::{Matcher, Timestamp};

/// Minutes of a day.
pub(crate) const DAY_MINUTES: u16 = 24 * 60;

/// The incidents that a destination takes, beside their least severity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// True if it takes only what another destination hands over.
    pub standby: bool,
    /// The SLOs whose incidents it takes.
    pub matcher: Matcher,
    /// The hours at which it takes them; always, when empty.
    pub active_times: Vec<ActiveTime>,
    /// Time after which a page that is still open is told again.
    pub repeat_interval: Option<Duration>,
    /// The destination that hears of a page that nobody acknowledges.
    pub escalate: Option<Escalation>,
}

/// Reason why a destination does not take an incident by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRouted {
    /// It waits for other destinations.
    #[error("on standby")]
    Standby,
    /// Its `minimum` is higher.
    #[error("severity too low")]
    Severity,
    /// Its `match` selects other SLOs.
    #[error("SLO not selected")]
    Selection,
    /// Its `active_times` are other hours.
    #[error("not at this hour")]
    Hour,
}

/// The destination that hears of a page that nobody acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// Time without an acknowledgement.
    pub after: Duration,
    /// The name of the destination.
    pub to: String,
}

/// Hours of days of the week, by the clock of a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveTime {
    /// Days on which it begins, Monday first.
    pub days: [bool; 7],
    /// The minute of the day at which it begins.
    pub start_minute: u16,
    /// The minute of the day at which it ends; of the next day, unless it is after the start.
    pub end_minute: u16,
    /// The time zone.
    pub zone: TimeZone,
}

impl ActiveTime {
    /// Returns whether it covers an instant.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        let Ok(instant) = jiff::Timestamp::from_second(at.as_seconds()) else { return true };
        let local = self.zone.to_datetime(instant);
        let minute = u16::try_from(i16::from(local.hour()) * 60 + i16::from(local.minute())).unwrap_or(0);
        let today = local.date().weekday();
        let begun_today = self.begins_on(today) && minute >= self.start_minute;
        if self.start_minute < self.end_minute {
            return begun_today && minute < self.end_minute;
        }
        begun_today || self.begins_on(today.previous()) && minute < self.end_minute
    }

    fn begins_on(&self, day: Weekday) -> bool {
        let day = usize::try_from(day.to_monday_zero_offset()).unwrap_or(0);
        self.days.get(day).copied().unwrap_or(false)
    }
}

impl Route {
    /// Returns whether it takes an incident of the SLO by itself, at some hour.
    #[must_use]
    pub fn selects(&self, service: &str, slo_id: &str, labels: &BTreeMap<String, String>) -> bool {
        !self.standby && self.matcher.selects(service, slo_id, labels)
    }

    /// Returns whether it takes incidents at an instant.
    #[must_use]
    pub fn is_active(&self, at: Timestamp) -> bool {
        self.active_times.is_empty() || self.active_times.iter().any(|time| time.covers(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(days: [bool; 7], start: u16, end: u16, zone: &str) -> ActiveTime {
        let zone = TimeZone::get(zone).unwrap();
        ActiveTime { days, start_minute: start * 60, end_minute: end * 60, zone }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::from_seconds(text.parse::<jiff::Timestamp>().unwrap().as_second())
    }

    #[test]
    fn hours_are_those_of_the_zone_and_may_go_over_midnight() {
        const WORKDAYS: [bool; 7] = [true, true, true, true, true, false, false];
        let day = time(WORKDAYS, 8, 18, "Europe/Zurich");
        // 2026-11-20 is a Friday; in winter 08:00 there is 07:00 UTC, in summer 06:00
        for (instant, covered) in [
            ("2026-11-20T06:59:59Z", false),
            ("2026-11-20T07:00:00Z", true),
            ("2026-11-20T16:59:59Z", true),
            ("2026-11-20T17:00:00Z", false),
            ("2026-11-21T12:00:00Z", false),
            ("2026-07-17T06:00:00Z", true),
        ] {
            assert_eq!(day.covers(at(instant)), covered, "{instant}");
        }
        let night = time(WORKDAYS, 18, 8, "Europe/Zurich");
        for (instant, covered) in [
            ("2026-11-20T16:59:59Z", false),
            ("2026-11-20T17:00:00Z", true),
            ("2026-11-21T06:59:59Z", true),
            ("2026-11-21T07:00:00Z", false),
            // no night begins on a Sunday
            ("2026-11-22T20:00:00Z", false),
            ("2026-11-23T03:00:00Z", false),
        ] {
            assert_eq!(night.covers(at(instant)), covered, "{instant}");
        }
        let whole = time([true; 7], 0, 24, "UTC");
        assert!(whole.covers(at("2026-11-22T23:59:59Z")) && whole.covers(at("2026-11-23T00:00:00Z")));
    }
}
