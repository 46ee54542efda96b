//! Texts that people can see.

use serde::Serialize;
use serde_json::{Value, json};

/// A line of 1 to `MOST` characters, without control characters or space around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Line<const MOST: usize>(String);

impl<const MOST: usize> Line<MOST> {
    /// Takes a text that was stored. It may be older than the rule of which characters can be seen.
    pub fn from_stored(text: String) -> Result<Self, &'static str> {
        let trimmed = text.trim();
        let fits = (1..=MOST).contains(&trimmed.chars().count()) && !trimmed.chars().any(char::is_control);
        let text = if trimmed.len() == text.len() { text } else { trimmed.to_owned() };
        if fits { Ok(Self(text)) } else { Err("a line of text within its limit") }
    }

    /// Reads the text that a client sent.
    pub(crate) fn from_json(value: &Value) -> Result<Self, String> {
        let line = value.as_str().and_then(|text| Self::from_stored(text.to_owned()).ok());
        let line = line.filter(|line| !line.as_str().chars().any(is_unseen)).ok_or_else(|| {
            format!("a text of 1 to {MOST} characters without control characters or marks of direction")
        })?;
        let visible = has_visible(line.as_str());
        if visible { Ok(line) } else { Err(String::from("a text with a character that can be seen")) }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the schema of the text that a client sends.
    pub(crate) fn schema(about: &str) -> Value {
        let unseen = format!("\\u0000-\\u001f\\u007f-\\u009f{}", class_of(&UNSEEN));
        let invisible = class_of(&INVISIBLE);
        let pattern = format!("^[^{unseen}]*[^\\s{unseen}{invisible}][^{unseen}]*$");
        json!({"type": "string", "minLength": 1, "maxLength": MOST, "pattern": pattern, "description": about})
    }
}

/// Characters that turn the direction of a text, end its line or take no place: none belongs into a name, and in a log or
/// on a page they make one name look like another. Joiners are not among them: some scripts need them.
const UNSEEN: [(char, char); 8] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200b}'),
    ('\u{200e}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{2064}'),
    ('\u{2066}', '\u{2069}'),
    ('\u{feff}', '\u{feff}'),
];

/// Characters without a glyph: `Default_Ignorable_Code_Point` of Unicode, the marks of interlinear annotations, and the blank
/// of Braille. White space and control characters are not among them.
const INVISIBLE: [(char, char); 19] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e07ff}'),
    ('\u{e0800}', '\u{e0fff}'),
];

fn is_in(ranges: &[(char, char)], c: char) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

fn is_unseen(c: char) -> bool {
    c.is_control() || is_in(&UNSEEN, c)
}

/// Returns whether a text has a character that can be seen.
fn has_visible(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !c.is_control() && !is_in(&INVISIBLE, c))
}

/// Returns the inside of a character class that holds these ranges, for a JSON schema. It leaves out what is beyond `\uffff`,
/// which not every engine can write.
fn class_of(ranges: &[(char, char)]) -> String {
    let ranges = ranges.iter().filter(|(_, last)| u32::from(*last) <= 0xffff);
    ranges.map(|(first, last)| format!("\\u{:04x}-\\u{:04x}", u32::from(*first), u32::from(*last))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_nothing_but_invisible_characters_has_none_to_be_seen() {
        for text in [
            "",
            " ",
            "\u{a0}\u{3000}",
            "\u{200d}",
            "\u{2800}\u{3164}",
            "\u{34f}\u{fe0f}",
            "\u{e0041}\u{e007f}",
        ] {
            assert!(!has_visible(text), "{text:?}");
        }
        for text in ["A", " é ", "\u{200d}न", "🚢\u{fe0f}", "李", "-"] {
            assert!(has_visible(text), "{text:?}");
        }
        let class = class_of(&INVISIBLE);
        assert!(class.starts_with("\\u00ad-\\u00ad\\u034f-\\u034f"), "{class}");
    }

    #[test]
    fn a_name_that_could_deceive_is_refused() {
        let read = |text: &str| Line::<200>::from_json(&json!(text));
        let long = "x".repeat(201);
        for name in ["", "  ", "a\u{0}b", "a\nb", "\u{202e}nhoJ", "a\u{2028}b", "\u{200b}", "a\u{ad}b", &long]
        {
            assert!(read(name).unwrap_err().contains("1 to 200"), "{name:?}");
        }
        assert!(read("\u{200d}\u{200c}").unwrap_err().contains("can be seen"));
        assert_eq!(read(" Ödegård, Miss. Åsa ").unwrap().as_str(), "Ödegård, Miss. Åsa");
        assert!(
            Line::<200>::from_stored(String::from("\u{202e}nhoJ")).is_ok(),
            "a row that is older than the rule can be read"
        );
    }
}
