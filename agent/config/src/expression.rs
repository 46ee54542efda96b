//! PromQL with a range that is filled in later, as Sloth writes it: `sum(rate(requests_total[{{.window}}]))`.
//!
//! It is not parsed as PromQL (the server does that, and its answer is shown), but what would fail everywhere is found
//! here: a range that is not left open, a placeholder nobody fills, brackets and quotes that do not end.

use core::fmt;
use core::ops::Range;

use super::selector::Selector;

/// Most bytes of an expression.
const TEXT_LIMIT: usize = 16 * 1024;

/// What people write between the braces for the range.
const WINDOW: [&str; 2] = [".window", "window"];

/// An expression whose value is events per second, or events, over a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// The text between the places where the range goes; at least two.
    pieces: Vec<String>,
    /// Whether its value is a rate; otherwise it is the number of events in the range.
    pub per_second: bool,
}

/// Why a text is no such expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadExpression {
    /// The bytes that are meant.
    pub span: Range<usize>,
    /// The mistake.
    pub message: String,
    /// The cure.
    pub help: &'static str,
}

impl Expression {
    /// Reads an expression; `Ok(None)` when no range is left open in it.
    ///
    /// # Errors
    /// The bytes that are wrong, why, and the cure.
    pub fn parse(text: &str) -> Result<Option<Self>, BadExpression> {
        if text.len() > TEXT_LIMIT {
            return Err(BadExpression {
                span: 0..0,
                message: format!("a query has at most {TEXT_LIMIT} bytes"),
                help: "record a part of it in Prometheus and query the recording",
            });
        }
        let (mut pieces, mut at) = (Vec::new(), 0);
        while let Some(found) = text.get(at..).and_then(|rest| rest.find("{{")) {
            let start = at + found;
            let inside = text.get(start + 2..).and_then(|rest| rest.split_once("}}")).map(|(name, _)| name);
            let length = inside.map_or(2, |name| name.len() + 4);
            if !inside.is_some_and(|name| WINDOW.contains(&name.trim())) {
                return Err(BadExpression {
                    span: start..start + length,
                    message: "a placeholder that is not known".to_owned(),
                    help: "`{{.window}}` is the only one: it stands where the range goes",
                });
            }
            pieces.push(text.get(at..start).unwrap_or_default().to_owned());
            at = start + length;
        }
        if pieces.is_empty() {
            return Ok(None);
        }
        pieces.push(text.get(at..).unwrap_or_default().trim_end().to_owned());
        balanced(text)?;
        let called = |name: &str| pieces.iter().any(|piece| calls(piece, name));
        let counted = ["increase", "sum_over_time", "count_over_time", "delta"].into_iter().any(called);
        let per_second = !counted || ["rate", "irate"].into_iter().any(called);
        Ok(Some(Self { pieces, per_second }))
    }

    /// The expression over a range, in PromQL's notation.
    #[must_use]
    pub fn over(&self, range: &str) -> String {
        self.pieces.join(range)
    }

    /// The counters behind an expression of the plainest form, `sum(rate(SELECTOR[{{.window}}]))`.
    #[must_use]
    pub fn counters(&self) -> Option<Selector> {
        let [before, after] = self.pieces.as_slice() else { return None };
        let squeezed: String = after.split_whitespace().collect();
        let inside = before.trim_start().strip_prefix("sum")?.trim_start().strip_prefix('(')?.trim_start();
        let called = ["rate", "increase"].into_iter().find_map(|name| inside.strip_prefix(name))?;
        let selector = called.trim_start().strip_prefix('(')?.trim_end().strip_suffix('[')?;
        (squeezed == "]))").then(|| selector.trim().parse().ok())?
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.over("{{.window}}"))
    }
}

/// Whether a function is called somewhere in a text.
fn calls(text: &str, function: &str) -> bool {
    text.match_indices(function).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default().chars().next_back();
        let after = text.get(at + function.len()..).unwrap_or_default().trim_start();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':')) && after.starts_with('(')
    })
}

