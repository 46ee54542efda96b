//! Instants as people and files write them.

use jiff::Timestamp;

use lookout_model::parse_duration;

/// Unix times of this size and above are milliseconds: as seconds they would lie beyond the year 5000.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// Parses a time of RFC 3339 or since the Unix epoch (seconds, with or without decimals, or milliseconds) to milliseconds
/// since the epoch.
///
/// # Errors
/// What is wrong, in words that follow a name.
pub fn parse(text: &str) -> Result<i64, String> {
    if let Ok(number) = text.parse::<i64>() {
        return Ok(of_number(number));
    }
    if let Some((whole, fraction)) = text.split_once('.')
        && let (Ok(whole), true) = (whole.parse::<u32>(), fraction.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
        return Ok(i64::from(whole) * 1000 + digits.parse::<i64>().unwrap_or(0));
    }
    text.parse::<Timestamp>().map(|time| time.as_millisecond()).map_err(|_| {
        format!("`{}` is no time; write 2026-03-01T00:00:00Z or seconds since 1970", shown(text))
    })
}

/// Milliseconds since the epoch from a number of seconds or milliseconds.
pub(super) const fn of_number(number: i64) -> i64 {
    let seconds = number.unsigned_abs() < MILLISECONDS_FROM.unsigned_abs();
    if seconds { number * 1000 } else { number }
}

/// Text from a file, short enough for a message and unable to move a cursor.
pub(super) fn shown(text: &str) -> String {
    const LIMIT: usize = 60;
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let head: String = text.chars().take(LIMIT).map(clean).collect();
    if text.chars().nth(LIMIT).is_some() { head + "…" } else { head }
}

/// The time that is looked at, in milliseconds since the epoch: from (inclusive) and until (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first instant.
    pub from_ms: i64,
    /// The first instant that is past it.
    pub until_ms: i64,
}

impl Bounds {
    /// All of time.
    pub const ALL: Self = Self { from_ms: i64::MIN, until_ms: i64::MAX };

    /// From what was asked for: an instant, or a duration before the end (`30d`); without an answer there is no bound.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn parse(since: Option<&str>, until: Option<&str>, now_ms: i64) -> Result<Self, String> {
        let until_ms = until.map(parse).transpose().map_err(|what| format!("--until: {what}"))?;
        let from_ms = match since {
            None => i64::MIN,
            Some(text) => match parse_duration(text) {
                Ok(span) => {
                    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                    until_ms.unwrap_or(now_ms).saturating_sub(span)
                }
                Err(_) => parse(text).map_err(|what| format!("--since: {what}, or a duration like `30d`"))?,
            },
        };
        let bounds = Self { from_ms, until_ms: until_ms.unwrap_or(i64::MAX) };
        match bounds.from_ms < bounds.until_ms {
            true => Ok(bounds),
            false => Err("--since is not before --until".to_owned()),
        }
    }

    /// Whether an instant lies inside.
    #[must_use]
    pub const fn contain(self, at_ms: i64) -> bool {
        self.from_ms <= at_ms && at_ms < self.until_ms
    }
}

/// A stamp for people, to the second and in UTC.
pub(super) fn stamp(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| at_ms.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// A stamp for machines.
pub(super) fn rfc3339(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |time| time.to_string())
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
            assert_eq!(parse(text), Ok(1_772_323_200_000), "{text}");
        }
        assert_eq!(parse("1772323200.25"), Ok(1_772_323_200_250));
        for text in ["", "yesterday", "2026-03-01", "1.x", "\u{1b}[2J"] {
            let told = parse(text).unwrap_err();
            assert!(told.contains("is no time") && !told.contains('\u{1b}'), "{told}");
        }
    }

    #[test]
    fn bounds_are_instants_or_durations_before_the_end() {
        let day = 86_400_000;
        let bounds = Bounds::parse(Some("1d"), None, 10 * day).unwrap();
        assert_eq!(bounds, Bounds { from_ms: 9 * day, until_ms: i64::MAX });
        let bounds = Bounds::parse(Some("1d"), Some("259200"), 10 * day).unwrap();
        assert_eq!(bounds, Bounds { from_ms: 2 * day, until_ms: 3 * day });
        assert_eq!(Bounds::parse(None, None, 0), Ok(Bounds::ALL));
        assert!(Bounds::parse(Some("300"), Some("200"), 0).unwrap_err().contains("not before"));
        assert!(Bounds::parse(Some("soon"), None, 0).unwrap_err().starts_with("--since"));
    }
}
