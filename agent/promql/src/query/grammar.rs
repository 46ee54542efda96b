//! The parser, and the places of its errors.
//!
//! The parser tells an error in words and without a place. The error of a part is the error of the whole, so the smallest
//! part of the outline that has the error is its place.

use core::cmp::Reverse;
use core::ops::Range;
use std::sync::LazyLock;

use promql_parser::parser::{self, Expr};
use promql_parser::util::unquote_string;

use super::Dialect;
use super::error::QueryError;
use super::function;
use super::outline::{AGGREGATIONS, Call, Outline};
use super::template::{Filled, WINDOW};
use super::token::{Kind, Token, tokens};
use crate::selector::{anchored, quoted};

/// Most regular expressions of a query.
const REGEX_LIMIT: usize = 100;

/// Lets the parser read MetricsQL's functions over a range. [`check_functions`] says where they are allowed.
static DIALECTS: LazyLock<Result<(), String>> =
    LazyLock::new(|| parser::register_extra_functions(function::metricsql_rollups()));

/// Finds functions that the server does not know.
pub(super) fn check_functions(text: &str, outline: &Outline, dialect: Dialect) -> Result<(), QueryError> {
    for call in &outline.calls {
        let name = text.get(call.name.clone()).unwrap_or_default();
        let taken = dialect == Dialect::MetricsQl && function::is_metricsql_rollup(name);
        if taken || (function::effect(name).is_some() && !function::is_metricsql(name)) {
            continue;
        }
        let span = call.name.clone();
        return Err(match (function::is_metricsql(name), dialect) {
            (true, Dialect::PromQl) => {
                let help = "say `dialect: metricsql` at the server when it is a VictoriaMetrics";
                QueryError::new(span, format!("only MetricsQL knows `{name}`, Prometheus does not"), help)
            }
            (true, Dialect::MetricsQl) => {
                let help = "of MetricsQL's further functions those over one range are read";
                QueryError::new(span, format!("`{name}` of MetricsQL is not supported"), help)
            }
            (false, _) => QueryError::new(span, format!("unknown function `{name}`"), advice(name)),
        });
    }
    Ok(())
}

fn advice(name: &str) -> String {
    if name == "holt_winters" {
        return "Prometheus 3 calls it `double_exponential_smoothing`".to_owned();
    }
    let known = function::names().chain(AGGREGATIONS);
    let lower = name.to_ascii_lowercase();
    // of two that are as near, the one that begins alike
    let alike = |known: &str| lower.bytes().zip(known.bytes()).take_while(|(a, b)| a == b).count();
    let near = known.map(|known| (distance(&lower, known), Reverse(alike(known)), known)).min();
    match near {
        Some((difference, _, known)) if difference <= 2 && difference < name.len() => {
            format!("do you mean `{known}`?")
        }
        _ => "see the list of functions in the documentation of Prometheus".to_owned(),
    }
}

