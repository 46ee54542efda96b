//! Numbers and times as people read them: as many digits as matter, and a unit.

use jiff::Timestamp;
use lookout_engine::Window;

/// A share as a percentage: `38 %`, `2.5 %`, `0.041 %`, `99.97 %`.
pub(super) fn percent(ratio: f64) -> String {
    let value = ratio * 100.0;
    let size = value.abs();
    let digits: usize = match size {
        _ if size >= 1000.0 => return format!("{} %", grouped_signed(value)),
        // near the whole, what is missing is what matters
        _ if (99.0..100.0).contains(&size) => 2,
        _ if size >= 10.0 || size == 0.0 => 0,
        _ if size >= 1.0 => 1,
        _ if size >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    format!("{} %", shortened(&text))
}

/// A burn rate: `30×`, `4.3×`, `0.25×`, `1,000×`.
pub(super) fn times(rate: f64) -> String {
    let text = match rate.abs() {
        size if size >= 1000.0 => return format!("{}×", grouped_signed(rate)),
        size if size >= 20.0 => format!("{rate:.0}"),
        size if size >= 1.0 => format!("{rate:.1}"),
        _ => format!("{rate:.2}"),
    };
    format!("{}×", shortened(&text))
}

/// A count with its thousands apart: `16,070`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in its largest unit, with the next one while the number is small: `45 s`, `12 min`, `2 h 10 min`, `19 h`.
pub(super) fn duration(seconds: f64) -> String {
    const UNITS: [(u64, &str, u64, &str); 3] =
        [(86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")];
    // as a float it saturates: a rate close to zero makes a time beyond any calendar
    let whole = seconds.max(0.0).round() as u64;
    if whole > 3650 * 86_400 {
        return "over 10 years".to_owned();
    }
    for (size, unit, smaller, small_unit) in UNITS {
        if whole < 2 * size && !(whole.is_multiple_of(size) && whole >= size) {
            continue;
        }
        let (large, small) = (whole / size, (whole % size) / smaller);
        return if large < 10 && small > 0 && smaller > 1 {
            format!("{large} {unit} {small} {small_unit}")
        } else {
            format!("{large} {unit}")
        };
    }
    format!("{whole} s")
}

/// The length of a period as an adjective: `30-day`, `6-hour`.
pub(super) fn period(seconds: u64) -> String {
    match seconds {
        s if s >= 86_400 && s.is_multiple_of(86_400) => format!("{}-day", s / 86_400),
        s if s >= 3600 && s.is_multiple_of(3600) => format!("{}-hour", s / 3600),
        s if s >= 60 && s.is_multiple_of(60) => format!("{}-minute", s / 60),
        s => format!("{s}-second"),
    }
}

/// A window as specs write it: `5m`.
pub(super) fn window(seconds: u64) -> String {
    Window::seconds(seconds).to_string()
}

/// An instant to the second: `2026-03-01 10:00:00 UTC`.
pub(super) fn moment(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .map_or_else(|_| format!("{ms} ms"), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// An instant as RFC 3339, as machines read it.
pub(super) fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// Without zeros that say nothing, and without a minus before nothing.
fn shortened(text: &str) -> &str {
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if text == "-0" { "0" } else { text }
}

fn grouped_signed(value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", count(value.abs().round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_matter() {
        let shares = [0.38, 0.025, 0.9997, 1.0, 0.0, 0.000_41, 0.004, -0.12, -12.5, -1e-9];
        assert_eq!(
            shares.map(percent),
            ["38 %", "2.5 %", "99.97 %", "100 %", "0 %", "0.041 %", "0.4 %", "-12 %", "-1,250 %", "0 %"]
        );
        let rates = [30.2, 14.4, 4.26, 1.0, 0.25, 1000.0, 0.0];
        assert_eq!(rates.map(times), ["30×", "14.4×", "4.3×", "1×", "0.25×", "1,000×", "0×"]);
        assert_eq!(
            [0, 999, 1000, 16_070, 25_920_000].map(count),
            ["0", "999", "1,000", "16,070", "25,920,000"]
        );
    }

    #[test]
    fn durations_read_like_speech() {
        let spans =
            [0.0, 45.4, 60.0, 90.0, 119.0, 125.0, 720.0, 3600.0, 5400.0, 7800.0, 68_400.0, 1e6, 1e300];
        assert_eq!(
            spans.map(duration),
            [
                "0 s",
                "45 s",
                "1 min",
                "90 s",
                "119 s",
                "2 min",
                "12 min",
                "1 h",
                "90 min",
                "2 h 10 min",
                "19 h",
                "11 d",
                "over 10 years"
            ]
        );
        assert_eq!([2_592_000, 21_600, 5400, 42].map(period), ["30-day", "6-hour", "90-minute", "42-second"]);
    }

    #[test]
    fn instants_are_in_utc() {
        assert_eq!(moment(1_772_359_200_000), "2026-03-01 10:00:00 UTC");
        assert_eq!(rfc3339(1_772_359_200_500), "2026-03-01T10:00:00.5Z");
        assert_eq!(moment(i64::MAX), format!("{} ms", i64::MAX));
    }
}
