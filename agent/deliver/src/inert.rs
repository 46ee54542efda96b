//! Text from outside that pings nobody and is no link.

/// Returns text in which no receiver finds a mention, a link or a tag: an invisible space parts what would be one.
pub(super) fn inert(text: &str) -> String {
    const SPACE: char = '\u{200b}';
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '@' | '<' | ']' => out.extend([c, SPACE]),
            ':' if out.ends_with("http") || out.ends_with("https") => out.extend([SPACE, c]),
            c => out.push(c),
        }
    }
    out
}
