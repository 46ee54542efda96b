//! Queries: parsed once, with every place inside the text, and never changed but by an edit that is parsed again.

mod error;
mod events;
mod function;
mod grammar;
mod linear;
mod meaning;
mod outline;
mod quantity;
mod ratio;
mod rewrite;
mod template;
#[cfg(test)]
mod tests;
mod token;
mod whole_selector;

use core::fmt;
use core::ops::Range;

use promql_parser::parser::value::ValueType;

pub use error::QueryError;
pub use events::EventQuery;
pub use linear::Term;
pub use quantity::Quantity;
pub use ratio::Ratio;
pub use template::WINDOW;

use crate::selector::Selector;
use meaning::Labels;

/// Most bytes of a query.
const TEXT_LIMIT: usize = 16 * 1024;

/// The language that a server speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Prometheus' own.
    #[default]
    PromQl,
    /// VictoriaMetrics', whose further functions over a range are taken too.
    MetricsQl,
}

/// The type of a query's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Scalar,
    /// One value for each series.
    InstantVector,
    /// Samples over a range for each series.
    RangeVector,
    /// A text.
    Text,
}

/// A valid query, in which `{{.window}}` may stand where the range goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The user's text, in which places are told.
    source: String,
    /// The text without comments, the placeholder spelt in one way.
    text: String,
    dialect: Dialect,
    facts: Box<Facts>,
}

/// Facts about a query that follow from its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    kind: Kind,
    windowed: bool,
    ranged: bool,
    quantity: Result<Quantity, QueryError>,
    grouping: Option<QueryError>,
    fixed_ranges: Vec<Range<usize>>,
    ratio: Option<ratio::Places>,
    selector: Option<Selector>,
    counters: Option<Selector>,
    terms: Vec<Term>,
}

impl Query {
    /// Parses a query of a server that speaks `dialect`.
    ///
    /// # Errors
    /// The first place at which the text is no query, with what is expected there.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, QueryError> {
        if text.len() > TEXT_LIMIT {
            let help = "record a part of it in Prometheus and query the recording";
            return Err(QueryError::new(0..0, format!("a query has at most {TEXT_LIMIT} bytes"), help));
        }
        let mut filled = template::fill(text)?;
        let tokens = token::tokens(&filled.text)?;
        filled
            .windows
            .retain(|window| tokens.comments.iter().all(|c| window.end <= c.start || c.end <= window.start));
        let outline = outline::outline(&filled.text, &tokens.all).map_err(|error| filled.restored(error))?;
        grammar::check_functions(text, &outline, dialect)?;
        grammar::check_patterns(&filled.text, &tokens.all)?;
        grammar::check_windows(&tokens.all, &outline, &filled)?;
        let tree = grammar::parse(&filled.text, &outline).map_err(|error| filled.restored(error))?;
        let value = meaning::Reader::new(text, &outline, &filled.windows).read(&tree);
        let fixed =
            outline.ranges.iter().filter(|range| !range.is_subquery).map(|range| range.duration.clone());
        let fixed = fixed.filter(|range| filled.windows.iter().all(|window| window.start != range.start));
        Ok(Self {
            text: rewrite::canonical(text, &filled.windows, &tokens.comments),
            dialect,
            source: text.to_owned(),
            facts: Box::new(Facts {
                kind: match tree.value_type() {
                    ValueType::Scalar => Kind::Scalar,
                    ValueType::Vector => Kind::InstantVector,
                    ValueType::Matrix => Kind::RangeVector,
                    ValueType::String => Kind::Text,
                },
                windowed: !filled.windows.is_empty(),
                ranged: !outline.ranges.is_empty(),
                grouping: value.as_ref().ok().and_then(|value| grouping(text, &outline, value)),
                quantity: value.map(|value| value.quantity),
                // counters over another range are no events of the window
                terms: linear::terms(&tree).filter(|_| all_windowed(&outline, &filled)).unwrap_or_default(),
                fixed_ranges: fixed.collect(),
                ratio: ratio::places(&tree, &filled.text, &outline),
                selector: Selector::of_tree(&tree),
                counters: ratio::counters(&tree, &outline, &filled.windows),
            }),
        })
    }

    /// The text as it was parsed, in which the places of [`QueryError`] lie.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The type of its value.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.facts.kind
    }

    /// Returns whether a range is left open with `{{.window}}`.
    #[must_use]
    pub const fn is_windowed(&self) -> bool {
        self.facts.windowed
    }

    /// Returns the quantity of its value.
    ///
    /// # Errors
    /// Fails when the tree does not tell it.
    pub fn quantity(&self) -> Result<Quantity, QueryError> {
        self.facts.quantity.clone()
    }

    /// The finding that an aggregation keeps labels, so that the query has one series for each of their values.
    #[must_use]
    pub const fn grouping(&self) -> Option<&QueryError> {
        self.facts.grouping.as_ref()
    }

    /// Returns whether it has a range of any kind.
    #[must_use]
    pub const fn has_range(&self) -> bool {
        self.facts.ranged
    }

    /// The query over a range, in PromQL's notation.
    #[must_use]
    pub fn over(&self, range: &str) -> String {
        self.text.replace(WINDOW, range)
    }

    /// The selector, when the query is nothing else.
    #[must_use]
    pub const fn selector(&self) -> Option<&Selector> {
        self.facts.selector.as_ref()
    }

    /// The counters behind a query of the plainest form, `sum(rate(SELECTOR[{{.window}}]))`.
    #[must_use]
    pub const fn counters(&self) -> Option<&Selector> {
        self.facts.counters.as_ref()
    }
}

/// Returns whether the range of every selector is the window.
fn all_windowed(outline: &outline::Outline, filled: &template::Filled) -> bool {
    let is_window = |start: usize| filled.windows.iter().any(|window| window.start == start);
    outline.ranges.iter().all(|range| is_window(range.duration.start))
}

/// The finding about an aggregation that keeps labels.
fn grouping(text: &str, outline: &outline::Outline, value: &meaning::Value) -> Option<QueryError> {
    let aggregation = outline.aggregations.get(value.grouped_by?)?;
    let span = aggregation.grouping.clone().unwrap_or_else(|| aggregation.all.clone());
    let kept = match &value.labels {
        Labels::Only(labels) => {
            labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ")
        }
        Labels::AllBut(_) => "labels".to_owned(),
    };
    let written = text.get(span.clone()).unwrap_or_default();
    let message = format!("`{written}` keeps {kept}: the query has one series for each value");
    let label = match &value.labels {
        Labels::Only(labels) => labels.first().map_or("label", String::as_str),
        Labels::AllBut(_) => "label",
    };
    let help = format!(
        "an SLO counts one whole: remove the grouping, or write one SLO for each value with a matcher such as \
         `{{{label}=\"value\"}}`"
    );
    Some(QueryError::new(span, message, help))
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
