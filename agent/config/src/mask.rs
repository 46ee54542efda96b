//! Takes secrets out of the texts that snippets are cut from.
//!
//! The reader masks the secrets it knows by their place. That is not enough: a file that is no valid YAML, or
//! that misspells `token`, has secrets nobody knows the place of. So every line that looks as if it held one is
//! masked too. Bytes are replaced one for one, so that every place stays where it was.

use core::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// Keys whose values are secrets, in any spelling; a path to a secret (`token_file`) is none.
static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = "token|secret|passw|webhook_?url|api[_-]?key|authorization|cookie|credential";
    Regex::new(&format!(r#"(?i)([\w.-]*(?:{words})[\w.-]*)["']?\s*:(?:\s+|$)"#)).ok()
});

/// Values that are secrets wherever they stand.
static VALUE: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        r"://([^/\s@\x22']+)@",
        r"(?i)hooks\.slack\.com/([^\s\x22'},\]]+)",
        r"(?i)\b(xox[a-z]-[\w-]+|xapp-[\w-]+)",
        r"(?i)\b(?:bearer|basic)\s+([^\s\x22'},\]]+)",
    ];
    patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// Returns the text with these spans, and whatever looks like a secret, replaced by asterisks.
pub(super) fn mask(text: &str, known: &[Range<usize>]) -> String {
    let mut spans = known.to_vec();
    spans.extend(guessed(text));
    let mut bytes = text.as_bytes().to_vec();
    for span in spans {
        // whole characters only, so that the text stays text; line breaks stay, so that lines keep their numbers
        let start = (0..=span.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let end = (span.end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        for (at, c) in text.get(start..end).unwrap_or_default().char_indices() {
            if !matches!(c, '\n' | '\r')
                && let Some(places) = bytes.get_mut(start + at..start + at + c.len_utf8())
            {
                places.fill(b'*');
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// Bytes that are probably a secret.
fn guessed(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    // the indentation of a key whose secret may go on in the lines below it
    let mut open: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let depth = content.len() - content.trim_start_matches([' ', '-']).len();
        if open.is_some_and(|key| depth > key) && !content.trim_start().starts_with("file:") {
            spans.push(start + depth..start + content.len());
        } else if !content.is_empty() {
            open = None;
            for value in values_of_keys(content) {
                open = Some(depth);
                spans.push(start + value.start..start + value.end);
            }
        }
        let secrets = VALUE.iter().flat_map(|pattern| pattern.captures_iter(content));
        let groups = secrets.filter_map(|found| found.get(1)).filter(|found| !is_reference(found.as_str()));
        spans.extend(groups.map(|found| start + found.start()..start + found.end()));
        start += line.len();
    }
    spans
}

/// Values on a line that belong to keys with a telling name.
fn values_of_keys(line: &str) -> Vec<Range<usize>> {
    let Some(pattern) = KEY.as_ref() else { return Vec::new() };
    let found = pattern.captures_iter(line).filter_map(|found| {
        let (whole, key) = (found.get(0)?, found.get(1)?.as_str());
        let rest = line.get(whole.end()..).unwrap_or_default();
        // within braces a plain value ends at the comma, elsewhere with the line
        let flow = line.get(..whole.start()).is_some_and(|before| before.contains('{'));
        let end = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => rest.get(1..)?.find(quote).map_or(rest.len(), |at| at + 2),
            _ if flow => rest.find([',', '}']).filter(|_| !rest.starts_with("${")).unwrap_or(rest.len()),
            _ => rest.len(),
        };
        let value = rest.get(..end).unwrap_or_default();
        let harmless = key.ends_with("_file")
            || key.eq_ignore_ascii_case("tokens")
            || value.starts_with(['{', '['])
            || is_reference(value);
        (!harmless).then(|| whole.end()..whole.end() + end)
    });
    found.collect()
}

/// Names variables and contains nothing else that could be secret.
fn is_reference(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'', ' ']);
    let value = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Basic ")).unwrap_or(value);
    value.strip_prefix("${").is_some_and(|rest| {
        let inside = rest.split('}').next().unwrap_or_default();
        !inside.contains(":-") || inside.ends_with(":-")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked_even_where_nothing_is_known() {
        for text in [
            "token: hunter2",
            "  - { name: a, slack: { token: hunter2, channel: x } }",
            "Authorization: Bearer hunter2",
            "- \"Authorization\": 'hunter2'",
            "bot_token: \"hunter2\"",
            "webhook_url: https://example.org/hunter2",
            "weebhook: https://hooks.slack.com/services/hunter2",
            "url: https://me:hunter2@example.org/",
            "tokn: xoxb-hunter2",
            "password: |\n  hunter2\n",
            "token:\n  \"hunter2",
            "token: ${X:-hunter2}",
            "API_KEY: hunter2, and more hunter2",
        ] {
            let masked = mask(text, &[]);
            assert!(!masked.contains("hunter2"), "{masked}");
            assert_eq!(masked.len(), text.len());
        }
    }

    #[test]
    fn what_is_no_secret_stays_readable() {
        for text in [
            "token_file: /run/secrets/token",
            "webhook_url: ${SLACK_WEBHOOK_URL}",
            "webhook_url: ${SLACK_WEBHOOK_URL:-}",
            "headers: { Authorization: \"Bearer ${API_TOKEN}\" }",
            "Authorization: { file: path }",
            "Authorization:\n  file: path\nurl: x",
            "tokens: [ { name: ci, scopes: [ask] } ]",
            "name: titanic\nurl: https://example.org/a@b",
        ] {
            assert_eq!(mask(text, &[]), text);
        }
    }

    #[test]
    fn known_places_are_masked_byte_for_byte() {
        let one = |text: &str, span: Range<usize>| mask(text, std::slice::from_ref(&span));
        assert_eq!(one("a: gehüim\nb", 3..10), "a: *******\nb");
        assert_eq!(one("a: gehüim\nb", 7..7 + 1), "a: geh**im\nb", "a character is never cut");
        assert_eq!(one("a: x\n  y\nb", 3..8), "a: *\n***\nb");
        assert_eq!(one("a: x", 3..99), "a: *");
    }
}
