//! Periods that begin with the calendar: days, weeks, months, quarters and years of a time zone.
//!
//! A calendar is a start and a step: its edges are the start plus any number of steps, as a wall clock in the zone shows
//! them. So a month that begins on the 31st begins on the last day of shorter months, a day in March may have 23 hours,
//! and a period that would begin in an hour which clocks leave out begins when they go on.
//!
//! The time zone database is part of the program, for machines that have none; where the system has one, that is used,
//! since it is updated with the system.

use core::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use lookout_engine::{Evaluator, Grid, Slot, Window};

/// The unit of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// From midnight to midnight.
    Day,
    /// Seven days.
    Week,
    /// As long as the month is.
    Month,
    /// Three months.
    Quarter,
    /// Twelve months.
    Year,
}

impl Unit {
    /// Returns the unit of OpenSLO's letter.
    #[must_use]
    pub const fn from_letter(letter: char) -> Option<Self> {
        match letter {
            'd' => Some(Self::Day),
            'w' => Some(Self::Week),
            'M' => Some(Self::Month),
            'Q' => Some(Self::Quarter),
            'Y' => Some(Self::Year),
            _ => None,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// Returns its nominal number of days.
    const fn days(self) -> u64 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
            Self::Quarter => 90,
            Self::Year => 365,
        }
    }

    /// Returns its length in months, or in days when it has no months.
    const fn steps(self) -> (i64, i64) {
        match self {
            Self::Day => (0, 1),
            Self::Week => (0, 7),
            Self::Month => (1, 0),
            Self::Quarter => (3, 0),
            Self::Year => (12, 0),
        }
    }
}

/// A Monday, the first of a month, of a quarter and of a year: where periods begin unless a start is written.
pub(super) const USUAL_START: &str = "2024-01-01 00:00:00";

/// Consecutive periods of a time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    unit: Unit,
    /// Units per period.
    count: u16,
    start: DateTime,
    zone: TimeZone,
    /// The zone as it was written.
    zone_name: String,
}

/// An instant that no period can be found for: thousands of years away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the calendar ends before that instant")]
pub struct OutOfTime;

impl From<jiff::Error> for OutOfTime {
    fn from(_: jiff::Error) -> Self {
        Self
    }
}

impl Calendar {
    /// Periods of `count` units, of which one begins at `start` in the zone; `None` when there is no such zone.
    #[must_use]
    pub fn new(unit: Unit, count: u16, start: DateTime, zone_name: &str) -> Option<Self> {
        let zone = TimeZone::get(zone_name).ok()?;
        Some(Self { unit, count: count.max(1), start, zone, zone_name: zone_name.to_owned() })
    }

    /// Returns the nominal length of a period.
    #[must_use]
    pub const fn nominal(&self) -> Window {
        Window::days(self.unit.days() * self.count as u64)
    }

    /// The period that an instant is in: its first instant and that of the next one, in seconds since the epoch.
    ///
    /// # Errors
    /// If that is beyond the calendar.
    pub fn period_at(&self, seconds: i64) -> Result<(i64, i64), OutOfTime> {
        let local = self.zone.to_datetime(Timestamp::from_second(seconds)?);
        let mut number = self.guess(local.date());
        // clocks and the lengths of months make the guess wrong by one or two
        while self.edge(number)? > seconds {
            number -= 1;
        }
        while self.edge(number + 1)? <= seconds {
            number += 1;
        }
        Ok((self.edge(number)?, self.edge(number + 1)?))
    }

    /// Returns the period that a slot begins in; `None` beyond the calendar.
    #[must_use]
    pub fn span(&self, grid: Grid, slot: Slot) -> Option<lookout_engine::Span> {
        let width = i64::from(grid.width_seconds());
        let (from, to) = self.period_at(slot.0.saturating_mul(width)).ok()?;
        // a slot belongs to the period in which it begins
        let first = |edge: i64| Slot(edge.saturating_add(width - 1).div_euclid(width));
        Some(lookout_engine::Span { from: first(from), to: first(to) })
    }

