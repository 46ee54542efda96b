//! Tokens of PromQL with their places. Comments and white space are no tokens.

use core::ops::Range;

use super::error::QueryError;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Word,
    Number,
    Duration,
    Text,
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// Tokens and comments of a text.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// Ends with one token [`Kind::End`].
    pub(super) all: Vec<Token>,
    pub(super) comments: Vec<Range<usize>>,
}

/// Signs, the longer ones first.
const SIGNS: [&str; 24] = [
    "=~", "!~", "!=", "==", "<=", ">=", "(", ")", "{", "}", "[", "]", ",", ":", "@", "=", "<", ">", "+", "-",
    "*", "/", "%", "^",
];

/// Cuts a text into tokens.
pub(super) fn tokens(text: &str) -> Result<Tokens, QueryError> {
    let mut cutter = Cutter { text, at: 0, brackets: 0, braces: 0 };
    let mut found = Tokens::default();
    loop {
        cutter.skip_space();
        let start = cutter.at;
        if cutter.rest().starts_with('#') {
            let length = cutter.rest().find(['\n', '\r']).unwrap_or(cutter.rest().len());
            cutter.at += length;
            found.comments.push(start..cutter.at);
            continue;
        }
        let kind = cutter.next()?;
        found.all.push(Token { kind, span: start..cutter.at });
        if kind == Kind::End {
            return Ok(found);
        }
    }
}

struct Cutter<'a> {
    text: &'a str,
    at: usize,
    brackets: usize,
    braces: usize,
}

impl<'a> Cutter<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_ascii_start().len();
    }

    fn take_while(&mut self, inside: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !inside(c)).unwrap_or(rest.len());
    }

    fn next(&mut self) -> Result<Kind, QueryError> {
        let Some(first) = self.rest().chars().next() else { return Ok(Kind::End) };
        let colon = self.brackets == 0 && self.braces == 0;
        match first {
            '"' | '\'' | '`' => self.string(first),
            c if c.is_ascii_digit() => self.number(),
            '.' if self.rest().chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => self.number(),
            c if c.is_ascii_alphabetic() || c == '_' || (c == ':' && colon) => {
                self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || (c == ':' && colon));
                Ok(Kind::Word)
            }
            c => self.sign(c),
        }
    }

    fn sign(&mut self, first: char) -> Result<Kind, QueryError> {
        let known = SIGNS.into_iter().find(|sign| self.rest().starts_with(sign));
        let Some(sign) = known else {
            let span = self.at..self.at + first.len_utf8();
            let help = if first == '$' {
                "a variable of a dashboard has no value here; write what it stands for"
            } else {
                "a name with such characters stands in quotes between braces: `{\"name\"}`"
            };
            return Err(QueryError::new(span, format!("`{first}` is no part of PromQL"), help));
        };
        self.at += sign.len();
        match sign {
            "[" => self.brackets += 1,
            "]" => self.brackets = self.brackets.saturating_sub(1),
            "{" => self.braces += 1,
            "}" => self.braces = self.braces.saturating_sub(1),
            _ => {}
        }
        Ok(Kind::Sign(sign))
    }

    /// A number, or a duration like `1h30m`.
    fn number(&mut self) -> Result<Kind, QueryError> {
        let start = self.at;
        let hex = self.rest().starts_with("0x") || self.rest().starts_with("0X");
        if hex {
            self.at += 2;
        }
        self.take_while(|c| c.is_ascii_digit() || c == '.' || (hex && c.is_ascii_hexdigit()));
        if !hex && self.rest().starts_with(['e', 'E']) {
            self.at += 1;
            self.take_while(|c| matches!(c, '+' | '-'));
            self.take_while(|c| c.is_ascii_digit());
        }
        let digits = self.at;
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        let written = self.text.get(start..self.at).unwrap_or_default();
        if digits == self.at {
            let digits = written.trim_start_matches("0x").trim_start_matches("0X");
            let valid =
                if hex { u64::from_str_radix(digits, 16).is_ok() } else { written.parse::<f64>().is_ok() };
            if valid {
                return Ok(Kind::Number);
            }
        } else if is_duration(written) {
            return Ok(Kind::Duration);
        }
        let help = "a number like `0.5` or `1e3`; a duration like `5m` or `1h30m`, the larger unit first";
        Err(QueryError::new(start..self.at, format!("`{written}` is neither a number nor a duration"), help))
    }

    fn string(&mut self, quote: char) -> Result<Kind, QueryError> {
        let start = self.at;
        self.at += 1;
        loop {
            let Some(c) = self.rest().chars().next() else {
                let help = format!("close it with {quote}");
                return Err(QueryError::new(
                    start..start + 1,
                    format!("a quote {quote} that does not end"),
                    help,
                ));
            };
            match c {
                '\n' if quote != '`' => {
                    let help = "write `\\n` instead of a line break";
                    return Err(QueryError::new(start..self.at, "a line break inside quotes", help));
                }
                '\\' if quote != '`' => self.escape(quote)?,
                _ => self.at += c.len_utf8(),
            }
            if c == quote {
                return Ok(Kind::Text);
            }
        }
    }

    /// One escape of Go, of which PromQL takes all.
    fn escape(&mut self, quote: char) -> Result<(), QueryError> {
        let start = self.at;
        let after = self.rest().get(1..).unwrap_or_default();
        let kind = after.chars().next().unwrap_or_default();
        // (digits begin after, count, base, largest)
        let number = match kind {
            'x' => Some((1, 2, 16, 0x7f)),
            'u' => Some((1, 4, 16, 0x0010_ffff)),
            'U' => Some((1, 8, 16, 0x0010_ffff)),
            '0'..='7' => Some((0, 3, 8, 0x7f)),
            _ => None,
        };
        let length = match number {
            None if kind == quote || "abfnrtv\\".contains(kind) => Some(1),
            None => None,
            Some((skip, count, base, largest)) => after
                .get(skip..skip + count)
                .filter(|digits| digits.chars().all(|c| c.is_digit(base)))
                .and_then(|digits| u32::from_str_radix(digits, base).ok())
                .filter(|code| *code <= largest && char::from_u32(*code).is_some())
                .map(|_| skip + count),
        };
        let Some(length) = length else {
            let help =
                "in a regular expression a backslash is written twice, or the text stands between backticks";
            return Err(QueryError::new(
                start..(start + 1 + kind.len_utf8()).min(self.text.len()),
                "an unknown escape",
                help,
            ));
        };
        self.at += 1 + length;
        Ok(())
    }
}

