//! The only place where a number, a duration, a share or a count becomes text for people. Messages, pages, the command
//! line, reports and runbooks show one figure in one spelling.
//!
//! A window is no duration: it is named as specs write it (`5m`, `30d`), so that people find it in their files. Every
//! other length of time is a [`duration`]. A figure that does not exist is [`NONE`], never NaN.

use std::time::Duration;

use lookout_engine::{Cause, DataState, Status, Window};

use crate::Evidence;

use crate::Timestamp;

/// Text for a figure that does not exist.
pub const NONE: &str = "–";

/// Seconds of ten years of 365 days. A longer time to exhaustion is not shown.
const TEN_YEARS: f64 = 3650.0 * 86_400.0;

/// Units of a duration and their seconds, the largest first.
const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];

/// Returns a length of time in its two largest units: `812.3 ms`, `51.8 s`, `8 min 40 s`, `1 h 30 min`, `30 d`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NONE.to_owned();
    }
    let seconds = seconds.max(0.0);
    if seconds > TEN_YEARS {
        return "over 10 years".to_owned();
    }
    // A value that rounds up to the next unit is written in that unit.
    if seconds > 0.0 && seconds < 0.999_95 {
        return format!("{} ms", decimals(seconds * 1e3, 1));
    }
    if seconds < 59.95 {
        return format!("{} s", decimals(seconds, 1));
    }
    let whole = seconds.round() as u64;
    let place = UNITS.iter().position(|(size, _)| whole >= *size).unwrap_or(UNITS.len() - 1);
    let mut rest = whole;
    let mut parts = Vec::with_capacity(2);
    for (size, unit) in UNITS.iter().skip(place).take(2) {
        let amount = rest / size;
        rest %= size;
        if amount > 0 {
            parts.push(format!("{amount} {unit}"));
        }
    }
    parts.join(" ")
}

/// Returns a measured length of time as [`duration`] does.
#[must_use]
pub fn elapsed(time: Duration) -> String {
    duration(time.as_secs_f64())
}

/// Returns the state of an SLO for people.
#[must_use]
pub fn status(evidence: &Evidence) -> String {
    let present = evidence.present.as_ref();
    let word = match present.map_or(Status::NoData, |present| present.status) {
        Status::Healthy => "Healthy",
        Status::Failing => "Failing, not yet paging",
        Status::Paging => "Paging",
        Status::Recovering => {
            let after = present.and_then(|present| present.lets_go_after_s);
            return after.map_or_else(
                || "Recovering".to_owned(),
                |seconds| format!("Recovering, lets go in {}", duration(seconds)),
            );
        }
        Status::Ticket => "Ticket",
        Status::Spent => "Budget spent",
        Status::NoData => "No data yet",
        Status::Stale if evidence.data_state == DataState::Partial => "Data incomplete",
        Status::Stale => "Data stale",
        Status::Idle => "No traffic",
        Status::Young => "Young",
    };
    word.to_owned()
}

/// Returns the cause of an incident as the end of `because …`.
#[must_use]
pub const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Burn => "the error budget burns too fast",
        Cause::DataMissing => "its data are missing",
        Cause::CrashLoop => "its process starts again and again",
        Cause::TrafficMissing => "its traffic is missing",
        Cause::TargetDown => "its probes fail one after the other",
    }
}

/// Returns a share as a percentage with three significant digits of its distance from zero or one, so that only a
/// share of one reads `100 %`: `38 %`, `2.5 %`, `0.041 %`, `99.97 %`, `-1,250 %`.
#[must_use]
pub fn percent(ratio: impl Into<Option<f64>>) -> String {
    percentage(ratio.into(), f64::round)
}

/// Returns a share of good events as [`percent`] does, but rounded down: 99.89996 % does not meet 99.9 %.
#[must_use]
pub fn percent_good(ratio: impl Into<Option<f64>>) -> String {
    // The addition corrects the binary rounding of numbers such as 0.999.
    percentage(ratio.into(), |scaled| (scaled + 1e-6).floor())
}

fn percentage(ratio: Option<f64>, round: impl Fn(f64) -> f64) -> String {
    let Some(value) = ratio.map(|ratio| ratio * 100.0).filter(|value| value.is_finite()) else {
        return NONE.to_owned();
    };
    let size = value.abs();
    if size >= 100.0 {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{} %", count(size.round() as u64));
    }
    let distance = size.min(100.0 - size);
    let places = if distance > 0.0 { (2.0 - distance.log10().floor()).clamp(0.0, 9.0) } else { 0.0 };
    let scale = 10_f64.powf(places);
    let mut rounded = round(value * scale) / scale;
    if rounded.abs() >= 100.0 {
        rounded = value.signum() * (100.0 - 1.0 / scale);
    }
    format!("{} %", decimals(rounded, places as usize))
}

