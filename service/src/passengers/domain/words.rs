//! Names in words, as search and order see them: lower case, without diacritics, letters and digits only.
//!
//! Done here and not by a database: `lower()`, collations and full-text parsers of SQLite and PostgreSQL disagree as
//! soon as a name is not plain ASCII, and a list must not change its order with its database.

use unicode_normalization::UnicodeNormalization as _;

/// The words of a text, in order, one space between them.
pub(in crate::passengers) fn words_of(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut between = false;
    for c in text.nfd().filter(|c| !is_diacritic(*c)) {
        if !c.is_alphanumeric() {
            between = true;
            continue;
        }
        if std::mem::take(&mut between) && !words.is_empty() {
            words.push(' ');
        }
        for lower in c.to_lowercase().filter(|c| c.is_alphanumeric()) {
            match written_out(lower) {
                Some(letters) => words.push_str(letters),
                None => words.push(lower),
            }
        }
    }
    words
}

/// Returns whether a text could have come from [`words_of`].
pub(in crate::passengers) fn are_words(text: &str) -> bool {
    !text.chars().any(|c| !c.is_alphanumeric() && c != ' ')
}

/// Marks that sit on letters of the Latin, Greek and Cyrillic scripts. Those of other scripts are vowels and stay.
fn is_diacritic(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}')
}

/// Letters that have no decomposition, yet are typed without their stroke or as two.
fn written_out(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_into_plain_words() {
        let folded = [
            ("Allison, Master. Hudson Trevor", "allison master hudson trevor"),
            ("  Ödegård, Miss. Åsa ", "odegard miss asa"),
            ("O'Dwyer, Miss. Ellen \"Nellie\"", "o dwyer miss ellen nellie"),
            ("STRAẞE Łódź Þór ΟΔΟΣ İzmir", "strasse lodz thor οδοσ izmir"),
            ("e\u{301}\u{301}", "e"),
            ("-- %_\\ --", ""),
        ];
        for (name, words) in folded {
            assert_eq!(words_of(name), words, "{name}");
            assert_eq!(words_of(words), words, "folding twice changes nothing");
            assert!(are_words(words));
        }
        assert!(!are_words("a,b"));
    }
}
