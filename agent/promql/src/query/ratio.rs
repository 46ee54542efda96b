//! Forms of a query that mean something to an SLO: a ratio, and a sum over counters.

use core::ops::Range;

use promql_parser::parser::token::{T_DIV, T_SUB, T_SUM};
use promql_parser::parser::{BinaryExpr, Expr};

use super::outline::Outline;
use super::{Query, QueryError};
use crate::selector::Selector;

/// The two sides of `part / total` or `1 - part / total`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ratio {
    /// The numerator.
    pub part: Query,
    /// The denominator.
    pub total: Query,
    /// True if it is written as `1 - part / total`.
    pub complement: bool,
}

/// Places of the two sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    part: Range<usize>,
    total: Range<usize>,
    complement: bool,
}

impl Query {
    /// Splits `part / total` or `1 - part / total`; `None` for every other form.
    ///
    /// # Errors
    /// Fails when one side alone is no query.
    pub fn ratio(&self) -> Result<Option<Ratio>, QueryError> {
        let Some(places) = &self.facts.ratio else { return Ok(None) };
        let side = |span: &Range<usize>| {
            Self::parse(self.source.get(span.clone()).unwrap_or_default(), self.dialect).map_err(
                |mut error| {
                    error.span = error.span.start + span.start..error.span.end + span.start;
                    error
                },
            )
        };
        let (part, total) = (side(&places.part)?, side(&places.total)?);
        Ok(Some(Ratio { part, total, complement: places.complement }))
    }
}

/// Finds the two sides of a ratio.
pub(super) fn places(tree: &Expr, text: &str, outline: &Outline) -> Option<Places> {
    let all = 0..text.len();
    let (tree, span, depth) = inside(tree, all, 0, outline);
    let Expr::Binary(binary) = tree else { return None };
    if binary.op.id() == T_DIV {
        return quotient(binary, span, depth, text, outline);
    }
    let one = matches!(&*binary.lhs, Expr::NumberLiteral(number) if number.val == 1.0);
    if binary.op.id() != T_SUB || !one {
        return None;
    }
    let operator = last_operator(&["-", "+"], &span, depth, text, outline)?;
    let (tree, span, depth) = inside(&binary.rhs, operator.end..span.end, depth, outline);
    let Expr::Binary(binary) = tree else { return None };
    let places = (binary.op.id() == T_DIV).then(|| quotient(binary, span, depth, text, outline))??;
    Some(Places { complement: true, ..places })
}

fn quotient(
    binary: &BinaryExpr,
    span: Range<usize>,
    depth: usize,
    text: &str,
    outline: &Outline,
) -> Option<Places> {
    // between quantities of one another, a product of a count and a number is still a count
    let plain = |side: &Expr| !matches!(side, Expr::Binary(_));
    if binary.modifier.is_some() || !plain(&binary.lhs) || !plain(&binary.rhs) {
        return None;
    }
    let operator = last_operator(&["/"], &span, depth, text, outline)?;
    let (_, part, _) = inside(&binary.lhs, span.start..operator.start, depth, outline);
    let (_, total, _) = inside(&binary.rhs, operator.end..span.end, depth, outline);
    Some(Places { part, total, complement: false })
}

/// Removes the parentheses around the whole.
fn inside<'a>(
    mut tree: &'a Expr,
    mut span: Range<usize>,
    mut depth: usize,
    outline: &Outline,
) -> (&'a Expr, Range<usize>, usize) {
    while let Expr::Paren(paren) = tree {
        // the largest group within is the one of these parentheses
        let within =
            |group: &&Range<usize>| span.start <= group.start && group.end <= span.end && **group != span;
        let Some(group) = outline.groups.iter().filter(within).max_by_key(|group| group.len()) else { break };
        (tree, span, depth) = (&paren.expr, group.clone(), depth + 1);
    }
    (tree, span, depth)
}

/// The last operator of a kind at a depth: operators of one precedence bind from the left.
fn last_operator(
    signs: &[&str],
    span: &Range<usize>,
    depth: usize,
    text: &str,
    outline: &Outline,
) -> Option<Range<usize>> {
    let found = outline.operators.iter().rev().find(|operator| {
        let within = span.start <= operator.span.start && operator.span.end <= span.end;
        within
            && operator.depth == depth
            && text.get(operator.span.clone()).is_some_and(|sign| signs.contains(&sign))
    });
    found.map(|operator| operator.span.clone())
}

/// The counters of `sum(rate(SELECTOR[{{.window}}]))` or of the same with `increase`.
pub(super) fn counters(tree: &Expr, outline: &Outline, windows: &[Range<usize>]) -> Option<Selector> {
    let Expr::Aggregate(aggregate) = tree else { return None };
    let Expr::Call(call) = &*aggregate.expr else { return None };
    let plain = aggregate.op.id() == T_SUM && aggregate.modifier.is_none();
    if !plain || !matches!(call.func.name, "rate" | "increase") {
        return None;
    }
    let Some(Expr::MatrixSelector(range)) = call.args.args.first().map(|argument| &**argument) else {
        return None;
    };
    let duration = outline.ranges.first()?.duration.start;
    let over_window = windows.iter().any(|window| window.start == duration);
    over_window.then(|| Selector::of_vector(&range.vs))?
}
