//! Assertions on facts. What an assertion says on a whole answer is tested with the protocols.

use serde_json::json;

use super::super::Certificate;
use super::super::attempt::DnsFacts;
use super::*;

fn judge(assertion: &str, facts: &Facts) -> String {
    let assertions = [Assertion::parse(assertion).unwrap()];
    let phases = Phases { tls: Some(Duration::from_millis(20)), ..Phases::default() };
    let deadline = Instant::now() + Duration::from_secs(60);
    let answer = Answer { facts, phases: &phases, total: Duration::from_millis(500), deadline };
    match evaluate(&assertions, &answer) {
        Verdict::Ok => "ok".to_owned(),
        Verdict::Fail { reason, detail } => format!("{}: {detail}", reason.as_str()),
    }
}

fn body(text: &str) -> Facts {
    Facts { body: Some(text.as_bytes().to_vec()), ..Facts::default() }
}

#[tokio::test]
async fn missing_decides_nothing_but_its_own_comparison() {
    let none = Facts::default();
    for (assertion, holds) in [
        ("status == missing", true),
        ("status != missing", false),
        ("status == 200", false),
        ("status != 200", false),
        ("not status == 200", false),
        ("status == 200 or latency < 1s", true),
        ("not (status == 200 and latency < 1s)", false),
        ("not (status == 200 and latency > 1s)", true),
        ("dns.ttl < 5 or dns.ttl >= 5", false),
    ] {
        assert_eq!(judge(assertion, &none) == "ok", holds, "{assertion}: {}", judge(assertion, &none));
    }
    assert_eq!(judge("status == 200 or dns.ttl > 1", &none), "status: status (missing) == 200");
}

#[tokio::test]
async fn json_is_typed_and_every_node_must_hold() {
    for (text, assertion, told) in [
        (r#"{"s":"ok"}"#, "json('$.s') == 'ok'", "ok"),
        (r#"{"s":"fail"}"#, "json('$.s') == 'ok'", r#"json: json("$.s") ("fail") == 'ok'"#),
        ("{}", "json('$.s') == 'ok'", r#"json: json("$.s") (missing) == 'ok'"#),
        ("{}", "json('$.s') < 5", r#"json: json("$.s") (missing) < 5"#),
        (r#"{"n":"0"}"#, "json('$.n') == 0", r#"json: json("$.n") ("0") == 0"#),
        (r#"{"n":0.9}"#, "json('$.n') == 0", r#"json: json("$.n") (0.9) == 0"#),
        (r#"{"n":0.0}"#, "json('$.n') == 0", "ok"),
        (r#"{"n":7}"#, "json('$.n') > 6.5 and json('$.n') <= 7", "ok"),
        (r#"{"n":"7"}"#, "json('$.n') > 6", r#"json: json("$.n") ("7") > 6"#),
        (
            r#"{"p":[{"u":true},{"u":false}]}"#,
            "json('$.p[*].u') == true",
            r#"json: json("$.p[*].u") (true, false) == true"#,
        ),
        (r#"{"l":["a","b"]}"#, "json('$.l') contains 'b' and json('$.l[0]') in ['a', 3, null]", "ok"),
        (r#"{"n":null}"#, "json('$.n') == null and json('$.n') != missing", "ok"),
        (
            r#"{"c":["up","down"]}"#,
            "json('$.c[*]') != 'down'",
            r#"json: json("$.c[*]") ("up", "down") != 'down'"#,
        ),
        (
            r#"{"c":["down","up"]}"#,
            "json('$.c[*]') != 'down'",
            r#"json: json("$.c[*]") ("down", "up") != 'down'"#,
        ),
        (r#"{"c":["up","slow"]}"#, "json('$.c[*]') != 'down'", "ok"),
    ] {
        assert_eq!(judge(assertion, &body(text)), told, "{text}");
    }
    assert!(judge("json('$') == 1", &body("<html>")).starts_with("json: the body is no JSON: "));
    assert!(
        judge("json('$') == missing", &body("")).starts_with("json: the body is no JSON: "),
        "no JSON is not missing"
    );
    let path = serde_json_path::JsonPath::parse("$.a").unwrap();
    let deep = Assertion::json("$.a".to_owned(), path, json!({"x": [1, 2.0]}));
    let facts = body(r#"{"a":{"x":[1.0,2]}}"#);
    let answer =
        Answer { facts: &facts, phases: &Phases::default(), total: Duration::ZERO, deadline: Instant::now() };
    assert_eq!(evaluate(&[deep], &answer), Verdict::Ok);
}

#[tokio::test]
async fn durations_and_phases_are_compared() {
    let none = Facts::default();
    assert_eq!(judge("latency < 500ms", &none), "latency: latency (500.0ms) < 500ms");
    assert_eq!(judge("latency <= 500ms and latency.tls == 20ms", &none), "ok");
    assert_eq!(judge("latency.resolve < 1s", &none), "latency: latency.resolve (missing) < 1s");
}

#[tokio::test]
async fn certificates_and_dns_are_compared() {
    let certificate = Certificate {
        subject: "CN=localhost".to_owned(),
        issuer: "CN=Example CA".to_owned(),
        names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        serial: String::new(),
        fingerprint: String::new(),
        not_after_s: 0,
        sent_not_after_s: 0,
        verified_not_after_s: None,
        days_left: 13,
    };
    let dns = DnsFacts {
        code: "NOERROR".to_owned(),
        answers: vec!["192.0.2.1".to_owned(), "192.0.2.2".to_owned()],
        ttl: Some(30),
        counts: [2, 0, 0],
        serial: None,
    };
    let facts = Facts { certificate: Some(certificate), dns: Some(dns), ..Facts::default() };
    for (assertion, told) in [
        ("certificate.days_left >= 14", "certificate: certificate.days_left (13) >= 14"),
        ("certificate.names == 'localhost' and certificate.issuer matches 'CA$'", "ok"),
        (
            "certificate.subject contains 'example'",
            r#"certificate: certificate.subject ("CN=localhost") contains 'example'"#,
        ),
        ("dns.answers == '192.0.2.2' and dns.code == 'NOERROR' and dns.ttl >= 30", "ok"),
        (
            "dns.answers contains '10.'",
            r#"dns_answer: dns.answers ("192.0.2.1", "192.0.2.2") contains '10.'"#,
        ),
        (
            "dns.answers != '192.0.2.2'",
            r#"dns_answer: dns.answers ("192.0.2.1", "192.0.2.2") != '192.0.2.2'"#,
        ),
    ] {
        assert_eq!(judge(assertion, &facts), told);
    }
}

#[tokio::test]
async fn a_huge_value_does_not_make_a_huge_detail() {
    let facts = body(&format!(r#"{{"a":"{}"}}"#, "ü".repeat(10_000)));
    let told = judge("json('$.a') == 'short'", &facts);
    assert!(told.chars().count() <= DETAIL_LIMIT && told.ends_with("== 'short'"), "{told}");
}
