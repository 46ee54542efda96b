//! The meaning of a query's value: a rate, a count or a gauge, and the labels that its series keep.

use std::collections::BTreeSet;

use promql_parser::parser::token::{
    T_ADD, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_DIV, T_GROUP, T_LAND, T_LIMIT_RATIO, T_LIMITK, T_LOR,
    T_LUNLESS, T_MUL, T_SUB, T_TOPK,
};
use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality};

use super::error::QueryError;
use super::function::{Effect, effect};
use super::outline::Outline;
use super::quantity::{Quantity, recorded, sum};

/// Labels of a query's series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Labels {
    /// At most these.
    Only(BTreeSet<String>),
    /// Any but these.
    AllBut(BTreeSet<String>),
}

/// Type and meaning of a part of a query.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) quantity: Quantity,
    pub(super) labels: Labels,
    /// The grouping, by its number in the outline, that keeps labels.
    pub(super) grouped_by: Option<usize>,
    /// True if the range of a range vector is the window.
    over_window: bool,
}

impl Labels {
    const fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::Only(labels) if labels.is_empty())
    }

    fn keep(&self, by: &BTreeSet<String>) -> Self {
        match self {
            Self::Only(labels) => Self::Only(labels.intersection(by).cloned().collect()),
            Self::AllBut(without) => Self::Only(by.difference(without).cloned().collect()),
        }
    }

    fn drop(&self, dropped: &BTreeSet<String>) -> Self {
        match self {
            Self::Only(labels) => Self::Only(labels.difference(dropped).cloned().collect()),
            Self::AllBut(without) => Self::AllBut(without.union(dropped).cloned().collect()),
        }
    }

    fn add(&self, label: &str) -> Self {
        self.join(&Self::Only(BTreeSet::from([label.to_owned()])))
    }

    fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(a.union(b).cloned().collect()),
            (Self::AllBut(a), Self::AllBut(b)) => Self::AllBut(a.intersection(b).cloned().collect()),
            (Self::AllBut(a), Self::Only(b)) | (Self::Only(b), Self::AllBut(a)) => {
                Self::AllBut(a.difference(b).cloned().collect())
            }
        }
    }
}

