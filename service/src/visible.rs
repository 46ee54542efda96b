//! Texts that people can see.

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

/// Returns whether a text has a character that can be seen.
pub(crate) fn has_visible(text: &str) -> bool {
    let invisible = |c: char| INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c));
    text.chars().any(|c| !c.is_whitespace() && !c.is_control() && !invisible(c))
}

/// Returns the inside of a character class that holds them, for a JSON schema. It leaves out what is beyond `\uffff`, which
/// not every engine can write.
pub(crate) fn invisible_class() -> String {
    let beyond = |last: char| u32::from(last) > 0xffff;
    let ranges = INVISIBLE.iter().filter(|(_, last)| !beyond(*last));
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
        assert!(invisible_class().starts_with("\\u00ad-\\u00ad\\u034f-\\u034f"), "{}", invisible_class());
    }
}
