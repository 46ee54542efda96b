//! The language of assertions: what an answer must fulfil to be good.
//!
//! ```text
//! status in [2xx, 304] and header("content-type") contains "json"
//! json("$.checks[*].up") == true and latency.tls < 200ms
//! not (body matches "(?i)maintenance") or header("retry-after") != missing
//! certificate.days_left >= 14 and certificate.names contains "example.org"
//! ```
//!
//! Values are typed, and types are checked where the text is read. A value that is not there is `missing`: it equals only
//! `missing`, and every other comparison with it is neither true nor false, under `not` as well.

mod lexer;
pub(crate) mod parser;
pub(crate) mod path;
#[cfg(test)]
mod tests;

use core::fmt;
use core::ops::Range;
use std::time::Duration;

use regex::Regex;
use serde_json_path::JsonPath;

/// One assertion, parsed and checked.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// The text as written.
    pub text: String,
    /// Its meaning.
    pub root: Condition,
}

/// A value of an answer that becomes a variable: `json("$.id")`, `header("etag")`, `body matches "id=(\\d+)"`.
#[derive(Debug, Clone)]
pub struct Extraction {
    /// The value.
    pub subject: Subject,
    /// Its first group, or all that it matches, is taken instead of the whole value.
    pub pattern: Option<Regex>,
}

/// A condition on an answer.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Every one holds.
    All(Vec<Self>),
    /// At least one holds.
    Any(Vec<Self>),
    /// The inner one does not hold.
    Not(Box<Self>),
    /// A comparison.
    Compare(Comparison),
}

/// A value of the answer against an expected one.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The value of the answer.
    pub subject: Subject,
    /// The operator.
    pub operator: Operator,
    /// The expected value.
    pub expected: Expected,
    /// The expected value as written.
    pub expected_text: String,
}

/// A value of an answer.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The status of HTTP.
    Status,
    /// The whole duration, or that of one phase.
    Latency(Option<Phase>),
    /// The values of a header, by lower-case name.
    Header(String),
    /// The body, or the bytes a peer sent.
    Body,
    /// The size of the body.
    BodySize,
    /// The nodes of a JSON body that a path selects (RFC 9535).
    Json {
        /// The path as written.
        text: String,
        /// The parsed path.
        path: Box<JsonPath>,
    },
    /// Redirects that were followed.
    Redirects,
    /// Version of the protocol, like `HTTP/2`.
    Protocol,
    /// Version of TLS, like `TLS 1.3`.
    TlsVersion,
    /// A fact of the certificate.
    Certificate(CertificateFact),
    /// The response code of DNS, like `NOERROR`.
    DnsCode,
    /// The data of the answers of DNS.
    DnsAnswers,
    /// The lowest time to live of the answers of DNS, in seconds.
    DnsTtl,
    /// The serving status of gRPC health, like `SERVING`.
    GrpcStatus,
}

/// A fact of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFact {
    /// Days until the first certificate of the chain expires; negative afterwards.
    DaysLeft,
    /// The distinguished name of its issuer.
    Issuer,
    /// Its distinguished name.
    Subject,
    /// The names and addresses it is valid for.
    Names,
}

/// A phase of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Name to addresses.
    Resolve,
    /// Connection.
    Connect,
    /// TLS handshake.
    Tls,
    /// Request to first byte.
    Processing,
    /// First byte to end.
    Transfer,
}

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Less.
    Less,
    /// Less or equal.
    AtMost,
    /// Greater.
    Greater,
    /// Greater or equal.
    AtLeast,
    /// Holds the text.
    Contains,
    /// Matches the regular expression somewhere.
    Matches,
    /// Equals one of a list.
    In,
}

/// An expected value.
#[derive(Debug, Clone)]
pub enum Expected {
    /// No value.
    Missing,
    /// A number.
    Number(f64),
    /// A duration.
    Duration(Duration),
    /// A text.
    Text(String),
    /// A value of JSON.
    Json(serde_json::Value),
    /// A regular expression.
    Pattern(Regex),
    /// Ranges of statuses, inclusive.
    Statuses(Vec<(u16, u16)>),
    /// Several values.
    List(Vec<Self>),
}

