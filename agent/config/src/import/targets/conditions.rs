//! Conditions of Gatus as assertions of ours: `<value> <operator> <value>`.

use lookout_model::parse_duration;

use super::written::quoted;

/// The protocol of an endpoint, as far as conditions depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    Dns,
    Other,
}

/// The meaning of a condition.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// An assertion.
    Assertion(String),
    /// A condition that every probe demands anyway.
    Implied,
}

/// Converts a condition; none where there is no assertion that means the same.
pub(super) fn convert(text: &str, kind: Kind) -> Option<Condition> {
    let mut words = text.trim().splitn(2, ' ');
    let (left, rest) = (words.next()?, words.next()?);
    let (operator, right) = rest.trim().split_once(' ')?;
    let right = right.trim();
    if !matches!(operator, "==" | "!=" | "<" | "<=" | ">" | ">=") {
        return None;
    }
    let assertion = |text: String| Some(Condition::Assertion(text));
    let upper = left.to_ascii_uppercase();
    match upper.as_str() {
        "[CONNECTED]" => (operator == "==" && right == "true").then_some(Condition::Implied),
        "[STATUS]" => status(operator, right).and_then(assertion),
        "[RESPONSE_TIME]" => {
            let millis: u64 = right.parse().ok()?;
            assertion(format!("latency {operator} {millis}ms"))
        }
        "[DNS_RCODE]" => assertion(format!("dns.code {operator} {}", quoted(right))),
        "[CERTIFICATE_EXPIRATION]" => {
            let seconds = parse_duration(right).ok()?.as_secs();
            // only whole days left are known: the stricter bound
            let days = if operator.starts_with('>') { seconds.div_ceil(86_400) } else { seconds / 86_400 };
            operator
                .starts_with(['<', '>'])
                .then(|| format!("certificate.days_left {operator} {days}"))
                .and_then(assertion)
        }
        // what a peer sends unasked is not read here
        "[BODY]" | "LEN([BODY])" if kind == Kind::Other => None,
        "[BODY]" => {
            let subject = if kind == Kind::Dns { "dns.answers" } else { "body" };
            texts(subject, operator, right).and_then(assertion)
        }
        "LEN([BODY])" => assertion(format!("body.size {operator} {}", right.parse::<u64>().ok()?)),
        _ => json(left, operator, right).and_then(assertion),
    }
}

fn status(operator: &str, right: &str) -> Option<String> {
    if let Some(list) = any(right) {
        let not = if operator == "!=" { "not " } else { "" };
        let codes: Vec<u16> = list.iter().map(|code| code.parse().ok()).collect::<Option<_>>()?;
        let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
        return Some(format!("{not}(status in [{}])", codes.join(", ")))
            .filter(|_| operator.ends_with('=') && operator.len() == 2 && !operator.starts_with(['<', '>']));
    }
    Some(format!("status {operator} {}", right.parse::<u16>().ok()?))
}

/// A comparison of a text: equal, unequal, or by a pattern with `*`.
fn texts(subject: &str, operator: &str, right: &str) -> Option<String> {
    if !matches!(operator, "==" | "!=") {
        return None;
    }
    let not = if operator == "!=" { "not " } else { "" };
    let one = |text: &str| match text.strip_prefix("pat(").and_then(|text| text.strip_suffix(')')) {
        Some(pattern) => format!("{subject} matches {}", quoted(&regex_of(pattern))),
        None => format!("{subject} == {}", quoted(text)),
    };
    let all: Vec<String> = match any(right) {
        Some(list) => list.iter().map(|text| one(text)).collect(),
        None => vec![one(right)],
    };
    match all.as_slice() {
        [only] if not.is_empty() => Some(only.clone()),
        all => Some(format!("{not}({})", all.join(" or "))),
    }
}

fn regex_of(pattern: &str) -> String {
    let parts: Vec<String> = pattern.split('*').map(regex::escape).collect();
    format!("(?s)^{}$", parts.join(".*"))
}

/// The values of `any(a, b)`.
fn any(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix("any(")?.strip_suffix(')')?;
    Some(inner.split(',').map(str::trim).collect())
}