/// Returns an objective in percent as its spec writes it: `99.9 %`. 0 % is none.
#[must_use]
pub fn objective(percent: f64) -> String {
    if percent.is_finite() && percent > 0.0 { format!("{percent} %") } else { NONE.to_owned() }
}

/// Returns a mean with one decimal: `0.1`, `3`, `12.5`.
#[must_use]
pub fn mean(value: f64) -> String {
    if value.is_finite() { decimals(value, 1) } else { NONE.to_owned() }
}

/// Returns a burn rate: `0.25×`, `14.4×`, `317×`, `1,000×`.
#[must_use]
pub fn burn(rate: impl Into<Option<f64>>) -> String {
    let Some(rate) = rate.into().filter(|rate| rate.is_finite()) else { return NONE.to_owned() };
    match rate {
        rate if rate.abs() >= 1000.0 => format!("{}×", count(rate.abs().round() as u64)),
        rate if rate.abs() >= 100.0 => format!("{rate:.0}×"),
        rate if rate.abs() >= 10.0 => format!("{}×", decimals(rate, 1)),
        rate => format!("{}×", decimals(rate, 2)),
    }
}

/// Returns a rate of events in the unit that makes it one or more: `10 events/s`, `30 events/m`, `5 events/h`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    if !(0.0..=1e18).contains(&per_second) {
        return NONE.to_owned();
    }
    let units = [(1.0, "s"), (60.0, "m"), (3600.0, "h")];
    let unit = units.into_iter().find(|(seconds, _)| per_second * seconds >= 1.0);
    let (seconds, unit) = unit.unwrap_or((86_400.0, "d"));
    let number = decimals(per_second * seconds, 3);
    format!("{number} event{}/{unit}", if number == "1" { "" } else { "s" })
}

/// Returns a count with its thousands apart: `16,070`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a count with its noun: `1 page`, `2 pages`.
#[must_use]
pub fn several(n: usize, one: &str) -> String {
    format!("{} {one}{}", count(n as u64), if n == 1 { "" } else { "s" })
}

/// Returns the time since an instant: `3 min 20 s ago`.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", duration(now.seconds_since(at)))
}

/// Returns the time of day in UTC, with its date when that is not today's: `11:56:00 UTC`.
#[must_use]
pub fn time(at: Timestamp, now: Timestamp) -> String {
    let day = |at: Timestamp| at.as_seconds().div_euclid(86_400);
    if day(at) == day(now) { strftime(at, "%H:%M:%S UTC") } else { date_time(at) }
}

/// Returns an instant to the second: `2026-03-01 10:00:00 UTC`.
#[must_use]
pub fn date_time(at: Timestamp) -> String {
    strftime(at, "%Y-%m-%d %H:%M:%S UTC")
}

/// Returns an instant as machines read it (RFC 3339).
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::try_from(at).map_or_else(|_| NONE.to_owned(), |at| at.to_string())
}

/// Returns a window as specs write it: `5m`, `30d`.
#[must_use]
pub fn window(seconds: u64) -> String {
    Window::seconds(seconds).to_string()
}

/// Returns the length of a period as an adjective: `30-day`, `6-hour`.
#[must_use]
pub fn period(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let unit = units.into_iter().find(|(size, _)| seconds >= *size && seconds.is_multiple_of(*size));
    let (size, name) = unit.unwrap_or((1, "second"));
    format!("{}-{name}", seconds / size)
}

/// Returns a score such as precision or recall with two decimals, never rounded up to one.
#[must_use]
pub fn score(value: impl Into<Option<f64>>) -> String {
    match value.into().filter(|value| value.is_finite()) {
        None => NONE.to_owned(),
        Some(value) if value < 1.0 => format!("{:.2}", value.min(0.99)),
        Some(value) => format!("{value:.2}"),
    }
}

/// Returns text from outside without characters that could move a cursor.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn strftime(at: Timestamp, pattern: &str) -> String {
    jiff::Timestamp::try_from(at).map_or_else(|_| NONE.to_owned(), |at| at.strftime(pattern).to_string())
}

