//! Tokens of an assertion.

use core::ops::Range;

use super::BadAssertion;

/// A token and the bytes it stands at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// Kind of a token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A word that begins with a letter, dots and underscores included.
    Word(String),
    /// A word that begins with a digit or a sign: a number, a duration, a size, a status or a class of them.
    Number(String),
    /// A text in quotes.
    Text(String),
    /// A comparison sign or a bracket.
    Sign(&'static str),
}

const SIGNS: [&str; 11] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, BadAssertion> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let blank = rest.len() - rest.trim_start().len();
        at += blank;
        let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) else { break };
        let (kind, length) = token(rest, at)?;
        tokens.push(Token { kind, span: at..at + length });
        at += length;
    }
    Ok(tokens)
}

fn token(rest: &str, at: usize) -> Result<(Kind, usize), BadAssertion> {
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Kind::Sign(sign), sign.len()));
    }
    let first = rest.chars().next().unwrap_or_default();
    if first == '"' || first == '\'' {
        return quoted(rest, first, at);
    }
    let signed = first == '-' && rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
    if first.is_ascii_digit() || signed {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-');
        let length = rest.get(1..).and_then(|rest| rest.find(word)).map_or(rest.len(), |end| end + 1);
        return Ok((Kind::Number(rest.get(..length).unwrap_or_default().to_owned()), length));
    }
    if first.is_ascii_alphabetic() {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')));
        let length = end.unwrap_or(rest.len());
        return Ok((Kind::Word(rest.get(..length).unwrap_or_default().to_owned()), length));
    }
    let help = match first {
        '=' => "write `==` for equal",
        '!' => "write `not` or `!=`",
        '&' | '|' => "write `and` and `or`",
        '~' => "write `matches` before a regular expression in quotes",
        _ => "an assertion is written like `status == 200 and body contains \"ok\"`",
    };
    Err(BadAssertion {
        span: at..at + first.len_utf8(),
        message: format!("`{first}` has no meaning here"),
        help: help.to_owned(),
    })
}

/// A text in quotes. A backslash keeps the quote and itself; before anything else it stands for itself, so that regular
/// expressions need no doubling.
fn quoted(rest: &str, quote: char, at: usize) -> Result<(Kind, usize), BadAssertion> {
    let mut value = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => match chars.peek() {
                Some((_, escaped)) if *escaped == quote || *escaped == '\\' => {
                    value.push(*escaped);
                    chars.next();
                }
                _ => value.push('\\'),
            },
            c if c == quote => return Ok((Kind::Text(value), index + 1)),
            c => value.push(c),
        }
    }
    Err(BadAssertion {
        span: at..at + rest.len(),
        message: "this text has no end".to_owned(),
        help: format!("close it with {quote}"),
    })
}
