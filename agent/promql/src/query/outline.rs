//! The outline of a query: the places of its calls, aggregations, selectors and ranges, in the order of the text.
//!
//! The parser decides what PromQL is, but it tells no places, and of a syntax error it tells nothing. The outline follows
//! the same grammar over tokens: it finds the first token at which no query can go on, and gives every node of the
//! parser's tree its place. It also bounds the depth of what the parser will see, because trees are walked recursively.

use core::ops::Range;

use super::error::QueryError;
use super::token::{Kind, Token};
use crate::keyword::RESERVED;

/// Most brackets within brackets.
const DEPTH_LIMIT: usize = 50;
/// Most operators.
const OPERATOR_LIMIT: usize = 500;
/// Longest range or offset that is written as a number of seconds: three years.
const SECONDS_LIMIT: f64 = 1e8;

pub(super) const AGGREGATIONS: [&str; 14] = [
    "avg",
    "bottomk",
    "count",
    "count_values",
    "group",
    "limit_ratio",
    "limitk",
    "max",
    "min",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
];

/// Places within a query. Each list is in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) calls: Vec<Call>,
    pub(super) aggregations: Vec<Aggregation>,
    pub(super) selectors: Vec<Selection>,
    pub(super) ranges: Vec<RangeOf>,
    pub(super) operators: Vec<Operator>,
    /// Durations that stand as numbers.
    pub(super) durations: Vec<Range<usize>>,
    /// Expressions in parentheses, without these.
    pub(super) groups: Vec<Range<usize>>,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: Range<usize>,
    pub(super) all: Range<usize>,
    pub(super) arguments: Vec<Range<usize>>,
}

#[derive(Debug)]
pub(super) struct Aggregation {
    pub(super) all: Range<usize>,
    pub(super) arguments: Vec<Range<usize>>,
    /// `by (…)` or `without (…)`.
    pub(super) grouping: Option<Range<usize>>,
}

#[derive(Debug)]
pub(super) struct Selection {
    /// The metric name before the braces.
    pub(super) name: Option<Range<usize>>,
    /// The braces and what stands between them.
    pub(super) braces: Option<Range<usize>>,
    /// The positions of `or` between matchers.
    pub(super) alternatives: Vec<Range<usize>>,
}

/// The range of a selector or of a subquery.
#[derive(Debug)]
pub(super) struct RangeOf {
    /// The selector and its range.
    pub(super) all: Range<usize>,
    pub(super) duration: Range<usize>,
    pub(super) is_subquery: bool,
}

#[derive(Debug)]
pub(super) struct Operator {
    pub(super) span: Range<usize>,
    /// Open brackets around it.
    pub(super) depth: usize,
}

/// Reads the outline of a text.
pub(super) fn outline(text: &str, tokens: &[Token]) -> Result<Outline, QueryError> {
    let mut walk = Walk { text, tokens, next: 0, depth: 0, found: Outline::default() };
    if walk.peek().kind == Kind::End {
        let help = "write a query like `sum(rate(requests_total[{{.window}}]))`";
        return Err(QueryError::new(0..0, "an empty query", help));
    }
    walk.expression()?;
    match walk.peek().kind {
        Kind::End => Ok(walk.found),
        _ => Err(walk.expected("an operator or the end of the query")),
    }
}

struct Walk<'a> {
    text: &'a str,
    tokens: &'a [Token],
    next: usize,
    depth: usize,
    found: Outline,
}

const END: Token = Token { kind: Kind::End, span: 0..0 };

