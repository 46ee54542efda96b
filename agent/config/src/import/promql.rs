//! As much of PromQL as conversion needs: where its parts begin and end, never what they mean.

use core::ops::Range;

/// The window as lookout's queries name it.
pub(super) const WINDOW: &str = "{{.window}}";

/// Where a template is that is not the window, or is not closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OtherTemplate(pub(super) Range<usize>);

/// Writes every form of the window variable (`{{ .window }}`, `{{- .window -}}`) in one way; says whether there was one.
pub(super) fn with_plain_window(query: &str) -> Result<(String, bool), OtherTemplate> {
    let mut plain = String::new();
    let mut at = 0;
    let mut windowed = false;
    while let Some(found) = query.get(at..).and_then(|rest| rest.find("{{")) {
        let start = at + found;
        let inside = query.get(start + 2..).unwrap_or_default();
        let Some(length) = inside.find("}}") else { return Err(OtherTemplate(start..query.len())) };
        let end = start + 2 + length + 2;
        let name = inside.get(..length).unwrap_or_default().trim_matches('-').trim();
        if name != ".window" {
            return Err(OtherTemplate(start..end));
        }
        plain.push_str(query.get(at..start).unwrap_or_default());
        plain.push_str(WINDOW);
        windowed = true;
        at = end;
    }
    plain.push_str(query.get(at..).unwrap_or_default());
    Ok((plain.trim().to_owned(), windowed))
}

/// The characters of a query outside strings and comments, with their byte and how many brackets are open around them.
fn bare(query: &str) -> Vec<(usize, char, usize)> {
    let mut found = Vec::new();
    let mut depth: usize = 0;
    let mut quoted: Option<char> = None;
    let mut escaped = false;
    let mut comment = false;
    for (at, c) in query.char_indices() {
        if comment {
            comment = c != '\n';
        } else if let Some(quote) = quoted {
            match c {
                _ if escaped => escaped = false,
                '\\' if quote != '`' => escaped = true,
                _ if c == quote => quoted = None,
                _ => {}
            }
        } else {
            match c {
                '"' | '\'' | '`' => quoted = Some(c),
                '#' => comment = true,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            found.push((at, c, depth));
            if matches!(c, '(' | '[' | '{') {
                depth += 1;
            }
        }
    }
    found
}

/// Ranges of fixed length (`5m` of `[5m]`); those of subqueries and templates are left out.
pub(super) fn fixed_ranges(query: &str) -> Vec<Range<usize>> {
    let mut open = None;
    let mut ranges = Vec::new();
    for (at, c, _) in bare(query) {
        match (c, open) {
            ('[', _) => open = Some(at + 1),
            (']', Some(start)) => {
                let inside: &str = query.get(start..at).unwrap_or_default();
                if lookout_model::parse_duration(inside.trim()).is_ok() {
                    ranges.push(start..at);
                }
                open = None;
            }
            _ => {}
        }
    }
    ranges
}

/// Whether a query looks at a range of any kind.
pub(super) fn has_range(query: &str) -> bool {
    bare(query).iter().any(|(_, c, _)| *c == '[')
}

/// The query with other texts in place of some of its ranges, which are in order.
pub(super) fn replaced(query: &str, ranges: &[Range<usize>], by: &str) -> String {
    let mut text = String::new();
    let mut at = 0;
    for range in ranges {
        text.push_str(query.get(at..range.start).unwrap_or_default());
        text.push_str(by);
        at = range.end;
    }
    text + query.get(at..).unwrap_or_default()
}

/// The parts of a ratio.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) part: String,
    pub(super) total: String,
    /// Whether it stood as `1 - part / total`.
    pub(super) complement: bool,
}

/// Takes `part / total` or `1 - part / total` apart; `None` for everything whose outermost operation is another.
pub(super) fn parts(query: &str) -> Option<Parts> {
    let query = without_parentheses(query);
    if let Some((one, rest)) = split_top(query, '-')
        && one.trim() == "1"
    {
        let inner = quotient(without_parentheses(rest))?;
        return Some(Parts { complement: true, ..inner });
    }
    quotient(query)
}

fn quotient(query: &str) -> Option<Parts> {
    // within quantities of one another, a product of a count and a number is still a count
    let (part, total) = split_top(query, '/')?;
    let counts = |text: &str| {
        let outside: Vec<(usize, char, usize)> =
            bare(text).into_iter().filter(|(.., depth)| *depth == 0).collect();
        let plain = !outside.iter().any(|(_, c, _)| "+-*/%^<>=!".contains(*c));
        plain && !text.trim().is_empty() && !words(text, &outside).any(|word| is_operator(&word))
    };
    let modified = ["on", "ignoring", "bool"].iter().any(|word| {
        total.trim_start().strip_prefix(word).is_some_and(|rest| rest.trim_start().starts_with('('))
    });
    if !counts(part) || !counts(total) || modified {
        return None;
    }
    let plain = |text: &str| without_parentheses(text).to_owned();
    Some(Parts { part: plain(part), total: plain(total), complement: false })
}

