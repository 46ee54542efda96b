//! Recurring times, in one line of text.
//!
//! ```text
//! daily 02:00 for 2h
//! weekly mon,thu 02:00 for 2h in Europe/Zurich
//! weekly mon-fri 23:30 for 90m in America/New_York
//! monthly 1,15 04:00 for 1h in UTC
//! monthly last 22:00 for 3h
//! ```
//!
//! The time of day is that of the wall clocks in the zone, UTC unless one is named. Where clocks skip it, it is
//! as much later as they skip; where they show it twice, the first is meant. The length is time that passes, on any day.

use core::fmt;
use core::time::Duration;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::{Timestamp, parse_duration, print_duration};

/// Longest length of a single occurrence.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Longest text that is parsed.
const LONGEST_TEXT: usize = 200;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const EXAMPLE: &str = "write it like `weekly mon,thu 02:00 for 2h in Europe/Zurich`, `daily 02:00 for 2h` or \
                       `monthly 1,last 02:00 for 2h`";

/// Rule of a stretch of time that recurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Recurrence {
    days: Days,
    at: Time,
    minutes: i64,
    zone: TimeZone,
    zone_name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Days {
    Daily,
    /// Days of the week; bit 0 is Monday.
    Weekly(u8),
    /// Days of the month; bit 1 is the first, bit 0 the last day of any month.
    Monthly(u32),
}

/// Error of a text that is no recurrence, with the fault and the syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecurrence(String);

impl fmt::Display for BadRecurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {EXAMPLE}", self.0)
    }
}

impl core::error::Error for BadRecurrence {}

fn bad(what: impl Into<String>) -> BadRecurrence {
    BadRecurrence(what.into())
}

impl Recurrence {
    /// Returns every occurrence that touches the time between two instants, oldest first.
    pub fn between(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        const TWO_DAYS: Duration = Duration::from_secs(2 * 86_400);
        let lasts = self.lasts();
        // one that began before may last until now; a day more, because dates differ from zone to zone
        let first = jiff::Timestamp::try_from(from - lasts - TWO_DAYS);
        let date = first.ok().map(|at| at.to_zoned(self.zone.clone()).date());
        core::iter::successors(date, |date| date.tomorrow().ok())
            .map_while(move |date| {
                self.starts(date).filter(|start| *start < to + TWO_DAYS).map(|start| (date, start))
            })
            .filter(|(date, _)| self.is_on(*date))
            .map(move |(_, start)| (start, start + lasts))
            .filter(move |(start, end)| *start < to && *end > from)
    }

    fn starts(&self, date: Date) -> Option<Timestamp> {
        let start = date.to_datetime(self.at).to_zoned(self.zone.clone()).ok()?;
        Some(start.timestamp().into())
    }

    fn lasts(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.minutes).unwrap_or(0) * 60)
    }

    fn is_on(&self, date: Date) -> bool {
        match self.days {
            Days::Daily => true,
            Days::Weekly(days) => days & (1 << offset(date.weekday())) != 0,
            Days::Monthly(days) => {
                let last = days & 1 != 0 && date.day() == date.days_in_month();
                last || days & (1_u32 << date.day().unsigned_abs()) != 0
            }
        }
    }
}

fn offset(day: Weekday) -> u32 {
    day.to_monday_zero_offset().unsigned_abs().into()
}

impl FromStr for Recurrence {
    type Err = BadRecurrence;

    fn from_str(text: &str) -> Result<Self, BadRecurrence> {
        if text.len() > LONGEST_TEXT {
            return Err(bad(format!("a recurrence has at most {LONGEST_TEXT} characters")));
        }
        let mut words = text.split_ascii_whitespace();
        let mut next = |what: &str| words.next().ok_or_else(|| bad(format!("{what} is missing")));
        let days = match next("how often (daily, weekly, monthly)")? {
            "daily" => Days::Daily,
            "weekly" => Days::Weekly(weekdays(next("the days of the week")?)?),
            "monthly" => Days::Monthly(month_days(next("the days of the month")?)?),
            other => return Err(bad(format!("{other:?} is none of daily, weekly, monthly"))),
        };
        let at = time_of_day(next("the time of day")?)?;
        keyword(next("`for` and a duration")?, "for")?;
        let minutes = length(next("the duration after `for`")?)?;
        let (zone_name, zone) = match words.next() {
            None => ("UTC".to_owned(), TimeZone::UTC),
            Some(word) => {
                keyword(word, "in")?;
                let name = words.next().ok_or_else(|| bad("the time zone after `in` is missing"))?;
                named_zone(name)?
            }
        };
        match words.next() {
            None => Ok(Self { days, at, minutes, zone, zone_name }),
            Some(word) => Err(bad(format!("{word:?} is too much"))),
        }
    }
}

