//! Instants as people and files write them.

use std::time::Duration;

use lookout_model::{Timestamp, parse_duration};

/// Unix times of this size and above are milliseconds: as seconds they would lie beyond the year 5000.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// Parses a time of RFC 3339 or since the Unix epoch (seconds, with or without decimals, or milliseconds).
///
/// # Errors
/// Returns the fault in words that follow a name.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    if let Ok(number) = text.parse::<i64>() {
        return Ok(of_number(number));
    }
    if let Some((whole, fraction)) = text.split_once('.')
        && let (Ok(whole), true) = (whole.parse::<u32>(), fraction.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
        let fraction = Duration::from_millis(digits.parse().unwrap_or(0));
        return Ok(Timestamp::from_seconds(whole.into()) + fraction);
    }
    text.parse().map_err(|_| {
        format!("`{}` is no time; write 2026-03-01T00:00:00Z or seconds since 1970", shown(text))
    })
}

/// Returns the instant that a number of seconds or milliseconds since the epoch stands for.
pub(super) const fn of_number(number: i64) -> Timestamp {
    let seconds = number.unsigned_abs() < MILLISECONDS_FROM.unsigned_abs();
    if seconds { Timestamp::from_seconds(number) } else { Timestamp::from_millis(number) }
}

/// Returns text from a file, short enough for a message and without control characters.
pub(super) fn shown(text: &str) -> String {
    const LIMIT: usize = 60;
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let head: String = text.chars().take(LIMIT).map(clean).collect();
    if text.chars().nth(LIMIT).is_some() { head + "…" } else { head }
}

/// Bounds of time: from (inclusive) and until (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after them.
    pub until: Timestamp,
}

impl Bounds {
    /// No bounds.
    pub const ALL: Self = Self { from: Timestamp::MIN, until: Timestamp::MAX };

    /// Parses bounds: an instant, or a duration before the end (`30d`); without a text there is no bound.
    ///
    /// # Errors
    /// Returns the fault of one of them.
    pub fn parse(since: Option<&str>, until: Option<&str>, now: Timestamp) -> Result<Self, String> {
        let until = until.map(parse).transpose().map_err(|what| format!("--until: {what}"))?;
        let from = match since {
            None => Timestamp::MIN,
            Some(text) => match parse_duration(text) {
                Ok(span) => until.unwrap_or(now) - span,
                Err(_) => parse(text).map_err(|what| format!("--since: {what}, or a duration like `30d`"))?,
            },
        };
        let bounds = Self { from, until: until.unwrap_or(Timestamp::MAX) };
        match bounds.from < bounds.until {
            true => Ok(bounds),
            false => Err("--since is not before --until".to_owned()),
        }
    }

    /// Returns whether an instant is inside.
    #[must_use]
    pub fn contain(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_an_instant_are_the_same() {
        for text in [
            "2026-03-01T00:00:00Z",
            "2026-03-01T01:00:00+01:00",
            "2026-03-01 00:00:00Z",
            "1772323200",
            "1772323200.000",
            "1772323200000",
        ] {
            assert_eq!(parse(text), Ok(Timestamp::from_seconds(1_772_323_200)), "{text}");
        }
        assert_eq!(parse("1772323200.25"), Ok(Timestamp::from_millis(1_772_323_200_250)));
        for text in ["", "yesterday", "2026-03-01", "1.x", "\u{1b}[2J"] {
            let told = parse(text).unwrap_err();
            assert!(told.contains("is no time") && !told.contains('\u{1b}'), "{told}");
        }
    }

    #[test]
    fn bounds_are_instants_or_durations_before_the_end() {
        let day = 86_400_000;
        let bounds = Bounds::parse(Some("1d"), None, Timestamp::from_millis(10 * day)).unwrap();
        assert_eq!(bounds, Bounds { from: Timestamp::from_millis(9 * day), until: Timestamp::MAX });
        let bounds = Bounds::parse(Some("1d"), Some("259200"), Timestamp::from_millis(10 * day)).unwrap();
        assert_eq!(
            bounds,
            Bounds { from: Timestamp::from_millis(2 * day), until: Timestamp::from_millis(3 * day) }
        );
        assert_eq!(Bounds::parse(None, None, Timestamp::EPOCH), Ok(Bounds::ALL));
        assert!(
            Bounds::parse(Some("300"), Some("200"), Timestamp::EPOCH).unwrap_err().contains("not before")
        );
        assert!(Bounds::parse(Some("soon"), None, Timestamp::EPOCH).unwrap_err().starts_with("--since"));
    }
}
