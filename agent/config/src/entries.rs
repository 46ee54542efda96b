//! Texts of several clauses, one per line or semicolon, as tiers and conditions are written: their words, each with its
//! bytes, so that what is wrong can be pointed at.

use core::ops::Range;

use lookout_engine::Window;

use lookout_model::parse_duration;

/// A fault of an entry.
pub(super) struct BadEntry {
    /// Bytes of the text that are meant.
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: String,
}

/// Reads every entry of a text, each with its bytes.
pub(super) fn read_entries<T>(
    text: &str,
    read: impl Fn(&mut Tokens<'_>) -> Result<T, BadEntry>,
    help: &'static str,
) -> Vec<Result<(T, Range<usize>), BadEntry>> {
    let mut start = 0;
    let mut clauses = Vec::new();
    for piece in text.split([';', '\n']) {
        let span = span_of(start, piece);
        if !span.is_empty() {
            let mut words = Tokens { text: piece.trim(), start: span.start, at: 0, help };
            clauses.push(read(&mut words).map(|clause| (clause, span)));
        }
        start += piece.len() + 1;
    }
    clauses
}

/// Returns the bytes of a piece without the space around it.
fn span_of(start: usize, piece: &str) -> Range<usize> {
    let before = piece.len() - piece.trim_start().len();
    start + before..start + before + piece.trim().len()
}

/// The text that describes the value after `until`, and the function that parses it.
pub(super) type Until<'u, T> = (&'u str, &'u dyn Fn(&str) -> Option<T>);

/// The tokens of one entry.
pub(super) struct Tokens<'t> {
    text: &'t str,
    start: usize,
    at: usize,
    help: &'static str,
}

impl<'t> Tokens<'t> {
    /// Returns the next token and its bytes.
    pub(super) fn another(&mut self) -> Option<(&'t str, Range<usize>)> {
        let rest = self.text.get(self.at..)?;
        let word = rest.split_ascii_whitespace().next()?;
        let begins = self.at + rest.find(word)?;
        self.at = begins + word.len();
        Some((word, self.start + begins..self.start + self.at))
    }

    /// Parses the next token, which is required.
    pub(super) fn read<T>(
        &mut self,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, BadEntry> {
        let whole = self.start..self.start + self.text.len();
        let (word, span) = self.another().ok_or_else(|| self.bad(whole, expected))?;
        read(word).ok_or_else(|| self.bad(span, expected))
    }

    /// Parses the value after a name, if that name is next.
    pub(super) fn named<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, BadEntry> {
        let before = self.at;
        match self.another() {
            Some((word, span)) if word == name => {
                let value = self.another().and_then(|(word, _)| read(word));
                value.map(Some).ok_or_else(|| self.bad(span, expected))
            }
            _ => {
                self.at = before;
                Ok(None)
            }
        }
    }

    /// Parses `until` with a threshold and `for` with a duration, each at most once, up to the end of the entry.
    pub(super) fn tail<T>(
        &mut self,
        what: &str,
        until: Option<Until<'_, T>>,
    ) -> Result<(Option<T>, u64), BadEntry> {
        let (mut release, mut hold) = (None, None);
        while let Some((word, span)) = self.another() {
            match (word, until) {
                ("until", Some((expected, read))) if release.is_none() => {
                    let value = self.another().and_then(|(word, _)| read(word));
                    release = Some(value.ok_or_else(|| self.bad(span, expected))?);
                }
                ("for", _) if hold.is_none() => {
                    let seconds = self.another().and_then(|(word, _)| parse_duration(word).ok());
                    let seconds =
                        seconds.ok_or_else(|| self.bad(span, "a duration after `for`, like `for 10m`"))?;
                    hold = Some(seconds.as_secs());
                }
                _ if release.is_some() || hold.is_some() => {
                    let expected = format!("`;`, a line break or the end after the {what}");
                    return Err(self.bad(span, &expected));
                }
                (_, Some(_)) => {
                    return Err(self.bad(span, &format!("`until`, `for` or the end of the {what}")));
                }
                (_, None) => return Err(self.bad(span, &format!("`for` or the end of the {what}"))),
            }
        }
        Ok((release, hold.unwrap_or(0)))
    }

    pub(super) fn bad(&self, span: Range<usize>, expected: &str) -> BadEntry {
        BadEntry { span, message: format!("expected {expected}"), help: self.help.to_owned() }
    }
}

/// Parses a window of whole seconds above zero.
pub(super) fn window(text: &str) -> Option<Window> {
    let duration = parse_duration(text).ok()?;
    let whole = duration.subsec_nanos() == 0 && !duration.is_zero();
    whole.then(|| Window::seconds(duration.as_secs()))
}
