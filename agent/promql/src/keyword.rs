//! Words that PromQL keeps for itself.

/// Keywords that are no metric names.
pub(crate) const RESERVED: [&str; 8] =
    ["anchored", "atan2", "bool", "group_left", "group_right", "ignoring", "on", "smoothed"];

/// Returns whether a word is a keyword: no metric name, unless it is in quotes.
pub(crate) fn is_keyword(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    RESERVED.contains(&word.as_str()) || matches!(word.as_str(), "inf" | "nan")
}
