//! From tokens to a condition whose types fit.

use core::ops::Range;

use regex::Regex;

use super::lexer::{Kind, Token, tokens};
use super::path::parse_path;
use super::{
    Assertion, BadAssertion, CertificateFact, Comparison, Condition, Expected, Extraction, Operator, Phase,
    Subject,
};
use crate::reader::{did_you_mean, suggestion};

/// Bytes of an assertion.
const LONGEST: usize = 4096;

/// Brackets and `not` within each other.
const DEEPEST: usize = 32;

/// Bytes a compiled regular expression may take.
const PATTERN_LIMIT: usize = 1024 * 1024;

const SUBJECTS: [&str; 22] = [
    "status",
    "latency",
    "latency.resolve",
    "latency.connect",
    "latency.tls",
    "latency.processing",
    "latency.transfer",
    "header",
    "body",
    "body.size",
    "json",
    "redirects",
    "protocol",
    "tls.version",
    "certificate.days_left",
    "certificate.issuer",
    "certificate.subject",
    "certificate.names",
    "dns.code",
    "dns.answers",
    "dns.ttl",
    "grpc.status",
];

type Parsed<T> = Result<T, BadAssertion>;

impl Assertion {
    /// Parses and checks a text.
    ///
    /// # Errors
    /// Place and reason of what is no assertion.
    pub fn parse(text: &str) -> Result<Self, BadAssertion> {
        Ok(Self { text: text.to_owned(), root: parse(text)? })
    }
}

impl Extraction {
    /// Parses and checks a text.
    ///
    /// # Errors
    /// Place and reason of a value that no answer over HTTP has.
    pub fn parse(text: &str) -> Result<Self, BadAssertion> {
        parse_extraction(text)
    }
}

fn parse(text: &str) -> Parsed<Condition> {
    if text.len() > LONGEST {
        return Err(bad(0..LONGEST, format!("an assertion has at most {LONGEST} bytes"), "split it"));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0, text };
    let condition = parser.any()?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => Err(bad(
            token.span.clone(),
            "the assertion ends before this",
            "join two of them with `and` or `or`",
        )),
    }
}

fn parse_extraction(text: &str) -> Parsed<Extraction> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0, text };
    let subject = parser.subject()?;
    if !matches!(subject, Subject::Json { .. } | Subject::Header(_) | Subject::Body) {
        let help = "take `json(\"$.…\")`, `header(\"…\")` or `body matches \"…\"`";
        return Err(bad(0..text.len(), format!("`{subject}` cannot become a variable"), help));
    }
    let pattern = if parser.take_word("matches") {
        match parser.pattern()? {
            Expected::Pattern(pattern) => Some(pattern),
            _ => None,
        }
    } else {
        None
    };
    match parser.peek() {
        None => Ok(Extraction { subject, pattern }),
        Some(token) => {
            Err(bad(token.span.clone(), "the value ends before this", "only `matches \"…\"` may follow"))
        }
    }
}

fn bad(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> BadAssertion {
    BadAssertion { span, message: message.into(), help: help.into() }
}

struct Parser<'t> {
    tokens: &'t [Token],
    next: usize,
    depth: usize,
    text: &'t str,
}

