//! Whether an answer is what was expected. Values are typed, and a missing one is a failure, never a zero.

use std::time::Duration;

use serde_json::Value;

use super::dial::Failure;
use super::{Reason, Verdict};
use crate::wording::{DETAIL_LIMIT, bounded, measured};
use lookout_config::{Expect, JsonExpectation};

/// Characters of a measured value that are shown at most, so that the expected one still fits beside it.
const VALUE_LIMIT: usize = 100;

/// What came back, complete and within its limits.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) total: Duration,
    pub(super) body: &'a [u8],
}

/// The first expectation that was not met decides: status, then latency, then the body.
pub(super) fn judge(expect: &Expect, answer: &Answer<'_>) -> Verdict {
    let decided = status(expect, answer).or_else(|| latency(expect, answer)).or_else(|| json(expect, answer));
    decided.map_or(Verdict::Ok, verdict)
}

/// A failure as a verdict, its detail bounded.
pub(super) fn verdict(failure: Failure) -> Verdict {
    Verdict::Fail { reason: failure.reason, detail: bounded(&failure.detail, DETAIL_LIMIT) }
}

fn status(expect: &Expect, answer: &Answer<'_>) -> Option<Failure> {
    let status = answer.status;
    if expect.status.iter().any(|(low, high)| (*low..=*high).contains(&status)) {
        return None;
    }
    let ranges: Vec<String> = expect
        .status
        .iter()
        .map(|(low, high)| if low == high { low.to_string() } else { format!("{low}-{high}") })
        .collect();
    Some(Failure::new(Reason::Status, format!("status {status}, expected {}", ranges.join(", "))))
}

fn latency(expect: &Expect, answer: &Answer<'_>) -> Option<Failure> {
    let limit = expect.latency.filter(|limit| answer.total >= *limit)?;
    let detail = format!("took {}, expected less than {limit:?}", measured(answer.total));
    Some(Failure::new(Reason::Latency, detail))
}

fn json(expect: &Expect, answer: &Answer<'_>) -> Option<Failure> {
    if expect.json.is_empty() {
        return None;
    }
    match serde_json::from_slice::<Value>(answer.body) {
        Ok(body) => expect.json.iter().find_map(|expectation| json_value(expectation, &body)),
        Err(error) => Some(Failure::new(Reason::Json, format!("the body is no JSON: {error}"))),
    }
}

fn json_value(expectation: &JsonExpectation, body: &Value) -> Option<Failure> {
    let nodes = expectation.path.query(body).all();
    let path = bounded(&expectation.text, VALUE_LIMIT);
    let expected = bounded(&expectation.equals.to_string(), VALUE_LIMIT);
    if nodes.is_empty() {
        return Some(Failure::new(Reason::Json, format!("{path} is missing, expected {expected}")));
    }
    let other = nodes.into_iter().find(|node| !same(node, &expectation.equals))?;
    let found = bounded(&other.to_string(), VALUE_LIMIT);
    Some(Failure::new(Reason::Json, format!("{path} is {found}, expected {expected}")))
}

/// Equality by value: `1` and `1.0` are one number, `1` and `"1"` are not the same.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.is_f64() != b.is_f64() && a.as_f64() == b.as_f64())
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(found, expected)| same(found, expected))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && b.iter().all(|(key, expected)| a.get(key).is_some_and(|found| same(found, expected)))
        }
        _ => found == expected,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expecting(path: &str, equals: Value) -> Expect {
        let path = JsonExpectation {
            text: path.to_owned(),
            path: serde_json_path::JsonPath::parse(path).unwrap(),
            equals,
        };
        Expect { json: vec![path], ..Expect::default() }
    }

    fn detail(expect: &Expect, status: u16, millis: u64, body: &str) -> Option<String> {
        let answer = Answer { status, total: Duration::from_millis(millis), body: body.as_bytes() };
        match judge(expect, &answer) {
            Verdict::Ok => None,
            Verdict::Fail { reason, detail } => Some(format!("{}: {detail}", reason.as_str())),
        }
    }

    #[test]
    fn a_status_outside_the_ranges_is_told_with_both() {
        let default = Expect::default();
        assert_eq!(detail(&default, 204, 1, ""), None);
        assert_eq!(detail(&default, 503, 1, "").unwrap(), "status: status 503, expected 200-299");
        assert_eq!(detail(&default, 302, 1, "").unwrap(), "status: status 302, expected 200-299");
        let some = Expect { status: vec![(200, 204), (404, 404)], ..Expect::default() };
        assert_eq!(detail(&some, 404, 1, ""), None);
        assert_eq!(detail(&some, 405, 1, "").unwrap(), "status: status 405, expected 200-204, 404");
    }

    #[test]
    fn latency_must_stay_below_its_limit() {
        let expect = Expect { latency: Some(Duration::from_millis(500)), ..Expect::default() };
        assert_eq!(detail(&expect, 200, 499, ""), None);
        assert_eq!(detail(&expect, 200, 500, "").unwrap(), "latency: took 500.0ms, expected less than 500ms");
        assert_eq!(detail(&expect, 500, 900, "").unwrap(), "status: status 500, expected 200-299");
    }

    #[test]
    fn json_values_are_typed_and_a_missing_one_fails() {
        let ok = expecting("$.status", json!("ok"));
        assert_eq!(detail(&ok, 200, 1, r#"{"status":"ok"}"#), None);
        let told = detail(&ok, 200, 1, r#"{"status":"fail"}"#).unwrap();
        assert_eq!(told, r#"json: $.status is "fail", expected "ok""#);
        assert_eq!(detail(&ok, 200, 1, "{}").unwrap(), r#"json: $.status is missing, expected "ok""#);
        assert!(detail(&ok, 200, 1, "<html>").unwrap().starts_with("json: the body is no JSON: "));
        assert!(detail(&ok, 200, 1, "").unwrap().starts_with("json: the body is no JSON: "));
        let zero = expecting("$.difference", json!(0));
        assert!(detail(&zero, 200, 1, r#"{"error":"x"}"#).is_some(), "missing is not zero");
        assert!(detail(&zero, 200, 1, r#"{"difference":"0"}"#).is_some(), "text is not a number");
        assert!(detail(&zero, 200, 1, r#"{"difference":0.9}"#).is_some(), "fractions count");
        assert_eq!(detail(&zero, 200, 1, r#"{"difference":0.0}"#), None);
    }

    #[test]
    fn every_selected_node_must_be_equal() {
        let all = expecting("$.parts[*].up", json!(true));
        assert_eq!(detail(&all, 200, 1, r#"{"parts":[{"up":true},{"up":true}]}"#), None);
        let told = detail(&all, 200, 1, r#"{"parts":[{"up":true},{"up":false}]}"#).unwrap();
        assert_eq!(told, "json: $.parts[*].up is false, expected true");
        let nested = expecting("$.a", json!({"x": [1, 2.0]}));
        assert_eq!(detail(&nested, 200, 1, r#"{"a":{"x":[1.0,2]}}"#), None);
    }

    #[test]
    fn a_huge_value_does_not_make_a_huge_detail() {
        let expect = expecting("$.a", json!("short"));
        let body = format!(r#"{{"a":"{}"}}"#, "ü".repeat(10_000));
        let told = detail(&expect, 200, 1, &body).unwrap();
        assert!(told.chars().count() <= DETAIL_LIMIT + "json: ".len());
        assert!(told.ends_with(r#", expected "short""#), "{told}");
    }
}
