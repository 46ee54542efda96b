//! Figures as people read them.

/// What stands where there is no figure.
pub(super) const NONE: &str = "–";

/// A share in percent with at most three significant digits, and never rounded to none or all.
pub(super) fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if !percent.is_finite() {
        return NONE.to_owned();
    }
    if percent == 0.0 || percent.abs() >= 100.0 {
        return format!("{percent:.0} %");
    }
    let digits = (2.0 - percent.abs().log10().floor()).clamp(0.0, 12.0);
    let scale = 10_f64.powf(digits);
    let mut rounded = (percent * scale).round() / scale;
    if rounded.abs() >= 100.0 {
        // "100 %" must mean that it was all of it
        rounded = 99.9 * percent.signum();
    }
    format!("{rounded} %")
}

/// What is left of a budget, to a tenth of a percent.
pub(super) fn budget(left_ratio: f64) -> String {
    match left_ratio {
        left if !left.is_finite() => NONE.to_owned(),
        left if left.abs() >= 10.0 => format!("{:.0} %", left * 100.0),
        left => format!("{:.1} %", left * 100.0),
    }
}

/// Seconds in their two largest units; below a minute to a hundredth.
pub(super) fn span(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NONE.to_owned();
    }
    if seconds < 59.995 {
        return format!("{}s", (seconds.max(0.0) * 100.0).round() / 100.0);
    }
    let whole = seconds.round() as u64;
    let parts = [(whole / 86_400, "d"), (whole / 3600 % 24, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")];
    let shown = parts.iter().skip_while(|(n, _)| *n == 0).take(2).filter(|(n, _)| *n > 0);
    shown.map(|(n, unit)| format!("{n}{unit}")).collect::<Vec<_>>().join(" ")
}

/// A share of one with two decimals, never rounded up to one.
pub(super) fn score(value: Option<f64>) -> String {
    match value {
        None => NONE.to_owned(),
        Some(value) if value < 1.0 => format!("{:.2}", value.min(0.99)),
        Some(value) => format!("{value:.2}"),
    }
}

/// Figures in groups of three.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// `1 page`, `2 pages`.
pub(super) fn several(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// Text from outside with everything that could move a cursor taken out.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_keep_three_digits_and_are_never_flattered() {
        for (ratio, text) in [
            (0.0144, "1.44 %"),
            (0.006, "0.6 %"),
            (0.000_933_333, "0.0933 %"),
            (0.999_999, "99.9 %"),
            (1.0, "100 %"),
            (0.0, "0 %"),
            (-2.3, "-230 %"),
            (0.000_000_001_44, "0.000000144 %"),
            (f64::NAN, NONE),
        ] {
            assert_eq!(percent(ratio), text);
        }
    }

    #[test]
    fn spans_have_two_units_at_most() {
        for (seconds, text) in [
            (51.84, "51.84s"),
            (60.0, "1m"),
            (59.999, "1m"),
            (4320.0, "1h 12m"),
            (86_400.0, "1d"),
            (90_061.0, "1d 1h"),
            (0.0, "0s"),
            (f64::INFINITY, NONE),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_score_of_one_is_really_one() {
        assert_eq!(
            (score(Some(1.0)), score(Some(0.997)), score(None)),
            ("1.00".into(), "0.99".into(), NONE.into())
        );
        assert_eq!((count(12_345_678), count(999)), ("12 345 678".into(), "999".into()));
        assert_eq!((several(1, "page"), several(0, "page")), ("1 page".into(), "0 pages".into()));
        assert_eq!((budget(0.4321), budget(-25.0)), ("43.2 %".into(), "-2500 %".into()));
    }
}