impl<'a> Walk<'a> {
    fn peek(&self) -> &'a Token {
        self.ahead(0)
    }

    fn ahead(&self, n: usize) -> &'a Token {
        self.tokens.get(self.next + n).or(self.tokens.last()).unwrap_or(&END)
    }

    fn is_sign(&self, sign: &'static str) -> bool {
        self.peek().kind == Kind::Sign(sign)
    }

    /// The next token in lower case, when it is a word: keywords are not case-sensitive.
    fn word(&self) -> Option<String> {
        let token = self.peek();
        let text = self.text.get(token.span.clone()).unwrap_or_default();
        (token.kind == Kind::Word).then(|| text.to_ascii_lowercase())
    }

    fn take(&mut self) -> Range<usize> {
        let span = self.peek().span.clone();
        self.next += 1;
        span
    }

    fn eat(&mut self, sign: &'static str) -> bool {
        let there = self.is_sign(sign);
        self.next += usize::from(there);
        there
    }

    fn need(&mut self, sign: &'static str) -> Result<Range<usize>, QueryError> {
        if self.is_sign(sign) { Ok(self.take()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    fn expected(&self, what: &str) -> QueryError {
        let token = self.peek();
        let found = match token.kind {
            Kind::End => "the query ends".to_owned(),
            _ => format!("found `{}`", self.text.get(token.span.clone()).unwrap_or_default()),
        };
        QueryError::new(token.span.clone(), format!("expected {what}, {found}"), "correct the PromQL here")
    }

    fn end(&self) -> usize {
        let last = self.next.checked_sub(1).and_then(|n| self.tokens.get(n));
        last.map_or(0, |token| token.span.end)
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, QueryError>) -> Result<T, QueryError> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            let message = format!("more than {DEPTH_LIMIT} levels of brackets and signs");
            let help = "record a part of it in Prometheus and query the recording";
            return Err(QueryError::new(self.peek().span.clone(), message, help));
        }
        let done = read(self);
        self.depth -= 1;
        done
    }

    /// Operands with operators between them, and its place.
    fn expression(&mut self) -> Result<Range<usize>, QueryError> {
        let start = self.peek().span.start;
        self.operand()?;
        while self.operator()? {
            self.operand()?;
        }
        Ok(start..self.end())
    }

    fn operator(&mut self) -> Result<bool, QueryError> {
        let token = self.peek();
        let is_one = match token.kind {
            Kind::Sign(sign) => {
                matches!(sign, "+" | "-" | "*" | "/" | "%" | "^" | "==" | "!=" | "<" | "<=" | ">" | ">=")
            }
            Kind::Word => {
                self.word().is_some_and(|word| matches!(word.as_str(), "and" | "or" | "unless" | "atan2"))
            }
            _ => false,
        };
        if is_one {
            let span = self.take();
            self.count_operator(span)?;
            self.matching()?;
        }
        Ok(is_one)
    }

    fn count_operator(&mut self, span: Range<usize>) -> Result<(), QueryError> {
        if self.found.operators.len() >= OPERATOR_LIMIT {
            let message = format!("more than {OPERATOR_LIMIT} operators");
            return Err(QueryError::new(
                span,
                message,
                "record a part of it in Prometheus and query the recording",
            ));
        }
        self.found.operators.push(Operator { span, depth: self.depth });
        Ok(())
    }

    /// `bool`, `on (…)`, `ignoring (…)`, `group_left (…)`, `fill (…)` after an operator.
    fn matching(&mut self) -> Result<(), QueryError> {
        if self.word().as_deref() == Some("bool") {
            self.take();
        }
        if self.followed_by_list(&["on", "ignoring"]) {
            self.take();
            self.labels()?;
            if self.word().is_some_and(|word| matches!(word.as_str(), "group_left" | "group_right")) {
                self.take();
                if self.is_sign("(") {
                    self.labels()?;
                }
            }
        }
        while self.followed_by_list(&["fill", "fill_left", "fill_right"]) {
            self.take();
            self.need("(")?;
            if !self.eat("+") {
                self.eat("-");
            }
            if !self.is_number() {
                return Err(self.expected("a number"));
            }
            self.take();
            self.need(")")?;
        }
        Ok(())
    }

    fn followed_by_list(&self, words: &[&str]) -> bool {
        let open = self.ahead(1).kind == Kind::Sign("(");
        open && self.word().is_some_and(|word| words.contains(&word.as_str()))
    }

    fn is_number(&self) -> bool {
        self.peek().kind == Kind::Number
            || self.word().is_some_and(|word| matches!(word.as_str(), "inf" | "nan"))
    }

    /// `(a, b)`.
    fn labels(&mut self) -> Result<(), QueryError> {
        self.need("(")?;
        loop {
            if self.eat(")") {
                return Ok(());
            }
            if !matches!(self.peek().kind, Kind::Word | Kind::Text) {
                return Err(self.expected("a label name or `)`"));
            }
            self.take();
            if !self.eat(",") {
                if !self.eat(")") {
                    return Err(self.expected("`,` or `)`"));
                }
                return Ok(());
            }
        }
    }

    fn operand(&mut self) -> Result<(), QueryError> {
        if self.eat("+") || self.eat("-") {
            return self.deeper(Self::operand);
        }
        let start = self.peek().span.start;
        match self.peek().kind {
            Kind::Duration => {
                let span = self.take();
                self.found.durations.push(span);
            }
            Kind::Number | Kind::Text => {
                self.take();
            }
            Kind::Sign("(") => {
                self.take();
                let inside = self.deeper(Self::expression)?;
                self.found.groups.push(inside);
                self.need(")")?;
            }
            Kind::Sign("{") => self.selector(None)?,
            Kind::Word => self.named()?,
            _ => return Err(self.expected("a metric, a function, a number or `(`")),
        }
        self.suffixes(start)
    }

    /// Reads an element that begins with a word: an aggregation, a call, a number or a selector.
    fn named(&mut self) -> Result<(), QueryError> {
        let word = self.word().unwrap_or_default();
        let next = self.ahead(1);
        let next_text = self.text.get(next.span.clone()).unwrap_or_default().to_ascii_lowercase();
        let opens = next.kind == Kind::Sign("(");
        let groups = matches!(next_text.as_str(), "by" | "without");
        if AGGREGATIONS.contains(&word.as_str()) && (opens || groups) {
            return self.aggregation();
        }
        if opens {
            return self.call();
        }
        if matches!(word.as_str(), "inf" | "nan") {
            self.take();
            return Ok(());
        }
        if RESERVED.contains(&word.as_str()) {
            return Err(self.expected("a metric, a function, a number or `(`"));
        }
        let name = self.take();
        self.selector(Some(name))
    }

    fn aggregation(&mut self) -> Result<(), QueryError> {
        let start = self.take().start;
        let at = self.found.aggregations.len();
        self.found.aggregations.push(Aggregation {
            all: start..start,
            arguments: Vec::new(),
            grouping: None,
        });
        let mut grouping = self.grouping()?;
        let arguments = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let all = start..self.end();
        if let Some(aggregation) = self.found.aggregations.get_mut(at) {
            *aggregation = Aggregation { all, arguments, grouping };
        }
        Ok(())
    }

    fn grouping(&mut self) -> Result<Option<Range<usize>>, QueryError> {
        let start = self.peek().span.start;
        if !self.word().is_some_and(|word| matches!(word.as_str(), "by" | "without")) {
            return Ok(None);
        }
        self.take();
        self.labels()?;
        Ok(Some(start..self.end()))
    }

    fn call(&mut self) -> Result<(), QueryError> {
        let name = self.take();
        let at = self.found.calls.len();
        self.found.calls.push(Call { all: name.clone(), name: name.clone(), arguments: Vec::new() });
        let arguments = self.arguments()?;
        let all = name.start..self.end();
        if let Some(call) = self.found.calls.get_mut(at) {
            *call = Call { name, all, arguments };
        }
        Ok(())
    }

    fn arguments(&mut self) -> Result<Vec<Range<usize>>, QueryError> {
        self.need("(")?;
        let mut arguments = Vec::new();
        if self.eat(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.deeper(Self::expression)?);
            if !self.eat(",") {
                break;
            }
        }
        if !self.eat(")") {
            return Err(self.expected("`,` or `)`"));
        }
        Ok(arguments)
    }

    fn selector(&mut self, name: Option<Range<usize>>) -> Result<(), QueryError> {
        let start = self.peek().span.start;
        let mut alternatives = Vec::new();
        let mut braces = None;
        if self.eat("{") {
            self.matchers(&mut alternatives)?;
            braces = Some(start..self.end());
        }
        self.found.selectors.push(Selection { name, braces, alternatives });
        Ok(())
    }

    fn matchers(&mut self, alternatives: &mut Vec<Range<usize>>) -> Result<(), QueryError> {
        loop {
            if self.eat("}") {
                return Ok(());
            }
            self.matcher()?;
            if self.eat(",") {
                continue;
            }
            if self.word().as_deref() == Some("or") {
                alternatives.push(self.take());
                continue;
            }
            if !self.eat("}") {
                return Err(self.expected("`,` or `}`"));
            }
            return Ok(());
        }
    }

    fn matcher(&mut self) -> Result<(), QueryError> {
        let quoted = self.peek().kind == Kind::Text;
        if !quoted && self.peek().kind != Kind::Word {
            return Err(self.expected("a label name or `}`"));
        }
        self.take();
        let operator = ["=", "!=", "=~", "!~"].into_iter().any(|sign| self.eat(sign));
        if !operator {
            // a metric name in quotes stands alone
            return if quoted { Ok(()) } else { Err(self.expected("`=`, `!=`, `=~` or `!~`")) };
        }
        if self.peek().kind != Kind::Text {
            return Err(self.expected("a value in quotes"));
        }
        self.take();
        Ok(())
    }

    /// Ranges, `offset` and `@` after an operand that starts at `start`.
    fn suffixes(&mut self, start: usize) -> Result<(), QueryError> {
        loop {
            if self.eat("[") {
                let duration = self.duration("a duration like `5m`")?;
                let is_subquery = self.eat(":");
                if is_subquery && !self.is_sign("]") {
                    self.duration("a duration or `]`")?;
                }
                self.need("]")?;
                self.found.ranges.push(RangeOf { all: start..self.end(), duration, is_subquery });
            } else if self.word().as_deref() == Some("offset") {
                self.take();
                if !self.eat("-") {
                    self.eat("+");
                }
                self.duration("a duration like `5m`")?;
            } else if self.eat("@") {
                self.instant()?;
            } else {
                return Ok(());
            }
        }
    }

    fn instant(&mut self) -> Result<(), QueryError> {
        if self.followed_by_list(&["start", "end"]) {
            self.take();
            self.need("(")?;
            self.need(")")?;
            return Ok(());
        }
        if !self.eat("-") {
            self.eat("+");
        }
        if self.peek().kind != Kind::Number {
            return Err(self.expected("a time in seconds, `start()` or `end()`"));
        }
        self.take();
        Ok(())
    }

    fn duration(&mut self, what: &str) -> Result<Range<usize>, QueryError> {
        let token = self.peek();
        let text = self.text.get(token.span.clone()).unwrap_or_default();
        let seconds = || text.parse::<f64>().is_ok_and(|seconds| seconds <= SECONDS_LIMIT);
        match token.kind {
            Kind::Duration => Ok(self.take()),
            Kind::Number if seconds() => Ok(self.take()),
            _ => Err(self.expected(what)),
        }
    }
}
