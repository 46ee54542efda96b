//! The placeholder `{{.window}}`, which stands where the range goes.
//!
//! A parser of PromQL knows no templates. A filler of the same length replaces each placeholder before the text is
//! parsed, so that every position in the filled text is a position in the user's text.

use core::ops::Range;

use super::error::QueryError;

/// The placeholder as Lookout writes it.
pub const WINDOW: &str = "{{.window}}";

/// The duration inside every filler.
const FILLER: &str = "1m";

/// A text whose placeholders are filled.
#[derive(Debug)]
pub(super) struct Filled {
    /// The text that can be parsed; as long as the user's text.
    pub(super) text: String,
    /// Bytes of the placeholders.
    pub(super) windows: Vec<Range<usize>>,
}

impl Filled {
    /// Puts the placeholders back where an error quotes the filled text.
    pub(super) fn restored(&self, mut error: QueryError) -> QueryError {
        for window in &self.windows {
            let filler = self.text.get(window.clone()).unwrap_or_default();
            if error.span.start == window.start && error.span.end <= window.end {
                error.span = window.clone();
                error.message = error.message.replace(&format!("`{FILLER}`"), &format!("`{WINDOW}`"));
            }
            error.message = error.message.replace(filler, WINDOW);
            error.help = error.help.replace(filler, WINDOW);
        }
        error
    }
}

/// Fills every spelling of the placeholder: `{{.window}}`, `{{ .window }}`, `{{window}}`, `{{- .window -}}`.
pub(super) fn fill(text: &str) -> Result<Filled, QueryError> {
    let mut filled = String::with_capacity(text.len());
    let (mut windows, mut at) = (Vec::new(), 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find("{{")) {
        let start = at + found;
        let inside = text.get(start + 2..).and_then(|rest| rest.split_once("}}")).map(|(name, _)| name);
        let end = start + inside.map_or(2, |name| name.len() + 4);
        let name = inside.map(|name| name.trim_matches('-').trim());
        if !name.is_some_and(|name| matches!(name, ".window" | "window")) {
            let help = format!("`{WINDOW}` is the only placeholder: it stands where the range goes");
            return Err(QueryError::new(start..end, "unknown placeholder", help));
        }
        filled.push_str(text.get(at..start).unwrap_or_default());
        filled.push_str(FILLER);
        // within a name the filler must not end the name
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        let before = filled.chars().rev().nth(FILLER.len()).is_some_and(word);
        let after = text.get(end..).and_then(|rest| rest.chars().next()).is_some_and(word);
        let pad = if before && after { "_" } else { " " };
        filled.push_str(&pad.repeat((end - start).saturating_sub(FILLER.len())));
        windows.push(start..end);
        at = end;
    }
    filled.push_str(text.get(at..).unwrap_or_default());
    Ok(Filled { text: filled, windows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_filled_at_its_place() {
        for spelling in ["{{.window}}", "{{ .window }}", "{{window}}", "{{ window }}", "{{- .window -}}"] {
            let text = format!("rate(a[{spelling}])");
            let filled = fill(&text).unwrap();
            assert_eq!(filled.text.len(), text.len());
            assert_eq!(filled.text.replace(' ', ""), "rate(a[1m])");
            assert_eq!(filled.windows, [Range { start: 7, end: 7 + spelling.len() }]);
        }
        assert_eq!(fill("a:rate{{.window}}").unwrap().text, "a:rate1m         ");
        assert_eq!(fill("a:rate{{.window}}_x").unwrap().text, "a:rate1m__________x");
    }

    #[test]
    fn another_placeholder_is_refused_with_its_place() {
        for (text, part) in [("a[{{.windw}}]", "{{.windw}}"), ("ä{{ .window", "{{"), ("{{}}", "{{}}")] {
            assert_eq!(&text[fill(text).unwrap_err().span], part);
        }
    }
}