/// Type of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Status,
    Duration,
    Number,
    Size,
    Text,
    Json,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<&'t Token> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token { kind: Kind::Word(found), .. }) if found == word);
        self.next += usize::from(found);
        found
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token { kind: Kind::Sign(found), .. }) if *found == sign);
        self.next += usize::from(found);
        found
    }

    /// Returns the next token for a message, or the end of the text.
    fn here(&self) -> Range<usize> {
        let text = self.text.trim_end();
        let last = text.char_indices().last().map_or(0, |(at, _)| at);
        self.peek().map_or(last..text.len(), |token| token.span.clone())
    }

    fn expect_sign(&mut self, sign: &str) -> Parsed<()> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(bad(self.here(), format!("expected `{sign}`"), ""))
    }

    fn any(&mut self) -> Parsed<Condition> {
        let mut all = vec![self.all()?];
        while self.take_word("or") {
            all.push(self.all()?);
        }
        Ok(single_or(all, Condition::Any))
    }

    fn all(&mut self) -> Parsed<Condition> {
        let mut all = vec![self.unary()?];
        while self.take_word("and") {
            all.push(self.unary()?);
        }
        Ok(single_or(all, Condition::All))
    }

    fn unary(&mut self) -> Parsed<Condition> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(bad(self.here(), format!("more than {DEEPEST} levels"), "split the assertion"));
        }
        let condition = if self.take_word("not") {
            Condition::Not(Box::new(self.unary()?))
        } else if self.take_sign("(") {
            let inner = self.any()?;
            self.expect_sign(")")?;
            inner
        } else {
            Condition::Compare(self.comparison()?)
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn comparison(&mut self) -> Parsed<Comparison> {
        let subject = self.subject()?;
        let kind = type_of(&subject);
        let operator = self.operator(&subject, kind)?;
        let start = self.here().start;
        let expected = self.expected(&subject, kind, operator)?;
        let last = self.next.checked_sub(1).and_then(|last| self.tokens.get(last));
        let end = last.map_or(start, |token| token.span.end);
        let expected_text = self.text.get(start..end).unwrap_or_default().to_owned();
        Ok(Comparison { subject, operator, expected, expected_text })
    }

    fn subject(&mut self) -> Parsed<Subject> {
        let here = self.here();
        let help = "begin with a value of the answer, like `status`, `header(\"…\")` or `json(\"$.…\")`";
        let Some(Token { kind: Kind::Word(word), span }) = self.take() else {
            return Err(bad(here, "expected a value of the answer", help));
        };
        if let Some(phase) = word.strip_prefix("latency.") {
            let found = Phase::ALL.into_iter().find(|known| known.as_str() == phase);
            return found.map(|phase| Subject::Latency(Some(phase))).ok_or_else(|| unknown(word, span));
        }
        let fact = |fact| Ok(Subject::Certificate(fact));
        match word.as_str() {
            "status" => Ok(Subject::Status),
            "latency" => Ok(Subject::Latency(None)),
            "header" => self.header(),
            "body" => Ok(Subject::Body),
            "body.size" => Ok(Subject::BodySize),
            "json" => self.json(),
            "redirects" => Ok(Subject::Redirects),
            "protocol" => Ok(Subject::Protocol),
            "tls.version" => Ok(Subject::TlsVersion),
            "certificate.days_left" => fact(CertificateFact::DaysLeft),
            "certificate.issuer" => fact(CertificateFact::Issuer),
            "certificate.subject" => fact(CertificateFact::Subject),
            "certificate.names" => fact(CertificateFact::Names),
            "dns.code" => Ok(Subject::DnsCode),
            "dns.answers" => Ok(Subject::DnsAnswers),
            "dns.ttl" => Ok(Subject::DnsTtl),
            "grpc.status" => Ok(Subject::GrpcStatus),
            _ => Err(unknown(word, span)),
        }
    }

    fn argument(&mut self, what: &str) -> Parsed<(String, Range<usize>)> {
        self.expect_sign("(")?;
        let here = self.here();
        let Some(Token { kind: Kind::Text(text), span }) = self.take() else {
            return Err(bad(here, format!("expected {what} in quotes"), ""));
        };
        self.expect_sign(")")?;
        Ok((text.clone(), span.clone()))
    }

    fn header(&mut self) -> Parsed<Subject> {
        let (name, span) = self.argument("the name of a header")?;
        if http::HeaderName::try_from(name.as_str()).is_err() {
            return Err(bad(span, "this cannot be the name of a header", "use letters, digits and `-`"));
        }
        Ok(Subject::Header(name.to_ascii_lowercase()))
    }

    fn json(&mut self) -> Parsed<Subject> {
        let (text, span) = self.argument("a JSON path")?;
        match parse_path(&text) {
            Ok(path) => Ok(Subject::Json { text, path: Box::new(path) }),
            Err((message, help)) => Err(bad(span, format!("this is {message}"), help)),
        }
    }

    fn operator(&mut self, subject: &Subject, kind: Type) -> Parsed<Operator> {
        let here = self.here();
        let operator = match self.take().map(|token| &token.kind) {
            Some(Kind::Sign("==")) => Operator::Equal,
            Some(Kind::Sign("!=")) => Operator::NotEqual,
            Some(Kind::Sign("<")) => Operator::Less,
            Some(Kind::Sign("<=")) => Operator::AtMost,
            Some(Kind::Sign(">")) => Operator::Greater,
            Some(Kind::Sign(">=")) => Operator::AtLeast,
            Some(Kind::Word(word)) if word == "contains" => Operator::Contains,
            Some(Kind::Word(word)) if word == "matches" => Operator::Matches,
            Some(Kind::Word(word)) if word == "in" => Operator::In,
            _ => {
                let message = format!("expected a comparison after `{subject}`");
                let help = "one of `==`, `!=`, `<`, `<=`, `>`, `>=`, `contains`, `matches` and `in`";
                return Err(bad(here, message, help));
            }
        };
        let ordered =
            matches!(operator, Operator::Less | Operator::AtMost | Operator::Greater | Operator::AtLeast);
        let textual = matches!(operator, Operator::Contains | Operator::Matches);
        if ordered && kind == Type::Text {
            let help = "compare it with `==`, `!=`, `contains`, `matches` or `in`";
            return Err(bad(here, format!("`{subject}` is a text and has no order"), help));
        }
        if textual && !matches!(kind, Type::Text | Type::Json) {
            let help = "compare it with `==`, `!=`, `<`, `<=`, `>` or `>=`";
            return Err(bad(here, format!("`{subject}` is not a text"), help));
        }
        Ok(operator)
    }

    fn expected(&mut self, subject: &Subject, kind: Type, operator: Operator) -> Parsed<Expected> {
        let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
        if equality && self.take_word("missing") {
            return Ok(Expected::Missing);
        }
        if operator == Operator::In {
            return self.list(subject, kind);
        }
        if operator == Operator::Matches {
            return self.pattern();
        }
        let kind = if operator == Operator::Contains { Type::Text } else { kind };
        let expected = self.value(subject, kind)?;
        let ordered = !equality && operator != Operator::Contains;
        let fits = !ordered
            || match &expected {
                Expected::Statuses(ranges) => ranges.iter().all(|(low, high)| low == high),
                Expected::Json(value) => value.is_number(),
                _ => true,
            };
        if !fits {
            let last = self.next.checked_sub(1).and_then(|last| self.tokens.get(last));
            let span = last.map_or(0..0, |token| token.span.clone());
            return Err(bad(span, format!("`{operator}` needs one number"), ""));
        }
        Ok(expected)
    }

    fn list(&mut self, subject: &Subject, kind: Type) -> Parsed<Expected> {
        self.expect_sign("[")?;
        let (mut statuses, mut values) = (Vec::new(), Vec::new());
        loop {
            match self.value(subject, kind)? {
                Expected::Statuses(ranges) => statuses.extend(ranges),
                value => values.push(value),
            }
            if !self.take_sign(",") {
                break;
            }
        }
        self.expect_sign("]")?;
        Ok(if kind == Type::Status { Expected::Statuses(statuses) } else { Expected::List(values) })
    }

    fn pattern(&mut self) -> Parsed<Expected> {
        let here = self.here();
        let Some(Token { kind: Kind::Text(text), span }) = self.take() else {
            return Err(bad(here, "expected a regular expression in quotes", ""));
        };
        let built = regex::RegexBuilder::new(text).size_limit(PATTERN_LIMIT).build();
        let why = |error: regex::Error| {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            bad(span.clone(), format!("this is not a regular expression: {last}"), "")
        };
        built.map(|pattern: Regex| Expected::Pattern(pattern)).map_err(why)
    }

    fn value(&mut self, subject: &Subject, kind: Type) -> Parsed<Expected> {
        let here = self.here();
        let token = self.take();
        let found = match (kind, token.map(|token| &token.kind)) {
            (Type::Status, Some(Kind::Number(text))) => {
                parse_statuses(text).map(|range| Expected::Statuses(vec![range]))
            }
            (Type::Duration, Some(Kind::Number(text))) => lookout_model::parse_duration(text)
                .ok()
                .filter(|found| !found.is_zero())
                .map(Expected::Duration),
            (Type::Number, Some(Kind::Number(text))) => parse_number(text).map(Expected::Number),
            (Type::Size, Some(Kind::Number(text))) => {
                parse_size(text).map(|size| Expected::Number(size as f64))
            }
            (Type::Text, Some(Kind::Text(text))) => Some(Expected::Text(text.clone())),
            (Type::Json, Some(kind)) => json_value(kind).map(Expected::Json),
            _ => None,
        };
        found.ok_or_else(|| {
            let (what, help) = expectation(kind);
            bad(here, format!("`{subject}` is compared with {what}"), format!("write it like {help}"))
        })
    }
}

