//! A query whose value is a number of events.

use core::fmt;

use super::{Kind, Quantity, Query, QueryError, Term, WINDOW};
use crate::selector::Selector;

const EXAMPLE: &str = "write a query like `sum(rate(requests_total[{{.window}}]))`";

/// A query over the window that counts events of one whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    query: Query,
    per_second: bool,
}

impl EventQuery {
    /// Takes a query whose value is known to be a rate or a count.
    ///
    /// # Errors
    /// If no window is left open, or its value is no instant vector, no events, or one series for each value of a
    /// label.
    pub fn try_new(query: Query) -> Result<Self, QueryError> {
        let per_second = is_per_second(&query)?;
        if !query.is_windowed() {
            let help = format!("write `[{WINDOW}]` where the range stands");
            let span = query.facts.fixed_ranges.first().cloned().unwrap_or(0..query.source.len());
            return Err(QueryError::new(span, "no window is left open", help));
        }
        Ok(Self { query, per_second })
    }

    /// Returns whether its value is a rate per second; otherwise it is the number of events in the window.
    #[must_use]
    pub const fn is_per_second(&self) -> bool {
        self.per_second
    }

    /// The query over a range, in PromQL's notation.
    #[must_use]
    pub fn over(&self, range: &str) -> String {
        self.query.over(range)
    }

    /// The counters whose events are added up; empty for a query of another form.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.query.facts.terms
    }

    /// The counters behind a query of the plainest form, `sum(rate(SELECTOR[{{.window}}]))`.
    #[must_use]
    pub const fn counters(&self) -> Option<&Selector> {
        self.query.counters()
    }
}

impl fmt::Display for EventQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.query.fmt(f)
    }
}

fn is_per_second(query: &Query) -> Result<bool, QueryError> {
    let all = || 0..query.source.len();
    let fail = |message: &str, help: String| Err(QueryError::new(all(), message, help));
    match query.facts.kind {
        Kind::InstantVector => {}
        Kind::RangeVector => {
            let help = format!("the form that works is `sum(rate({}))`", query.text.trim());
            return fail("a range where an instant vector is needed", help);
        }
        Kind::Scalar => return fail("a number where events are needed", EXAMPLE.to_owned()),
        Kind::Text => return fail("a text where events are needed", EXAMPLE.to_owned()),
    }
    if let Some(grouping) = &query.facts.grouping {
        return Err(grouping.clone());
    }
    match query.facts.quantity.clone()? {
        Quantity::PerSecond => Ok(true),
        Quantity::Count => Ok(false),
        Quantity::CountOfOtherRange => {
            let help = format!("write `[{WINDOW}]` where the range stands");
            let span = query.facts.fixed_ranges.first().cloned().unwrap_or_else(all);
            Err(QueryError::new(span, "events in a range that is not the window", help))
        }
        Quantity::Mixed => fail(
            "a rate and a count are added",
            format!("use `rate(…[{WINDOW}])` or `increase(…[{WINDOW}])` on both sides"),
        ),
        Quantity::Number => fail("a share or a number where events are needed", EXAMPLE.to_owned()),
        Quantity::Gauge => {
            let help = format!(
                "count events: `sum(rate(counter[{WINDOW}]))`; of a gauge that is 1 or 0 count the samples: \
                 `sum(sum_over_time(gauge[{WINDOW}]))` over `sum(count_over_time(gauge[{WINDOW}]))`"
            );
            fail("a gauge where events are needed: its value is neither a rate nor a count", help)
        }
    }
}