/// Whether quotes end and brackets match.
fn balanced(text: &str) -> Result<(), BadExpression> {
    let wrong = |at: usize, message: String| {
        Err(BadExpression { span: at..at + 1, message, help: "mend the PromQL; `promtool` can tell more" })
    };
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' | '\'' | '`' => {
                let mut ended = false;
                while let Some((_, inside)) = chars.next() {
                    if inside == c {
                        ended = true;
                        break;
                    }
                    if inside == '\\' && c != '`' {
                        chars.next();
                    }
                }
                if !ended {
                    return wrong(at, format!("a quote {c} that does not end"));
                }
            }
            '(' | '[' | '{' => open.push((c, at)),
            ')' | ']' | '}' => {
                let opening = match c {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                if open.pop().is_none_or(|(last, _)| last != opening) {
                    return wrong(at, format!("a `{c}` without its `{opening}`"));
                }
            }
            _ => {}
        }
    }
    match open.pop() {
        Some((c, at)) => wrong(at, format!("a `{c}` that is not closed")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Expression {
        Expression::parse(text).unwrap().unwrap()
    }

    #[test]
    fn the_range_is_filled_in_wherever_it_is_left_open() {
        for text in ["sum(rate(a[{{.window}}]))", "sum(rate(a[{{ .window }}]))", "sum(rate(a[{{window}}]))\n"]
        {
            assert_eq!(read(text).over("5m"), "sum(rate(a[5m]))", "{text}");
            assert_eq!(read(text).to_string(), "sum(rate(a[{{.window}}]))", "{text}");
        }
        let two = read("sum(rate(a[{{.window}}])) - sum(rate(b[{{.window}}]))");
        assert_eq!(two.over("10s"), "sum(rate(a[10s])) - sum(rate(b[10s]))");
        assert_eq!(Expression::parse("requests_total{code=\"500\"}"), Ok(None));
    }

    #[test]
    fn rates_are_told_from_numbers_of_events() {
        for (text, per_second) in [
            ("sum(rate(a[{{.window}}]))", true),
            ("sum(irate (a[{{.window}}]))", true),
            ("sum(increase(a[{{.window}}]))", false),
            ("sum(count_over_time(up[{{.window}}]))", false),
            ("sum(rate(price_increase[{{.window}}]))", true),
            ("sum(increase(my_rate[{{.window}}]))", false),
            ("my:rate{{.window}}", true),
        ] {
            assert_eq!(read(text).per_second, per_second, "{text}");
        }
    }

    #[test]
    fn the_plainest_form_shows_its_counters() {
        let selector = |text: &str| read(text).counters().map(|selector| selector.to_string());
        let plain = "sum ( rate( a{code=~\"5..\"} [{{.window}}] ) )";
        assert_eq!(selector(plain).as_deref(), Some("a{code=~\"5..\"}"));
        assert_eq!(selector("sum(increase(a[{{window}}]))").as_deref(), Some("a"));
        for other in [
            "sum by (x) (rate(a[{{.window}}]))",
            "rate(a[{{.window}}])",
            "sum(rate(a[{{.window}}])) / 2",
            "sum(rate(a[{{.window}}])) - sum(rate(b[{{.window}}]))",
            "sum(rate(a[{{.window}}] offset 5m))",
        ] {
            assert_eq!(selector(other), None, "{other}");
        }
    }

    #[test]
    fn what_no_server_would_take_is_found() {
        for (text, part, message) in [
            ("sum(rate(a[{{.windw}}]))", "{{.windw}}", "a placeholder that is not known"),
            ("sum(rate(a[{{.window", "{{", "a placeholder that is not known"),
            ("sum(rate(a[{{.window}}])", "(", "a `(` that is not closed"),
            ("sum(rate(a[{{.window}}])))", ")", "a `)` without its `(`"),
            ("sum(rate(a{b=\"c}[{{.window}}]))", "\"", "a quote \" that does not end"),
        ] {
            let bad = Expression::parse(text).unwrap_err();
            assert_eq!((&text[bad.span], bad.message.as_str()), (part, message), "{text}");
        }
        assert!(Expression::parse("sum(rate(a{b=\"}(\\\"\"}[{{.window}}]))").is_ok());
        assert!(Expression::parse(&"a".repeat(TEXT_LIMIT + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}|[a-z{}.()\\[\\]\"'`\\\\]{0,40}") {
            if let Ok(Some(expression)) = Expression::parse(&text) {
                let _ = (expression.over("5m"), expression.counters());
            }
        }
    }
}
