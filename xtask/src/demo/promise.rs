//! The promise of an SLO, as `lookout check` prints it.

use anyhow::{Context as _, Result};

/// Returns when a total outage pages, in seconds.
pub(super) fn total_outage_s(line: &str) -> Result<f64> {
    let (_, rest) = line
        .split_once("total outage pages after ")
        .with_context(|| format!("no promise about a total outage in {line:?}"))?;
    let duration = rest.split(';').next().unwrap_or(rest);
    seconds(duration).with_context(|| format!("{duration:?} is no duration"))
}

/// Reads `1 h 30 min`, `8 min 40 s` or `2.5 s`.
fn seconds(duration: &str) -> Option<f64> {
    let words: Vec<&str> = duration.split_whitespace().collect();
    let part = |pair: &[&str]| {
        let [number, unit] = pair else { return None };
        let seconds = match *unit {
            "ms" => 0.001,
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        Some(number.parse::<f64>().ok()? * seconds)
    };
    words.chunks(2).map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_read_as_it_is_printed() {
        let line = "api: total outage pages after 8 min 40 s; 10 % failing never; worst case without traffic: a ticket after 52 s";
        assert_eq!(total_outage_s(line).unwrap(), 520.0);
        assert_eq!(total_outage_s("a: total outage pages after 2.5 s").unwrap(), 2.5);
        for none in ["api: ok", "total outage pages after soon"] {
            assert!(total_outage_s(none).is_err(), "{none}");
        }
    }
}