    /// Sets the period of an evaluator to the one in which a slot begins. It must be set before every slot that is
    /// closed; the call costs nothing while the period stays.
    pub fn set_period(&self, evaluator: &mut Evaluator, slot: Slot) {
        if evaluator.span().is_some_and(|span| span.contains(slot)) {
            return;
        }
        if let Some(span) = self.span(evaluator.policy().grid, slot) {
            evaluator.set_period(span);
        }
    }

    /// Returns `month in Europe/Zurich, until 1 December`, for the period that ends at an instant in seconds since
    /// the epoch.
    #[must_use]
    pub fn describe(&self, until: i64) -> String {
        let Ok(until) = Timestamp::from_second(until) else { return self.to_string() };
        let until = self.zone.to_datetime(until);
        let time = if until.time() == jiff::civil::Time::midnight() { "" } else { " %H:%M" };
        let year = if until.date().day_of_year() == 1 || self.unit == Unit::Year { " %Y" } else { "" };
        format!("{self}, until {}", until.strftime(&format!("%-d %B{year}{time}")))
    }

    /// Returns the period as an attribute of a budget: `month's`, `2-week`.
    #[must_use]
    pub fn possessive(&self) -> String {
        match self.count {
            1 => format!("{}'s", self.unit.word()),
            count => format!("{count}-{}", self.unit.word()),
        }
    }

    /// Returns the zone as it was written.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// Returns whether every period begins with a quarter of an hour.
    #[must_use]
    pub fn begins_with_a_quarter_hour(&self) -> bool {
        self.start.minute() % 15 == 0 && self.start.second() == 0
    }

    /// About how many periods there are between the start and a date.
    fn guess(&self, date: Date) -> i64 {
        let start = self.start.date();
        let count = i64::from(self.count);
        match self.unit.steps() {
            (0, days) => (days_from_epoch(date) - days_from_epoch(start)).div_euclid(days * count),
            (months, _) => {
                let month = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
                (month(date) - month(start)).div_euclid(months * count)
            }
        }
    }

    /// Returns the first instant of the period with a number, in seconds since the epoch.
    fn edge(&self, number: i64) -> Result<i64, OutOfTime> {
        let (months, days) = self.unit.steps();
        let number = number.saturating_mul(i64::from(self.count));
        // from the start, not from the period before: the 31st comes back after February
        let step: Span = if months == 0 {
            Span::new().try_days(number.saturating_mul(days))?
        } else {
            Span::new().try_months(number.saturating_mul(months))?
        };
        let local = self.start.checked_add(step)?;
        Ok(self.zone.to_timestamp(local)?.as_second())
    }
}

fn days_from_epoch(date: Date) -> i64 {
    date.since(Date::constant(1970, 1, 1)).map_or(0, |span| i64::from(span.get_days()))
}

impl fmt::Display for Calendar {
    /// Returns `month in Europe/Zurich`, `2 weeks in UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{} in {}", self.unit.word(), self.zone_name),
            count => write!(f, "{count} {}s in {}", self.unit.word(), self.zone_name),
        }
    }
}

/// Returns the zone whose name is nearest to a wrong one.
pub(super) fn zone_like(name: &str) -> Option<String> {
    let distance = |known: &str| strsim::damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase());
    let names = jiff::tz::db().available().map(|known| known.as_str().to_owned());
    // a city alone is a usual mistake
    let city = |known: &str| known.rsplit('/').next().map_or(usize::MAX, distance);
    let (near, known) = names.map(|known| (distance(&known).min(city(&known)), known)).min()?;
    (near <= name.len() / 3).then_some(known)
}