fn single_or(mut conditions: Vec<Condition>, join: impl FnOnce(Vec<Condition>) -> Condition) -> Condition {
    match conditions.pop() {
        Some(single) if conditions.is_empty() => single,
        Some(last) => {
            conditions.push(last);
            join(conditions)
        }
        None => join(conditions),
    }
}

fn unknown(word: &str, span: &Range<usize>) -> BadAssertion {
    let near = suggestion(word, &SUBJECTS).map(|name| did_you_mean(&name));
    let help = near.unwrap_or_else(|| format!("known are {}", SUBJECTS.join(", ")));
    bad(span.clone(), format!("an answer has no value `{word}`"), help)
}

const fn type_of(subject: &Subject) -> Type {
    match subject {
        Subject::Status => Type::Status,
        Subject::Latency(_) => Type::Duration,
        Subject::BodySize => Type::Size,
        Subject::Redirects | Subject::DnsTtl | Subject::Certificate(CertificateFact::DaysLeft) => {
            Type::Number
        }
        Subject::Json { .. } => Type::Json,
        Subject::Header(_)
        | Subject::Body
        | Subject::Protocol
        | Subject::TlsVersion
        | Subject::Certificate(_)
        | Subject::DnsCode
        | Subject::DnsAnswers
        | Subject::GrpcStatus => Type::Text,
    }
}

