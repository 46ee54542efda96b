//! As much of Rust's lexical structure as it takes to find paths: comments, strings and characters do not count.

/// A token that can be part of a path, or anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier or keyword.
    Word(String),
    /// `::`
    Separator,
    /// Any other character.
    Sign(char),
}

/// A token and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

impl Token {
    /// The identifier or keyword, if it is one.
    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            Kind::Separator | Kind::Sign(_) => None,
        }
    }
}

/// Splits source text into tokens.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    Reader { rest: text.chars().collect(), at: 0, line: 1, found: Vec::new() }.read()
}

struct Reader {
    rest: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Token>,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn step(&mut self) -> Option<char> {
        let next = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn read(mut self) -> Vec<Token> {
        while let Some(next) = self.peek(0) {
            let line = self.line;
            match (next, self.peek(1)) {
                ('/', Some('/')) => self.skip_until_newline(),
                ('/', Some('*')) => self.skip_block_comment(),
                ('"', _) => self.skip_string(),
                ('\'', _) => self.skip_character_or_lifetime(),
                (':', Some(':')) => {
                    self.at += 2;
                    self.found.push(Token { kind: Kind::Separator, line });
                }
                (c, _) if c.is_alphabetic() || c == '_' => self.read_word(),
                (c, _) => {
                    self.step();
                    if !c.is_whitespace() {
                        self.found.push(Token { kind: Kind::Sign(c), line });
                    }
                }
            }
        }
        self.found
    }

    fn skip_until_newline(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.step();
        }
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some('*'), Some('/')) => {
                    depth = depth.saturating_sub(1);
                    self.at += 2;
                }
                (Some(_), _) => {
                    self.step();
                }
                (None, _) => return,
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.step();
        while let Some(c) = self.step() {
            match c {
                '\\' => {
                    self.step();
                }
                '"' => return,
                _ => {}
            }
        }
    }

    /// After `r` or `br`: `#`s, then text up to a quote with as many `#`s.
    fn skip_raw_string(&mut self) {
        let mut hashes = 0;
        while self.peek(0) == Some('#') {
            hashes += 1;
            self.step();
        }
        self.step();
        while let Some(c) = self.step() {
            if c == '"' && (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.at += hashes;
                return;
            }
        }
    }

    /// `'x'` and `'\n'` are characters; `'a` without a closing quote is a lifetime.
    fn skip_character_or_lifetime(&mut self) {
        self.step();
        if self.peek(0) == Some('\\') {
            self.step();
            self.step();
            while self.step().is_some_and(|c| c != '\'') {}
        } else if self.peek(1) == Some('\'') {
            self.step();
            self.step();
        }
    }

    fn read_word(&mut self) {
        let line = self.line;
        let mut word = String::new();
        while let Some(c) = self.peek(0).filter(|c| c.is_alphanumeric() || *c == '_') {
            word.push(c);
            self.step();
        }
        let raw = matches!(word.as_str(), "r" | "br" | "cr");
        let opens = match self.peek(0) {
            Some('"') => true,
            Some('#') => matches!(self.peek(1), Some('"' | '#')),
            _ => false,
        };
        if raw && opens {
            self.skip_raw_string();
        } else if word == "r" && self.peek(0) == Some('#') {
            // A raw identifier: `r#gen`. The word itself follows.
            self.step();
        } else {
            self.found.push(Token { kind: Kind::Word(word), line });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).iter().filter_map(|token| token.word().map(str::to_owned)).collect()
    }

    #[test]
    fn comments_strings_and_characters_hold_no_words() {
        let text = "a // b\n/* c /* d */ e */ f \"g \\\" h\" r#\"i \" j\"# 'k' '\\n' b'l' m";
        assert_eq!(words(text), ["a", "f", "b", "m"]);
    }

    #[test]
    fn a_lifetime_is_no_character() {
        assert_eq!(words("fn f<'a>(x: &'a str) {}"), ["fn", "f", "a", "x", "a", "str"]);
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let found = tokens("/*\n\n*/ \"\n\" last");
        assert_eq!(found.last().map(|token| token.line), Some(4));
    }
}
