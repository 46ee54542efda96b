//! Errors have their place, and say what is expected there.

use super::*;

fn error(text: &str) -> QueryError {
    match Query::parse(text, Dialect::PromQl) {
        Ok(query) => panic!("{text} is a query: {query:?}"),
        Err(error) => error,
    }
}

#[test]
fn a_syntax_error_is_where_no_query_can_go_on() {
    for (text, part, message) in [
        ("", "", "an empty query"),
        ("# nothing", "", "an empty query"),
        ("sum(rate(a[5m])", "", "expected `,` or `)`, the query ends"),
        ("sum(rate(a[5m])))", ")", "expected an operator or the end of the query, found `)`"),
        ("sum(rate(a[5m]) b", "b", "expected `,` or `)`, found `b`"),
        ("a / ", "", "expected a metric, a function, a number or `(`, the query ends"),
        ("a / / b", "/", "expected a metric, a function, a number or `(`, found `/`"),
        ("a{b}", "}", "expected `=`, `!=`, `=~` or `!~`, found `}`"),
        ("a{b=c}", "c", "expected a value in quotes, found `c`"),
        ("a{b=\"c\" d=\"e\"}", "d", "expected `,` or `}`, found `d`"),
        ("a{", "", "expected a label name or `}`, the query ends"),
        ("a[]", "]", "expected a duration like `5m`, found `]`"),
        ("a[x]", "x", "expected a duration like `5m`, found `x`"),
        ("a[1e300]", "1e300", "expected a duration like `5m`, found `1e300`"),
        ("a offset 1e999", "1e999", "expected a duration like `5m`, found `1e999`"),
        ("a offset", "", "expected a duration like `5m`, the query ends"),
        ("sum by a (b)", "a", "expected `(`, found `a`"),
        ("sum by (1) (b)", "1", "expected a label name or `)`, found `1`"),
        ("sum(a) by", "", "expected `(`, the query ends"),
        ("rate(a[5m],)", ")", "expected a metric, a function, a number or `(`, found `)`"),
        ("on + a", "on", "expected a metric, a function, a number or `(`, found `on`"),
        ("a b", "b", "expected an operator or the end of the query, found `b`"),
        ("rate(a[5m]) ; drop", ";", "`;` is no part of PromQL"),
        ("rate(a[$__range])", "$", "`$` is no part of PromQL"),
        ("rate(a[2{{.window}}])", "{{.window}}", "the placeholder is a part of a number"),
        ("increase(a[5m]) / {{.window}}", "{{.window}}", "the placeholder stands for a number"),
        ("a {{.window}}", "{{.window}}", "expected an operator or the end of the query, found `{{.window}}`"),
        ("sum(a) by (b", "", "expected `,` or `)`, the query ends"),
        ("rate(a[{{.windw}}])", "{{.windw}}", "unknown placeholder"),
        ("a{b=~\"(\"}", "\"(\"", "expected a regular expression: unclosed group"),
        ("a{b=~\"(x{999}){999}\"}", "\"(x{999}){999}\"", "expected a smaller regular expression"),
    ] {
        let found = error(text);
        assert_eq!((&text[found.span.clone()], found.message.as_str()), (part, message), "{text}");
    }
}

#[test]
fn a_type_error_names_the_form_that_works() {
    for (text, part, message, help) in [
        (
            "sum(rate(a{b=\"c\"}))",
            "a{b=\"c\"}",
            "`rate` needs a range, and this is an instant vector",
            "the form that works is `rate(a{b=\"c\"}[{{.window}}])`",
        ),
        (
            "rate(a[5m]) + rate(sum(b))",
            "sum(b)",
            "`rate` needs a range, and this is an instant vector",
            "the form that works is a subquery: `rate((sum(b))[{{.window}}:])`",
        ),
        (
            "sum(a[{{ .window }}])",
            "a[{{ .window }}]",
            "a range where an instant vector is needed",
            "the form that works is `rate(a[{{.window}}])`",
        ),
        (
            "abs(a[5m])",
            "a[5m]",
            "a range where an instant vector is needed",
            "the form that works is `rate(a[5m])`",
        ),
        (
            "sum(a[5m])",
            "a[5m]",
            "a range where an instant vector is needed",
            "the form that works is `rate(a[5m])`",
        ),
        (
            "rate(b[5m]) + a[5m]",
            "a[5m]",
            "a range where an instant vector is needed",
            "the form that works is `rate(a[5m])`",
        ),
    ] {
        let found = error(text);
        let shown = (&text[found.span.clone()], found.message.as_str(), found.help.as_str());
        assert_eq!(shown, (part, message, help), "{text}");
    }
    for (text, part) in [
        ("a + rate(b[5m], 1)", "rate"),
        ("sum(1 > 2)", "1 > 2"),
        ("a + (1 and 2)", "and"),
        ("x and ({})", "{}"),
        ("z{__name__=\"z\"} + 1", "z"),
        ("a + topk(b)", "topk(b)"),
        ("sum(a[5m:1m] offset 1m offset 2m)", "a[5m:1m] offset 1m offset 2m"),
        ("a[5m] - 3", "a[5m]"),
        ("rate(sum(a)[5m])", "sum(a)[5m]"),
    ] {
        let found = error(text);
        assert_eq!(&text[found.span.clone()], part, "{text}: {found:?}");
    }
}

#[test]
fn an_unknown_function_is_named_with_its_neighbour() {
    for (text, part, help) in [
        ("sum(rat(a[5m]))", "rat", "do you mean `rate`?"),
        ("sum(incraese(a[5m]))", "incraese", "do you mean `increase`?"),
        ("sun(a)", "sun", "do you mean `sum`?"),
        ("holt_winters(a[5m], 1, 1)", "holt_winters", "Prometheus 3 calls it `double_exponential_smoothing`"),
        ("frobnicate(a)", "frobnicate", "see the list of functions in the documentation of Prometheus"),
    ] {
        let found = error(text);
        assert_eq!((&text[found.span.clone()], found.help.as_str()), (part, help), "{text}");
        assert_eq!(found.message, format!("unknown function `{part}`"));
    }
}

#[test]
fn line_and_column_are_those_inside_the_query() {
    let text = "sum(\n  räte(a[5m])\n)";
    assert_eq!(error(text).line_column(text), (2, 4));
    let text = "sum(\n  \"ä\" + rat(a[5m])\n)";
    assert_eq!(error(text).line_column(text), (2, 9));
    assert_eq!(error(text).located(text), "line 2, column 9 of the query: unknown function `rat`");
}

#[test]
fn what_would_take_too_much_is_refused() {
    for text in [
        "a".repeat(TEXT_LIMIT + 1),
        format!("{}a{}", "(".repeat(60), ")".repeat(60)),
        format!("{}a", "-".repeat(60)),
        format!("a{}", "+a".repeat(600)),
        vec!["a{b=~\"c\"}"; 101].join("+"),
    ] {
        error(&text);
    }
    read(&format!("{}a{}", "(".repeat(40), ")".repeat(40)));
    read(&format!("a{}", "+a".repeat(400)));
}
