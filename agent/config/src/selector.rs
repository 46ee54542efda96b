//! PromQL's vector selector, the language in which counters are named.
//!
//! A selector means here what it means to Prometheus, because rules are generated from the same text: expressions are
//! anchored, an absent label is the empty string. Values of `le` are the exception that makes them equal: clients
//! print one bound as `1`, `1.0` or `1e0`, and Prometheus normalises that when it reads them, so they compare as numbers.

use core::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};

/// Most bytes of a selector.
const TEXT_LIMIT: usize = 4096;

/// Most bytes of a compiled expression.
const REGEX_LIMIT: usize = 1024 * 1024;

/// `metric{label="value",other=~"regex"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The metric name.
    pub metric: String,
    /// All must match; an absent label is the empty string.
    pub matchers: Vec<Matcher>,
}

/// One label condition.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// The label.
    pub label: String,
    /// How it is compared.
    pub op: MatchOp,
    /// What it is compared with.
    pub value: String,
    /// The anchored expression, for the two regular operators.
    pub regex: Option<Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.label, self.op, &self.value) == (&other.label, other.op, &other.value)
    }
}

impl Eq for Matcher {}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// Why a selector cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSelector {
    /// Byte offset of the trouble.
    pub at: usize,
    /// What was expected there.
    pub expected: String,
}

impl fmt::Display for BadSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)
    }
}

impl core::error::Error for BadSelector {}

impl FromStr for Selector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, BadSelector> {
        if text.len() > TEXT_LIMIT {
            return Err(BadSelector { at: 0, expected: format!("at most {TEXT_LIMIT} bytes") });
        }
        let mut scanner = Scanner { text, at: 0 };
        let metric = scanner.word(|c| c == ':', "a metric name")?;
        let braces = scanner.eat("{");
        let matchers = if braces { scanner.matchers()? } else { Vec::new() };
        scanner.skip_space();
        if scanner.rest().is_empty() {
            return Ok(Self { metric, matchers });
        }
        let expected = match scanner.rest().starts_with('[') {
            true => "the end: lookout takes the increase itself, without a range",
            false if !braces => "`{` or the end",
            false => "the end after `}`",
        };
        Err(scanner.expected(expected))
    }
}

/// Where reading a selector has come to.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn expected(&self, what: &str) -> BadSelector {
        BadSelector { at: self.at, expected: what.to_owned() }
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_ascii_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    fn word(&mut self, also: impl Fn(char) -> bool, what: &str) -> Result<String, BadSelector> {
        self.skip_space();
        let rest = self.rest();
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || also(c);
        let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.expected(what));
        }
        self.at += end;
        Ok(word.to_owned())
    }

    fn matchers(&mut self) -> Result<Vec<Matcher>, BadSelector> {
        let mut matchers = Vec::new();
        loop {
            if self.eat("}") {
                return Ok(matchers);
            }
            matchers.push(self.matcher()?);
            if !self.eat(",") {
                return if self.eat("}") { Ok(matchers) } else { Err(self.expected("`,` or `}`")) };
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, BadSelector> {
        let label = self.word(|_| false, "a label name or `}`")?;
        // the longer operators first: `=~` begins with `=`
        let operators = [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual, MatchOp::Equal];
        let Some(op) = operators.into_iter().find(|op| self.eat(op.as_str())) else {
            return Err(self.expected("`=`, `!=`, `=~` or `!~`"));
        };
        self.skip_space();
        let start = self.at;
        let value = self.string()?;
        Matcher::try_new(label, op, value).map_err(|expected| BadSelector { at: start, expected })
    }

    fn string(&mut self) -> Result<String, BadSelector> {
        let quote = self.rest().chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
        let Some(quote) = quote else { return Err(self.expected("a value in quotes")) };
        self.at += 1;
        let mut value = String::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err(self.expected(&format!("a closing {quote}")));
            };
            match c {
                _ if c == quote => {
                    self.at += 1;
                    return Ok(value);
                }
                '\n' if quote != '`' => return Err(self.expected("`\\n` instead of a line break")),
                '\\' if quote != '`' => value.push(self.escape(quote)?),
                _ => {
                    self.at += c.len_utf8();
                    value.push(c);
                }
            }
        }
    }

    /// One of Go's escapes, of which PromQL takes all.
    fn escape(&mut self, quote: char) -> Result<char, BadSelector> {
        let after = self.rest().get(1..).unwrap_or_default();
        let Some(kind) = after.chars().next() else { return Err(self.expected("an escape like `\\\\`")) };
        let simple = match kind {
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            '\\' => Some('\\'),
            c if c == quote => Some(c),
            _ => None,
        };
        if let Some(c) = simple {
            self.at += 1 + kind.len_utf8();
            return Ok(c);
        }
        // (digits begin after, how many, base, largest)
        let number = match kind {
            'x' => Some((1, 2, 16, 0x7f)),
            'u' => Some((1, 4, 16, 0x0010_ffff)),
            'U' => Some((1, 8, 16, 0x0010_ffff)),
            '0'..='7' => Some((0, 3, 8, 0x7f)),
            _ => None,
        };
        let decoded = number.and_then(|(skip, count, base, largest)| {
            let digits = after.get(skip..skip + count)?;
            let plain = digits.chars().all(|c| c.is_digit(base));
            let code = u32::from_str_radix(digits, base).ok().filter(|code| plain && *code <= largest)?;
            Some((char::from_u32(code)?, 1 + skip + count))
        });
        let Some((c, length)) = decoded else {
            return Err(self.expected("a known escape; in an expression a backslash is written twice"));
        };
        self.at += length;
        Ok(c)
    }
}