/// Returns a number with at most `places` decimals, without zeros that tell nothing and without a minus before
/// nothing.
fn decimals(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_have_two_units_at_most() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.000_04, "0 ms"),
            (0.812_34, "812.3 ms"),
            (0.999_96, "1 s"),
            (45.0, "45 s"),
            (51.84, "51.8 s"),
            (59.96, "1 min"),
            (90.0, "1 min 30 s"),
            (520.0, "8 min 40 s"),
            (5400.0, "1 h 30 min"),
            (86_400.0, "1 d"),
            (90_061.0, "1 d 1 h"),
            (86_460.0, "1 d"),
            (2_592_000.0, "30 d"),
            (1e300, "over 10 years"),
            (-3.0, "0 s"),
            (f64::NAN, NONE),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn shares_keep_three_digits_of_what_matters() {
        for (ratio, text) in [
            (0.38, "38 %"),
            (0.755, "75.5 %"),
            (0.025, "2.5 %"),
            (0.0144, "1.44 %"),
            (0.000_41, "0.041 %"),
            (0.000_933_333, "0.0933 %"),
            (0.9997, "99.97 %"),
            (0.999_999_99, "99.999999 %"),
            (1.0, "100 %"),
            (0.0, "0 %"),
            (-0.125, "-12.5 %"),
            (-12.5, "-1,250 %"),
            (-1e-15, "0 %"),
            (f64::INFINITY, NONE),
        ] {
            assert_eq!(percent(ratio), text, "{ratio}");
        }
        assert_eq!([0.999, 0.998_999_6, 0.3].map(percent_good), ["99.9 %", "99.899 %", "30 %"]);
        assert_eq!([99.9, 99.95, 0.0].map(objective), ["99.9 %", "99.95 %", NONE]);
    }

    #[test]
    fn burn_rates_counts_and_instants() {
        let rates = [30.2, 14.4, 4.26, 1.0, 0.25, 317.4, 1000.0, 0.0, f64::NAN];
        assert_eq!(rates.map(burn), ["30.2×", "14.4×", "4.26×", "1×", "0.25×", "317×", "1,000×", "0×", NONE]);
        assert_eq!([0.1, 0.04, 12.55, f64::NAN].map(mean), ["0.1", "0", "12.6", NONE]);
        let rates = [10.0, 1.5, 0.5, 1.0 / 720.0, 1.0 / 14_400.0, f64::NAN];
        let printed = ["10 events/s", "1.5 events/s", "30 events/m", "5 events/h", "6 events/d", NONE];
        assert_eq!(rates.map(rate), printed);
        assert_eq!([0, 999, 16_070, 25_920_000].map(count), ["0", "999", "16,070", "25,920,000"]);
        assert_eq!([1, 0, 1200].map(|n| several(n, "page")), ["1 page", "0 pages", "1,200 pages"]);
        let at = Timestamp::from_millis;
        assert_eq!(time(at(60_000), at(120_000)), "00:01:00 UTC");
        assert_eq!(time(at(-60_000), at(120_000)), "1969-12-31 23:59:00 UTC");
        assert_eq!(rfc3339(at(1_767_225_600_000)), "2026-01-01T00:00:00Z");
        assert_eq!(rfc3339(at(1_772_359_200_500)), "2026-03-01T10:00:00.5Z");
        assert_eq!(rfc3339(Timestamp::MAX), NONE);
        assert_eq!([2_592_000, 21_600, 5400, 42].map(period), ["30-day", "6-hour", "90-minute", "42-second"]);
        assert_eq!([Some(1.0), Some(0.997), None].map(score), ["1.00", "0.99", NONE]);
    }

    #[test]
    fn text_from_outside_moves_no_cursor() {
        assert_eq!(printable("\u{1b}[2Jgone"), " [2Jgone");
    }

    proptest! {
        #[test]
        fn a_share_is_never_rounded_to_none_or_all(ratio in 1e-9_f64..0.999_999_999) {
            for text in [percent(ratio), percent_good(ratio)] {
                prop_assert!(text != "100 %", "{ratio}");
            }
            prop_assert!(percent(ratio) != "0 %", "{ratio}");
        }

        #[test]
        fn every_number_has_a_text_without_nan(value in proptest::num::f64::ANY) {
            let texts = [duration(value), percent(value), percent_good(value), objective(value), burn(value), mean(value), rate(value)];
            for text in texts {
                prop_assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            }
        }
    }
}