/// Reads `YYYY-MM-DD hh:mm:ss`, of which the time may be missing.
pub(super) fn parse_start(text: &str) -> Option<DateTime> {
    let start: DateTime = text.trim().parse().ok()?;
    let usable =
        (1970..=2200).contains(&start.year()) && start.second() == 0 && start.subsec_nanosecond() == 0;
    usable.then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZONES: [&str; 9] = [
        "UTC",
        "Europe/Zurich",
        "America/New_York",
        "America/St_Johns",
        "America/Sao_Paulo",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
        "Africa/Cairo",
    ];

    fn calendar(unit: Unit, start: &str, zone: &str) -> Calendar {
        Calendar::new(unit, 1, parse_start(start).unwrap(), zone).unwrap()
    }

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    fn shown((from, to): (i64, i64)) -> String {
        let show = |seconds| Timestamp::from_second(seconds).unwrap().to_string();
        format!("{} {}", show(from), show(to))
    }

    /// All periods from one instant to another.
    fn tiles(calendar: &Calendar, from: i64, to: i64) -> Vec<(i64, i64)> {
        let mut tiles = vec![calendar.period_at(from).unwrap()];
        while let Some((_, end)) = tiles.last().copied().filter(|(_, end)| *end < to) {
            tiles.push(calendar.period_at(end).unwrap());
        }
        tiles
    }

    #[test]
    fn the_bundled_zones_are_enough() {
        assert!(jiff::tz::TimeZoneDatabase::bundled().get("Europe/Zurich").is_ok());
    }

    #[test]
    fn months_follow_the_zone_and_its_clocks() {
        let month = calendar(Unit::Month, USUAL_START, "Europe/Zurich");
        let march = month.period_at(second("2026-03-29T12:00:00Z")).unwrap();
        assert_eq!(shown(march), "2026-02-28T23:00:00Z 2026-03-31T22:00:00Z");
        assert_eq!((march.1 - march.0) / 3600, 31 * 24 - 1);
        assert_eq!(
            (month.to_string(), month.possessive()),
            ("month in Europe/Zurich".to_owned(), "month's".to_owned())
        );
        assert_eq!(month.describe(march.1), "month in Europe/Zurich, until 1 April");
        let december = month.period_at(second("2026-12-31T22:59:59Z")).unwrap();
        assert_eq!(month.describe(december.1), "month in Europe/Zurich, until 1 January 2027");
        assert_eq!(month.period_at(december.1).unwrap().0, december.1, "the edge is in the next one");
    }

    #[test]
    fn a_start_on_the_31st_is_the_last_day_of_shorter_months() {
        let month = calendar(Unit::Month, "2024-01-31 06:30:00", "UTC");
        for (at, expected) in [
            ("2024-02-29T06:29:00Z", "2024-01-31T06:30:00Z 2024-02-29T06:30:00Z"),
            ("2024-02-29T06:30:00Z", "2024-02-29T06:30:00Z 2024-03-31T06:30:00Z"),
            ("2023-02-28T23:00:00Z", "2023-02-28T06:30:00Z 2023-03-31T06:30:00Z"),
            ("2025-04-30T12:00:00Z", "2025-04-30T06:30:00Z 2025-05-31T06:30:00Z"),
        ] {
            assert_eq!(shown(month.period_at(second(at)).unwrap()), expected, "{at}");
        }
        assert_eq!(month.describe(second("2024-02-29T06:30:00Z")), "month in UTC, until 29 February 06:30");
        let fifteenth = calendar(Unit::Quarter, "2024-02-15", "UTC");
        let period = fifteenth.period_at(second("2026-02-14T00:00:00Z")).unwrap();
        assert_eq!(shown(period), "2025-11-15T00:00:00Z 2026-02-15T00:00:00Z");
    }

    #[test]
    fn weeks_begin_on_monday_or_on_the_day_of_their_start() {
        let week =
            |start| calendar(Unit::Week, start, "UTC").period_at(second("2026-10-15T10:00:00Z")).unwrap();
        assert_eq!(shown(week(USUAL_START)), "2026-10-12T00:00:00Z 2026-10-19T00:00:00Z");
        assert_eq!(shown(week("2020-01-05 00:00:00")), "2026-10-11T00:00:00Z 2026-10-18T00:00:00Z");
    }

    #[test]
    fn a_midnight_that_does_not_exist_is_when_clocks_go_on() {
        let day = calendar(Unit::Day, USUAL_START, "Africa/Cairo");
        let spring = day.period_at(second("2026-04-24T09:00:00Z")).unwrap();
        assert_eq!(shown(spring), "2026-04-23T22:00:00Z 2026-04-24T21:00:00Z");
        assert_eq!(spring.1 - spring.0, 23 * 3600);
    }

    #[test]
    fn slots_that_an_edge_cuts_belong_to_where_they_begin() {
        let day = calendar(Unit::Day, "2024-01-01 00:20:00", "UTC");
        let grid = Grid::try_new(900).unwrap();
        let span = day.span(grid, Slot(0)).unwrap();
        assert_eq!(span.to, Slot(2));
        assert_eq!(day.span(grid, Slot(1)), Some(span));
        assert_eq!(day.span(grid, Slot(2)).unwrap().from, Slot(2));
    }

    #[test]
    fn a_wrong_zone_finds_its_name() {
        for (wrong, right) in [
            ("Europe/Zürich", "Europe/Zurich"),
            ("Zurich", "Europe/Zurich"),
            ("europe/berln", "Europe/Berlin"),
        ] {
            assert_eq!(zone_like(wrong).as_deref(), Some(right), "{wrong}");
        }
        assert_eq!(zone_like("Middle-earth/Hobbiton"), None);
    }

    proptest! {
        #[test]
        fn a_year_has_as_many_minutes_as_the_zone_says(year in 1990_i16..2037, zone in 0..ZONES.len()) {
            let zone = ZONES[zone];
            let midnight = |year| {
                let date = Date::new(year, 1, 1).unwrap();
                TimeZone::get(zone).unwrap().to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).unwrap()
            };
            let (from, to) = (midnight(year).as_second(), midnight(year + 1).as_second());
            for (unit, least, most) in [(Unit::Day, 23, 25), (Unit::Month, 28 * 24 - 1, 31 * 24 + 1), (Unit::Quarter, 2159, 2209), (Unit::Year, 8760, 8784)] {
                let tiles = tiles(&calendar(unit, USUAL_START, zone), from, to);
                prop_assert_eq!((tiles[0].0, tiles[tiles.len() - 1].1), (from, to), "{:?}", unit);
                let minutes: i64 = tiles.iter().map(|(from, to)| (to - from) / 60).sum();
                prop_assert_eq!(minutes, (to - from) / 60, "{} {:?}", zone, unit);
                for (from, to) in tiles {
                    prop_assert!((least * 3600..=most * 3600).contains(&(to - from)), "{} {:?} {}", zone, unit, (to - from) / 3600);
                    prop_assert_eq!(from % 900, 0, "{} {}", zone, from);
                }
            }
        }

        #[test]
        fn periods_tile_time_wherever_they_start(
            seconds in 0_i64..4_000_000_000, zone in 0..ZONES.len(), unit in 0..5_usize, count in 1_u16..5,
            start in (1970_i16..2100, 1_i8..13, 1_i8..32, 0_i8..24, 0_i8..60),
        ) {
            let unit = [Unit::Day, Unit::Week, Unit::Month, Unit::Quarter, Unit::Year][unit];
            let (year, month, day, hour, minute) = start;
            let date = Date::new(year, month, 1).unwrap();
            let start = date.with().day(day.min(date.days_in_month())).build().unwrap().at(hour, minute, 0, 0);
            let calendar = Calendar::new(unit, count, start, ZONES[zone]).unwrap();
            let (from, to) = calendar.period_at(seconds).unwrap();
            prop_assert!(from <= seconds && seconds < to);
            prop_assert_eq!(calendar.period_at(from), Ok((from, to)));
            prop_assert_eq!(calendar.period_at(to - 1), Ok((from, to)));
            prop_assert_eq!(calendar.period_at(to).unwrap().0, to, "no gap and no overlap");
            prop_assert_eq!((from % 60, to % 60), (0, 0), "edges are whole minutes");
        }
    }
}
