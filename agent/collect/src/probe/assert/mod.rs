//! Assertions against the facts of an answer. A value that is not there decides nothing: the assertion fails and says so.

mod json;
#[cfg(test)]
mod tests;
mod value;

use std::time::Duration;

use lookout_config::{Assertion, Comparison, Condition, Extraction, Subject};
use tokio::time::Instant;

use super::attempt::{Facts, Failure};
use super::{Phases, Reason, Verdict};
use crate::wording::{DETAIL_LIMIT, bounded};
use value::Value;

/// Characters of a found value that are shown, so that the expected one still fits beside it.
const VALUE_LIMIT: usize = 100;

/// An answer, complete and within its limits.
pub(super) struct Answer<'a> {
    pub(super) facts: &'a Facts,
    pub(super) phases: &'a Phases,
    pub(super) total: Duration,
    /// A body that is not parsed by then is a failure.
    pub(super) deadline: Instant,
}

/// The body as JSON, parsed at most once.
type Parsed = Option<Result<serde_json::Value, String>>;

/// Judges an answer: the first assertion that does not hold decides.
pub(super) fn evaluate(assertions: &[Assertion], answer: &Answer<'_>) -> Verdict {
    let mut json: Parsed = None;
    for assertion in assertions {
        if json.is_none() && looks_at_json(&assertion.root) {
            json = Some(json::parse(answer.facts.body.as_deref().unwrap_or_default(), answer.deadline));
        }
        let finding = condition(&assertion.root, answer, json.as_ref(), false);
        if finding.holds != Some(true) {
            return finding
                .leaf
                .map_or_else(|| verdict(Failure::new(Reason::Body, assertion.text.clone())), verdict);
        }
    }
    Verdict::Ok
}

/// Takes a value out of an answer: the first text or node; of JSON a text without its quotes.
pub(super) fn extract(extraction: &Extraction, answer: &Answer<'_>) -> Result<String, Failure> {
    let subject = &extraction.subject;
    let missing = |why: &str| Failure::new(reason_of(subject), format!("{subject} {why}"));
    let found = match subject {
        Subject::Json { path, .. } => {
            let body = json::parse(answer.facts.body.as_deref().unwrap_or_default(), answer.deadline);
            let body = body.map_err(|why| Failure::new(Reason::Json, why))?;
            let nodes = path.query(&body);
            match nodes.all().first() {
                Some(serde_json::Value::Null) => return Err(missing("is null")),
                Some(serde_json::Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
                None => None,
            }
        }
        _ => match Value::of(subject, answer) {
            Value::Texts(texts) => texts.into_iter().next().map(std::borrow::Cow::into_owned),
            _ => None,
        },
    };
    let found = found.ok_or_else(|| missing("is missing"))?;
    let value = match &extraction.pattern {
        None => found,
        Some(pattern) => {
            let captures = pattern.captures(&found);
            let captures = captures.ok_or_else(|| missing(&format!("does not match `{pattern}`")))?;
            let group = captures.get(1).or_else(|| captures.get(0));
            group.map(|group| group.as_str().to_owned()).unwrap_or_default()
        }
    };
    // the URL of an item without its name is that of all items
    if value.is_empty() { Err(missing("is empty")) } else { Ok(value) }
}

/// A failure as a verdict, its detail bounded.
pub(super) fn verdict(failure: Failure) -> Verdict {
    Verdict::Fail { reason: failure.reason, detail: bounded(&failure.detail, DETAIL_LIMIT) }
}

fn looks_at_json(root: &Condition) -> bool {
    root.looks_at(&|subject| matches!(subject, Subject::Json { .. }))
}

/// Truth of a condition; none where a value is missing. A condition that does not hold names the comparison that decided.
struct Finding {
    holds: Option<bool>,
    leaf: Option<Failure>,
}

fn condition(
    root: &Condition,
    answer: &Answer<'_>,
    json: Option<&Result<serde_json::Value, String>>,
    negated: bool,
) -> Finding {
    match root {
        Condition::Compare(comparison) => compare(comparison, answer, json, negated),
        Condition::Not(inner) => {
            let inner = condition(inner, answer, json, !negated);
            Finding { holds: inner.holds.map(|holds| !holds), leaf: inner.leaf }
        }
        Condition::All(inner) => decided(inner, answer, json, negated, false),
        Condition::Any(inner) => decided(inner, answer, json, negated, true),
    }
}

/// A list that one value decides: `false` for all of them, `true` for any of them. Without it, a missing value is the
/// answer.
fn decided(
    inner: &[Condition],
    answer: &Answer<'_>,
    json: Option<&Result<serde_json::Value, String>>,
    negated: bool,
    decisive: bool,
) -> Finding {
    let mut missing: Option<Finding> = None;
    let mut last = Finding { holds: Some(!decisive), leaf: None };
    for part in inner {
        let finding = condition(part, answer, json, negated);
        match finding.holds {
            Some(holds) if holds == decisive => return finding,
            Some(_) => last = finding,
            None => missing = missing.or(Some(finding)),
        }
    }
    missing.unwrap_or(last)
}

fn compare(
    comparison: &Comparison,
    answer: &Answer<'_>,
    json: Option<&Result<serde_json::Value, String>>,
    negated: bool,
) -> Finding {
    let Comparison { subject, operator, expected_text, .. } = comparison;
    let found = match (subject, json) {
        (Subject::Json { .. }, Some(Err(why))) => {
            return Finding { holds: None, leaf: Some(Failure::new(Reason::Json, why.clone())) };
        }
        (Subject::Json { path, .. }, Some(Ok(body))) => Value::of_nodes(path.query(body).all()),
        (Subject::Json { .. }, None) => Value::Missing,
        _ => Value::of(subject, answer),
    };
    let holds = value::holds(&found, comparison.operator, &comparison.expected);
    if holds == Some(!negated) {
        // no comparison that is as it should be decides against an answer
        return Finding { holds, leaf: None };
    }
    let not = if negated { "not " } else { "" };
    let found = bounded(&found.to_string(), VALUE_LIMIT);
    let expected = bounded(expected_text, VALUE_LIMIT);
    let detail = format!("{not}{subject} ({found}) {operator} {expected}");
    Finding { holds, leaf: Some(Failure::new(reason_of(subject), detail)) }
}

pub(super) const fn reason_of(subject: &Subject) -> Reason {
    match subject {
        Subject::Status => Reason::Status,
        Subject::Latency(_) => Reason::Latency,
        Subject::Header(_) => Reason::Header,
        Subject::Body | Subject::BodySize => Reason::Body,
        Subject::Json { .. } => Reason::Json,
        Subject::Redirects => Reason::Redirect,
        Subject::Protocol | Subject::TlsVersion => Reason::Protocol,
        Subject::Certificate(_) => Reason::Certificate,
        Subject::DnsCode | Subject::DnsAnswers | Subject::DnsTtl => Reason::DnsAnswer,
        Subject::GrpcStatus => Reason::GrpcStatus,
    }
}
