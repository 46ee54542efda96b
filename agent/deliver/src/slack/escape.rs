//! Text for Slack: three characters are special, and every text has a limit.

/// Returns the entity of a special character.
fn escaped(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// Returns the text without anything that Slack would take for a mention, a link or an entity. The escaped text has at
/// most `limit` UTF-16 units, the largest of the possible counts of characters.
pub(super) fn escape(text: &str, limit: usize) -> String {
    const ELLIPSIS: char = '…';
    let size = |c: char| escaped(c).map_or(c.len_utf16(), str::len);
    let whole: usize = text.chars().map(size).sum();
    let room = if whole <= limit { limit } else { limit.saturating_sub(ELLIPSIS.len_utf16()) };
    let mut out = String::with_capacity(text.len().min(limit) + 8);
    let mut used = 0;
    for c in text.chars() {
        used += size(c);
        if used > room {
            break;
        }
        match escaped(c) {
            Some(entity) => out.push_str(entity),
            None => out.push(c),
        }
    }
    if whole > limit {
        out.push(ELLIPSIS);
    }
    out
}

/// Returns the text without entities.
pub(super) fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_and_links_lose_their_power() {
        assert_eq!(
            escape("<!channel> a&b <http://evil|ok>", 99),
            "&lt;!channel&gt; a&amp;b &lt;http://evil|ok&gt;"
        );
        assert_eq!(unescape(&escape("&lt; <&>", 99)), "&lt; <&>");
    }

    #[test]
    fn a_cut_never_splits_an_entity() {
        assert_eq!(escape("<<<", 9), "&lt;&lt;…");
        assert_eq!(escape("<<<", 8), "&lt;…");
        assert_eq!(escape("🚢🚢", 4), "🚢🚢");
        assert_eq!(escape("🚢🚢🚢", 4), "🚢…");
    }
}