const fn expectation(kind: Type) -> (&'static str, &'static str) {
    match kind {
        Type::Status => ("a status or a class of them", "`200`, `2xx` or `200-299`"),
        Type::Duration => ("a duration", "`500ms`"),
        Type::Number => ("a number", "`14`"),
        Type::Size => ("a size", "`64KiB` or in bytes"),
        Type::Text => ("a text in quotes", "`\"ok\"`"),
        Type::Json => ("a value of JSON", "`\"ok\"`, `3`, `true` or `null`"),
    }
}

fn json_value(kind: &Kind) -> Option<serde_json::Value> {
    match kind {
        Kind::Text(text) => Some(text.as_str().into()),
        Kind::Number(text) => match text.parse::<i64>() {
            Ok(whole) => Some(whole.into()),
            Err(_) => parse_number(text).map(Into::into),
        },
        Kind::Word(word) => match word.as_str() {
            "true" => Some(true.into()),
            "false" => Some(false.into()),
            "null" => Some(serde_json::Value::Null),
            _ => None,
        },
        Kind::Sign(_) => None,
    }
}

fn parse_number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Reads `200`, `200-299` or `2xx`.
pub(crate) fn parse_statuses(text: &str) -> Option<(u16, u16)> {
    let text = text.trim();
    let range = match text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
        Some(class) => class
            .parse::<u16>()
            .ok()
            .filter(|class| *class < 6)
            .map(|class| (class * 100, class * 100 + 99))?,
        None => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            (first.trim().parse().ok()?, last.trim().parse().ok()?)
        }
    };
    (100 <= range.0 && range.0 <= range.1 && range.1 <= 599).then_some(range)
}

/// Reads `64KiB`, `1MB`, `100B` or a plain number of bytes.
pub(crate) fn parse_size(text: &str) -> Option<usize> {
    let units = [("KiB", 1024), ("MiB", 1024 * 1024), ("kB", 1000), ("MB", 1_000_000), ("B", 1)];
    let with_unit = units.iter().find_map(|(unit, size)| {
        text.strip_suffix(unit)?.trim_end().parse::<usize>().ok()?.checked_mul(*size)
    });
    with_unit.or_else(|| text.parse().ok())
}
