//! Texts that hold what came from outside: bounded, with the whole chain of causes.

use core::error::Error;
use std::time::Duration;

/// Characters of a detail that are kept at most.
pub(super) const DETAIL_LIMIT: usize = 300;

/// Returns the text, cut after `limit` characters.
pub(super) fn bounded(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => text.chars().take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Returns an error and its causes in one line of at most `DETAIL_LIMIT` characters.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    bounded(&lookout_runtime::events::chain(error), DETAIL_LIMIT)
}

/// A measured duration, to a tenth of a millisecond: `812.3ms`, `1.234s`.
pub(super) fn measured(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{:.1}ms", duration.as_secs_f64() * 1e3)
    } else {
        format!("{:.3}s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(bounded("äöü", 3), "äöü");
        assert_eq!(bounded("äöüß", 3), "äö…");
    }

    #[test]
    fn measured_durations_are_short() {
        assert_eq!(measured(Duration::from_micros(812_345)), "812.3ms");
        assert_eq!(measured(Duration::from_micros(1_234_567)), "1.235s");
    }
}
