//! Properties over texts of any kind, and over queries that a grammar makes.

use promql_parser::parser::{self, Expr};
use proptest::prelude::*;

use super::*;
use crate::selector::{MatchOp, Matcher};

/// Queries of every form, of type instant vector.
fn vector() -> impl Strategy<Value = String> {
    let name =
        prop_oneof![Just("a"), Just("job:x:rate5m"), Just("sum"), Just("by"), Just("offset"), Just("start")];
    let matcher = prop_oneof![
        Just("b=\"c\""),
        Just("order!='d'"),
        Just("e=~`f.*`"),
        Just("on !~ \"\\\"#[(]\""),
        Just("\"u.v\"=\"ä\""),
    ];
    let matchers = (proptest::collection::vec(matcher, 1..3), any::<bool>(), any::<bool>());
    let braces = matchers.prop_map(|(list, comma, or)| {
        let between = if or { " or " } else { ", " };
        format!("{{{}{}}}", list.join(between), if comma && !or { "," } else { "" })
    });
    let selector = (name, proptest::option::of(braces))
        .prop_map(|(name, braces)| name.to_owned() + &braces.unwrap_or_default());
    let range = prop_oneof![
        Just("[5m]"),
        Just("[{{ .window }}]"),
        Just("[ 1h30m ]"),
        Just("[{{window}}] offset -5m"),
        Just("[300] @ end()")
    ];
    let ranged = (selector.clone(), range).prop_map(|(selector, range)| selector + range);
    let over = prop_oneof![Just("rate"), Just("increase"), Just("changes"), Just("count_over_time")];
    let leaf = prop_oneof![
        selector,
        (over, ranged).prop_map(|(function, ranged)| format!("{function}({ranged})")),
        Just("vector(0)".to_owned()),
        Just("quantile_over_time(0.9, x[5m])".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let grouping = prop_oneof![Just(""), Just(" by (c, \"d.e\") "), Just(" WITHOUT(c)"), Just(" by () ")];
        let operator = prop_oneof![
            Just("+"),
            Just("/"),
            Just(" - on (c) "),
            Just("> bool"),
            Just(" and "),
            Just(" unless ignoring(d) "),
            Just(" * on(c) group_left(d) "),
            Just("/ # why / not (\n"),
            Just("== "),
        ];
        prop_oneof![
            (inner.clone(), grouping.clone()).prop_map(|(inner, by)| format!("sum{by}({inner})")),
            (inner.clone(), grouping).prop_map(|(inner, by)| format!("topk(3, {inner}){by}")),
            (inner.clone(), operator, inner.clone()).prop_map(|(l, op, r)| format!("({l}){op} ({r})")),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("{l} / {r}")),
            inner.clone().prop_map(|inner| format!("max_over_time(({inner})[1h:{{{{.window}}}}])")),
            inner.clone().prop_map(|inner| format!("-({inner})")),
            inner.prop_map(|inner| format!("clamp_max({inner}, 1 # a\n)")),
        ]
    })
}

fn tree(text: &str) -> Expr {
    let filled = template::fill(text).unwrap();
    parser::parse(&filled.text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Every selector of a tree.
fn selectors<'a>(tree: &'a mut Expr, found: &mut Vec<&'a mut parser::VectorSelector>) {
    match tree {
        Expr::VectorSelector(vector) => found.push(vector),
        Expr::MatrixSelector(matrix) => found.push(&mut matrix.vs),
        Expr::Paren(paren) => selectors(&mut paren.expr, found),
        Expr::Unary(unary) => selectors(&mut unary.expr, found),
        Expr::Subquery(subquery) => selectors(&mut subquery.expr, found),
        Expr::Binary(binary) => {
            selectors(&mut binary.lhs, found);
            selectors(&mut binary.rhs, found);
        }
        Expr::Aggregate(aggregate) => selectors(&mut aggregate.expr, found),
        Expr::Call(call) => call.args.args.iter_mut().for_each(|argument| selectors(argument, found)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,30}|[a-z{}.()\\[\\]\"'`\\\\]{0,40}|(sum|rate|by|[(){}\\[\\],=~\"' \n#:@+-]|5m|1e9|a|ä|or|offset|\\{\\{.window}}|\\\\x|\\\\u00){0,25}") {
        match Query::parse(&text, Dialect::PromQl) {
            Ok(query) => {
                let _ = (query.over("5m"), EventQuery::try_new(query.clone()), query.ratio(), query.with_window(), query.counters());
            }
            Err(error) => {
                prop_assert!(text.get(error.span.clone()).is_some(), "{:?} of {:?}", error, text);
                let _ = error.located(&text);
            }
        }
    }

    #[test]
    fn a_cut_query_is_an_error_and_no_panic(text in vector(), at in any::<prop::sample::Index>()) {
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let cut = &text[..ends[at.index(ends.len())]];
        let _ = Query::parse(cut, Dialect::PromQl);
    }

    #[test]
    fn what_the_parser_takes_is_read_and_printed_as_the_same_tree(text in vector()) {
        let before = tree(&text);
        let query = read(&text);
        prop_assert_eq!(tree(&query.to_string()), before.clone());
        // and printing is done once and for all
        prop_assert_eq!(read(&query.to_string()).to_string(), query.to_string());
        prop_assert_eq!(query.kind(), Kind::InstantVector);
    }

    #[test]
    fn the_parser_alone_takes_the_same_texts(text in "(sum|rate|by|on|and|[(){}\\[\\],=+ ]|5m|1|a|\"b\"|or|offset){0,12}") {
        if let Ok(tree) = parser::parse(&text) {
            let read = Query::parse(&text, Dialect::PromQl);
            prop_assert!(read.is_ok(), "{:?}: {:?}, {:?}", text, read, tree);
        }
    }

    #[test]
    fn matchers_are_all_that_a_rewrite_adds(text in vector()) {
        let job = Matcher::try_new("job".to_owned(), MatchOp::Equal, "x".to_owned()).unwrap();
        let query = read(&text).with_matchers(&[job]).unwrap();
        let mut after = tree(query.source());
        let mut found = Vec::new();
        selectors(&mut after, &mut found);
        for selector in found {
            let is_job = |matcher: &promql_parser::label::Matcher| matcher.name == "job";
            let alternatives = &mut selector.matchers.or_matchers;
            for matchers in alternatives.iter_mut().chain([&mut selector.matchers.matchers]) {
                if !matchers.is_empty() {
                    prop_assert_eq!(matchers.iter().filter(|matcher| is_job(matcher)).count(), 1, "{}", query);
                }
                matchers.retain(|matcher| !is_job(matcher));
            }
        }
        prop_assert_eq!(after, tree(&text));
    }

    #[test]
    fn fixed_ranges_are_all_that_a_window_replaces(text in vector()) {
        let query = read(&text).with_window().unwrap();
        prop_assert!(query.fixed_ranges().is_empty());
        let plain = |text: &str| text.replace("[5m]", "[1m]").replace("[ 1h30m ]", "[1m]").replace("[300]", "[1m]");
        prop_assert_eq!(tree(query.source()), tree(&plain(&text)));
    }
}