/// Returns whether a text is a duration of PromQL: units from the largest to the smallest, each at most once.
fn is_duration(text: &str) -> bool {
    let units = ["y", "w", "d", "h", "m", "s", "ms"];
    let (mut rest, mut next) = (text, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let Some(place) = units.iter().position(|known| *known == unit) else { return false };
        // eight digits are three years of seconds; more than that overflows with the larger units
        if number.is_empty() || number.len() > 8 || place < next {
            return false;
        }
        (rest, next) = (after, place + 1);
    }
    next > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        tokens(text).unwrap().all.into_iter().map(|token| &text[token.span]).collect()
    }

    #[test]
    fn tokens_have_their_places() {
        let text = "sum by(a)(rate(x:y{b=~\"c\\\"}\"}[1h30m:5s] @ -1.5e3)) # end ( \n>= bool .5";
        let expected = [
            "sum",
            "by",
            "(",
            "a",
            ")",
            "(",
            "rate",
            "(",
            "x:y",
            "{",
            "b",
            "=~",
            "\"c\\\"}\"",
            "}",
            "[",
            "1h30m",
            ":",
            "5s",
            "]",
            "@",
            "-",
            "1.5e3",
            ")",
            ")",
            ">=",
            "bool",
            ".5",
            "",
        ];
        assert_eq!(cut(text), expected);
        assert_eq!(tokens(text).unwrap().comments.len(), 1);
    }

    #[test]
    fn what_is_no_token_is_named() {
        for (text, part, message) in [
            ("a $ b", "$", "`$` is no part of PromQL"),
            ("a{b=\"c}", "\"", "a quote \" that does not end"),
            ("a{b=\"\\d\"}", "\\d", "an unknown escape"),
            ("a{b=\"\\xä\"}", "\\x", "an unknown escape"),
            ("a{b=\"\n\"}", "\"", "a line break inside quotes"),
            ("a[5x]", "5x", "`5x` is neither a number nor a duration"),
            ("a[5m1h]", "5m1h", "`5m1h` is neither a number nor a duration"),
            ("1.2.3", "1.2.3", "`1.2.3` is neither a number nor a duration"),
            ("é", "é", "`é` is no part of PromQL"),
        ] {
            let error = tokens(text).unwrap_err();
            assert_eq!((&text[error.span], error.message.as_str()), (part, message), "{text}");
        }
    }
}
