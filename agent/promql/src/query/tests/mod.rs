//! Queries as people write them, and queries that no one should.

mod errors;
mod properties;

use promql_parser::parser;

use super::*;

fn read(text: &str) -> Query {
    Query::parse(text, Dialect::PromQl).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn events(text: &str) -> Result<bool, QueryError> {
    EventQuery::try_new(read(text)).map(|query| query.is_per_second())
}

#[test]
fn the_window_is_filled_in_wherever_it_is_left_open() {
    for text in ["sum(rate(a[{{.window}}]))", "sum(rate(a[{{ .window }}]))", "sum(rate(a[{{- window -}}]))\n"]
    {
        assert_eq!(read(text).over("5m"), "sum(rate(a[5m]))", "{text}");
        assert_eq!(read(text).to_string(), "sum(rate(a[{{.window}}]))", "{text}");
        assert!(read(text).is_windowed());
    }
    let two =
        read("sum(rate(a{w=\"{{.window}}\"}[{{.window}}] offset {{.window}})) - sum(b:rate{{.window}})");
    assert_eq!(two.over("10s"), "sum(rate(a{w=\"10s\"}[10s] offset 10s)) - sum(b:rate10s)");
    assert!(!read("a # [{{.window}}]").is_windowed());
}

#[test]
fn comments_are_left_out_and_lines_stay() {
    let query = read("sum(rate(a[{{.window}}])) # all of them\n# and\n  / 2 # [{{.window}}]");
    assert_eq!(query.over("5m"), "sum(rate(a[5m]))\n  / 2");
    assert_eq!(format!("sum({})", read("b{c=\"# d\"} # e").over("5m")), "sum(b{c=\"# d\"})");
}

#[test]
fn rates_are_told_from_counts_and_gauges() {
    use Quantity::{Count, CountOfOtherRange, Gauge, Mixed, Number, PerSecond};
    for (text, quantity) in [
        ("sum(rate(a[{{.window}}]))", PerSecond),
        ("sum(irate (a[{{.window}}]))", PerSecond),
        ("sum(deriv(a[{{.window}}]))", PerSecond),
        ("sum(increase(a[{{.window}}]))", Count),
        ("sum(delta(a[{{.window}}]))", Count),
        ("sum(changes(a[{{.window}}]))", Count),
        ("sum(resets(a[{{.window}}]))", Count),
        ("sum(present_over_time(a[{{.window}}]))", Count),
        ("sum(absent_over_time(a[{{.window}}]))", Count),
        ("sum(count_over_time(up[{{.window}}]))", Count),
        ("sum(sum_over_time(up[{{.window}}]))", Count),
        ("sum(rate(price_increase[{{.window}}]))", PerSecond),
        ("sum(increase(my_rate[{{.window}}]))", Count),
        ("sum(increase(a{f=\"rate(\"}[{{.window}}]))", Count),
        ("sum(increase(a[{{.window}}])) # rate(a)", Count),
        ("sum(increase(a[5m])) + sum(b:increase{{.window}})", Mixed),
        ("sum(increase(a[5m]))", CountOfOtherRange),
        ("my:rate{{.window}}", PerSecond),
        ("job:requests:sum_increase{{.window}}", Count),
        ("sum(avg_over_time(up[{{.window}}]))", Gauge),
        ("sum(max_over_time(rate(a[5m])[{{.window}}:1m]))", PerSecond),
        ("sum(sum_over_time(rate(a[5m])[{{.window}}:1m]))", Gauge),
        ("sum(sum_over_time((rate(a[5m]) > bool 0.5)[{{.window}}:1m]))", Count),
        ("count(rate(a[{{.window}}]))", Gauge),
        ("histogram_quantile(0.9, sum by (le) (rate(a[{{.window}}])))", Gauge),
        (
            "sum(histogram_fraction(0, 0.2, rate(x[{{.window}}])) * histogram_count(rate(x[{{.window}}])))",
            PerSecond,
        ),
        ("sum(rate(a[{{.window}}]) * on (pod) group_left (node) kube_pod_info)", PerSecond),
        ("sum(rate(a[{{.window}}])) / sum(rate(b[{{.window}}]))", Number),
        ("1 - sum(rate(a[{{.window}}])) / sum(rate(b[{{.window}}]))", Number),
        ("sum(rate(a[{{.window}}])) or vector(0)", PerSecond),
        ("sum(rate(a[{{.window}}])) / sum(increase(b[{{.window}}]))", Gauge),
        ("sum(rate(a[{{.window}}])) + sum(increase(b[{{.window}}]))", Mixed),
        ("clamp_min(-sum(increase(a[{{.window}}])), 0) > 3", Count),
        ("sum(rate(a[{{.window}}])) ^ 2", Gauge),
        ("up", Gauge),
        ("time()", Number),
    ] {
        assert_eq!(read(text).quantity(), Ok(quantity), "{text}");
    }
    let unknown = read("slo:sli_error:ratio_rate{{.window}}").quantity().unwrap_err();
    assert_eq!(unknown.message, "cannot tell whether this recording is a rate or a count");
}

#[test]
fn the_table_of_functions_is_complete() {
    for name in function::names() {
        let unknown =
            parser::parse(&format!("{name}()")).is_err_and(|error| error.contains("unknown function"));
        assert!(!unknown, "{name} is in the table, and the parser lacks it");
    }
    for name in include_str!("functions.txt").split_whitespace() {
        assert!(function::effect(name).is_some(), "{name} is in Prometheus, and the table lacks it");
    }
    for function in function::metricsql_rollups() {
        assert!(!function::names().any(|name| name == function.name), "{} is PromQL", function.name);
    }
}

#[test]
fn only_what_counts_events_of_one_whole_is_events() {
    assert_eq!(events("sum(rate(a[{{.window}}]))"), Ok(true));
    assert_eq!(events("changes(a[{{.window}}])"), Ok(false));
    for (text, part, message) in [
        ("a[5m]", "a[5m]", "a range where an instant vector is needed"),
        ("sum(rate(a[5m]))", "5m", "no window is left open"),
        ("1 + 1", "1 + 1", "a number where events are needed"),
        ("\"a\"", "\"a\"", "a text where events are needed"),
        ("sum(up)", "sum(up)", "a gauge where events are needed: its value is neither a rate nor a count"),
        ("sum(increase(a[5m]))", "5m", "events in a range that is not the window"),
        (
            "rate(a[5m]) + increase(b[{{.window}}])",
            "rate(a[5m]) + increase(b[{{.window}}])",
            "a rate and a count are added",
        ),
        (
            "rate(a[5m]) / rate(a[5m])",
            "rate(a[5m]) / rate(a[5m])",
            "a share or a number where events are needed",
        ),
    ] {
        let error = events(text).unwrap_err();
        assert_eq!((&text[error.span.clone()], error.message.as_str()), (part, message), "{text}");
    }
    let error = events("a[{{ .window }}]").unwrap_err();
    assert_eq!(error.help, "the form that works is `sum(rate(a[{{.window}}]))`");
}

#[test]
fn groupings_that_keep_labels_are_found() {
    for (text, part) in [
        ("sum by (cluster) (rate(a[{{.window}}]))", "by (cluster)"),
        ("sum(rate(a[{{.window}}])) without (pod)", "without (pod)"),
        ("sum without () (rate(a[{{.window}}]))", "without ()"),
        ("SUM BY (b, \"c\") (rate(a[{{.window}}]))", "BY (b, \"c\")"),
        ("sum(rate(x[1m])) + max by (b) (sum by (b, c) (rate(a[1m])))", "by (b)"),
        ("label_replace(sum by (b) (rate(a[1m])), \"d\", \"$1\", \"b\", \"(.*)\")", "by (b)"),
        ("sum by (c) (rate(a[1m])) / on (c) sum by (c) (rate(b[1m]))", "by (c)"),
        ("topk(1, sum by (c) (rate(a[1m])))", "by (c)"),
        ("count_values(\"v\", a)", "count_values(\"v\", a)"),
        ("histogram_quantile(0.9, sum by (le, job) (rate(a[1m])))", "by (le, job)"),
    ] {
        let found = read(text).grouping().cloned().unwrap_or_else(|| panic!("{text}"));
        assert_eq!(&text[found.span.clone()], part, "{text}");
    }
    for text in [
        "sum(rate(a[1m]))",
        "sum by () (rate(a[1m]))",
        "sum(sum by (c) (rate(a[1m])))",
        "histogram_quantile(0.9, sum by (le) (rate(a[1m])))",
        "sum by (c) (sum(rate(a[1m])))",
        "sum without (c) (sum by (c) (rate(a[1m])))",
        "scalar(sum by (c) (rate(a[1m])))",
        "rate(a[1m])",
        "sum by (c) (rate(a[1m])) * on () sum(b)",
    ] {
        assert_eq!(read(text).grouping(), None, "{text}");
    }
}

#[test]
fn a_ratio_is_taken_apart_only_when_that_is_all_it_is() {
    let shown = |text: &str| {
        let ratio = read(text).ratio().unwrap()?;
        Some((ratio.part.to_string(), ratio.total.to_string(), ratio.complement))
    };
    let split = |part: &str, total: &str, complement| Some((part.to_owned(), total.to_owned(), complement));
    assert_eq!(shown("sum(a) / sum(b)"), split("sum(a)", "sum(b)", false));
    assert_eq!(shown("((sum(a))\n/\n(sum(b)))"), split("sum(a)", "sum(b)", false));
    assert_eq!(shown("(a) / (b)"), split("a", "b", false));
    assert_eq!(shown("1 - (sum(a) / sum(b))"), split("sum(a)", "sum(b)", true));
    assert_eq!(shown("(1 - sum(a) / sum(b))"), split("sum(a)", "sum(b)", true));
    assert_eq!(shown("a{path=\"/x - y\"} # c / d\n / b"), split("a{path=\"/x - y\"}", "b", false));
    assert_eq!(shown("sum(a / c) by (x) / sum(b)"), split("sum(a / c) by (x)", "sum(b)", false));
    assert_eq!(shown("(a + c) / b"), split("a + c", "b", false));
    for text in [
        "avg(a)",
        "a / b / c",
        "a / b * 2",
        "a + b / c",
        "(a / b) or vector(0)",
        "a / on(x) b",
        "2 - a / b",
        "a > 1 / b",
        "a / b unless c",
        "1 - a",
        "clamp_max(a / b, 1)",
        "1 - a / b - c",
        "-(a / b)",
    ] {
        assert_eq!(shown(text), None, "{text}");
    }
}

#[test]
fn fixed_ranges_are_found_and_nothing_else() {
    let text = "rate(a{x=\"[5m]\"}[5m]) + increase(b[{{.window}}]) + max_over_time(c[1h:1m]) + rate(d[1h30m]) # [2m]";
    let query = read(text);
    let found: Vec<&str> = query.fixed_ranges().iter().map(|range| &text[range.clone()]).collect();
    assert_eq!(found, ["5m", "1h30m"]);
    let expected = "rate(a{x=\"[5m]\"}[{{.window}}]) + increase(b[{{.window}}]) + max_over_time(c[1h:1m]) + \
                    rate(d[{{.window}}])";
    assert_eq!(query.with_window().unwrap().to_string(), expected);
}

#[test]
fn matchers_are_added_to_every_selector() {
    use crate::selector::{MatchOp, Matcher};
    let job = |value: &str| Matcher::try_new("job".to_owned(), MatchOp::Equal, value.to_owned()).unwrap();
    let added = |text: &str| read(text).with_matchers(&[job("x\"y")]).unwrap().to_string();
    for (text, expected) in [
        (
            "sum by (job) (rate(a[5m])) / b{}",
            "sum by (job) (rate(a{job=\"x\\\"y\"}[5m])) / b{job=\"x\\\"y\"}",
        ),
        (
            "a{b=\"c\",} and on (sum) {__name__=\"d\"}",
            "a{b=\"c\",job=\"x\\\"y\"} and on (sum) {__name__=\"d\",job=\"x\\\"y\"}",
        ),
        ("a{job=~\"own\"} or sum", "a{job=~\"own\"} or sum{job=\"x\\\"y\"}"),
        ("a{b=\"1\" or c=\"2\"}", "a{b=\"1\",job=\"x\\\"y\" or c=\"2\",job=\"x\\\"y\"}"),
        ("{\"a.b\"} # c", "{\"a.b\",job=\"x\\\"y\"}"),
    ] {
        assert_eq!(added(text), expected);
    }
}

#[test]
fn the_plainest_form_shows_its_counters() {
    let selector = |text: &str| read(text).counters().map(ToString::to_string);
    let plain = "sum ( rate( a{code=~\"5..\"} [{{.window}}] ) ) # errors";
    assert_eq!(selector(plain).as_deref(), Some("a{code=~\"5..\"}"));
    assert_eq!(selector("sum(increase(a[{{window}}]))").as_deref(), Some("a"));
    for other in [
        "sum by (x) (rate(a[{{.window}}]))",
        "rate(a[{{.window}}])",
        "sum(rate(a[5m]))",
        "sum(rate(a[{{.window}}])) / 2",
        "sum(rate(a[{{.window}}])) - sum(rate(b[{{.window}}]))",
        "sum(rate(a[{{.window}}] offset 5m))",
    ] {
        assert_eq!(selector(other), None, "{other}");
    }
}

#[test]
fn sums_of_counters_have_terms() {
    let terms = |text: &str| {
        let query = EventQuery::try_new(read(text)).unwrap();
        let sign = |negative| if negative { '-' } else { '+' };
        query
            .terms()
            .iter()
            .map(|term| format!("{}{}", sign(term.negative), term.selector))
            .collect::<String>()
    };
    assert_eq!(
        terms("sum(rate(a[{{.window}}])) - (sum(rate(b{c=\"d\"}[{{.window}}])) - rate(e[{{.window}}]))"),
        "+a-b{c=\"d\"}+e"
    );
    for text in [
        "sum(rate(a[{{.window}}])) * 2",
        "sum(rate(a[5m])) + sum(rate(b[{{.window}}]))",
        "sum(rate(a[{{.window}}] offset 1m))",
        "sum(changes(a[{{.window}}]))",
        "sum(rate(a[{{.window}}])) or vector(0)",
        "max(rate(a[{{.window}}]))",
    ] {
        assert_eq!(terms(text), "", "{text}");
    }
}

#[test]
fn metricsql_is_taken_on_request_only() {
    let text = "sum(increase_pure(a[{{.window}}]))";
    let error = Query::parse(text, Dialect::PromQl).unwrap_err();
    assert_eq!(&text[error.span.clone()], "increase_pure");
    assert_eq!(error.message, "only MetricsQL knows `increase_pure`, Prometheus does not");
    assert!(!EventQuery::try_new(Query::parse(text, Dialect::MetricsQl).unwrap()).unwrap().is_per_second());
    let error = Query::parse("median(a)", Dialect::PromQl).unwrap_err();
    assert_eq!(error.message, "only MetricsQL knows `median`, Prometheus does not");
    assert!(Query::parse("range_max(a)", Dialect::MetricsQl).is_err());
    // asking for it once changes nothing for others
    assert!(Query::parse(text, Dialect::PromQl).is_err());
}