fn keyword(word: &str, expected: &str) -> Result<(), BadRecurrence> {
    if word == expected { Ok(()) } else { Err(bad(format!("`{expected}` is expected, not {word:?}"))) }
}

fn weekdays(text: &str) -> Result<u8, BadRecurrence> {
    let day = |name: &str| {
        let known = WEEKDAYS.iter().position(|day| *day == name);
        known.ok_or_else(|| bad(format!("{name:?} is no day of the week: {}", WEEKDAYS.join(", "))))
    };
    text.split(',').try_fold(0, |days, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // `sat-mon` goes over the weekend
        let count = (last + 7 - first) % 7;
        Ok((first..=first + count).fold(days, |days, day| days | 1 << (day % 7)))
    })
}

fn month_days(text: &str) -> Result<u32, BadRecurrence> {
    text.split(',').try_fold(0, |days, part| match (part, part.parse::<u32>()) {
        ("last", _) => Ok(days | 1),
        (_, Ok(day @ 1..=31)) => Ok(days | 1 << day),
        _ => Err(bad(format!("{part:?} is no day of the month: 1 to 31, or last"))),
    })
}

fn time_of_day(text: &str) -> Result<Time, BadRecurrence> {
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if two { digits.parse::<i8>().ok() } else { None }
    };
    let time = text.split_once(':').and_then(|(hour, minute)| {
        let (hour, minute) = (number(hour)?, number(minute)?);
        Time::new(hour, minute, 0, 0).ok()
    });
    time.ok_or_else(|| bad(format!("{text:?} is no time of day from 00:00 to 23:59")))
}

fn length(text: &str) -> Result<i64, BadRecurrence> {
    let lasts = parse_duration(text).map_err(|expected| bad(format!("{text:?}: expected {expected}")))?;
    let whole = lasts.as_millis().is_multiple_of(60_000);
    if lasts.is_zero() || lasts > LONGEST || !whole {
        let longest = print_duration(LONGEST);
        return Err(bad(format!("{text:?}: expected whole minutes, from 1m to {longest}")));
    }
    Ok(i64::try_from(lasts.as_secs() / 60).unwrap_or(1))
}

fn named_zone(name: &str) -> Result<(String, TimeZone), BadRecurrence> {
    let zone = TimeZone::get(name)
        .map_err(|_| bad(format!("{name:?} is no time zone that is known here, like Europe/Zurich")))?;
    // as the database spells it, whatever case was used
    let name = zone.iana_name().unwrap_or(name).to_owned();
    Ok((name, zone))
}

impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.days {
            Days::Daily => f.write_str("daily")?,
            Days::Weekly(days) => {
                let on = WEEKDAYS.iter().enumerate().filter(|(day, _)| days & (1 << day) != 0);
                let on: Vec<&str> = on.map(|(_, name)| *name).collect();
                write!(f, "weekly {}", on.join(","))?;
            }
            Days::Monthly(days) => {
                let on = (1..=31).filter(|day| days & (1_u32 << day) != 0).map(|day| day.to_string());
                let last = (days & 1 != 0).then(|| "last".to_owned());
                write!(f, "monthly {}", on.chain(last).collect::<Vec<_>>().join(","))?;
            }
        }
        let (hour, minute) = (self.at.hour(), self.at.minute());
        write!(f, " {hour:02}:{minute:02} for {} in {}", print_duration(self.lasts()), self.zone_name)
    }
}

impl From<Recurrence> for String {
    fn from(recurrence: Recurrence) -> Self {
        recurrence.to_string()
    }
}

impl TryFrom<String> for Recurrence {
    type Error = BadRecurrence;

