//! Edits of a query's text. Each touches the places it names and nothing else, and its result is parsed again.

use core::ops::Range;

use super::outline::Selection;
use super::{Query, QueryError, WINDOW, outline, template, token};
use crate::selector::Matcher;

impl Query {
    /// Places of ranges of fixed length, like the `5m` of `[5m]`; those of subqueries are left out.
    #[must_use]
    pub fn fixed_ranges(&self) -> &[Range<usize>] {
        &self.facts.fixed_ranges
    }

    /// Returns the query with the window in place of every fixed range.
    ///
    /// # Errors
    /// Fails when the result is no query.
    pub fn with_window(&self) -> Result<Self, QueryError> {
        let edits = self.facts.fixed_ranges.iter().map(|range| (range.clone(), WINDOW.to_owned()));
        Self::parse(&edited(&self.source, edits.collect()), self.dialect)
    }

    /// Returns the query with further matchers in every selector. A selector that has a matcher on a label keeps it.
    ///
    /// # Errors
    /// Fails when the result is no query.
    pub fn with_matchers(&self, further: &[Matcher]) -> Result<Self, QueryError> {
        let filled = template::fill(&self.source)?;
        let tokens = token::tokens(&filled.text)?;
        let outline = outline::outline(&filled.text, &tokens.all)?;
        let mut edits = Vec::new();
        for selection in &outline.selectors {
            matched(&filled.text, &tokens.all, selection, further, &mut edits);
        }
        Self::parse(&edited(&self.source, edits), self.dialect)
    }
}

/// Adds the edits of one selector.
fn matched(
    text: &str,
    tokens: &[token::Token],
    selection: &Selection,
    further: &[Matcher],
    edits: &mut Vec<(Range<usize>, String)>,
) {
    let Some(braces) = &selection.braces else {
        let at = selection.name.clone().map_or(0, |name| name.end);
        let list: Vec<String> = further.iter().map(ToString::to_string).collect();
        if !list.is_empty() {
            edits.push((at..at, format!("{{{}}}", list.join(","))));
        }
        return;
    };
    // every alternative gets the matchers, because each stands for itself
    let ends = selection.alternatives.iter().map(|or| or.start).chain([braces.end - 1]);
    let starts = [braces.start + 1].into_iter().chain(selection.alternatives.iter().map(|or| or.end));
    for (start, end) in starts.zip(ends) {
        let inside: Vec<&token::Token> =
            tokens.iter().filter(|token| start <= token.span.start && token.span.end <= end).collect();
        let labels: Vec<String> = inside
            .windows(2)
            .filter(|pair| matches!(pair, [_, sign] if matches!(sign.kind, token::Kind::Sign("=" | "!=" | "=~" | "!~"))))
            .filter_map(|pair| text.get(pair.first()?.span.clone()))
            .map(|label| label.trim_matches(['"', '\'', '`']).to_owned())
            .collect();
        let list: Vec<String> = further
            .iter()
            .filter(|matcher| !labels.contains(&matcher.label))
            .map(ToString::to_string)
            .collect();
        if list.is_empty() {
            continue;
        }
        let last = inside.last();
        let at = last.map_or(start, |token| token.span.end);
        let comma = last.is_some_and(|token| token.kind != token::Kind::Sign(","));
        edits.push((at..at, format!("{}{}", if comma { "," } else { "" }, list.join(","))));
    }
}

/// Applies edits, which are in the order of the text and do not overlap.
fn edited(text: &str, edits: Vec<(Range<usize>, String)>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    for (span, by) in edits {
        result.push_str(text.get(at..span.start).unwrap_or_default());
        result.push_str(&by);
        at = span.end;
    }
    result + text.get(at..).unwrap_or_default()
}

/// The text without comments and with one spelling of the placeholder. The user's lines stay.
pub(super) fn canonical(text: &str, windows: &[Range<usize>], comments: &[Range<usize>]) -> String {
    let windows = windows.iter().map(|window| (window.clone(), WINDOW.to_owned()));
    // a comment goes with the white space before it; the line break after it stays
    let comments = comments.iter().map(|comment| {
        let before = text.get(..comment.start).unwrap_or_default().trim_ascii_end().len();
        (before..comment.end, String::new())
    });
    let mut edits: Vec<_> = windows.chain(comments).collect();
    edits.sort_by_key(|(span, _)| span.start);
    edited(text, edits).trim_ascii().to_owned()
}