fn is_operator(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "and" | "or" | "unless" | "atan2")
}

fn words<'a>(text: &'a str, outside: &'a [(usize, char, usize)]) -> impl Iterator<Item = String> + 'a {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut word_starts = Vec::new();
    let mut before = ' ';
    for (at, c, _) in outside {
        if inside(*c) && !inside(before) {
            word_starts.push(*at);
        }
        before = *c;
    }
    word_starts
        .into_iter()
        .map(move |at| text.get(at..).unwrap_or_default().chars().take_while(|c| inside(*c)).collect())
}

/// Both sides of an operator that stands once outside all brackets.
fn split_top(query: &str, operator: char) -> Option<(&str, &str)> {
    let mut found = bare(query).into_iter().filter(|(_, c, depth)| *c == operator && *depth == 0);
    let (at, ..) = found.next()?;
    if found.next().is_some() {
        return None;
    }
    Some((query.get(..at)?, query.get(at + operator.len_utf8()..)?))
}

/// A query without the parentheses around the whole of it.
fn without_parentheses(query: &str) -> &str {
    let mut inner = query.trim();
    while let Some(rest) = inner.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        // `(a) / (b)` begins and ends with one too, but the first closes before the end
        let marks = bare(inner);
        let closes = marks.iter().find(|(_, c, depth)| *c == ')' && *depth == 0).map(|(at, ..)| *at);
        if closes != Some(inner.len() - 1) {
            break;
        }
        inner = rest.trim();
    }
    inner
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_the_window_becomes_one() {
        let plain = |text| with_plain_window(text);
        assert_eq!(plain("a[{{.window}}]"), Ok(("a[{{.window}}]".to_owned(), true)));
        assert_eq!(
            plain(" a[{{ .window }}] / b[{{-.window -}}]\n"),
            Ok(("a[{{.window}}] / b[{{.window}}]".to_owned(), true))
        );
        assert_eq!(plain("a"), Ok(("a".to_owned(), false)));
        assert_eq!(plain("a{{ .other }}"), Err(OtherTemplate(1..13)));
        assert_eq!(plain("ä{{ .window"), Err(OtherTemplate(2..12)));
    }

    #[test]
    fn a_ratio_is_taken_apart_only_when_that_is_all_it_is() {
        let shown = |text: &str| parts(text).map(|parts| (parts.part, parts.total, parts.complement));
        let split =
            |part: &str, total: &str, complement| Some((part.to_owned(), total.to_owned(), complement));
        assert_eq!(shown("sum(a) / sum(b)"), split("sum(a)", "sum(b)", false));
        assert_eq!(shown("((sum(a))\n/\n(sum(b)))"), split("sum(a)", "sum(b)", false));
        assert_eq!(shown("(a) / (b)"), split("a", "b", false));
        assert_eq!(shown("1 - (sum(a) / sum(b))"), split("sum(a)", "sum(b)", true));
        assert_eq!(shown("1 - sum(a) / sum(b)"), split("sum(a)", "sum(b)", true));
        assert_eq!(
            shown("a{path=\"/x - y\"} # c / d\n / b"),
            split("a{path=\"/x - y\"} # c / d", "b", false)
        );
        assert_eq!(shown("sum(a / c) by (x) / sum(b)"), split("sum(a / c) by (x)", "sum(b)", false));
        for text in [
            "avg(a)",
            "a / b / c",
            "a / b * 2",
            "a + b / c",
            "(a / b) or vector(0)",
            "a / on(x) b",
            "2 - a / b",
            "a > 1 / b",
            "a / b unless c",
            "",
            "/",
            "a /",
            "1 - a",
            "clamp_max(a / b, 1)",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    #[test]
    fn fixed_ranges_are_found_and_nothing_else() {
        let query = "rate(a{x=\"[5m]\"}[5m]) + increase(b[{{.window}}]) + max_over_time(c[1h:1m]) + d[1h30m]";
        let ranges = fixed_ranges(query);
        let found: Vec<&str> = ranges.iter().map(|range| &query[range.clone()]).collect();
        assert_eq!(found, ["5m", "1h30m"]);
        assert!(replaced(query, &ranges, "W").ends_with("d[W]"));
        assert!(has_range(query) && !has_range("a{x=\"[5m]\"} # [5m]"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}|([(){}\\[\\]\"'`#/\\\\-]|1|a|ä|5m|\\{\\{|\\}\\}| |\n){0,20}") {
            let _ = (with_plain_window(&text), parts(&text), has_range(&text));
            let ranges = fixed_ranges(&text);
            prop_assert_eq!(replaced(&text, &[], ""), text.clone());
            let _ = replaced(&text, &ranges, WINDOW);
        }
    }
}