impl Matcher {
    /// A condition on a label.
    ///
    /// # Errors
    /// Why the expression cannot be used, in words that follow "expected".
    pub fn try_new(label: String, op: MatchOp, value: String) -> Result<Self, String> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored(&value)?),
        };
        Ok(Self { label, op, value, regex })
    }

    fn accepts(&self, found: &str) -> bool {
        let by_regex = || self.regex.as_ref().is_some_and(|regex| regex.is_match(found));
        match self.op {
            MatchOp::Equal => self.same(found),
            MatchOp::NotEqual => !self.same(found),
            MatchOp::Regex => by_regex(),
            MatchOp::NotRegex => !by_regex(),
        }
    }

    fn same(&self, found: &str) -> bool {
        let number = |text: &str| text.parse::<f64>().ok().filter(|_| self.label == "le");
        self.value == found || number(found).is_some_and(|bound| number(&self.value) == Some(bound))
    }

    /// The digits of `le="1"` or `le="1.0"`.
    fn whole_bound(&self) -> Option<&str> {
        let whole = self.value.strip_suffix(".0").unwrap_or(&self.value);
        let digits = !whole.is_empty() && whole.chars().all(|c| c.is_ascii_digit());
        (self.label == "le" && self.op == MatchOp::Equal && digits).then_some(whole)
    }
}

/// Compiles an expression as Prometheus does: it must match the whole value, and a dot matches line breaks.
fn anchored(expression: &str) -> Result<Regex, String> {
    let compile = |text: &str| RegexBuilder::new(text).size_limit(REGEX_LIMIT).build();
    // on its own first: `a)(b` is no expression, although it would be one between parentheses
    compile(expression).and_then(|_| compile(&format!("^(?s:{expression})$"))).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "a smaller regular expression".to_owned(),
        error => {
            let text = error.to_string();
            let cause = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("a regular expression: {cause}")
        }
    })
}

impl MatchOp {
    /// As PromQL writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}\"", self.label, self.op.as_str())?;
        for c in self.value.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

impl fmt::Display for Selector {
    /// As PromQL; reading it back gives the same selector.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        for (n, matcher) in self.matchers.iter().enumerate() {
            write!(f, "{}{matcher}", if n == 0 { "{" } else { "," })?;
        }
        if self.matchers.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

impl Selector {
    /// The selector as it has to be asked of a Prometheus: a whole-numbered bound is matched in both spellings, because
    /// Prometheus 3 writes `1.0` where a client wrote `1`.
    #[must_use]
    pub fn for_prometheus(&self) -> Self {
        let mut selector = self.clone();
        for matcher in &mut selector.matchers {
            if let Some(whole) = matcher.whole_bound() {
                *matcher = Matcher {
                    label: "le".to_owned(),
                    op: MatchOp::Regex,
                    value: format!("{whole}(\\.0)?"),
                    regex: None,
                };
            }
        }
        selector
    }