/// A comparison of a value of a JSON body: `[BODY].a.b[0]`, `has([BODY].a)`.
fn json(left: &str, operator: &str, right: &str) -> Option<String> {
    if let Some(inner) = left.strip_prefix("has(").and_then(|text| text.strip_suffix(')')) {
        let path = path_of(inner)?;
        let there = match (operator, right) {
            ("==", "true") | ("!=", "false") => "!=",
            ("==", "false") | ("!=", "true") => "==",
            _ => return None,
        };
        return Some(format!("{path} {there} missing"));
    }
    let path = path_of(left)?;
    if right.contains('(') || right.starts_with('[') {
        return texts(&path, operator, right).filter(|_| right.starts_with("pat("));
    }
    let is_literal =
        right.parse::<f64>().is_ok_and(f64::is_finite) || matches!(right, "true" | "false" | "null");
    let value = if is_literal { right.to_owned() } else { quoted(right) };
    Some(format!("{path} {operator} {value}"))
}

fn path_of(text: &str) -> Option<String> {
    let (body, path) = text.split_at_checked("[BODY]".len())?;
    if !body.eq_ignore_ascii_case("[BODY]") || !path.starts_with(['.', '[']) {
        return None;
    }
    // a name that is no plain word is written in brackets
    let steps = path.split('.').map(|step| {
        let (name, index) =
            step.split_once('[').map_or((step, String::new()), |(name, rest)| (name, format!("[{rest}")));
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match name {
            "" => index,
            name if plain && !name.starts_with(|c: char| c.is_ascii_digit()) => format!(".{name}{index}"),
            name => format!("['{name}']{index}"),
        }
    });
    Some(format!("json({})", quoted(&format!("${}", steps.collect::<String>()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Assertion;

    #[test]
    fn conditions_become_assertions_that_are_read_back() {
        for (condition, wanted) in [
            ("[STATUS] == 200", "status == 200"),
            ("[STATUS] < 300", "status < 300"),
            ("[status] == any(200, 429)", "(status in [200, 429])"),
            ("[STATUS] != any(500, 503)", "not (status in [500, 503])"),
            ("[RESPONSE_TIME] < 500", "latency < 500ms"),
            ("[CERTIFICATE_EXPIRATION] > 48h", "certificate.days_left > 2"),
            ("[CERTIFICATE_EXPIRATION] >= 36h", "certificate.days_left >= 2"),
            ("[DNS_RCODE] == NOERROR", "dns.code == \"NOERROR\""),
            ("[BODY] == pong", "body == \"pong\""),
            ("[BODY] == pat(*pong*)", "body matches \"(?s)^.*pong.*$\""),
            ("[BODY] != pat(*er.ror*)", "not (body matches \"(?s)^.*er\\\\.ror.*$\")"),
            ("[BODY] == any(a, pat(b*))", "(body == \"a\" or body matches \"(?s)^b.*$\")"),
            ("[BODY].status == UP", "json(\"$.status\") == \"UP\""),
            ("[BODY].data[0].id == 1", "json(\"$.data[0].id\") == 1"),
            ("[BODY][0].id > 1.5", "json(\"$[0].id\") > 1.5"),
            ("[BODY].a-b.ok == true", "json(\"$['a-b'].ok\") == true"),
            ("[BODY].name == pat(j*)", "json(\"$.name\") matches \"(?s)^j.*$\""),
            ("has([BODY].errors) == false", "json(\"$.errors\") == missing"),
            ("len([BODY]) > 10", "body.size > 10"),
        ] {
            assert_eq!(
                convert(condition, Kind::Http),
                Some(Condition::Assertion(wanted.to_owned())),
                "{condition}"
            );
            if let Err(bad) = Assertion::parse(wanted) {
                panic!("{wanted}: {bad:?}");
            }
        }
        assert_eq!(convert("[BODY] == pong", Kind::Other), None);
        assert_eq!(convert("[CONNECTED] == true", Kind::Other), Some(Condition::Implied));
        let dns = convert("[BODY] == 10.0.0.1", Kind::Dns);
        assert_eq!(dns, Some(Condition::Assertion("dns.answers == \"10.0.0.1\"".to_owned())));
    }

    #[test]
    fn a_condition_without_a_counterpart_is_none() {
        for condition in [
            "[CONNECTED] == false",
            "[DOMAIN_EXPIRATION] > 720h",
            "[IP] == 127.0.0.1",
            "len([BODY].list) > 3",
            "[CONTEXT].id == 1",
            "[STATUS] ~ 200",
            "[STATUS] == OK",
            "[STATUS] < any(200, 300)",
            "[BODY] < abc",
            "[STATUS]==200",
            "",
        ] {
            assert_eq!(convert(condition, Kind::Http), None, "{condition}");
        }
    }
}
