//! Values of an answer and their comparisons.

use core::fmt;
use std::borrow::Cow;
use std::time::Duration;

use lookout_config::{CertificateFact, Expected, Operator, Subject};
use serde_json::Value as Json;

use super::Answer;
use crate::wording::measured;

/// Nodes of a JSON path, or texts, that are shown.
const MOST_SHOWN: usize = 5;

/// A value of an answer.
pub(super) enum Value<'a> {
    Missing,
    Status(u16),
    Number(f64),
    Duration(Duration),
    /// Texts of which one must fulfil the comparison.
    Texts(Vec<Cow<'a, str>>),
    /// Nodes that must all fulfil the comparison.
    Nodes(Vec<&'a Json>),
}

impl<'a> Value<'a> {
    pub(super) fn of_nodes(nodes: Vec<&'a Json>) -> Self {
        if nodes.is_empty() { Self::Missing } else { Self::Nodes(nodes) }
    }

    pub(super) fn of(subject: &Subject, answer: &'a Answer<'_>) -> Self {
        let facts = answer.facts;
        let text = |text: Option<&'a str>| text.map(|text| Self::Texts(vec![Cow::Borrowed(text)]));
        let certificate = facts.certificate.as_ref();
        let found = match subject {
            Subject::Status => facts.status.map(Self::Status),
            Subject::Latency(None) => Some(Self::Duration(answer.total)),
            Subject::Latency(Some(phase)) => answer.phases.get(*phase).map(Self::Duration),
            Subject::Header(name) => {
                let values = facts.headers.as_ref().map(|headers| headers.get_all(name.as_str()).iter());
                let values: Vec<Cow<'a, str>> = values
                    .into_iter()
                    .flatten()
                    .map(|value| String::from_utf8_lossy(value.as_bytes()))
                    .collect();
                Some(values).filter(|values| !values.is_empty()).map(Self::Texts)
            }
            Subject::Body => {
                facts.body.as_deref().map(|body| Self::Texts(vec![String::from_utf8_lossy(body)]))
            }
            Subject::BodySize => facts.body_size.map(|size| Self::Number(size as f64)),
            Subject::Json { .. } => None,
            Subject::Redirects => facts.redirects.map(|count| Self::Number(f64::from(count))),
            Subject::Protocol => text(facts.protocol),
            Subject::TlsVersion => text(facts.tls_version),
            Subject::Certificate(CertificateFact::DaysLeft) => {
                certificate.map(|certificate| Self::Number(certificate.days_left as f64))
            }
            Subject::Certificate(CertificateFact::Issuer) => {
                text(certificate.map(|found| found.issuer.as_str()))
            }
            Subject::Certificate(CertificateFact::Subject) => {
                text(certificate.map(|found| found.subject.as_str()))
            }
            Subject::Certificate(CertificateFact::Names) => certificate
                .map(|found| found.names.iter().map(|name| Cow::Borrowed(name.as_str())).collect())
                .map(Self::Texts),
            Subject::DnsCode => text(facts.dns.as_ref().map(|dns| dns.code.as_str())),
            Subject::DnsAnswers => facts.dns.as_ref().filter(|dns| !dns.answers.is_empty()).map(|dns| {
                Self::Texts(dns.answers.iter().map(|answer| Cow::Borrowed(answer.as_str())).collect())
            }),
            Subject::DnsTtl => {
                facts.dns.as_ref().and_then(|dns| dns.ttl).map(|seconds| Self::Number(f64::from(seconds)))
            }
            Subject::GrpcStatus => text(facts.grpc_status.as_deref()),
        };
        found.unwrap_or(Self::Missing)
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Status(code) => write!(f, "{code}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Duration(duration) => f.write_str(&measured(*duration)),
            Self::Texts(texts) => list(f, texts.iter().map(|text| format!("\"{}\"", text.trim_end()))),
            Self::Nodes(nodes) => list(f, nodes.iter().map(ToString::to_string)),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: impl ExactSizeIterator<Item = String>) -> fmt::Result {
    let left = items.len().saturating_sub(MOST_SHOWN);
    let shown: Vec<String> = items.take(MOST_SHOWN).collect();
    f.write_str(&shown.join(", "))?;
    if left > 0 { write!(f, " and {left} more") } else { Ok(()) }
}

/// Compares a found value with an expected one; none where the value is missing or not comparable.
pub(super) fn holds(found: &Value<'_>, operator: Operator, expected: &Expected) -> Option<bool> {
    if operator == Operator::NotEqual {
        // no text may be the one that is excluded, and no node either
        return match (found, expected) {
            (_, Expected::Missing) => Some(!matches!(found, Value::Missing)),
            (Value::Nodes(nodes), expected) => {
                let equal = |node: &&Json| node_holds(node, Operator::Equal, expected);
                nodes.iter().map(equal).try_fold(true, |all, equal| Some(all & !equal?))
            }
            _ => holds(found, Operator::Equal, expected).map(|equal| !equal),
        };
    }
    match (found, expected) {
        (found, Expected::Missing) => Some(matches!(found, Value::Missing)),
        (Value::Missing, _) => None,
        (Value::Status(code), Expected::Statuses(ranges)) => Some(status(*code, operator, ranges)),
        (Value::Number(found), Expected::Number(wanted)) => ordered(found, operator, wanted),
        (Value::Number(found), Expected::List(wanted)) => {
            Some(wanted.iter().any(|wanted| matches!(wanted, Expected::Number(wanted) if wanted == found)))
        }
        (Value::Duration(found), Expected::Duration(wanted)) => ordered(found, operator, wanted),
        (Value::Duration(found), Expected::List(wanted)) => {
            Some(wanted.iter().any(|wanted| matches!(wanted, Expected::Duration(wanted) if wanted == found)))
        }
        (Value::Texts(texts), expected) => {
            Some(texts.iter().any(|text| text_holds(text, operator, expected)))
        }
        (Value::Nodes(nodes), expected) => {
            let each: Option<Vec<bool>> =
                nodes.iter().map(|node| node_holds(node, operator, expected)).collect();
            each.map(|each| each.into_iter().all(|holds| holds))
        }
        _ => None,
    }
}

fn status(code: u16, operator: Operator, ranges: &[(u16, u16)]) -> bool {
    let single = ranges.first().map_or(0, |(low, _)| *low);
    match operator {
        Operator::Less => code < single,
        Operator::AtMost => code <= single,
        Operator::Greater => code > single,
        Operator::AtLeast => code >= single,
        _ => ranges.iter().any(|(low, high)| (*low..=*high).contains(&code)),
    }
}

fn ordered<T: PartialOrd>(found: &T, operator: Operator, wanted: &T) -> Option<bool> {
    match operator {
        Operator::Equal => Some(found == wanted),
        Operator::Less => Some(found < wanted),
        Operator::AtMost => Some(found <= wanted),
        Operator::Greater => Some(found > wanted),
        Operator::AtLeast => Some(found >= wanted),
        _ => None,
    }
}

fn text_holds(found: &str, operator: Operator, expected: &Expected) -> bool {
    match (operator, expected) {
        (Operator::Equal, Expected::Text(wanted)) => found == wanted,
        (Operator::Contains, Expected::Text(wanted)) => found.contains(wanted.as_str()),
        (Operator::Matches, Expected::Pattern(pattern)) => pattern.is_match(found),
        (Operator::In, Expected::List(wanted)) => {
            wanted.iter().any(|wanted| text_holds(found, Operator::Equal, wanted))
        }
        _ => false,
    }
}

fn node_holds(node: &Json, operator: Operator, expected: &Expected) -> Option<bool> {
    match (operator, expected) {
        (Operator::Equal, Expected::Json(wanted)) => Some(same(node, wanted)),
        (Operator::In, Expected::List(wanted)) => {
            Some(wanted.iter().any(|wanted| matches!(wanted, Expected::Json(wanted) if same(node, wanted))))
        }
        (_, Expected::Json(wanted)) => ordered(&node.as_f64()?, operator, &wanted.as_f64()?),
        (Operator::Contains, Expected::Text(wanted)) => match node {
            Json::Array(items) => Some(items.iter().any(|item| item.as_str() == Some(wanted))),
            node => node.as_str().map(|text| text.contains(wanted.as_str())),
        },
        (Operator::Matches, Expected::Pattern(pattern)) => node.as_str().map(|text| pattern.is_match(text)),
        _ => None,
    }
}

/// Equality by value: `1` and `1.0` are one number, `1` and `"1"` are not the same.
fn same(found: &Json, expected: &Json) -> bool {
    match (found, expected) {
        (Json::Number(a), Json::Number(b)) => {
            a == b || (a.is_f64() != b.is_f64() && a.as_f64() == b.as_f64())
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(found, expected)| same(found, expected))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && b.iter().all(|(key, expected)| a.get(key).is_some_and(|found| same(found, expected)))
        }
        _ => found == expected,
    }
}