/// Reads the meaning of a tree along its outline.
pub(super) struct Reader<'a> {
    text: &'a str,
    outline: &'a Outline,
    windows: &'a [core::ops::Range<usize>],
    calls: usize,
    aggregations: usize,
    selectors: usize,
    ranges: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, outline: &'a Outline, windows: &'a [core::ops::Range<usize>]) -> Self {
        Self { text, outline, windows, calls: 0, aggregations: 0, selectors: 0, ranges: 0 }
    }

    pub(super) fn read(&mut self, tree: &Expr) -> Result<Value, QueryError> {
        let plain = |quantity, labels| Value { quantity, labels, grouped_by: None, over_window: false };
        match tree {
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {
                Ok(plain(Quantity::Number, Labels::none()))
            }
            Expr::Paren(paren) => self.read(&paren.expr),
            Expr::Unary(unary) => self.read(&unary.expr),
            Expr::VectorSelector(_) => Ok(plain(self.selector()?, Labels::AllBut(BTreeSet::new()))),
            Expr::MatrixSelector(_) => {
                let quantity = self.selector()?;
                let over_window = self.range();
                Ok(Value { over_window, ..plain(quantity, Labels::AllBut(BTreeSet::new())) })
            }
            Expr::Subquery(subquery) => {
                let inner = self.read(&subquery.expr)?;
                Ok(Value { over_window: self.range(), ..inner })
            }
            Expr::Call(call) => self.call(call),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
        }
    }

    /// A recording whose name holds the window tells its quantity by its name; every other series is a gauge.
    fn selector(&mut self) -> Result<Quantity, QueryError> {
        let name = self.outline.selectors.get(self.selectors).and_then(|selection| selection.name.clone());
        self.selectors += 1;
        let window = name.clone().and_then(|name| {
            self.windows.iter().find(|window| window.start > name.start && window.start < name.end)
        });
        let (Some(name), Some(window)) = (name, window) else { return Ok(Quantity::Gauge) };
        let before = self.text.get(name.start..window.start).unwrap_or_default();
        recorded(before).ok_or_else(|| {
            let help = "a recording tells its quantity by its last part, like `job:requests:rate{{.window}}` or \
                        `job:requests:increase{{.window}}`";
            QueryError::new(name, "cannot tell whether this recording is a rate or a count", help)
        })
    }

    fn range(&mut self) -> bool {
        let duration = self.outline.ranges.get(self.ranges).map(|range| range.duration.start);
        self.ranges += 1;
        duration.is_some_and(|start| self.windows.iter().any(|window| window.start == start))
    }

    fn call(&mut self, call: &Call) -> Result<Value, QueryError> {
        let place = self.outline.calls.get(self.calls);
        self.calls += 1;
        let name = call.func.name;
        let span = place.map_or(0..0, |place| place.name.clone());
        let Some(effect) = effect(name) else {
            let help = "use a function whose value is known to be a rate or a count";
            let message = format!("cannot tell whether `{name}` yields a rate or a count");
            return Err(QueryError::new(span, message, help));
        };
        let arguments =
            call.args.args.iter().map(|argument| self.read(argument)).collect::<Result<Vec<_>, _>>()?;
        // labels and quantity come from the one argument that has series
        let main =
            arguments.iter().find(|value| !value.labels.is_none() || value.quantity != Quantity::Number);
        let main = main.or(arguments.first());
        let inner = main.map_or(Quantity::Number, |value| value.quantity);
        let over_window = main.is_some_and(|value| value.over_window);
        let quantity = match effect {
            Effect::PerSecond => Quantity::PerSecond,
            // a sum of rates is no count: their distance in time is not in it
            Effect::Count if name == "sum_over_time" && inner == Quantity::PerSecond => Quantity::Gauge,
            Effect::Count if over_window => Quantity::Count,
            Effect::Count => Quantity::CountOfOtherRange,
            Effect::OverTime | Effect::Same => inner,
            Effect::Number => Quantity::Number,
            Effect::Gauge => Quantity::Gauge,
        };
        let labels = main.map_or_else(Labels::none, |value| value.labels.clone());
        let labels = match name {
            "scalar" | "time" | "vector" | "absent" | "absent_over_time" => Labels::none(),
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                labels.drop(&BTreeSet::from(["le".to_owned()]))
            }
            "label_replace" | "label_join" => {
                call.args.args.get(1).map_or(labels.clone(), |label| match &**label {
                    Expr::StringLiteral(label) => labels.add(&label.val),
                    _ => labels,
                })
            }
            "info" => Labels::AllBut(BTreeSet::new()),
            _ => labels,
        };
        let grouped_by = main.and_then(|value| value.grouped_by).filter(|_| !labels.is_none());
        Ok(Value { quantity, labels, grouped_by, over_window: false })
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Result<Value, QueryError> {
        let number = self.aggregations;
        self.aggregations += 1;
        let mut added = None;
        if let Some(param) = &aggregate.param {
            self.read(param)?;
            if let (T_COUNT_VALUES, Expr::StringLiteral(label)) = (aggregate.op.id(), &**param) {
                added = Some(label.val.clone());
            }
        }
        let inner = self.read(&aggregate.expr)?;
        let quantity = match aggregate.op.id() {
            T_COUNT | T_GROUP | T_COUNT_VALUES => Quantity::Gauge,
            _ => inner.quantity,
        };
        let set =
            |modifier: &LabelModifier| modifier.labels().labels.iter().cloned().collect::<BTreeSet<_>>();
        let selects = matches!(aggregate.op.id(), T_TOPK | T_BOTTOMK | T_LIMITK | T_LIMIT_RATIO);
        let mut labels = match &aggregate.modifier {
            _ if selects => inner.labels.clone(),
            None => Labels::none(),
            Some(modifier @ LabelModifier::Include(_)) => inner.labels.keep(&set(modifier)),
            Some(modifier @ LabelModifier::Exclude(_)) => inner.labels.drop(&set(modifier)),
        };
        if let Some(label) = added {
            labels = labels.add(&label);
        }
        let grouped_by = match (labels.is_none(), selects) {
            (true, _) => None,
            (false, true) => inner.grouped_by,
            (false, false) => Some(number),
        };
        Ok(Value { quantity, labels, grouped_by, over_window: false })
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Result<Value, QueryError> {
        let left = self.read(&binary.lhs)?;
        let right = self.read(&binary.rhs)?;
        let quantity = match binary.op.id() {
            T_ADD | T_SUB => sum(left.quantity, right.quantity),
            T_LOR => sum(left.quantity, right.quantity),
            T_LAND | T_LUNLESS => left.quantity,
            T_MUL => left.quantity.times(right.quantity),
            T_DIV => left.quantity.over(right.quantity),
            _ if binary.op.is_comparison_operator() && binary.return_bool() => Quantity::Number,
            // a filter passes the values of its vector
            _ if binary.op.is_comparison_operator() => match left.quantity {
                Quantity::Number => right.quantity,
                quantity => quantity,
            },
            _ if (left.quantity, right.quantity) == (Quantity::Number, Quantity::Number) => Quantity::Number,
            _ => Quantity::Gauge,
        };
        let labels = matched(binary, &left.labels, &right.labels);
        let grouped_by = left.grouped_by.or(right.grouped_by).filter(|_| !labels.is_none());
        Ok(Value { quantity, labels, grouped_by, over_window: false })
    }
}

/// Labels of the result of a binary operation.
fn matched(binary: &BinaryExpr, left: &Labels, right: &Labels) -> Labels {
    match binary.op.id() {
        T_LAND | T_LUNLESS => return left.clone(),
        T_LOR => return left.join(right),
        _ => {}
    }
    // an operand without labels is a number, or matches only series without labels
    let modifier = binary.modifier.as_ref();
    let set = |labels: &[String]| labels.iter().cloned().collect::<BTreeSet<_>>();
    match modifier.map(|modifier| &modifier.card) {
        Some(VectorMatchCardinality::ManyToOne(more)) => return left.join(&Labels::Only(set(&more.labels))),
        Some(VectorMatchCardinality::OneToMany(more)) => return right.join(&Labels::Only(set(&more.labels))),
        _ => {}
    }
    match modifier.and_then(|modifier| modifier.matching.as_ref()) {
        Some(LabelModifier::Include(on)) => left.join(right).keep(&set(&on.labels)),
        Some(LabelModifier::Exclude(ignored)) => left.join(right).drop(&set(&ignored.labels)),
        None => left.join(right),
    }
}
