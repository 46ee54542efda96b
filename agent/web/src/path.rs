//! Paths of links.

/// Returns a segment of a path with everything encoded that could mean something there.
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
    fn a_segment_holds_no_separator() {
        assert_eq!(segment("a/b?c=\"<é"), "a%2Fb%3Fc%3D%22%3C%C3%A9");
    }
}