    /// Whether a series matches. `label` looks up one of its labels.
    pub fn matches<'a>(&self, metric: &str, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        metric == self.metric
            && self.matchers.iter().all(|matcher| matcher.accepts(label(&matcher.label).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(selector: &str, metric: &str, labels: &[(&str, &'static str)]) -> bool {
        let selector: Selector = selector.parse().unwrap();
        selector.matches(metric, |name| labels.iter().find(|(label, _)| *label == name).map(|(_, v)| *v))
    }

    #[test]
    fn conditions_mean_what_they_mean_to_prometheus() {
        let labels = [("code", "503"), ("route", "/api/v1/passengers")];
        for (selector, expected) in [
            ("requests", true),
            ("other", false),
            (r#"requests{code="503"}"#, true),
            (r#"requests{code=~"5.."}"#, true),
            (r#"requests{code=~"5."}"#, false),
            (r#"requests{code!~"5..", route=~'/api/.*',}"#, false),
            (r#"requests{absent=""}"#, true),
            (r#"requests{absent!=""}"#, false),
            (r#"requests{absent=~".*"}"#, true),
            ("requests{route=~`/api/v\\d/.+`}", true),
            (r#"requests{route=~"/api/v\\d/.+"}"#, true),
            (r#"requests{code=~"4..|5.."}"#, true),
        ] {
            assert_eq!(matches(selector, "requests", &labels), expected, "{selector}");
        }
    }

    #[test]
    fn bounds_of_buckets_compare_as_numbers_and_other_labels_do_not() {
        for (wanted, found) in [("0.25", "0.250"), ("1", "1.0"), ("+Inf", "Inf"), ("0.5", "5e-1")] {
            let selector = format!("b{{le=\"{wanted}\"}}");
            let selector: Selector = selector.parse().unwrap();
            assert!(selector.matches("b", |_| Some(found)), "{wanted} {found}");
        }
        assert!(!matches(r#"b{le="0.25"}"#, "b", &[("le", "0.5")]));
        assert!(!matches(r#"b{le!="1"}"#, "b", &[("le", "1.0")]));
        assert!(!matches(r#"b{size="1"}"#, "b", &[("size", "1.0")]));
    }

    #[test]
    fn what_is_wrong_is_located() {
        for (text, at, expected) in [
            ("", 0, "a metric name"),
            ("5xx", 0, "a metric name"),
            ("m{", 2, "a label name or `}`"),
            ("m{a}", 3, "`=`, `!=`, `=~` or `!~`"),
            ("m{a=b}", 4, "a value in quotes"),
            ("m{a=\"b}", 7, "a closing \""),
            ("m{a=\"b\" c=\"d\"}", 8, "`,` or `}`"),
            ("m{a=\"\\d\"}", 5, "a known escape; in an expression a backslash is written twice"),
            ("m{a=~\"(\"}", 5, "a regular expression: unclosed group"),
            ("m{a=~\"x)(y\"}", 5, "a regular expression: unopened group"),
            ("m{a=~\"(x{999}){999}\"}", 5, "a smaller regular expression"),
            ("m[5m]", 1, "the end: lookout takes the increase itself, without a range"),
            ("m{} + 1", 4, "the end after `}`"),
            ("m + 1", 2, "`{` or the end"),
        ] {
            let bad = text.parse::<Selector>().unwrap_err();
            assert_eq!((bad.at, bad.expected.as_str()), (at, expected), "{text}");
        }
    }

    #[test]
    fn all_escapes_of_go_are_read() {
        let selector: Selector = r#"m{a="\x41\101\u00e4\U0001F6A2\a\b\f\v\t\r\n\\\""}"#.parse().unwrap();
        assert_eq!(selector.matchers[0].value, "AAä🚢\u{7}\u{8}\u{c}\u{b}\t\r\n\\\"");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            metric in "[a-zA-Z_:][a-zA-Z0-9_:]{0,8}",
            labels in proptest::collection::vec(("[a-zA-Z_][a-zA-Z0-9_]{0,5}", 0..4_usize, "\\PC{0,6}|[\\x00-\\x7f]{0,6}"), 0..4),
        ) {
            let operators = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
            let matchers = labels.into_iter().map(|(label, op, value)| {
                let op = operators[op];
                let value = if op.as_str().contains('~') { regex::escape(&value) } else { value };
                Matcher::try_new(label, op, value).unwrap()
            });
            let selector = Selector { metric, matchers: matchers.collect() };
            let text = selector.to_string();
            prop_assert_eq!(text.parse::<Selector>(), Ok(selector));
            prop_assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}|[a-z{}=~!\"'`\\\\,x0-9]{0,30}") {
            let _ = text.parse::<Selector>();
        }
    }
}
