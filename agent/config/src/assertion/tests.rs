use proptest::prelude::*;

use super::*;

fn bad(text: &str) -> (String, String, String) {
    let error = Assertion::parse(text).unwrap_err();
    (text[error.span.clone()].to_owned(), error.message, error.help)
}

#[test]
fn every_form_is_read() {
    for text in [
        "status == 200",
        "status in [2xx, 304, 400-404]",
        "status != 5xx and latency < 1s or latency.tls <= 200ms",
        "not (body matches '(?i)error \\d+') and body contains \"a \\\"quoted\\\" text\"",
        "header('Content-Type') == \"text/html\" and header(\"x\") != missing",
        "json(\"$.a[*].b\") == true or json('$.n') >= -1.5 or json('$.t') in [\"a\", null, 3]",
        "certificate.days_left > 14 and certificate.names contains \"example.org\"",
        "certificate.issuer matches \"Encrypt\" and tls.version == 'TLS 1.3' and protocol == 'HTTP/2'",
        "dns.code == 'NOERROR' and dns.answers contains '127.0.0.1' and dns.ttl >= 60",
        "grpc.status in ['SERVING'] and redirects <= 2 and body.size < 64KiB",
        "not not (((status==200)))",
    ] {
        let assertion = Assertion::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(assertion.text, text);
    }
}

#[test]
fn and_binds_closer_than_or() {
    let Condition::Any(any) =
        Assertion::parse("status == 1xx or status == 2xx and latency < 1s").unwrap().root
    else {
        panic!("`or` is the root");
    };
    assert!(matches!(any.as_slice(), [Condition::Compare(_), Condition::All(_)]));
}

#[test]
fn mistakes_are_named_where_they_stand() {
    for (text, at, message) in [
        ("status = 200", "=", "`=` has no meaning here"),
        ("stats == 200", "stats", "an answer has no value `stats`"),
        ("status == ok", "ok", "`status` is compared with a status or a class of them"),
        ("status == 700", "700", "`status` is compared with a status or a class of them"),
        ("status contains \"2\"", "contains", "`status` is not a text"),
        ("status < 2xx", "2xx", "`<` needs one number"),
        ("latency < 500", "500", "`latency` is compared with a duration"),
        ("body > \"a\"", ">", "`body` is a text and has no order"),
        ("body matches \"(\"", "\"(\"", "this is not a regular expression: unclosed group"),
        ("body contains ok", "ok", "`body` is compared with a text in quotes"),
        ("body contains \"ok", "\"ok", "this text has no end"),
        ("header(\"a b\") == \"x\"", "\"a b\"", "this cannot be the name of a header"),
        ("json(\"a\") == 1", "\"a\"", "this is not a JSON path: at position 0, parser error"),
        ("json(\"$.a\") < \"x\"", "\"x\"", "`<` needs one number"),
        ("(status == 200", "0", "expected `)`"),
        ("status == 200 latency < 1s", "latency", "the assertion ends before this"),
        ("status == 200 and", "d", "expected a value of the answer"),
        ("latency.dns < 1s", "latency.dns", "an answer has no value `latency.dns`"),
        ("status", "s", "expected a comparison after `status`"),
        ("dns.ttl == \"1\"", "\"1\"", "`dns.ttl` is compared with a number"),
        ("", "", "expected a value of the answer"),
    ] {
        let (found_at, found, _) = bad(text);
        assert!(found.starts_with(message), "{text}: {found}");
        assert_eq!(found_at, at, "{text}");
    }
    assert_eq!(bad("stats == 200").2, "did you mean `status`?");
    assert_eq!(bad("latency < 500").2, "write it like `500ms`");
    assert!(bad(&"(".repeat(5000)).1.contains("4096 bytes"));
    assert!(bad(&"(".repeat(100)).1.contains("32 levels"));
}

#[test]
fn short_forms_are_the_same_language() {
    assert_eq!(Assertion::status(vec![(200, 299)]).text, "status == 2xx");
    assert_eq!(Assertion::status(vec![(200, 204), (404, 404)]).text, "status in [200-204, 404]");
    assert_eq!(Assertion::latency(Duration::from_millis(500)).text, "latency < 500ms");
    let path = JsonPath::parse("$.a").unwrap();
    assert_eq!(Assertion::json("$.a".to_owned(), path, "x".into()).text, "json(\"$.a\") == \"x\"");
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _ = Assertion::parse(&text);
    }

    #[test]
    fn no_sequence_of_words_panics(words in proptest::collection::vec(
        prop_oneof![
            Just("status"), Just("=="), Just("200"), Just("2xx"), Just("("), Just(")"), Just("and"), Just("or"),
            Just("not"), Just("in"), Just("["), Just("]"), Just(","), Just("\"a\""), Just("body"), Just("matches"),
            Just("missing"), Just("json"), Just("latency"), Just("1s"), Just("<"), Just("-1"),
        ], 0..20)) {
        let text = words.join(" ");
        if let Err(error) = Assertion::parse(&text) {
            prop_assert!(text.get(error.span).is_some());
        }
    }
}
