//! Queries that are a sum of counters, term by term.

use promql_parser::parser::Expr;
use promql_parser::parser::token::{T_ADD, T_SUB, T_SUM};

use crate::selector::Selector;

/// The events of some counters, added or taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The counters.
    pub selector: Selector,
    /// True if their events are subtracted.
    pub negative: bool,
}

/// The terms of a query of sums, differences, `rate` and `increase`; `None` for every other.
pub(super) fn terms(tree: &Expr) -> Option<Vec<Term>> {
    match tree {
        Expr::Paren(paren) => terms(&paren.expr),
        Expr::Aggregate(aggregate) if aggregate.op.id() == T_SUM => terms(&aggregate.expr),
        Expr::Call(call) if matches!(call.func.name, "rate" | "increase") => {
            let Some(Expr::MatrixSelector(range)) = call.args.args.first().map(|argument| &**argument) else {
                return None;
            };
            Some(vec![Term { selector: Selector::of_vector(&range.vs)?, negative: false }])
        }
        Expr::Binary(binary) if binary.modifier.is_none() && matches!(binary.op.id(), T_ADD | T_SUB) => {
            let mut sum = terms(&binary.lhs)?;
            let flip = binary.op.id() == T_SUB;
            sum.extend(
                terms(&binary.rhs)?.into_iter().map(|term| Term { negative: term.negative != flip, ..term }),
            );
            Some(sum)
        }
        _ => None,
    }
}