    fn try_from(text: String) -> Result<Self, BadRecurrence> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Returns the occurrences within a stretch of time, in UTC.
    fn listed(recurrence: &str, from: &str, to: &str) -> Vec<String> {
        let recurrence: Recurrence = recurrence.parse().unwrap();
        let shown = |at| jiff::Timestamp::try_from(at).unwrap().strftime("%d %H:%M").to_string();
        recurrence
            .between(at(from), at(to))
            .map(|(from, to)| format!("{}-{}", shown(from), shown(to)))
            .collect()
    }

    #[test]
    fn days_of_the_week_in_a_zone() {
        let listed = listed(
            "weekly mon,thu 02:00 for 2h in Europe/Zurich",
            "2026-06-01T00:00:00Z",
            "2026-06-08T00:30:00Z",
        );
        assert_eq!(listed, ["01 00:00-01 02:00", "04 00:00-04 02:00", "08 00:00-08 02:00"]);
    }

    #[test]
    fn the_time_of_day_stays_when_clocks_are_set_and_the_length_does_too() {
        // 2026-03-29 02:00 → 03:00 and 2026-10-25 03:00 → 02:00 in Zurich
        let daily = "daily 02:30 for 1h in Europe/Zurich";
        assert_eq!(
            listed(daily, "2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z"),
            ["28 01:30-28 02:30", "29 01:30-29 02:30", "30 00:30-30 01:30"]
        );
        assert_eq!(
            listed(daily, "2026-10-24T00:00:00Z", "2026-10-27T00:00:00Z"),
            ["24 00:30-24 01:30", "25 00:30-25 01:30", "26 01:30-26 02:30"]
        );
    }

    #[test]
    fn days_of_the_month_that_do_not_exist_are_left_out() {
        assert_eq!(
            listed("monthly 31 12:00 for 1m", "2026-04-01T00:00:00Z", "2026-06-30T00:00:00Z"),
            ["31 12:00-31 12:01"]
        );
        assert_eq!(
            listed("monthly 1,last 12:00 for 1m", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            ["01 12:00-01 12:01", "29 12:00-29 12:01"]
        );
    }

    #[test]
    fn one_that_began_before_is_found() {
        assert_eq!(
            listed(
                "weekly fri 22:00 for 3d in Pacific/Auckland",
                "2026-06-08T09:59:00Z",
                "2026-06-08T10:00:00Z"
            ),
            ["05 10:00-08 10:00"]
        );
    }

    #[test]
    fn it_prints_as_it_is_read() {
        for (written, printed) in [
            ("daily 02:00 for 120m", "daily 02:00 for 2h in UTC"),
            (
                "weekly fri-mon 23:05 for 90m in europe/zurich",
                "weekly mon,fri,sat,sun 23:05 for 90m in Europe/Zurich",
            ),
            ("monthly last,15,1 00:00 for 1d in UTC", "monthly 1,15,last 00:00 for 1d in UTC"),
        ] {
            let read: Recurrence = written.parse().unwrap();
            assert_eq!(read.to_string(), printed);
            assert_eq!(printed.parse::<Recurrence>().unwrap(), read);
            assert_eq!(serde_json::from_str::<Recurrence>(&format!("{printed:?}")).unwrap(), read);
        }
    }

    #[test]
    fn what_cannot_be_read_is_explained() {
        for (text, what) in [
            ("", "how often"),
            ("hourly", "\"hourly\" is none of"),
            ("weekly 02:00 for 2h", "no day of the week"),
            ("weekly mon", "time of day is missing"),
            ("daily 2:00 for 2h", "no time of day"),
            ("daily 24:00 for 2h", "no time of day"),
            ("daily 02:00 2h", "`for` is expected"),
            ("daily 02:00 for 90s", "whole minutes"),
            ("daily 02:00 for 8d", "whole minutes, from 1m to 7d"),
            ("daily 02:00 for soon", "a duration"),
            ("daily 02:00 for 2h in Europe/Zürich", "no time zone"),
            ("daily 02:00 for 2h in", "after `in`"),
            ("daily 02:00 for 2h in UTC now", "\"now\" is too much"),
            ("monthly 0 02:00 for 2h", "no day of the month"),
        ] {
            let told = text.parse::<Recurrence>().unwrap_err().to_string();
            assert!(told.contains(what) && told.contains("write it like"), "{text}: {told}");
        }
        assert!("x".repeat(9000).parse::<Recurrence>().unwrap_err().to_string().len() < 400);
    }
}