/// A fault of an assertion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadAssertion {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// The fault.
    pub message: String,
    /// The remedy; may be empty.
    pub help: String,
}

impl Assertion {
    /// Requires a status within ranges.
    #[must_use]
    pub fn status(ranges: Vec<(u16, u16)>) -> Self {
        let shown: Vec<String> = ranges.iter().map(|range| print_statuses(*range)).collect();
        let (operator, expected_text) = match shown.as_slice() {
            [one] => (Operator::Equal, one.clone()),
            several => (Operator::In, format!("[{}]", several.join(", "))),
        };
        Self::simple(Subject::Status, operator, Expected::Statuses(ranges), expected_text)
    }

    /// Requires a total duration below a limit.
    #[must_use]
    pub fn latency(limit: Duration) -> Self {
        let shown = lookout_model::print_duration(limit);
        Self::simple(Subject::Latency(None), Operator::Less, Expected::Duration(limit), shown)
    }

    /// Requires a value in a JSON body.
    #[must_use]
    pub fn json(text: String, path: JsonPath, value: serde_json::Value) -> Self {
        let shown = value.to_string();
        let subject = Subject::Json { text, path: Box::new(path) };
        Self::simple(subject, Operator::Equal, Expected::Json(value), shown)
    }

    fn simple(subject: Subject, operator: Operator, expected: Expected, expected_text: String) -> Self {
        let text = format!("{subject} {operator} {expected_text}");
        Self { text, root: Condition::Compare(Comparison { subject, operator, expected, expected_text }) }
    }
}

impl Condition {
    /// Returns whether it looks at a value that is wanted.
    pub fn looks_at(&self, wanted: &impl Fn(&Subject) -> bool) -> bool {
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().any(|each| each.looks_at(wanted)),
            Self::Not(inner) => inner.looks_at(wanted),
            Self::Compare(comparison) => wanted(&comparison.subject),
        }
    }

    /// Every value of the answer it looks at.
    #[must_use]
    pub fn subjects(&self) -> Vec<&Subject> {
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().flat_map(Self::subjects).collect(),
            Self::Not(inner) => inner.subjects(),
            Self::Compare(comparison) => vec![&comparison.subject],
        }
    }
}

impl Subject {
    /// Returns whether it needs the bytes of the body.
    #[must_use]
    pub const fn needs_body(&self) -> bool {
        matches!(self, Self::Body | Self::Json { .. })
    }
}

fn print_statuses((low, high): (u16, u16)) -> String {
    match (low, high) {
        _ if low == high => low.to_string(),
        _ if low % 100 == 0 && high == low + 99 => format!("{}xx", low / 100),
        _ => format!("{low}-{high}"),
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Latency(None) => f.write_str("latency"),
            Self::Latency(Some(phase)) => write!(f, "latency.{}", phase.as_str()),
            Self::Header(name) => write!(f, "header(\"{name}\")"),
            Self::Body => f.write_str("body"),
            Self::BodySize => f.write_str("body.size"),
            Self::Json { text, .. } => write!(f, "json(\"{text}\")"),
            Self::Redirects => f.write_str("redirects"),
            Self::Protocol => f.write_str("protocol"),
            Self::TlsVersion => f.write_str("tls.version"),
            Self::Certificate(fact) => write!(f, "certificate.{}", fact.as_str()),
            Self::DnsCode => f.write_str("dns.code"),
            Self::DnsAnswers => f.write_str("dns.answers"),
            Self::DnsTtl => f.write_str("dns.ttl"),
            Self::GrpcStatus => f.write_str("grpc.status"),
        }
    }
}

impl CertificateFact {
    const fn as_str(self) -> &'static str {
        match self {
            Self::DaysLeft => "days_left",
            Self::Issuer => "issuer",
            Self::Subject => "subject",
            Self::Names => "names",
        }
    }
}

impl Phase {
    /// All of them in order.
    pub const ALL: [Self; 5] = [Self::Resolve, Self::Connect, Self::Tls, Self::Processing, Self::Transfer];

    /// The value of the label `phase`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Processing => "processing",
            Self::Transfer => "transfer",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Contains => "contains",
            Self::Matches => "matches",
            Self::In => "in",
        })
    }
}
