//! Figures as people read them. A figure that does not exist is a dash, never NaN.

use jiff::Timestamp;

/// What stands where there is no figure.
pub(super) const NONE: &str = "–";

/// A share as percent, to four decimals and never rounded up: 99.999 99 % good is not 100 %.
pub(super) fn share(ratio: Option<f64>) -> String {
    let Some(ratio) = ratio.filter(|ratio| ratio.is_finite()) else { return NONE.to_owned() };
    // The addition takes back what binary fractions lost of numbers such as 0.999.
    let hundredths = (ratio * 1e6 + 1e-6).floor() / 1e4;
    format!("{hundredths} %")
}

/// An objective: the number as it was written.
pub(super) fn percent(percent: f64) -> String {
    if percent.is_finite() { format!("{percent} %") } else { NONE.to_owned() }
}

/// A share of the budget, which may be below zero.
pub(super) fn budget(left: f64) -> String {
    if !left.is_finite() {
        return NONE.to_owned();
    }
    let percent = left * 100.0;
    let sign = if percent <= -0.05 { "−" } else { "" };
    let size = percent.abs();
    if size >= 1e6 {
        return format!("{sign}>1 000 000 %");
    }
    if size >= 100.0 { format!("{sign}{size:.0} %") } else { format!("{sign}{size:.1} %") }
}

/// A burn rate.
pub(super) fn burn(rate: Option<f64>) -> String {
    match rate.filter(|rate| rate.is_finite()) {
        None => NONE.to_owned(),
        Some(rate) if rate >= 100.0 => format!("{rate:.0}×"),
        Some(rate) if rate >= 10.0 => format!("{rate:.1}×"),
        Some(rate) => format!("{rate:.2}×"),
    }
}

/// A length of time in its two largest units.
pub(super) fn span(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NONE.to_owned();
    }
    let seconds = seconds.max(0.0).round().min(1e15) as u64;
    let pair = |big: u64, big_unit, small: u64, small_unit| match small {
        0 => format!("{big} {big_unit}"),
        small => format!("{big} {big_unit} {small} {small_unit}"),
    };
    match seconds {
        0..120 => format!("{seconds} s"),
        120..600 => pair(seconds / 60, "min", seconds % 60, "s"),
        600..3600 => pair(seconds / 60, "min", 0, ""),
        3600..172_800 => pair(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        172_800..31_536_000 => pair(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
        _ => "over a year".to_owned(),
    }
}

/// How long ago an instant is.
pub(super) fn ago(at_ms: i64, now_ms: i64) -> String {
    format!("{} ago", span(now_ms.saturating_sub(at_ms) as f64 / 1000.0))
}

/// An instant for people, in UTC: the time alone on the same day.
pub(super) fn clock(at_ms: i64, now_ms: i64) -> String {
    let day = |ms: i64| ms.div_euclid(86_400_000);
    let format = if day(at_ms) == day(now_ms) { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M UTC" };
    Timestamp::from_millisecond(at_ms).map_or_else(|_| NONE.to_owned(), |at| at.strftime(format).to_string())
}

/// An instant for machines.
pub(super) fn stamp(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |at| format!("{at:.0}"))
}

/// A count with its thousands apart.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 page`, `2 pages`.
pub(super) fn several(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// A segment of a path: everything that could mean something there is encoded.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_never_flattered() {
        assert_eq!(share(Some(0.999)), "99.9 %");
        assert_eq!(share(Some(0.999_999_99)), "99.9999 %");
        assert_eq!(share(Some(1.0)), "100 %");
        assert_eq!(share(Some(0.299_999)), "29.9999 %");
        assert_eq!(share(None), NONE);
        assert_eq!(share(Some(f64::NAN)), NONE);
    }

    #[test]
    fn budgets_go_below_zero() {
        assert_eq!(budget(0.755), "75.5 %");
        assert_eq!(budget(-0.5), "−50.0 %");
        assert_eq!(budget(-12.0), "−1200 %");
        assert_eq!(budget(-0.000_01), "0.0 %");
        assert_eq!(budget(f64::INFINITY), NONE);
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let shown = [0.0, 119.0, 144.0, 659.0, 3661.0, 86_400.0, 190_801.0, 1e12, f64::NAN].map(span);
        assert_eq!(
            shown,
            ["0 s", "119 s", "2 min 24 s", "10 min", "1 h 1 min", "24 h", "2 d 5 h", "over a year", NONE]
        );
    }

    #[test]
    fn instants_name_their_day_when_it_is_another() {
        assert_eq!(clock(60_000, 120_000), "00:01:00 UTC");
        assert_eq!(clock(-60_000, 120_000), "1969-12-31 23:59 UTC");
        assert_eq!(stamp(1_767_225_600_000), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn counts_and_segments() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(segment("a/b?c=\"<é"), "a%2Fb%3Fc%3D%22%3C%C3%A9");
    }
}