/// The number of letters to change, add or remove.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (n, left) in a.bytes().enumerate() {
        let mut diagonal = n;
        let mut before = n + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(b.bytes()) {
            let changed = diagonal + usize::from(left != right);
            diagonal = *cell;
            before = changed.min(diagonal + 1).min(before + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = n + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Finds placeholders that are a part of a number, as in `[2{{.window}}]`, or stand as one.
pub(super) fn check_windows(tokens: &[Token], outline: &Outline, filled: &Filled) -> Result<(), QueryError> {
    for window in &filled.windows {
        if outline.durations.iter().any(|duration| duration.start == window.start) {
            let help = "use `rate` for events per second and `increase` for events";
            return Err(QueryError::new(window.clone(), "the placeholder stands for a number", help));
        }
        let token =
            tokens.iter().find(|token| token.span.start <= window.start && window.start < token.span.end);
        let Some(token) = token.filter(|token| matches!(token.kind, Kind::Number | Kind::Duration)) else {
            continue;
        };
        if token.span.start != window.start || token.span.end > window.end {
            let help = format!("`{WINDOW}` is the whole range: `[{WINDOW}]`");
            return Err(QueryError::new(window.clone(), "the placeholder is a part of a number", help));
        }
    }
    Ok(())
}

/// Parses a text that has an outline.
pub(super) fn parse(text: &str, outline: &Outline) -> Result<Expr, QueryError> {
    if let Err(message) = &*DIALECTS {
        return Err(QueryError::new(
            0..0,
            message.clone(),
            "this version of the parser knows these functions",
        ));
    }
    tree(text).map_err(|message| located(text, outline, &message))
}

/// Parses a text or a part of it.
fn tree(text: &str) -> Result<Expr, String> {
    // the parser looks for escapes between backticks, where there are none
    if !text.contains('`') {
        return parser::parse(text);
    }
    let Ok(tokens) = tokens(text) else { return parser::parse(text) };
    let mut plain = text.to_owned();
    for token in tokens.all.iter().rev().filter(|token| token.kind == Kind::Text) {
        let written = text.get(token.span.clone()).unwrap_or_default();
        if let Some(raw) = written.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
            plain.replace_range(token.span.clone(), &quoted(raw));
        }
    }
    parser::parse(&plain)
}

/// Regular expressions take memory before the parser can refuse them, and it does not say why it refuses one.
pub(super) fn check_patterns(text: &str, tokens: &[Token]) -> Result<(), QueryError> {
    let mut patterns = 0;
    for pair in tokens.windows(2) {
        let [sign, value] = pair else { continue };
        if !matches!(sign.kind, Kind::Sign("=~" | "!~")) || value.kind != Kind::Text {
            continue;
        }
        patterns += 1;
        if patterns > REGEX_LIMIT {
            let message = format!("more than {REGEX_LIMIT} regular expressions");
            return Err(QueryError::new(sign.span.clone(), message, "record a part of the query"));
        }
        let written = text.get(value.span.clone()).unwrap_or_default();
        let Ok(pattern) = unquote_string(written) else { continue };
        if let Err(expected) = anchored(&pattern)
            // Go takes a brace that repeats nothing; the parser knows
            && (!pattern.contains('{') || expected.contains("smaller"))
        {
            let message = format!("expected {expected}");
            return Err(QueryError::new(value.span.clone(), message, "Prometheus takes the syntax of RE2"));
        }
    }
    Ok(())
}

/// Gives an error of the parser its place, and plain words where it has them.
fn located(text: &str, outline: &Outline, message: &str) -> QueryError {
    let selections = outline.selectors.iter().map(|selection| {
        let start = selection.name.clone().or(selection.braces.clone()).unwrap_or(0..0).start;
        let end = selection.braces.clone().or(selection.name.clone()).unwrap_or(0..0).end;
        start..end
    });
    let parts = outline.calls.iter().flat_map(|call| call.arguments.iter().chain([&call.all]));
    let aggregations =
        outline.aggregations.iter().flat_map(|found| found.arguments.iter().chain([&found.all]));
    let ranges = outline.ranges.iter().map(|range| &range.all);
    let mut parts: Vec<Range<usize>> =
        parts.chain(aggregations).chain(&outline.groups).chain(ranges).cloned().chain(selections).collect();
    parts.sort_by_key(|part| (part.len(), part.start));
    let fails = |part: &&Range<usize>| {
        text.get((*part).clone()).is_some_and(|part| tree(part).is_err_and(|error| error == message))
    };
    let span = parts.iter().find(fails).cloned().unwrap_or(0..text.trim_end().len());
    if let Some(call) = outline.calls.iter().find(|call| call.all == span)
        && let Some(error) = argument(text, call, message)
    {
        return error;
    }
    let aggregation = outline.aggregations.iter().find(|aggregation| aggregation.all == span);
    if let Some(aggregation) = aggregation
        && let Some(error) = aggregation.arguments.last().and_then(|last| needs_vector(text, last, message))
    {
        return error;
    }
    let within =
        |range: &&super::outline::RangeOf| span.start <= range.all.start && range.all.end <= span.end;
    if message.contains("only scalar and instant vector")
        && let Some(range) =
            outline.ranges.iter().filter(within).find(|range| is_operand(text, outline, range))
    {
        return range_error(text, &range.all);
    }
    // the error names a token in quotes
    let named = message.split('\'').nth(1).filter(|name| !name.is_empty());
    let inside = text.get(span.clone()).unwrap_or_default();
    let token =
        named.and_then(|name| inside.find(name).map(|at| span.start + at..span.start + at + name.len()));
    QueryError::new(token.unwrap_or(span), plain(message), "correct the PromQL here")
}

/// Returns whether a range is the operand of an operator rather than the argument of a call.
fn is_operand(text: &str, outline: &Outline, range: &super::outline::RangeOf) -> bool {
    let is_range = |span: &Range<usize>| text.get(span.clone()).map(str::trim) == text.get(range.all.clone());
    !outline.calls.iter().any(|call| call.arguments.iter().any(|a| a.start == range.all.start && is_range(a)))
}

/// Explains an argument of the wrong type.
fn argument(text: &str, call: &Call, message: &str) -> Option<QueryError> {
    let name = text.get(call.name.clone())?;
    if let Some(error) = call.arguments.iter().find_map(|argument| needs_vector(text, argument, message)) {
        return Some(error);
    }
    if !message.starts_with("expected type ") {
        return message.contains("argument(s)").then(|| {
            QueryError::new(
                call.name.clone(),
                plain(message),
                "see the documentation of Prometheus for its arguments",
            )
        });
    }
    let is_vector = |argument: &&Range<usize>| {
        let parsed = text.get((*argument).clone()).and_then(|part| tree(part).ok());
        parsed.is_some_and(|tree| tree.value_type() == parser::value::ValueType::Vector)
    };
    let wanted = message.strip_prefix("expected type ")?.split(' ').next()?;
    let vector = call.arguments.iter().find(is_vector);
    match (wanted, vector) {
        ("matrix" | "range", Some(vector)) => {
            let written = text.get(vector.clone())?.trim();
            let help = match tree(written) {
                Ok(Expr::VectorSelector(_)) => {
                    format!("the form that works is `{name}({written}[{WINDOW}])`")
                }
                _ => format!("the form that works is a subquery: `{name}(({written})[{WINDOW}:])`"),
            };
            Some(QueryError::new(
                vector.clone(),
                format!("`{name}` needs a range, and this is an instant vector"),
                help,
            ))
        }
        _ => Some(QueryError::new(call.all.clone(), plain(message), "correct the arguments")),
    }
}

/// Explains a range where an instant vector is needed.
fn needs_vector(text: &str, argument: &Range<usize>, message: &str) -> Option<QueryError> {
    let is_range = || {
        let parsed = text.get(argument.clone()).and_then(|part| tree(part).ok());
        parsed.is_some_and(|tree| tree.value_type() == parser::value::ValueType::Matrix)
    };
    (message.starts_with("expected type vector") && is_range()).then(|| range_error(text, argument))
}

fn range_error(text: &str, span: &Range<usize>) -> QueryError {
    let written = text.get(span.clone()).unwrap_or_default().trim();
    let help = format!("the form that works is `rate({written})`");
    QueryError::new(span.clone(), "a range where an instant vector is needed", help)
}

/// The parser's message in the words of Prometheus' documentation.
fn plain(message: &str) -> String {
    message
        .replace("type matrix", "a range")
        .replace("type vector", "an instant vector")
        .replace("matrix", "range")
}
