//! Durations as Prometheus writes them.

use core::time::Duration;

/// Units from the largest to the smallest, in milliseconds. A year has 365 days, as in Prometheus.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Parses `500ms`, `30s`, `1h30m`, `7d`, `4w`.
///
/// # Errors
/// Returns the fault in words that follow "expected".
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "a duration like `500ms`, `30s`, `1h30m` or `7d`".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut left = UNITS.as_slice();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (digits, after) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_where(after, |c| c.is_ascii_digit());
        if digits.is_empty() {
            return Err(expected());
        }
        if unit.is_empty() {
            return Err(format!("{}: {digits} has no unit", expected()));
        }
        let Some(place) = left.iter().position(|(name, _)| *name == unit) else {
            return Err(match UNITS.iter().any(|(name, _)| *name == unit) {
                true => format!("{}, every unit once and the larger before the smaller", expected()),
                false => format!("{}: a unit is y, w, d, h, m, s or ms", expected()),
            });
        };
        let (_, milliseconds) = left.get(place).copied().unwrap_or_default();
        left = left.get(place + 1..).unwrap_or_default();
        let amount = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(milliseconds));
        total = amount.and_then(|n| total.checked_add(n)).ok_or("a shorter duration")?;
        rest = after;
    }
    if text.is_empty() { Err(expected()) } else { Ok(Duration::from_millis(total)) }
}

fn split_where(text: &str, at: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(at).unwrap_or(text.len()))
}

/// Prints a duration in its largest exact unit: `90s`, `5m`, `30d`. Parts below a millisecond are left out.
#[must_use]
pub fn print_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    // weeks and years are parsed, but printed as days
    let exact = UNITS.iter().skip(2).find(|(_, unit)| milliseconds.is_multiple_of(u128::from(*unit)));
    let (name, unit) = exact.copied().unwrap_or(("ms", 1));
    format!("{}{name}", milliseconds / u128::from(unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_prometheus_reads() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("4w", 2_419_200_000),
            ("1y2w3d4h5m6s7ms", 33_019_506_007),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, word) in [
            ("", "like"),
            ("10", "has no unit"),
            ("s", "like"),
            ("10 s", "a unit is"),
            ("10sec", "a unit is"),
            ("1.5h", "a unit is"),
            ("-5s", "like"),
            ("5m1h", "larger before"),
            ("5m5m", "every unit once"),
            ("99999999999999999999y", "shorter"),
            ("9999999999999999y", "shorter"),
        ] {
            let said = parse_duration(text).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(milliseconds in 0..u64::MAX / 2) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_duration(&print_duration(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_refused_or_printed_back_to_the_same_length(text in "[0-9ywdhms]{0,12}") {
            if let Ok(duration) = parse_duration(&text) {
                prop_assert_eq!(parse_duration(&print_duration(duration)), Ok(duration));
            }
        }
    }
}
