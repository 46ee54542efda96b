//! The texts that stand for the variables of a journey until a request is made.

/// A part of every placeholder.
const MARK: &str = "journeyvariable";

/// Returns whether a text holds a placeholder: what it stands for is no secret that was written down.
pub(super) fn has_placeholder(text: &str) -> bool {
    text.contains(MARK)
}

/// Returns the text that stands for a variable: letters and digits, so that every part of a URL can hold it.
pub(super) fn placeholder(variable: usize) -> String {
    format!("zz{variable:03}{MARK}zz")
}
