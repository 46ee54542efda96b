//! PromQL's vector selector, the language in which counters are named.
//!
//! A selector means here what it means to Prometheus, because rules are generated from the same text: expressions are
//! anchored, an absent label is the empty string. Values of `le` are the exception that makes them equal: clients
//! print one bound as `1`, `1.0` or `1e0`, and Prometheus normalises that when it reads them, so they compare as numbers.

use core::fmt;

use promql_parser::label::{self as parser, METRIC_NAME};
use promql_parser::parser::{Expr, VectorSelector};
use regex::{Regex, RegexBuilder};

use crate::keyword::is_keyword;

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
    /// The operator.
    pub op: MatchOp,
    /// The value to compare with.
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

/// Operator of a condition on a label.
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

impl Selector {
    /// The selector that a query is, when it is nothing else.
    pub(crate) fn of_tree(tree: &Expr) -> Option<Self> {
        match tree {
            Expr::VectorSelector(vector) => Self::of_vector(vector),
            _ => None,
        }
    }

    /// The selector of a vector of one metric, now and without alternatives.
    pub(crate) fn of_vector(vector: &VectorSelector) -> Option<Self> {
        if vector.offset.is_some() || vector.at.is_some() || !vector.matchers.or_matchers.is_empty() {
            return None;
        }
        let mut metric = vector.name.clone();
        let mut matchers = Vec::new();
        for found in &vector.matchers.matchers {
            let op = match found.op {
                parser::MatchOp::Equal => MatchOp::Equal,
                parser::MatchOp::NotEqual => MatchOp::NotEqual,
                parser::MatchOp::Re(_) => MatchOp::Regex,
                parser::MatchOp::NotRe(_) => MatchOp::NotRegex,
            };
            if found.name == METRIC_NAME && op == MatchOp::Equal && metric.is_none() {
                metric = Some(found.value.clone());
                continue;
            }
            matchers.push(Matcher::try_new(found.name.clone(), op, found.value.clone()).ok()?);
        }
        Some(Self { metric: metric?, matchers })
    }
}

impl Matcher {
    /// A condition on a label.
    ///
    /// # Errors
    /// Returns the reason why the expression cannot be used, in words that follow "expected".
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
pub(crate) fn anchored(expression: &str) -> Result<Regex, String> {
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
        if is_legacy(&self.label, |_| false) {
            f.write_str(&self.label)?;
        } else {
            f.write_str(&quoted(&self.label))?;
        }
        write!(f, "{}{}", self.op.as_str(), quoted(&self.value))
    }
}

/// Returns whether a name needs no quotes.
fn is_legacy(name: &str, also: impl Fn(char) -> bool) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || also(c);
    !name.is_empty() && name.chars().all(inside) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Writes a PromQL string.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

impl fmt::Display for Selector {
    /// As PromQL; reading it back gives the same selector.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.matchers.iter().map(ToString::to_string).collect();
        if is_legacy(&self.metric, |c| c == ':') && !is_keyword(&self.metric) {
            f.write_str(&self.metric)?;
        } else {
            parts.insert(0, quoted(&self.metric));
        }
        if parts.is_empty() { Ok(()) } else { write!(f, "{{{}}}", parts.join(",")) }
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

    /// Returns whether a series matches. `label` looks up one of its labels.
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
            ("", 0, "an empty query"),
            ("m{", 2, "expected a label name or `}`, the query ends"),
            ("m{a}", 3, "expected `=`, `!=`, `=~` or `!~`, found `}`"),
            ("m{a=b}", 4, "expected a value in quotes, found `b`"),
            ("m{a=~\"x)(y\"}", 5, "expected a regular expression: unopened group"),
            ("m[5m]", 0, "a query where the selector of counters is needed"),
            ("m{} + 1", 0, "a query where the selector of counters is needed"),
            ("m offset 1m", 0, "a query where the selector of counters is needed"),
            ("m{a=\"1\" or b=\"2\"}", 0, "a query where the selector of counters is needed"),
            ("{a=\"1\"}", 0, "a query where the selector of counters is needed"),
            ("{a=\"\"}", 0, "vector selector must contain at least one non-empty matcher"),
        ] {
            let bad = text.parse::<Selector>().unwrap_err();
            assert_eq!((bad.span.start, bad.message.as_str()), (at, expected), "{text}");
        }
    }

    #[test]
    fn names_of_other_characters_stand_in_quotes() {
        let text = r#"{"http.requests","http.code"=~"5.."}"#;
        assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        assert_eq!("{\"on\"}".parse::<Selector>().unwrap().to_string(), "{\"on\"}");
        assert_eq!("{__name__=\"m\"}".parse::<Selector>().unwrap().to_string(), "m");
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
            // two braces begin a placeholder
            prop_assume!(!text.contains("{{"));
            prop_assert_eq!(text.parse::<Selector>(), Ok(selector));
            prop_assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}|[a-z{}=~!\"'`\\\\,x0-9]{0,30}") {
            let _ = text.parse::<Selector>();
        }
    }
}
